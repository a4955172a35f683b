"""What is the daemon like without one of its mechanisms? A launcher for tests, and no switch of the product.

`install` wraps functions of the daemon's process in ones that ask, at every run, which mechanisms are gone just now
(the file that $ESCAPE_REMOVED names), and leave something out. The sandbox's own probe notices most of that and
refuses to run anything; so `probe` is a mechanism too, and the suite takes it away together with the one in question.
What changes the words for bwrap stands in `removal_words.py`, what is the daemon's own in `removal_runner.py`.
"""

import functools
import os
import re
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orchestrald_sandbox as sandbox
from escape import removal_words
from orchestrald.runner import confine
from orchestrald_sandbox import bubblewrap, environment, limits, protected, seccomp

ALLOW_ALL = struct.pack("<HBBI", 0x06, 0, 0, 0x7FFF0000)
PLENTY = sandbox.Limits(**{
    name: {"processes": 30_000, "cpu_seconds": 10_000, "open_files": 4096, "locked_bytes": 1 << 16,
           "tmp_bytes": 1 << 31, "shm_bytes": 1 << 31, "var_tmp_bytes": 1 << 31}.get(name, 1 << 44)
    for name, _ in sandbox.Limits().items()
})  # fmt: skip

Function = Callable[..., Any]


def removed() -> frozenset[str]:
    with open(os.environ["ESCAPE_REMOVED"], encoding="utf-8") as file:
        return frozenset(file.read().split())


def wrap(owner: Any, name: str) -> Callable[[Function], None]:
    """Put a function in the place of `owner.name`; it gets the original first."""

    def put(function: Function) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def wrapper(*args: Any, **named: Any) -> Any:
            return function(original, *args, **named)

        setattr(owner, name, wrapper)

    return put


def install() -> None:
    for part in (_probe, _policy, _words, _environment, _limits, _protected):
        part()


def _probe() -> None:
    @wrap(sandbox, "probe")
    def probe(original: Function, *args: Any, **named: Any) -> Any:
        return sandbox.Probe(ok=True) if "probe" in removed() else original(*args, **named)

    @wrap(confine.Confiner, "_host")
    async def host(original: Function, self: Any, *args: Any) -> Any:
        self._probes.clear()  # what held a moment ago may have been removed since
        return await original(self, *args)


def _policy() -> None:
    @wrap(confine, "policy_of")
    def policy_of(original: Function, *args: Any) -> Any:
        gone, made = removed(), original(*args)
        if "sandbox" in gone:
            made = replace(made, mode=sandbox.Mode.NONE)
        if "limits" in gone:
            made = replace(made, limits=PLENTY)
        if "empty-is-nothing" in gone and not made.destinations:
            some = sandbox.destinations.parse(["somewhere.test:1"])
            made = replace(made, network=sandbox.Network.PROXY, destinations=(some,))
        if "masks" in gone:
            made = replace(made, masked=())
        return made


def _words() -> None:
    @wrap(bubblewrap, "arguments")
    def arguments(original: Function, policy: Any, host: Any, fds: Any) -> list[str]:
        return removal_words.without(original(policy, host, fds), removed())

    @wrap(seccomp, "program")
    def program(original: Function, *args: Any, **named: Any) -> bytes:
        return ALLOW_ALL if "seccomp" in removed() else bytes(original(*args, **named))


def _environment() -> None:
    # The probe has imported it by name: left alone, it would try another sandbox than the one that plugins get.
    wrap(sys.modules["orchestrald_sandbox.probe"], "prepare")(_prepare)
    wrap(sandbox, "prepare")(_prepare)
    loader = confine._LOADER

    @wrap(confine.Confiner, "_environment")
    def variables(original: Function, self: Any, *args: Any) -> Any:
        confine._LOADER = () if "loader" in removed() else loader  # type: ignore[assignment]
        return original(self, *args)

    environment.NEVER_INHERITED = _Pattern(environment.NEVER_INHERITED)  # type: ignore[assignment]


def _prepare(original: Function, policy: Any, command: Any, env: Any, host: Any, *rest: Any) -> Any:
    gone = removed()
    if "protected" in gone:
        policy = replace(policy, protected=())
    if "bind-fd" in gone and host is not None:
        host = replace(host, has_bind_fd=False)
    made = original(policy, command, env, host, *rest)
    if "environment" in gone:
        made.env = {**os.environ, **made.env}
    if "start-environment" in gone:
        # The mistake that the brief measured: bwrap clears for the command, and keeps for itself.
        shown = [word for name, value in env.items() for word in ("--setenv", name, value)]
        _respell(made, lambda words: ["--clearenv", *shown, *words])
        made.env = {**os.environ, **made.env}
    if "args-fd" in gone:
        at = made.argv.index("--args")
        made.argv[at : at + 2] = spelled(int(made.argv[at + 1]))
    if "swap" in gone and policy.workspace is not None and os.path.isdir(policy.workspace + ".evil"):
        os.rename(policy.workspace, policy.workspace + ".away")
        os.rename(policy.workspace + ".evil", policy.workspace)
    return made


def _limits() -> None:
    for name in ("rlimits", "prlimit"):
        if hasattr(limits, name):

            @wrap(limits, name)
            def without_core(original: Function, *args: Any, **named: Any) -> Any:
                found = original(*args, **named)
                if "core" not in removed():
                    return found
                if isinstance(found, dict):
                    return {number: value for number, value in found.items() if number != RLIMIT_CORE}
                return [word for word in found if word != "--core=0"]


RLIMIT_CORE = 4


def _protected() -> None:
    @wrap(protected, "after")
    def after(original: Function, *args: Any, **named: Any) -> Any:
        return () if removed() & {"protected", "quarantine"} else original(*args, **named)


class _Pattern:
    def __init__(self, pattern: "re.Pattern[str]") -> None:
        self.pattern = pattern

    def fullmatch(self, name: str) -> "re.Match[str] | None":
        return None if "never-inherited" in removed() else self.pattern.fullmatch(name)


def spelled(descriptor: int) -> list[str]:
    """The words in a memfd that bwrap would read; its position is left where it was."""
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, size, 0).decode().split("\0")


def _respell(made: Any, change: Callable[[list[str]], list[str]]) -> None:
    descriptor = int(made.argv[made.argv.index("--args") + 1])
    words = change(spelled(descriptor))
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, "\0".join(words).encode(), 0)
