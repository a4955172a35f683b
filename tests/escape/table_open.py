"""Which rows does the product not hold yet? Found by this suite; run with ESCAPE_OPEN_ROWS=1.

Each moves to its own table with the change that makes it green; this file goes when it is empty.
"""

import os

from escape.host_side import envrc_in_locked_workspace, file_in_workspace, protected_bytes, scratch_left
from escape.rows import Row, same

WANTED = os.environ.get("ESCAPE_OPEN_ROWS") == "1"

ROWS = [
    Row(number="38", title="open: create a protected name that is no text", attempt="create_odd",
        grant="burglar-write", args={"raw": [b".env\xff".hex()]}, held=("protected_create",), seen=protected_bytes,
        removed="quarantine"),
    Row(number="38", title="open: lock the workspace over what it created", attempt="create_odd",
        grant="burglar-write", args={"raw": [b".envrc".hex()], "lock": ["."]}, held=("protected_create",),
        seen=envrc_in_locked_workspace, removed="quarantine"),
    Row(number="38", title="open: plant a name in a crowd of others", attempt="crowd", grant="burglar-write",
        args={"name": ".envrc", "links": 200_100}, held=("protected_create",), seen=file_in_workspace(".envrc"),
        removed="quarantine"),
    Row(number="+", title="open: leave a folder that is deeper than any recursion", attempt="leave_deep",
        args={"levels": 3000}, seen=scratch_left, removed="deep-removal"),
    Row(number="+", title="open: hand over one file very often", attempt="artifacts",
        args={"count": 100, "size_mib": 16}, step={"timeout": "400ms"},
        held=("invalid_response", "output_too_large", "timeout"), removed="",
        unprovable=same("there is no mechanism yet: what is read after the program's end is not counted")),
]  # fmt: skip
