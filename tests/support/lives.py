"""What does a client see of a daemon over several of its lives? Every wait is bounded."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.daemon import PATIENCE_S, SUPPORT, Daemon, daemon
from support.testimony import check_gap_free, check_steps, notes

GRANTS = """
plugins:
  grants:
    tally: {mode: workspace_write}
    guest: {mode: workspace_write}
"""
GUEST = SUPPORT / "plugins" / "guest"
HOSTILE = SUPPORT / "plugins" / "hostile"


@contextmanager
def many_lives() -> Iterator[Daemon]:
    """A daemon that is not started yet, with the plugin `guest`. At the end its journal must be without a gap, no step
    done twice, and its log without an exception."""
    with daemon(GRANTS, started=False) as made:
        made.drop(GUEST)
        yield made
        events = made.events()
        check_gap_free(events)
        check_steps(events)
        assert not [line for line in made.log if '"exception"' in line], made.said


def hold(id_: str = "a", until: str = "", action: str = "guest.hold", n: Any = 0, **rest: Any) -> dict[str, Any]:
    """A step that ends when the test opens the gate `until`; empty: at once."""
    return {"id": id_, "action": action, "params": {"until": until, "n": n}, **rest}


def gate(place: Daemon, name: str) -> None:
    """Let the steps end that wait for it."""
    (place.workspace / name).touch()


def restart(place: Daemon, config: str | None = None) -> None:
    """SIGKILL, and a new life; with another configuration where one is given."""
    place.kill()
    if config is not None:
        place.configure(config)
    place.start()


def put(place: Daemon, *steps: dict[str, Any], **about: Any) -> dict[str, Any]:
    """Submit a plan of these steps; the answer of interaction.submit."""
    body = {"plan": {"goal": "test", "steps": list(steps)}} if steps else {}
    answer: dict[str, Any] = place.call("interaction.submit", workspace=str(place.workspace), **body, **about)
    return answer


def heard(place: Daemon, type_: str, interaction_id: str | None = None, count: int = 1, **where: Any) -> list[Any]:
    """The events of a type with these keys, once there are so many of them."""
    deadline = time.monotonic() + PATIENCE_S
    after, found = 0, []
    while True:
        page = place.call(
            "events.list", after_seq=after, types=[type_], limit=1000, wait_ms=1000, interaction_id=interaction_id
        )
        found += [event for event in page["events"] if where.items() <= event.items()]
        if len(found) >= count:
            return found
        after = page["last_seq"]
        assert time.monotonic() < deadline, f"{len(found)} of {count} {type_} of {interaction_id}: {place.said}"


def look(place: Daemon, interaction_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = place.call("interaction.get", interaction_id=interaction_id, outputs=True)
    return shown


def settled(place: Daemon, interaction_id: str, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The snapshot, once it is so. For what no single event says."""
    deadline, seq = time.monotonic() + PATIENCE_S, 0
    while not done(shown := look(place, interaction_id)):
        assert time.monotonic() < deadline, shown
        seq = place.call("events.list", after_seq=seq, types=["none"], wait_ms=1000)["last_seq"]
    return shown


def over(place: Daemon, interaction_id: str) -> dict[str, Any]:
    """The snapshot, once it is final."""
    return settled(place, interaction_id, lambda shown: "ended_at" in shown)


def state_of(place: Daemon, interaction_id: str) -> str:
    return str(look(place, interaction_id)["state"])


def step(shown: dict[str, Any], step_id: str = "a") -> dict[str, Any]:
    found: dict[str, Any] = next(step for step in shown["steps"] if step["step_id"] == step_id)
    return found


def states(shown: dict[str, Any]) -> dict[str, str]:
    return {step["step_id"]: step["state"] for step in shown["steps"]}


def let_pass(moment: int) -> None:
    """Until the clock shows more than that, in microseconds. What passes while no daemon lives has a real clock."""
    threading.Event().wait(min(PATIENCE_S, max(0.0, moment / 1_000_000 - time.time()) + 0.005))


def alive_with(marker: str) -> list[int]:
    """The processes that carry the marker in their arguments, in whichever namespace they are."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
        except OSError:
            continue  # it has ended meanwhile
        if marker.encode() in words:
            found.append(int(folder.name))
    return found


def until(so: Callable[[], object], about: str = "it") -> None:
    """Wait for what no event tells: it happens inside of a plugin's process."""
    deadline = time.monotonic() + PATIENCE_S
    while not so():
        assert time.monotonic() < deadline, f"{about} never came true"
        threading.Event().wait(0.005)


def runs(place: Daemon, interaction_id: str, step_id: str) -> int:
    """How often a plugin has really been run for this step, by the plugin's own notes."""
    key = f"{interaction_id}/{step_id}/"
    return sum(note["what"] == "run" and note["key"].startswith(key) for note in notes(place.workspace))
