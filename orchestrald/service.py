"""What is a running daemon made of, in which order does it start, and in which does it stop?

The composition root. The store is outermost: it closes after everything that might still write. Inside it the engine,
inside that the server, so that a client is answered as long as there is an engine to ask.

Stopping: take no new work, give running steps their time, answer what was asked, then cancel from the inside out. What
still ran is `interrupted` at the next start; nothing needs to be written for that to be true.
"""

import logging
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio

from orchestrald import logs
from orchestrald.advisers import Advisers, bounds
from orchestrald.config import Config, confinement, gate
from orchestrald.config_file import load
from orchestrald.engine.clock import SystemClock
from orchestrald.engine.engine import Engine
from orchestrald.engine.schedules import Schedules
from orchestrald.engine.submissions import Policies
from orchestrald.errors import ConfigError
from orchestrald.paths import Paths
from orchestrald.plugin_folders import POLL, Change, Folders, in_words
from orchestrald.plugin_host import PluginHost
from orchestrald.protocol.messages import MAX_REQUEST_BYTES, METHODS, PROTOCOL_VERSION
from orchestrald.runner.grants import backend, problem
from orchestrald.runner.pool import LocalRunner
from orchestrald.runner.provenance import Provenance
from orchestrald.server import methods
from orchestrald.server.address import bind
from orchestrald.server.dispatch import Dispatcher
from orchestrald.server.ephemera import Ephemera
from orchestrald.server.limits import Limits
from orchestrald.server.listener import Server
from orchestrald.server.ring import Ring
from orchestrald.store.references import References, sweep
from orchestrald.store.sqlite import Store, open_store
from orchestrald.telemetry.tracing import open_tracing
from orchestrald.version import VERSION

log = logging.getLogger("orchestrald.service")

FINISH_S = 2.0
"""How long clients have to take their last answers when the daemon stops."""


