"""Was this request already answered?

The same request_id with the same parameters gets the first answer, also after a restart; with other parameters it is a
conflict. Two of the same at once: the second waits for the first, so that only one starts anything.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from orchestrald.engine.clock import Clock
from orchestrald.errors import Conflict
from orchestrald.store.base import Reader, RequestRow

Answer = dict[str, Any]


class Requests:
    def __init__(self, reader: Reader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock
        self._under_way: dict[tuple[str, str, str], trio.Event] = {}

    async def once(
        self,
        by: str,
        method: str,
        request_id: str | None,
        params: dict[str, Any],
        serve: Callable[[Callable[[Answer], RequestRow] | None], Awaitable[Answer]],
    ) -> Answer:
        """Serve the request unless it was served before; without a request_id it is always served.

        `serve` gets a function that makes the row to commit together with what the request causes. It is not cut short
        when the client goes, so it must come to its end by itself.
        """
        if request_id is None:
            # What was begun comes to its end without its client, too: half of it may be durable already.
            with trio.CancelScope(shield=True):
                answer = await serve(None)
            return answer
        key = (by, method, request_id)
        while key in self._under_way:
            await self._under_way[key].wait()
        done = self._under_way[key] = trio.Event()
        try:
            params_hash = _hash(params)
            known = await self._reader.request(by, method, request_id)
            if known is not None:
                if known.params_hash != params_hash:
                    raise Conflict
                return {**known.result, "replayed": True}
            remembered: list[Answer] = []

            def remember(answer: Answer) -> RequestRow:
                remembered.append(answer)
                return RequestRow(*key, params_hash, answer, self._clock.now())

            # A client that hangs up must not open the door to its own repetition before the first is in the journal.
            with trio.CancelScope(shield=True):
                answer = await serve(remember)
            # What is told is what a repetition will be told, also where things have gone on since.
            return remembered[-1] if remembered else answer
        finally:
            del self._under_way[key]
            done.set()


def _hash(params: dict[str, Any]) -> str:
    relevant = {name: value for name, value in params.items() if name != "request_id"}
    return hashlib.sha256(json.dumps(relevant, sort_keys=True, default=str).encode()).hexdigest()
