"""How is one program run, so that whatever it does, we get its output in bounds and leave no process behind?

Rules of this file:

- One selector per program, not one trio task per pipe: trio waits for the selector's descriptor, so a run costs no
  nursery, and cancellation has one place to arrive at.
- The child is reaped last. Until then its pid, and so its process group, cannot be somebody else's.
"""

import contextlib
import os
import selectors
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import IO, TYPE_CHECKING, Literal

import trio

from orchestrald.runner.output import Capture
from orchestrald.runner.spawn import Program, exit_descriptor, spawn

if TYPE_CHECKING:
    import subprocess

DRAIN = 0.3
"""Seconds that the pipes may stay open after the program's end: a grandchild that holds them is not waited for."""

KILL_PATIENCE = 5.0
"""Seconds to wait for a process that has been sent SIGKILL (one in a dead disk's system call does not go)."""

_CHUNK = 65536

# Both have a descriptor of their own that is readable when one of theirs is ready; that is what trio waits for.
if sys.platform == "linux":
    _Selector = selectors.EpollSelector
else:
    _Selector = selectors.KqueueSelector

WATCH_INTERVAL = 0.25
"""Seconds between two looks at what a sandbox uses."""

End = Literal["exited", "timeout", "idle", "stdout_limit", "stderr_limit", "memory", "processes", "disk"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds and bytes. `timeout` and `idle` missing mean none.

    `stdout` and `stderr` are how many bytes are kept (the head of stdout, the tail of stderr); `stdout_kill` and
    `stderr_kill` how many may be written before the program is killed, missing meaning that the rest is dropped.
    `stop` is how long a program that was asked to end (SIGTERM) may take.
    """

    timeout: float | None = None
    idle: float | None = None
    stop: float = 2.0
    stdout: int = 4 << 20
    stderr: int = 64 << 10
    stdout_kill: int | None = None
    stderr_kill: int | None = 8 << 20
    stderr_keep: Literal["head", "tail"] = "tail"

    @classmethod
    def for_reading(cls, timeout: float | None, most: int) -> "Bounds":
        """For output that is looked at as it is: the first `most` bytes of each stream, and no kill for more."""
        return cls(timeout=timeout, stdout=most, stderr=most, stderr_kill=None, stderr_keep="head")


@dataclass(frozen=True, slots=True)
class Ended:
    """How it went. `returncode` is Popen's (negative: a signal); `status` is what bwrap reported, empty without it.

    `end` says who ended it: `exited` is the program itself (or the kernel), anything else is us, for that reason.
    """

    end: End
    returncode: int
    stdout: Capture
    stderr: Capture
    status: bytes = b""


async def run_process(program: Program, bounds: Bounds, on_stderr: Callable[[bytes], None] | None = None) -> Ended:
    """Run it to its end, or to a bound. OSError: it could not be started.

    Cancelled, it asks the program to end, kills what is left, and only then lets `trio.Cancelled` pass.
    """
    popen = await spawn(program)
    if program.started is not None:
        program.started()
    with _Run(popen, program, bounds, on_stderr) as run:
        try:
            await run.watch()
        finally:
            if not run.reaped:
                with trio.CancelScope(shield=True):
                    await run.stop()
        return run.ended()


class _Run:
    """One program while it runs: its descriptors, what it has said, and how to end it."""

    def __init__(
        self,
        popen: "subprocess.Popen[bytes]",
        program: Program,
        bounds: Bounds,
        on_stderr: Callable[[bytes], None] | None,
    ) -> None:
        self.gone = False
        self.reaped = False
        self._popen = popen
        self._bounds = bounds
        self._on_stderr = on_stderr
        self._end: End = "exited"
        self._stdout = Capture(bounds.stdout)
        self._stderr = Capture(bounds.stderr, bounds.stderr_keep)
        self._status = b""
        self._enclosure = program.enclosure
        self._admitted = False
        self._unsent = memoryview(program.stdin)
        self._open_outputs = 2
        self._selector = _Selector()
        self._waiter = self._selector.fileno()
        self._exit_fd = exit_descriptor(popen)

    def __enter__(self) -> "_Run":
        now = trio.current_time()
        self._activity = now
        self._deadline = inf if self._bounds.timeout is None else now + self._bounds.timeout
        stdout, stderr = _pipe(self._popen.stdout), _pipe(self._popen.stderr)
        for fd, read in ((stdout, self._read_stdout), (stderr, self._read_stderr), (self._exit_fd, self._note_exit)):
            self._selector.register(fd, selectors.EVENT_READ, read)
        self._next_watch = inf
        if self._enclosure is not None:
            self._next_watch = now + WATCH_INTERVAL
            os.set_blocking(self._enclosure.status_fd, False)
            self._selector.register(self._enclosure.status_fd, selectors.EVENT_READ, self._read_status)
        if self._popen.stdin is not None:
            # An ordinary request fits into the pipe, and the program finds it there: no round through the selector.
            stdin = _pipe(self._popen.stdin)
            self._selector.register(stdin, selectors.EVENT_WRITE, self._write_stdin)
            self._write_stdin(stdin)
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        os.close(self._exit_fd)
        for pipe in (self._popen.stdin, self._popen.stdout, self._popen.stderr):
            if pipe is not None:
                pipe.close()

    def ended(self) -> Ended:
        code = self._popen.returncode
        return Ended(self._end, -signal.SIGKILL if code is None else code, self._stdout, self._stderr, self._status)

    async def watch(self) -> None:
        """Until it has ended and its pipes are drained, or a bound is reached."""
        while not self.gone:
            idle = inf if self._bounds.idle is None else self._activity + self._bounds.idle
            if not await self._turn(min(self._deadline, idle, self._next_watch)):
                await self._look_at_the_clock(idle)
            if self._end != "exited":
                return
        await self._drain()
        await self._reap()

    async def _look_at_the_clock(self, idle: float) -> None:
        now = trio.current_time()
        if now >= self._deadline:
            self._end = "timeout"
        elif now >= idle:
            self._end = "idle"
        else:
            self._next_watch = now + WATCH_INTERVAL
            inner = self._inner()
            if self._enclosure is None or inner is None:
                return
            # In a thread: reading /proc for a hundred processes takes 10 ms.
            too_much = await trio.to_thread.run_sync(self._enclosure.too_much, inner)
            if too_much and not self.gone:
                self._end = too_much

    async def stop(self) -> None:
        """End everything, politely unless it has taken more than its share; bounded, and never raises."""
        waits_at_its_door = self._enclosure is not None and not self._admitted
        self._admitted = True  # from here on nobody is let in any more
        if self._enclosure is not None:
            self._enclosure.withdraw()
        if self._end in ("exited", "timeout", "idle") and not waits_at_its_door:
            self._ask_to_end()
            await self._until_gone(self._bounds.stop)
        self._kill()
        await self._until_gone(KILL_PATIENCE)
        await self._drain()
        await self._reap()

    async def _until_gone(self, seconds: float) -> None:
        deadline = trio.current_time() + seconds
        while not self.gone and await self._turn(deadline):
            pass

    async def _drain(self) -> None:
        """Read what the pipes still hold. An end of file on both, the usual case, is seen at once."""
        deadline = trio.current_time() + DRAIN
        while self._open_outputs and await self._turn(deadline):
            pass

    async def _turn(self, deadline: float) -> bool:
        """Serve whatever is ready; False when nothing was until the deadline."""
        with trio.CancelScope(deadline=deadline) as scope:
            await trio.lowlevel.wait_readable(self._waiter)
        if scope.cancelled_caught:
            return False
        for key, _ in self._selector.select(0):
            # Noting the exit reads the status to its end, which may be the next one in this very list.
            if key.fd in self._selector.get_map():
                key.data(key.fd)
        return True

    def _read(self, fd: int) -> bytes:
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return b""
        if data:
            self._activity = trio.current_time()
        else:
            self._selector.unregister(fd)
            self._open_outputs -= 1
        return data

    def _read_stdout(self, fd: int) -> None:
        self._stdout.feed(self._read(fd))
        if self._bounds.stdout_kill is not None and self._stdout.total > self._bounds.stdout_kill:
            self._flooded("stdout_limit")

    def _read_stderr(self, fd: int) -> None:
        data = self._read(fd)
        self._stderr.feed(data)
        if self._bounds.stderr_kill is not None and self._stderr.total > self._bounds.stderr_kill:
            self._flooded("stderr_limit")
        elif self._on_stderr is not None and data:
            self._on_stderr(data)

    def _flooded(self, end: End) -> None:
        if self._end == "exited":  # else it is being stopped already, and that reason stands
            self._end = end

    def _read_status(self, fd: int) -> None:
        data = b""
        with contextlib.suppress(BlockingIOError):
            data = os.read(fd, _CHUNK)
            if not data:
                self._selector.unregister(fd)
        self._status = (self._status + data)[:_CHUNK]
        if self._enclosure is not None and not self._admitted:
            first = self._enclosure.first_process(self._status)
            if first is not None:
                self._admitted = True
                self._enclosure.admit(first)

    def _write_stdin(self, fd: int) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(fd, self._unsent[:_CHUNK]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            pass  # it does not want to read its request: its right, and no error
        self._selector.unregister(fd)
        stdin = self._popen.stdin
        if stdin is not None:
            stdin.close()

    def _note_exit(self, fd: int) -> None:
        self._selector.unregister(fd)
        self.gone = True
        self._first_process()

    def _ask_to_end(self) -> None:
        inner = self._inner()
        # bwrap does not pass signals on, and dying of one it takes the program down unasked. Its first process inside
        # leads the program's group, and as a namespace's init is itself immune to SIGTERM.
        _signal_group(self._popen.pid if inner is None else inner, signal.SIGTERM)

    def _kill(self) -> None:
        inner = self._inner()
        if inner is not None:
            # The first process of a pid namespace: the kernel kills all others with it, setsid or not.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(inner, signal.SIGKILL)
        _signal_group(self._popen.pid, signal.SIGKILL)

    def _inner(self) -> int | None:
        """The sandbox's first process while the sandbox is alive; after that the number may be another's."""
        return None if self.gone else self._first_process()

    def _first_process(self) -> int | None:
        if self._enclosure is None:
            return None
        if self._enclosure.status_fd in self._selector.get_map():
            self._read_status(self._enclosure.status_fd)
        return self._enclosure.first_process(self._status)

    async def _reap(self) -> None:
        # Members of the group that outlived their leader; still a zombie, it keeps the group's number from reuse.
        _signal_group(self._popen.pid, signal.SIGKILL)
        self._popen.poll()
        self.reaped = True
        inner = self._first_process()
        if inner is not None:
            await _reap_stray(inner)


async def _reap_stray(pid: int) -> None:
    """bwrap ends before its first process inside does. Only where the daemon is PID 1 or a subreaper is that ours."""
    with contextlib.suppress(ChildProcessError):
        for _ in range(50):
            if os.waitpid(pid, os.WNOHANG)[0]:  # noqa: ASYNC222  WNOHANG does not wait
                return
            await trio.sleep(0.002)


def _pipe(pipe: IO[bytes] | None) -> int:
    assert pipe is not None, "Popen was asked for it"
    os.set_blocking(pipe.fileno(), False)
    return pipe.fileno()


def _signal_group(leader: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)
