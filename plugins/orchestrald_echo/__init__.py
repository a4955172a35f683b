"""What does the smallest useful plugin look like? The action `echo`."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from orchestrald.hookspecs import Action, ActionContext, hookimpl, read_settings


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    prefix: str = ""


@hookimpl
def register_actions(register: Callable[[Action], None], settings: Mapping[str, Any]) -> None:
    prefix = read_settings(Settings, settings).prefix

    async def echo(params: dict[str, Any], context: ActionContext) -> dict[str, Any]:
        return {"result": prefix + params["message"]}

    register(
        Action(
            name="echo",
            run=echo,
            description="Give a message back.",
            input_schema={
                "type": "object",
                "properties": {"message": {"type": "string"}},
                "required": ["message"],
                "additionalProperties": False,
            },
            output_schema={
                "type": "object",
                "properties": {"result": {"type": "string"}},
                "required": ["result"],
            },
            effects="read",
            open_world=False,
            idempotent=True,
        )
    )
