"""What may the operator set for the file actions?"""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

MOST = 10 * 1024 * 1024
DEFAULT = 512 * 1024


def _clamped(value: object) -> object:
    # The original clamps instead of refusing, and people's files have 0 for "the least".
    return min(max(value, 1), MOST) if isinstance(value, int) and not isinstance(value, bool) else value


Size = Annotated[int, BeforeValidator(_clamped)]


class Settings(BaseModel):
    """`sandbox_writable_roots` are the folders that may be read and written; "." is the interaction's workspace, and
    relative ones are taken from it. Sizes are bytes, 1 to 10 MiB."""

    model_config = ConfigDict(extra="forbid")

    sandbox_mode: Literal["none", "read_only", "workspace_write"] = "workspace_write"
    sandbox_writable_roots: tuple[str, ...] = (".",)
    max_read_bytes: Size = DEFAULT
    create_dirs: bool = True
    append: bool = False
    max_write_bytes: Size = DEFAULT
