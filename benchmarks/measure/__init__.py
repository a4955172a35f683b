"""One file per part of the table: what is measured, and what it is compared with."""
