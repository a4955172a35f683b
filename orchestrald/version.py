"""Which version is this? Compared with pyproject.toml by a test; read by the thin client, so it costs nothing."""

VERSION = "0.1.0"
