"""What surrounds one confined run, from the sandbox's first process to its last?

While the sandbox waits at its door it gets its limits, its control group and its way to the proxy; while it runs it is
looked at; when it is over, what the kernel counted is read and everything is removed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import trio

import orchestrald_sandbox as sandbox
from orchestrald.runner import proxy
from orchestrald.runner.process import Bounds, Ended, run_process
from orchestrald.runner.spawn import Enclosure, Program


@dataclass(frozen=True, slots=True)
class Used:
    """What the kernel counted, and what was found on the disk (in words; empty: nothing)."""

    counted: sandbox.cgroups.Verdict = sandbox.cgroups.Verdict()  # noqa: RUF009  a frozen value
    disk: str = ""


class Enclosed:
    """One run of what `prepared` starts. `on_denied` hears of each refusal of the proxy, as it happens."""

    def __init__(
        self,
        prepared: sandbox.Prepared,
        policy: sandbox.Policy,
        cgroups: sandbox.cgroups.Cgroups,
        on_denied: Callable[[str], None],
    ) -> None:
        self._prepared = prepared
        self._policy = policy
        self._cgroups = cgroups
        self._on_denied = on_denied
        self._group: sandbox.cgroups.Group | None = None
        self._disk = sandbox.usage.Disk.now(policy.writable(), time.time_ns())
        self._first: int | None = None
        self._waits = trio.Event()
        self._withdrawn = False

    async def run(
        self, program: Program, bounds: Bounds, on_stderr: Callable[[bytes], None] | None
    ) -> tuple[Ended, Used]:
        """To its end or a bound, with nothing left behind. OSError: it could not be started."""
        if self._cgroups.parents:
            self._group = self._make_group()
            program = replace(program, around=self._group.around_spawn)
        try:
            if self._is_slow():
                ended = await self._run_beside_admission(program, bounds, on_stderr)
            else:
                ended = await run_process(program, bounds, on_stderr)
            return ended, await self._used()
        finally:
            if self._group is not None and not self._group.removed():
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(self._group.remove)

    def enclosure(self) -> Enclosure:
        """What `run_process` needs to know of it."""
        status_fd = self._prepared.status_read_fd
        assert status_fd is not None, "a confined run reports its status"
        return Enclosure(
            status_fd,
            first_process=lambda written: sandbox.status.read(written).child,
            admit=self._admit,
            withdraw=self._withdraw,
            too_much=self._too_much,
        )

    def _admit(self, pid: int) -> None:
        if self._is_slow():
            self._first = pid
            self._waits.set()
        else:
            self._prepared.limit(pid, self._group)
            self._prepared.release()

    def _withdraw(self) -> None:
        self._withdrawn = True
        self._prepared.refuse()

    def _is_slow(self) -> bool:
        """Does it take longer to let it in than the loop may stand still?"""
        return self._policy.network is sandbox.Network.PROXY or (self._group is not None and self._group.version == 2)

    def _make_group(self) -> sandbox.cgroups.Group:
        try:
            return self._cgroups.make()
        except OSError as error:
            raise sandbox.Unavailable(f"no control group can be made: {error}", "Restart the daemon.") from None

    def _too_much(self, pid: int) -> Literal["", "memory", "processes", "disk"]:
        limits, counted = self._policy.limits, self._cgroups.controllers
        if self._group is not None and self._group.verdict().oom:
            # Version 1 kills one process and leaves the rest, which may then fight for the last pages for long.
            return "memory"
        if not {"memory", "pids"} <= set(counted):
            pids = sandbox.usage.processes(pid)
            if "pids" not in counted and len(pids) > limits.processes + 1:  # the first process is the sandbox's own
                return "processes"
            held = 0 if "memory" in counted else sandbox.usage.resident(pids) + sandbox.usage.unlinked(pids)[0]
            if held > limits.memory_bytes:
                return "memory"
        if not self._disk.suspicious(limits):
            return ""
        return "disk" if self._disk.too_much(limits, sandbox.usage.processes(pid)) else ""

    async def _used(self) -> Used:
        counted = sandbox.cgroups.Verdict() if self._group is None else self._group.verdict()
        limits = self._policy.limits
        if not self._disk.suspicious(limits):
            return Used(counted)
        return Used(counted, await trio.to_thread.run_sync(self._disk.too_much, limits))

    async def _run_beside_admission(
        self, program: Program, bounds: Bounds, on_stderr: Callable[[bytes], None] | None
    ) -> Ended:
        """Who lets it in, and what serves it then, ends with the program. Whichever fails says why; the other is
        stopped."""
        failures: list[Exception] = []
        ended: list[Ended] = []
        running = trio.CancelScope()

        async def admit() -> None:
            try:
                await self._waits.wait()
                assert self._first is not None
                await trio.to_thread.run_sync(self._prepared.limit, self._first, self._group)
                if self._policy.network is sandbox.Network.PROXY:
                    inside = await trio.to_thread.run_sync(sandbox.listener.inside, self._first)
                    inside.setblocking(False)
                    listener = trio.SocketListener(trio.socket.from_stdlib_socket(inside))
                    await nursery.start(proxy.serve, listener, self._policy.destinations, self._on_denied)
            except (sandbox.SandboxError, OSError) as error:
                failures.append(error)
                running.cancel()
            else:
                if not self._withdrawn:
                    self._prepared.release()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(admit)
            with running:
                try:
                    ended.append(await run_process(program, bounds, on_stderr))
                except (OSError, sandbox.SandboxError) as error:
                    failures.append(error)
            nursery.cancel_scope.cancel()
        if failures:
            raise failures[0]
        return ended[0]
