"""What can be asked of the sandbox without an interaction?"""

from typing import Annotated

from pydantic import Field

from orchestrald.protocol.messages.shape import Id, Method, Params

Word = Annotated[str, Field(max_length=131_072, pattern=r"^[^\x00]*$")]


class SandboxExplain(Params):
    """`workspace` is the folder that a step would see; empty means none."""

    action: Id
    workspace: str = ""


class SandboxTry(Params):
    """`argv` is the command, no shell reads it. Sent again it is run again: nothing of it is remembered."""

    action: Id
    argv: Annotated[list[Word], Field(min_length=1, max_length=1000)]
    workspace: str = ""
    timeout_ms: Annotated[int, Field(ge=1, le=600_000)] = 30_000


METHODS: dict[str, Method] = {
    "sandbox.explain": Method(SandboxExplain, "what an action may touch, and who says so; nothing is run"),
    "sandbox.try": Method(SandboxTry, "run a command under the policy of an action"),
}
