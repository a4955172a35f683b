"""Who runs what a timer or a client has set off, and what becomes of its errors?

What goes wrong in one schedule is told and ends there. When the store fails or the daemon drains, nothing was marked
as done: the next start sees to it.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from orchestrald.errors import Draining, StoreError

log = logging.getLogger("orchestrald.engine")


class Background:
    """Starts things while `open` lasts. Before and after, nothing is: whoever asks comes too early or too late."""

    def __init__(self) -> None:
        self._nursery: trio.Nursery | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Leaving ends all that was started."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                yield
            finally:
                self._nursery = None
                nursery.cancel_scope.cancel()

    def start(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(self._safely, function, arguments)

    async def _safely(self, function: Callable[..., Awaitable[Any]], arguments: tuple[Any, ...]) -> None:
        try:
            await function(*arguments)
        except (StoreError, Draining) as error:
            log.warning("a schedule waits for the next start: %s", error)
        except Exception:  # promise 3: a bug of ours ends one firing, with a traceback in the log, and not the daemon
            log.exception("a schedule failed")