class Service:
    """One daemon, put together. What only the whole knows (its plugins, its health, its end) is answered here."""

    def __init__(self, paths: Paths, config: Config, config_file: Path, store: Store) -> None:
        self.paths = paths
        self.config = config
        self.config_file = config_file
        self.store = store
        self.clock = SystemClock()
        self.started_at = self.clock.now()
        sandboxes = config.runtime.max_parallel_sandboxes or 2 * (os.cpu_count() or 1)
        references = References(Path(paths.references))
        self.runner = LocalRunner(
            Path(paths.state_dir),
            store_artifact=references.put,
            confinement_of=lambda plugin: confinement(self.config, plugin),
            provenance_of=lambda plugin: Provenance(self.config, plugin),
            private=(paths.config_dir, paths.run_dir),
            own=(paths.state_dir, paths.config_dir, paths.run_dir, paths.plugins_dir, *config.plugins.folders),
            parallel=sandboxes,
        )
        self.host = PluginHost(config.plugins.settings, config.plugins.disabled, sandboxes)
        self.folders = Folders(
            [Path(paths.plugins_dir), *(Path(folder).expanduser() for folder in config.plugins.folders)],
            disabled=config.plugins.disabled,
        )
        self.advisers = Advisers(config, os.environ, paths, config_file, self.host)
        self.stopping = trio.Event()
        self.draining = trio.CancelScope()
        self.drain_s: float = config.service.drain_timeout
        self.gate = gate(config, {})
        self.ring: Ring
        self.engine: Engine
        self.schedules: Schedules
        self.references = references

    def check(self, config: Config) -> None:
        """ConfigError for words of the operator that would only be found wrong when a plugin is run."""
        if config.runtime.concurrency_policy not in self.host.policies:
            wrong = f"there is no {config.runtime.concurrency_policy}; known: {', '.join(self.host.policies)}"
            raise ConfigError(f"{self.config_file} cannot be used:\n  runtime.concurrency_policy: {wrong}")
        for plugin in ("", *config.plugins.grants):
            if wrong := problem(confinement(config, plugin)):
                where = f"plugins.grants.{plugin}" if plugin else "sandbox"
                raise ConfigError(f"{self.config_file} cannot be used:\n  {where}: {wrong}")

    async def start(self) -> None:
        """Everything that must be there before the first interaction goes on: plugins above all."""
        self.host.load_in_process()
        self.check(self.config)
        self.advisers.reload()
        self.gate = gate(self.config, self.host.specs)
        await self.rescan()
        await self.runner.sweep()
        await trio.to_thread.run_sync(sweep, Path(self.paths.references))
        self.ring = Ring(self.store.reader, last_seq=await self.store.reader.last_seq())
        traces = self.config.observability.traces
        self.tracing = await open_tracing(traces, self.store.reader, lambda: self.advisers.redact)
        self.store.journal.on_commit = self.tracing.beside(self.ring.publish)
        self.ephemera = Ephemera(self.ring)
        runtime = self.config.runtime
        self.engine = Engine(
            journal=self.store.journal,
            reader=self.store.reader,
            references=self.references,
            runner=self.runner,
            planner=self.advisers,
            interpreter=self.advisers.interpreter,
            budgets=lambda: self.advisers.budgets,
            actions=self.host,
            spectators=self.ephemera,
            clock=self.clock,
            max_parallel_steps=runtime.max_parallel_steps,
            max_parallel_steps_daemon=runtime.max_parallel_steps_daemon,
            inline_output_bytes=self.config.store.inline_output_bytes,
            retention=self.config.references.retention,
            policies=Policies(lambda: self.host.policies, runtime.concurrency_policy, runtime.max_queued_per_thread),
            max_interactions_per_thread=runtime.max_interactions_per_thread,
            bounds=lambda: bounds(self.config),
            retain_unmatched=self.config.events.retain_unmatched,
            gate=lambda: self.gate,
            notifiers=lambda: self.host.notifiers,
        )
        self.schedules = Schedules(self.engine)

    async def run(self) -> None:
        """Serve until told to stop."""
        await self.start()
        limits = Limits(connections=self.config.server.max_connections)
        dispatcher = Dispatcher(methods.table(self.engine, self.ring, self))
        server = Server(dispatcher, self.ring, self.ephemera, limits=limits, uids=self.config.server.allow_uids)
        address = bind(self.paths.socket)
        try:
            async with trio.open_nursery() as outer:
                await outer.start(self.engine.run)
                await outer.start(self.schedules.run)
                outer.start_soon(self.watch_plugins)
                outer.start_soon(self.probe_sandbox)
                outer.start_soon(self.tracing.run)
                await self._serve(server, address.listener)
                outer.cancel_scope.cancel()
        finally:
            address.remove()

    async def _serve(self, server: Server, listener: socket.socket) -> None:
        """Answer clients until told to stop, then let what runs and what was asked come to an end, within bounds."""
        with trio.CancelScope() as clients:
            async with trio.open_nursery() as serving:
                await serving.start(server.serve, listener)
                log.info("orchestrald %s is ready at %s", VERSION, self.paths.socket)
                await self.stopping.wait()
                log.info("stopping: running steps have %g s", self.drain_s)
                with self.draining:
                    await self.engine.drain(self.drain_s)
                server.finish()
                clients.deadline = trio.current_time() + FINISH_S

    async def watch_plugins(self) -> None:
        while True:
            await trio.sleep(POLL)
            self._take_over(await trio.to_thread.run_sync(self.folders.scan, time.monotonic()))
            if self.advisers.changed():
                self.advisers.reload()
                log.info("%(playbooks)d playbooks and %(skills)d skills are in force", self.advisers.listing())

    async def probe_sandbox(self) -> None:
        """Ask the kernel once, early: the first sandboxed step should not pay for it, and the log should say so."""
        probe = await self.runner.confiner.health(confinement(self.config, ""))
        if not probe.ok:
            log.error("the sandbox is unavailable, so sandboxed steps will fail: %s %s", probe.reason, probe.hint)
        for weaker in probe.weaker:
            log.info("the sandbox is weaker than it could be: %s", weaker)

    def _take_over(self, changes: list[Change]) -> None:
        for line in in_words(changes):
            log.info("%s", line)
        if changes:
            self.host.set_external(self.folders.actions())
            self.gate = gate(self.config, self.host.specs)

    # --- what handlers ask --------------------------------------------------------------------------------------

    @property
    def sandbox(self) -> LocalRunner:
        return self.runner

    async def hello(self) -> dict[str, Any]:
        return {
            "daemon": "orchestrald",
            "version": VERSION,
            "protocol": PROTOCOL_VERSION,
            "features": sorted({name.split(".")[0] for name in METHODS}),
            "db_epoch": await self.store.reader.epoch(),
            "limits": {"max_request_bytes": MAX_REQUEST_BYTES},
            "pid": os.getpid(),
        }

    async def info(self) -> dict[str, Any]:
        probe = await self.runner.confiner.health(confinement(self.config, ""))
        word = backend(self.config.sandbox.backend)
        sandbox: dict[str, Any] = {"backend": word, "ok": probe.ok, "weaker": list(probe.weaker)}
        sandbox["limits"] = self.runner.confiner.limits(self.config.sandbox.run_as)
        if not probe.ok:
            sandbox |= {"reason": probe.reason, "hint": probe.hint}
        durability = self.config.store.durability
        store: dict[str, Any] = {"path": self.paths.store, "last_seq": self.ring.last_seq, "durability": durability}
        if self.engine.failure is not None:
            store["failed"] = str(self.engine.failure)
        return {
            "version": VERSION,
            "pid": os.getpid(),
            "started_at": self.started_at,
            "uptime_s": (self.clock.now() - self.started_at) / 1_000_000,
            "state": "draining" if self.engine.draining else "running",
            "home": self.paths.state_dir,
            "socket": self.paths.socket,
            "interactions": self.engine.threads.counts(),
            "steps": {"running": self.engine.slots.running},
            "plugins": len(self.plugins()),
            "actions": len(self.host.specs),
            **self.advisers.listing(),
            "sandbox": sandbox,
            "store": store,
        }

    async def reload(self) -> dict[str, Any]:
        """Configuration, playbooks and plugins again. A bad file keeps the old one in force and is told."""
        said = "unchanged"
        try:
            config = load(self.config_file, os.environ)
            self.check(config)
            if config != self.config:
                self.advisers.configure(config)
                self.config = config
                self.gate = gate(config, self.host.specs)
                seen = config.observability
                logs.configure(seen.log_level, seen.log_file, seen.log_format, self.advisers.redact)
                said = "ok"
        except ConfigError as error:
            said = self.advisers.redact(str(error))
            log.error("the configuration was not reloaded: %s", error)
        faults = self.advisers.reload()
        found = await self.rescan()
        return {"config": said, **self.advisers.listing(), "faults": faults, **found}

    async def rescan(self) -> dict[str, Any]:
        self._take_over(await trio.to_thread.run_sync(partial(self.folders.scan, time.monotonic(), force=True)))
        return {"plugins": len(self.plugins()), "actions": len(self.host.specs)}

    def plugins(self) -> Sequence[Mapping[str, Any]]:
        return [*self.host.listing(), *self.folders.listing()]

    def stop(self, drain_s: float | None) -> None:
        """Begin to stop; a second time, stop at once."""
        if self.stopping.is_set():
            self.draining.cancel()
        if drain_s is not None:
            self.drain_s = drain_s
        self.stopping.set()


@asynccontextmanager
async def _signals(service: Service) -> AsyncIterator[None]:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as received:
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _listen() -> None:
                async for number in received:
                    if number == signal.SIGHUP:
                        await service.reload()
                    else:
                        service.stop(None)

            yield
            nursery.cancel_scope.cancel()


async def serve(paths: Paths, config: Config, config_file: Path) -> None:
    """Run a daemon on this home until it is told to stop."""
    async with open_store(Path(paths.store), durability=config.store.durability) as store:
        service = Service(paths, config, config_file, store)
        async with _signals(service):
            await service.run()
