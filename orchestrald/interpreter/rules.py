"""What do we tell the user at the end of a turn, without any model?

What was done, what failed, and where the results are, from the facts alone. A plan's own `on_complete` or `on_failure`
template comes first, when its references have values.
"""

from typing import Any

from orchestrald.core.binding import remembered
from orchestrald.core.interaction import Interaction, Matter, Run
from orchestrald.core.model import Failure
from orchestrald.core.references import BadReference, MissingValue, parse, render, resolve
from orchestrald.core.rounds import first_failure
from orchestrald.core.states import StepState
from orchestrald.models.base import Calls, Hear

_TELLING = ("result", "text", "summary", "message", "path", "content", "stdout", "answer", "items")
"""Keys of an output that tell a person something, most telling first."""

MOST_WORDS = 64 * 1024
"""Characters of an answer. A template may refer to an output of megabytes, and as often as it likes."""

PREVIEW = 400
"""Characters of an output that an answer quotes; the rest is one `orchestral show --outputs` away."""


class RulesInterpreter:
    def explain(self, state: Interaction, status: str) -> str:
        if status == "cancelled":
            return "\n".join([f"Cancelled. {_tally(state)}".strip(), *_not_begun(state)])
        before = [said for matter in state.settled if (said := _settled(state, matter))]
        return "\n".join([*before, *self._now(state, status)])

    def _now(self, state: Interaction, status: str) -> list[str]:
        """Of the last matter, or the only one."""
        if state.conclusion is not None:
            return [_concluded(state, state.conclusion.text), *_faults(state), *_unplanned(state)]
        said = _failed(state) if status == "failed" else _template(state, "on_complete") or _completed(state)
        return [said, *([_unobserved(state.unobserved)] if state.unobserved is not None else [])]

    def wants_to_narrate(self, state: Interaction, status: str) -> bool:
        return False

    async def narrate(self, state: Interaction, status: str, calls: Calls, hear: Hear) -> str:
        return self.explain(state, status)


def _settled(state: Interaction, matter: Matter) -> str:
    """Empty for one that went well and that nobody said anything about: its steps are counted with all others."""
    if matter.text:
        return _concluded(state, matter.text)
    return "" if matter.achieved else f"Not done: {_short(matter.intent)}"


def _concluded(state: Interaction, text: str) -> str:
    """The planner's words. References in them mean what they mean in a plan; where they lead nowhere, they stay."""
    return _rendered(state, text) or text


def _unobserved(why: Failure) -> str:
    return f"The planner was not asked again: {_short(why.message)}"


def _completed(state: Interaction) -> str:
    lines = [f"Done: {_goal(state)}. {_tally(state)}".strip()]
    lines += [line for run in _last(state) if (line := _result(run))]
    return "\n".join(lines)


def _failed(state: Interaction) -> str:
    failure = first_failure(state)
    said = _template(state, "on_failure", error=failure.message)
    if said:
        return said
    failed = [run for run in state.by_node if run.state is StepState.FAILED]
    if not failed and not state.unplanned and state.unobserved is None:
        return "\n".join([failure.message, *_not_begun(state)])
    return "\n".join([f"Failed: {_goal(state)}. {_tally(state)}".strip(), *_faults(state), *_unplanned(state)])


def _faults(state: Interaction) -> list[str]:
    """What failed and was not replaced. Whatever a planner says of the outcome, these are the facts."""
    failed = [run for run in state.by_node if run.state is StepState.FAILED]
    lines = []
    for run in failed[:5]:
        reason = run.failure.message if run.failure else "no reason given"
        lines.append(f"{run.id} ({run.node.action or run.node.kind}) failed: {_short(reason)}")
        hint = (run.failure.details or {}).get("hint") if run.failure else None
        if isinstance(hint, str) and hint:
            lines.append(_short(hint))
    if len(failed) > 5:
        lines.append(f"and {len(failed) - 5} more steps failed")
    return lines


def _unplanned(state: Interaction) -> list[str]:
    return [f"{_short(intent)!r} could not be planned: {_short(why.message)}" for intent, why in state.unplanned]


def _not_begun(state: Interaction) -> list[str]:
    """Inputs that joined it and were not even planned: whoever sent them must hear of it."""
    return [f"Not begun: {_short(intent)}" for intent in (state.merging, *state.joining, *state.merged) if intent]


def _goal(state: Interaction) -> str:
    goal = (state.graph.plan.goal if state.graph else "") or state.intent or "the plan"
    return _short(goal).rstrip(".")


def _tally(state: Interaction) -> str:
    """`12 steps succeeded, 1 failed, 3 were skipped.` Empty when there was no plan."""
    counts: dict[StepState, int] = {}
    for run in state.by_node:
        counts[run.state] = counts.get(run.state, 0) + 1
    good = counts.get(StepState.SUCCEEDED, 0)
    parts = [f"{good} step{'' if good == 1 else 's'} succeeded"] if counts else []
    for name, words in (
        (StepState.FAILED, "failed"),
        (StepState.SKIPPED, "skipped"),
        (StepState.CANCELLED, "cancelled"),
    ):
        if number := counts.get(name):
            parts.append(f"{number} {words}")
    return f"{', '.join(parts)}." if parts else ""


def _last(state: Interaction) -> list[Run]:
    """The succeeded steps that nothing else used: their outputs are the results."""
    return [r for r in state.by_node if not r.node.dependents and r.state is StepState.SUCCEEDED][:5]


def _result(run: Run) -> str:
    if run.stored is not None:
        return f"{run.id}: {run.stored.size} bytes, stored as {run.stored.digest}"
    value = run.output
    if isinstance(value, dict):
        key = next((key for key in _TELLING if value.get(key) not in (None, "", [], {})), None)
        value = value[key] if key else value
    return "" if value in (None, "", [], {}) else f"{run.id}: {_short(render(value).strip())}"


def _short(text: str) -> str:
    return text if len(text) <= PREVIEW else f"{text[:PREVIEW]}… ({len(text)} characters)"


def _template(state: Interaction, name: str, **names: Any) -> str:
    """The plan's own words, or nothing when it has none or they refer to what is not there."""
    template = getattr(state.graph.plan, name) if state.graph else None
    return _rendered(state, template, **names) if template else ""


def _rendered(state: Interaction, template: str, **names: Any) -> str:
    """Empty when it refers to what is not there."""

    def find(root: str) -> Any:
        if root in names:
            return names[root]
        if root == "memory":
            return remembered(state)
        return state.intent if root == "intent" else state.runs[root].output

    said, left = [], MOST_WORDS
    try:
        for part in parse(template):
            piece = part if isinstance(part, str) else render(resolve(f"{{{{{part}}}}}", find))
            said.append(piece[:left])
            left -= len(piece)
            if left < 0:
                return "".join([*said, f"… (cut at {MOST_WORDS} characters)"])
    except (MissingValue, BadReference, KeyError):
        return ""
    return "".join(said)
