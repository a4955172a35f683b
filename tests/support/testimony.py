"""What the journal and the plugins' own notes say about each other, after any number of crashes."""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

Event = dict[str, Any]


def notes(workspace: Path) -> list[dict[str, Any]]:
    """What the plugin `tally` wrote, in the order of writing; empty when it never ran."""
    path = workspace / "runs.log"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def check_gap_free(events: list[Event]) -> None:
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))


def check_steps(events: list[Event]) -> None:
    """What holds for the attempts of every step, whatever crashed: at most one end, and nothing after it but a reset
    (of a person's retry, which begins anew) or, of what failed, that a replan replaced it."""
    ended: dict[tuple[str, str], str] = {}
    attempts: Counter[tuple[str, str]] = Counter()
    for event in events:
        if "step_id" not in event:
            continue
        step, kind = (event["interaction_id"], event["step_id"]), event["type"]
        if kind == "step.reset":
            items = [other for other in ended if other[0] == step[0] and other[1].startswith(f"{step[1]}[")]
            for again in (step, *items):
                del ended[again]
                attempts[again] = 0
            continue
        replaced = kind == "step.superseded" and ended.get(step) in {"step.failed", "step.skipped"}
        assert step not in ended or replaced or kind == "step.violation", f"{step} has {kind} after {ended[step]}"
        if kind == "step.started":
            attempts[step] += 1
            assert event["data"]["attempt"] == attempts[step], f"{step} counts its attempts wrong"
        elif kind in {"step.succeeded", "step.failed", "step.skipped", "step.cancelled"}:
            ended[step] = kind


def check_runs(events: list[Event], workspace: Path) -> int:
    """Compare the plugins' notes with the journal; the number of runs. `once` in an action's name: not idempotent."""
    actions = _actions(events)
    started, succeeded, answered = defaultdict[str, set[int]](set), dict[str, int](), Counter[str]()
    for event in events:
        key = f"{event.get('interaction_id')}/{event.get('step_id')}/1"
        if event["type"] == "step.started":
            started[key].add(event["data"]["attempt"])
        elif event["type"] == "step.succeeded" and started[key]:
            succeeded[key] = max(started[key])
        elif event["type"] == "step.answered":
            answered[key] += 1
    runs = [(note["key"], note["attempt"]) for note in notes(workspace) if note["what"] == "run"]
    for run, times in Counter(runs).items():
        assert times == 1, f"{run} ran {times} times: an attempt is run once"
    newest: dict[str, int] = {}
    for key, attempt in runs:
        assert attempt in started[key], f"{key} ran as attempt {attempt}, and the journal does not know of it"
        assert attempt <= succeeded.get(key, attempt), f"{key} ran again after it had succeeded"
        assert attempt > newest.get(key, 0), f"{key}: attempt {attempt} began after a later one"
        newest[key] = attempt
    for key, attempt in succeeded.items():
        interaction, step, _ = key.split("/")
        action = actions[f"{interaction}/{step.partition('[')[0]}"]
        if action.startswith("tally."):
            assert (key, attempt) in runs, f"{key} succeeded without having run"
        if action == "tally.once":
            times = sum(name == key for name, _ in runs)
            assert times <= 1 + answered[key], (
                f"{key} ran {times} times, and a person allowed {answered[key]} repetitions"
            )
    return len(runs)


def _actions(events: list[Event]) -> dict[str, str]:
    """The action of every step, by `interaction/step`; a `for_each` step's items share its own."""
    return {
        f"{event['interaction_id']}/{step['id']}": step.get("action", "")
        for event in events
        if event["type"] == "plan.adopted"
        for step in event["data"]["plan"]["steps"]
    }


def outcome(snapshot: dict[str, Any]) -> dict[str, Any]:
    """What must be the same with and without crashes: attempts, times and names may differ."""
    steps = {
        step["step_id"]: {
            "state": step["state"],
            "output": None if step["kind"] == "wait_until" else step.get("output"),
            "stored": step.get("stored"),
            "error": step.get("error"),
            "reason": step.get("reason"),
        }
        for step in snapshot["steps"]
    }
    return {"state": snapshot["state"], "answer": snapshot["answer"], "steps": steps}
