"""How does what is committed become spans, at no cost to whoever commits?

Rules of this file:

- `hear` runs inside the journal's commit: it never raises and never waits. All else is done by `run`, in its own time.
- What was not heard is read: an interaction that began before the daemon did, or was forgotten since, is folded from
  the journal up to the event at hand. So forgetting is always allowed, and memory is bounded.
- Only what ends while the daemon lives is exported. What had ended before it died was exported then, but for the last
  seconds: to send it again would be to send most of it twice.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import trio

from orchestrald.core.events import Event
from orchestrald.core.redaction import Redaction
from orchestrald.errors import ConfigError, OrchestralError
from orchestrald.telemetry.spans import ENDING, HEEDED, Span, Trace

log = logging.getLogger("orchestrald.telemetry")

MOST_TRACES = 1_000
"""Interactions whose beginning is kept in memory; the others' is read when something ends in them."""

MOST_WAITING = 20_000
"""Events that wait to be looked at. When there are more, we are not keeping up, and go on with what comes."""

PAGE = 200
"""Events, each of which may hold an output of 64 KiB."""

FLUSH_S = 2.0
"""How long the daemon's end may be put off for the last spans."""

Hear = Callable[[Sequence[Event]], None]


class History(Protocol):
    async def events(
        self, *, after_seq: int = 0, limit: int = 500, interaction_id: str | None = None,
        types: Sequence[str] | None = None,
    ) -> list[Event]: ...  # fmt: skip


class Exporter(Protocol):
    def add(self, span: Span) -> None: ...

    def close(self) -> None:
        """Called in a thread; may take long."""
        ...


async def open_tracing(address: str | None, history: History, redact: Callable[[], Redaction]) -> "Tracing":
    """Without an address it hears nothing. `redact` gives the redaction in force. Raises ConfigError where the extra is
    not installed."""
    exporter = None if address is None else await trio.to_thread.run_sync(partial(_exporter, address, redact))
    return Tracing(exporter, history)


def _exporter(address: str, redact: Callable[[], Redaction]) -> Exporter:
    try:
        from orchestrald.telemetry import export  # noqa: PLC0415 - the SDK, which few have and nobody else shall load
    except ImportError as error:
        if (error.name or "").startswith("orchestrald"):
            raise
        raise ConfigError(
            f"observability.traces is set, and OpenTelemetry cannot be loaded: {error}.",
            hint="Install it with: pip install 'orchestrald[otel]'",
        ) from None
    return export.Exporter(address, redact)


class Tracing:
    def __init__(self, exporter: Exporter | None, history: History) -> None:
        self._exporter = exporter
        self._history = history
        self._events: deque[Event] = deque()
        self._traces: dict[str, Trace] = {}
        self._news = trio.Event()

    def beside(self, publish: Hear) -> Hear:
        """`publish`, and then `hear`."""
        if self._exporter is None:
            return publish

        def both(events: Sequence[Event]) -> None:
            publish(events)
            self.hear(events)

        return both

    def hear(self, events: Sequence[Event]) -> None:
        if len(self._events) > MOST_WAITING:
            log.warning("%d events come too fast to be traced", len(self._events))
            self._events.clear()
            self._traces.clear()
        self._events.extend(event for event in events if event.type in HEEDED)
        self._news.set()

    async def run(self) -> None:
        """Until cancelled. Then what is left is exported, as far as it goes in `FLUSH_S`."""
        if self._exporter is None:
            return
        try:
            while True:
                await self._news.wait()
                self._news = trio.Event()
                await self._export(self._exporter)
        finally:
            with trio.move_on_after(FLUSH_S, shield=True):
                await self._export(self._exporter)
                await trio.to_thread.run_sync(self._exporter.close, abandon_on_cancel=True)

    async def _export(self, exporter: Exporter) -> None:
        while self._events:
            event = self._events.popleft()
            try:
                for span in (await self._trace(event)).fold(event):
                    exporter.add(span)
            except trio.Cancelled:
                self._events.appendleft(event)
                raise
            except OrchestralError as error:
                log.warning("what %s did before cannot be read, and is not traced: %s", event.interaction_id, error)
            except Exception:  # a bug here must not be the end of the daemon
                log.exception("%s of %s is not traced", event.type, event.interaction_id)

    async def _trace(self, event: Event) -> Trace:
        """What the event belongs to, as it was before the event."""
        # A call to a model that belongs to no interaction is a trace of its own.
        key = event.interaction_id or str(event.data.get("asked", event.seq))
        trace = self._traces.pop(key, None)
        if trace is None:
            trace = Trace(event.interaction_id or f"{event.seq} {event.at}")
            if event.interaction_id and event.type != "interaction.submitted":
                await self._catch_up(trace, event)
        if event.type not in ENDING:
            self._traces[key] = trace  # the newest is the last
        if len(self._traces) > MOST_TRACES:
            del self._traces[next(iter(self._traces))]
        return trace

    async def _catch_up(self, trace: Trace, event: Event) -> None:
        after = 0
        while True:
            page = await self._history.events(
                after_seq=after, limit=PAGE, interaction_id=event.interaction_id, types=HEEDED
            )
            for earlier in page:
                if earlier.seq >= event.seq:
                    return
                trace.fold(earlier)
            if len(page) < PAGE:
                return
            after = page[-1].seq
