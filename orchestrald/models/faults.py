"""What do we report when an endpoint fails, refuses, or answers with something else?

Rules of this file:

- The one place that knows the exceptions of `openai` and of the HTTP client beneath it; nothing of theirs leaks past.
- A foreign text is cut before it is judged, redacted, and only then shortened to become part of a message: servers
  echo keys, and half of one is not recognized.
- What may be paid although it failed is whatever was sent, unless a status came back that is none of an answer.
- Outages and rate limits are ModelUnavailable, `data.retry_after_ms` when the endpoint named a time. What only a person
  can mend is ModelMisconfigured. A request that was declined for what it asked may go through if it is asked in other
  words: that is Declined, which never leaves the package.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import trio

from orchestrald.errors import ModelMisconfigured, ModelUnavailable, OrchestralError, PromptTooLong
from orchestrald.models import wordings
from orchestrald.models.base import MOST_COUNTED, storable
from orchestrald.models.body import MAX_ERROR, Refused
from orchestrald.models.dialect import Trait
from orchestrald.models.profile import Profile
from orchestrald.models.reading import ErrorInside, NotAnAnswer, word

QUOTA = "insufficient_quota"
"""`data.reason` of a ModelMisconfigured that no other endpoint shall hide: somebody has to pay."""

MAX_TEXT = 300
"""Characters of a foreign text that go into a message."""

JUDGED = 16 * 1024
"""Characters of a foreign text in which we look for what we know. It says in its first sentence what is wrong."""

DECLINING = frozenset({400, 404, 405, 415, 422, 500, 501})
"""Statuses with which servers answer a request that they do not understand. llama-cpp-python answers 500."""


class Declined(Exception):
    """The endpoint did not take the request as it was asked. `trait` is what it named, if anything; `error` is what to
    report when there are no other words for it."""

    def __init__(self, trait: Trait | None, error: OrchestralError) -> None:
        self.trait = trait
        self.error = error
        super().__init__(str(error))


class Response(NamedTuple):
    """What an endpoint said instead of an answer. `status` 0: in the middle of a stream."""

    status: int
    text: str
    code: str = ""
    param: str = ""
    retry_after_ms: int | None = None


@contextmanager
def translating(profile: Profile, redact: Callable[[str], str], paid: Callable[[], None]) -> Iterator[None]:
    """Raises Declined, ModelUnavailable, ModelMisconfigured or PromptTooLong for whatever goes wrong inside, and tells
    before it where that may be `paid`."""
    # By now the connection has imported them, in its thread.
    import httpx2  # noqa: PLC0415
    import openai  # noqa: PLC0415

    def unavailable(what: str) -> ModelUnavailable:
        return ModelUnavailable(redact(f"{profile.name} {what}."))

    # With any of these the question never got through.
    unsent = (
        httpx2.ConnectError,
        httpx2.LocalProtocolError,
        httpx2.ProxyError,
        httpx2.TooManyRedirects,
        httpx2.UnsupportedProtocol,
    )
    try:
        yield
    except Refused as error:
        raise judge(_response(error), profile, redact) from None
    except (trio.TooSlowError, openai.APITimeoutError, httpx2.TimeoutException) as error:
        if isinstance(error.__cause__, httpx2.ConnectTimeout):
            raise unavailable(f"cannot be reached at {profile.shown_address}: the connection timed out") from None
        paid()
        raise unavailable(f"has not answered within {profile.timeout:g} s") from None
    except (openai.APIConnectionError, httpx2.RequestError, httpx2.StreamError, OSError) as error:
        if isinstance(error.__cause__, httpx2.ConnectError):
            raise unavailable(f"cannot be reached at {profile.shown_address}: {_told(_cause(error), redact)}") from None
        if not isinstance(error.__cause__, unsent):
            paid()
        raise unavailable(
            f"broke off the connection to {profile.shown_address}: {_told(_cause(error), redact)}"
        ) from None
    except ErrorInside as error:
        if error.late:
            paid()
        raise judge(Response(0, str(error), error.code), profile, redact) from None
    except NotAnAnswer as error:
        paid()
        raise unavailable(f"answered with {_told(str(error), redact)}") from None


def judge(response: Response, profile: Profile, redact: Callable[[str], str]) -> Exception:
    """The error, or Declined, that a response means."""
    told = f": {said}" if (said := _told(response.text, redact)) else ""
    response = response._replace(text=response.text[:JUDGED], code=response.code[:MAX_TEXT])
    status = f" (HTTP {response.status})" if response.status else ""
    known = _definite(response, profile, f"{status}{told}")
    if known is not None:
        return known
    if response.status in DECLINING:
        trait = wordings.declined(response.text, response.param)
        what = "fails" if response.status == 500 else "does not take the request"
        return Declined(trait, _undone(response, f"{profile.name} {what}{status}{told}"))
    if 400 <= response.status < 500 and response.status not in (408, 409, 425, 429):
        return ModelMisconfigured(f"{profile.name} does not take the request{status}{told}")
    what = "takes no more questions now" if response.status == 429 else "fails"
    waiting = {} if response.retry_after_ms is None else {"retry_after_ms": response.retry_after_ms}
    return ModelUnavailable(f"{profile.name} {what}{status}{told}", data=waiting)


def _definite(response: Response, profile: Profile, told: str) -> OrchestralError | None:
    """What is certain whatever was asked, and in whichever words."""
    if response.status == 402 or wordings.unpaid(response.text, response.code):
        hint = "Add credit to the account, or name another backend first."
        return ModelMisconfigured(f"{profile.name} is out of credit{told}", hint=hint, data={"reason": QUOTA})
    if response.status in (401, 403):
        source = (
            f"{profile.api_key_env}, the variable that api_key_env names," if profile.api_key_env else "api_key_env"
        )
        hint = f"Check the key in {source} of the backend {profile.backend}."
        if not profile.api_key:
            hint = f"No key is set: name the variable that holds it in api_key_env of the backend {profile.backend}."
            if profile.api_key_env:
                hint = f"The variable {profile.api_key_env} is not set in the daemon's environment, or is empty."
        what = "does not accept the key" if response.status == 401 else "denies access"
        return ModelMisconfigured(f"{profile.name} {what}{told}", hint=hint)
    if response.status == 413 or (response.status != 429 and wordings.too_long(response.text, response.code)):
        return PromptTooLong(f"The question is too long for {profile.name}{told}")
    if response.status in (400, 404, 422) and wordings.unknown_model(response.text, response.code):
        return ModelMisconfigured(f"{profile.backend} does not know the model {profile.model}{told}")
    return None


def _undone(response: Response, message: str) -> OrchestralError:
    if response.status in (500, 501):
        return ModelUnavailable(message)
    if response.status in (404, 405):
        return ModelMisconfigured(message, hint="Check base_url: it usually ends in /v1.")
    return ModelMisconfigured(message)


def _response(error: Refused) -> Response:
    """From a body that may be anything."""
    plain = error.body.decode("utf-8", "replace").strip()
    try:
        said = json.loads(error.body)
        body: dict[str, Any] = said if isinstance(said, dict) else {}
        # LM Studio sends {"error": "text"}, FastAPI {"detail": ...}.
        body = body["error"] if isinstance(body.get("error"), dict) else body
        text = str(body.get("message") or body.get("error") or body.get("detail") or ("" if body else said) or "")
    except (ValueError, RecursionError):
        body, text = {}, plain
    # llama.cpp has the status in `code`, and what we would call the code in `type`.
    code = f"{word(body.get('code'))} {word(body.get('type'))}"
    return Response(error.status, text, code, word(body.get("param"))[:MAX_TEXT], _retry_after(error.headers))


def _retry_after(headers: Mapping[str, str]) -> int | None:
    """Milliseconds; missing where none, or nothing that can be read, is given."""
    asked = _asked_for(headers)
    return None if asked is None else min(max(asked, 0), MOST_COUNTED)


def _asked_for(headers: Mapping[str, str]) -> int | None:
    try:
        if (milliseconds := headers.get("retry-after-ms")) is not None:
            return int(float(milliseconds))
        if (given := headers.get("retry-after")) is None:
            return None
        if given.strip().replace(".", "", 1).isdigit():
            return int(float(given) * 1000)
        moment = parsedate_to_datetime(given)
        # Their clock and ours may differ: what counts is how far ahead of their own `Date` it is, where there is one.
        now = parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)
        return int((moment - now).total_seconds() * 1000)
    except (ValueError, TypeError, OverflowError):
        return None


def _cause(error: BaseException) -> str:
    """The innermost reason that has words: what the SDK says itself is "Connection error."."""
    reason, seen = "", 0
    current: BaseException | None = error
    while current is not None and seen < 10:
        if isinstance(current, BaseExceptionGroup) and current.exceptions:
            current = current.exceptions[0]
        reason = str(getattr(current, "strerror", None) or current).strip() or reason
        current, seen = current.__cause__ or current.__context__, seen + 1
    return reason or "the connection was lost"


def _told(text: str, redact: Callable[[str], str]) -> str:
    return shortened(redact(text[:MAX_ERROR]))


def shortened(text: str) -> str:
    """A foreign text as a part of a message; it must be redacted."""
    line = " ".join(storable(text[: 4 * MAX_TEXT]).split())
    return line if len(line) <= MAX_TEXT else f"{line[: MAX_TEXT - 1]}…"
