"""How does aiosqlite run under trio, without an asyncio loop?

aiosqlite meets asyncio in three places: it creates a future on the running loop, sets it through
`call_soon_threadsafe` from the connection's thread, and awaits it. `install` swaps the name `asyncio` inside
`aiosqlite.core` for a namespace whose futures are trio's. Nobody else's asyncio is touched, and asyncio users of
aiosqlite in this process go on working.

Rules of this file:

- It is the only place that knows aiosqlite's private names; the pin `aiosqlite>=0.22,<0.23` belongs to it.
- Cancelling a caller never stops the SQL. So nobody but the store's owners may hold a connection.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar, TypeVarTuple

import aiosqlite
import aiosqlite.core
import outcome
import trio

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _Loop:
    """The part of an asyncio loop that aiosqlite uses."""

    __slots__ = ("_token",)

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()

    def create_future(self) -> "_Future":
        return _Future(self)

    def call_soon_threadsafe(self, function: Callable[[*Ts], object], *args: *Ts) -> None:
        try:
            self._token.run_sync_soon(function, *args)
        except trio.RunFinishedError:
            return  # trio ended while the statement ran: nobody is left who could want its result


class _Future:
    """A one-shot result. aiosqlite drops a result that comes `done()`, so an aborted wait is marked done."""

    __slots__ = ("_loop", "_outcome", "_waiting")

    def __init__(self, loop: _Loop) -> None:
        self._loop = loop
        self._outcome: outcome.Outcome[Any] | None = None
        self._waiting: trio.lowlevel.Task | None = None

    def get_loop(self) -> _Loop:
        return self._loop

    def done(self) -> bool:
        return self._outcome is not None

    def set_result(self, result: Any) -> None:
        self._settle(outcome.Value(result))

    def set_exception(self, error: BaseException) -> None:
        self._settle(outcome.Error(error))

    def _settle(self, result: outcome.Outcome[Any]) -> None:
        self._outcome = result
        if self._waiting is not None:
            trio.lowlevel.reschedule(self._waiting, result)

    def _abort(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._outcome = outcome.Value(None)
        return trio.lowlevel.Abort.SUCCEEDED

    def __await__(self) -> Generator[Any, None, Any]:
        if self._outcome is None:
            self._waiting = trio.lowlevel.current_task()
            return (yield from trio.lowlevel.wait_task_rescheduled(self._abort).__await__())  # noqa: ASYNC105
        return self._outcome.unwrap()


class _Posted(_Future):
    """A future that nobody awaits: its result goes to a function, in the trio thread."""

    __slots__ = ("_then",)

    def __init__(self, loop: _Loop, then: Callable[[outcome.Outcome[Any]], None]) -> None:
        super().__init__(loop)
        self._then = then

    def _settle(self, result: outcome.Outcome[Any]) -> None:
        self._then(result)


class _Asyncio:
    """Stands where `aiosqlite.core` imports asyncio."""

    def get_event_loop(self) -> Any:
        # Outside trio this must not fall back to asyncio.get_event_loop, which makes and leaks a loop on Python 3.11.
        return _Loop() if trio.lowlevel.in_trio_run() else asyncio.get_running_loop()

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)


def install() -> None:
    """Idempotent; `connect` calls it."""
    names = vars(aiosqlite.core)
    if not isinstance(names["asyncio"], _Asyncio):
        names["asyncio"] = _Asyncio()


@asynccontextmanager
async def connect(path: Path, mode: Literal["rw", "ro"]) -> AsyncIterator[aiosqlite.Connection]:
    """A connection in autocommit mode to an existing database, closed even when the scope is cancelled."""
    install()
    uri = f"{path.absolute().as_uri()}?mode={mode}"  # noqa: ASYNC240  # asks for the working directory, not the disk
    connection = aiosqlite.connect(uri, uri=True, isolation_level=None)
    connection._thread.daemon = True  # a leaked connection would otherwise hang the interpreter's exit for ever
    await connection
    try:
        yield connection
    finally:
        with trio.CancelScope(shield=True):  # a cancelled close would leave the thread and the file lock behind
            await connection.close()


async def call(connection: aiosqlite.Connection, function: Callable[[sqlite3.Connection, *Ts], T], *args: *Ts) -> T:
    """Run `function(raw connection, *args)` in the connection's thread: one hop, however many statements it runs.

    A cancelled caller stops waiting; the function still runs to its end.
    """
    result: T = await connection._execute(function, connection._conn, *args)  # type: ignore[no-untyped-call]
    return result


def post(
    connection: aiosqlite.Connection, function: Callable[[], T], then: Callable[[outcome.Outcome[T]], None]
) -> None:
    """Run `function` in the connection's thread and `then(outcome)` in the trio thread, without anybody waiting."""
    connection._tx.put_nowait((_Posted(_Loop(), then), function))  # type: ignore[arg-type]  # it is no asyncio future
