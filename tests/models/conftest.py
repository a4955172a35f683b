"""What does a test of a model need around it?"""

from typing import Any

import pytest

from models.asking import Asking
from orchestrald.core.redaction import Redaction
from orchestrald.models.endpoint import Endpoint
from orchestrald.models.known import Known
from orchestrald.models.profile import Profile
from support.chat_server import ChatServer


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def endpoint() -> Asking:
    def make(server: ChatServer, known: Known | None = None, **settings: Any) -> Endpoint:
        profile: dict[str, Any] = {"backend": "fake", "model": "fake", "base_url": server.base_url, "timeout": 5}
        return Endpoint(Profile(**profile | settings), known or Known(), Redaction())

    return make
