"""What do the tests of models ask, and whom?"""

from collections.abc import Callable

from orchestrald.models.base import Message, Prompt
from orchestrald.models.endpoint import Endpoint

QUESTION = Prompt((Message("system", "You are terse."), Message("user", "What is there?")))

SHAPED = QUESTION._replace(
    shape={"type": "object", "properties": {"there": {"type": "string"}}, "required": ["there"]}, name="thing"
)
"""The same question, with a shape."""

Asking = Callable[..., Endpoint]
"""The fixture `endpoint`: a server, `known`, and any setting of a profile."""
