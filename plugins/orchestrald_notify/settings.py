"""What may the operator set for `notify`?"""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """`desktop`: where there is one. Empty `command`: no program; else it and its arguments, run for each notice."""

    model_config = ConfigDict(extra="forbid")

    desktop: bool = True
    command: tuple[str, ...] = ()
