"""Which waiting step gets an external event?

Rules of this file:

- Emitting is acknowledged when the event is durable, whether or not anything waits for it. One that comes early is kept
  until its step waits, or until its time is over; never more of them than `MAX_KEPT`: then emitting is refused.
- An event is given to one step, the one that waits longest; the step's success and the end of keeping share a commit.
  Until then the pair is promised in memory, and a crash makes the offer anew.
- A step matches by kind, by correlation where it names one, and by thread where the event names one.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from orchestrald.core.events import Event
from orchestrald.core.inputs import EventArrived
from orchestrald.engine.clock import Clock
from orchestrald.engine.host import Host
from orchestrald.engine.waits import ANY, Waits
from orchestrald.errors import Draining, NotFound, Overloaded, StoreError
from orchestrald.store.base import Appender, Batch, MailRow, Reader, RequestRow, WaitRow

log = logging.getLogger("orchestrald.engine")

MAX_KEPT = 10_000

Step = tuple[str, str]
"""Interaction and step."""


class Mailbox:
    def __init__(
        self, host: Host, journal: Appender, reader: Reader, clock: Clock, waits: Waits, retain_us: int
    ) -> None:
        self._host = host
        self._journal = journal
        self._reader = reader
        self._clock = clock
        self._waits = waits
        self._retain_us = retain_us
        self._kept: dict[int, MailRow] = {}
        self._promised: set[int | tuple[str, str]] = set()

    async def load(self) -> None:
        """What was kept when the daemon stopped."""
        self._kept = {mail.seq: mail for mail in await self._reader.mail()}
        await self._give_up_old()

    async def emit(
        self,
        *,
        kind: str,
        payload: Any,
        by: str,
        correlation: str | None = None,
        thread_id: str | None = None,
        remember: Callable[[str], RequestRow] | None = None,
    ) -> str:
        """The event's name, once it is durable. Raises NotFound for a thread that is not there, and Overloaded."""
        await self._give_up_old()
        if len(self._kept) >= MAX_KEPT:
            raise Overloaded(f"{MAX_KEPT} external events wait for a step that takes them, and no more are kept.")
        if thread_id is not None and await self._reader.thread(thread_id) is None:
            raise NotFound(f"There is no thread {thread_id}.")
        now = self._clock.now()
        event_id = self._clock.identifier("evt_")
        data = {"event_id": event_id, "kind": kind, "payload": payload, "by": by}
        if correlation is not None:
            data["correlation"] = correlation
        event = Event("external.event", data, thread_id or "", at=now)
        mail = MailRow(0, thread_id or "", kind, correlation, now + self._retain_us)
        request = None if remember is None else remember(event_id)
        (committed,) = await self._journal.append(Batch([event], mail=mail, request=request))
        self._kept[committed.seq] = mail = mail._replace(seq=committed.seq)
        self._offer(mail)
        return event_id

    def offer_all(self) -> None:
        for mail in list(self._kept.values()):
            self._offer(mail)

    def waits_began(self, rows: Sequence[WaitRow]) -> None:
        """Look for what has come before it was waited for."""
        for row in rows:
            if row.event_kind is not None:
                mail = next((mail for mail in self._kept.values() if self._fit(mail, row)), None)
                if mail is not None:
                    self._promise(mail, row)

    def _offer(self, mail: MailRow, refused_by: frozenset[Step] = frozenset()) -> None:
        """To the one that waits longest; not again to those that would not have it, which might go on for ever."""
        rows = (row for row in self._waits.for_event(mail.kind) if (row.interaction_id, row.step_id) not in refused_by)
        row = next((row for row in rows if self._fit(mail, row)), None)
        if row is not None:
            self._promise(mail, row, refused_by)

    def _fit(self, mail: MailRow, row: WaitRow) -> bool:
        return (
            row.event_kind is not None
            and row.event_kind.casefold() in {ANY, mail.kind.casefold()}
            and (row.correlation is None or row.correlation == mail.correlation)
            and mail.thread_id in {"", row.thread_id}
            and mail.until > self._clock.now()
            and mail.seq not in self._promised
            and (row.interaction_id, row.step_id) not in self._promised
        )

    def _promise(self, mail: MailRow, row: WaitRow, refused_by: frozenset[Step] = frozenset()) -> None:
        self._promised |= {mail.seq, (row.interaction_id, row.step_id)}
        self._host.spawn(self._hand_over, mail, row, refused_by)

    async def _hand_over(self, mail: MailRow, row: WaitRow, refused_by: frozenset[Step]) -> None:
        taken = False
        try:
            (event,) = await self._reader.events(after_seq=mail.seq - 1, limit=1)
            actor = await self._host.wake(row.interaction_id)
            kind, payload = event.data["kind"], event.data["payload"]
            reply = await actor.ask(EventArrived(self._clock.now(), row.step_id, kind, payload, mail.seq))
            taken = reply.refusal is None and not reply.lost
        except StoreError:
            raise
        except Draining:
            return
        except Exception:  # promise 3: one whose events cannot be followed is left alone, and takes nobody with it
            log.exception("event %d could not be given to %s", mail.seq, row.interaction_id)
        finally:
            self._promised -= {mail.seq, (row.interaction_id, row.step_id)}
        if taken:
            self._kept.pop(mail.seq, None)
        else:
            self._offer(mail, refused_by | {(row.interaction_id, row.step_id)})

    async def _give_up_old(self) -> None:
        now = self._clock.now()
        old = [mail.seq for mail in self._kept.values() if mail.until <= now and mail.seq not in self._promised]
        if old:
            log.info("%d external events were not waited for in their time, and are given up", len(old))
            for seq in old:
                del self._kept[seq]
            await self._journal.append(Batch(taken=old))
