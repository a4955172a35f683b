"""How is an endpoint reached without stopping the loop?

Rules of this file:

- `openai` is imported at the first question and in a worker thread, together with everything it loads lazily: half a
  second and 40 MB that a daemon without a model never pays.
- A client lives as long as one question. Nothing has to be closed when the configuration changes, no idle connection
  goes stale, and a question that is cancelled takes nothing with it. With the TLS context shared it costs 0.5 ms.
- The SDK makes one request per call: whoever asks decides about another.
"""

import ssl
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

import trio

from orchestrald.errors import ModelMisconfigured
from orchestrald.models.body import refuse
from orchestrald.models.profile import OPENAI, Profile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from openai import AsyncOpenAI

CONNECT_TIMEOUT = 10.0
"""Seconds. A machine that is switched off answers nothing at all; a model may think for a minute, a handshake not."""


@asynccontextmanager
async def connect(profile: Profile) -> "AsyncIterator[AsyncOpenAI]":
    """A client for one question. Raises ModelMisconfigured where the address is none."""
    client = await trio.to_thread.run_sync(_client, profile)
    async with client:
        yield client


def _client(profile: Profile) -> "AsyncOpenAI":
    import httpx2  # noqa: PLC0415 - at the first question, see above
    import openai  # noqa: PLC0415

    if not profile.address.startswith(("http://", "https://")):
        raise ModelMisconfigured(f"The base_url of {profile.backend} does not begin with http:// or https://.")
    if not profile.api_key.isascii() or not profile.api_key.isprintable():
        source = profile.api_key_env or "api_key_env"
        raise ModelMisconfigured(
            f"The key of {profile.backend} holds characters that no key has.", hint=f"See {source}."
        )
    # Less than all of it, or nobody could tell whether the question was sent, and may have to be paid.
    timeout = openai.Timeout(profile.timeout, connect=min(CONNECT_TIMEOUT, profile.timeout / 2))
    try:
        client = openai.AsyncOpenAI(
            # Both are given even where they are empty: the SDK would look into our environment for others, and send
            # OpenAI's key to whatever server is configured.
            api_key=profile.api_key or "none",
            base_url=profile.address,
            timeout=timeout,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(
                verify=_trusted(), timeout=timeout, event_hooks={"response": [refuse]}
            ),
        )
    except httpx2.InvalidURL as error:
        raise ModelMisconfigured(f"The base_url of {profile.backend} is not an address: {error}") from None
    if profile.address != OPENAI:
        client.organization = client.project = None
    client.admin_api_key = None
    _ = client.chat.completions.with_streaming_response, client.models.with_streaming_response
    return client


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    import httpx2  # noqa: PLC0415

    return httpx2.create_ssl_context()
