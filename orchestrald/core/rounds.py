"""What follows when a plan is through: is there another round of planning, and if not, how did it end?

Rules of this file:

- A planner that wants to see what came of its plan is shown it, until it says that nothing more is to be done. A plan
  that came with its own closing words (`on_complete`) and went well says so by itself.
- It ends in any case: rounds and time are bounded, by numbers that are in the event of the plan's adoption.
- An input that joined reaches the next round, which has the plan so far, and rounds and time of its own.
- Running out of rounds, time or money takes nothing away from what was done: it is told, and it is no failure.
"""

from typing import Any

from orchestrald.core import inputs as i
from orchestrald.core.interaction import Interaction
from orchestrald.core.model import Failure
from orchestrald.core.states import InteractionState as I
from orchestrald.core.states import StepState as S
from orchestrald.core.turn import Turn

ENOUGH = frozenset({"rounds_exhausted", "time_exhausted", "budget_exhausted"})
"""Why a planner is not asked again although nothing went wrong."""


def is_asked(state: Interaction, round_: int | None) -> bool:
    """Whether a plan is waited for, and not one of a round that was given up since."""
    return state.state is I.PLANNING and round_ in {None, state.rounds}


def another(turn: Turn) -> bool:
    """Ask for the next part of the plan, if there is one; False when this was the last."""
    state = turn.state
    if state.merged:
        _go_on_with(turn)
    elif not _wants_to_see(state):
        return False
    elif (failure := _at_its_limit(state, turn.at)) is not None:
        turn.emit("plan.unobserved", {"error": failure.to_json()})
        return False
    else:
        turn.emit("interaction.planning", {"reason": "observed"})
    turn.plan(state.matter, joins=True)
    return True


def _go_on_with(turn: Turn) -> None:
    """What joined. A planner that sees what came of its plan is told of all of it, and has the whole in view; one that
    does not is asked for one after the other."""
    state = turn.state
    data: dict[str, Any] = {"reason": "observed", "joined": list(state.merged)}
    if not state.observes:
        data = {"reason": "merged", "intent": state.merged[0]}
    if not state.observes or state.conclusion is not None or not _wants_to_see(state):
        data["settled"] = _settled(state)
    turn.emit("interaction.planning", data)


def _settled(state: Interaction) -> dict[str, Any]:
    """What there is to say of the matter that is dealt with, before the next one is: its words would be lost."""
    achieved = _achieved(state)
    if state.conclusion is not None:
        return {"text": state.conclusion.text, "achieved": achieved}
    words = state.graph.plan.on_complete if state.graph is not None and achieved else None
    return {"text": words or "", "achieved": achieved}


def _achieved(state: Interaction) -> bool:
    if state.unobserved is not None and state.unobserved.code not in ENOUGH:
        return False
    if state.conclusion is not None:
        return state.conclusion.achieved
    return not any(run.state is S.FAILED for run in state.by_node)


def _wants_to_see(state: Interaction) -> bool:
    if not state.observes or state.conclusion or state.unobserved or state.unplanned:
        return False
    said_enough = state.graph is not None and state.graph.plan.on_complete is not None
    return not said_enough or any(run.state is S.FAILED for run in state.by_node)


def _at_its_limit(state: Interaction, at: int) -> Failure | None:
    if state.asked >= state.observes:
        times = "once" if state.observes == 1 else f"{state.observes} times"
        return Failure("rounds_exhausted", f"it has been asked {times}, which is as often as it may be")
    active = (at - state.created_at - state.idle) / 1_000_000
    if state.seconds and active > state.seconds:
        return Failure("time_exhausted", f"it has had its time, {state.seconds:g} seconds")
    return None


def concluded(turn: Turn, it: i.PlanConcluded) -> None:
    """What runs comes to its end; what a failed step held back is not run any more."""
    state = turn.state
    if not is_asked(state, it.round):
        turn.refuse("stale", "nobody waits for a plan any more")
        return
    failed = state.replanning
    if failed:
        turn.skip_downstream(state.runs[failed])
    turn.emit("plan.concluded", {"text": it.text, "achieved": it.achieved, "planner": it.planner})


def status(state: Interaction) -> str:
    """`completed` or `failed`. A planner that saw what failed, and says that the intent is achieved, is taken at its
    word: the facts are told beside it."""
    well = _achieved(state) and not state.unplanned and all(matter.achieved for matter in state.settled)
    return "completed" if well else "failed"


def first_failure(state: Interaction) -> Failure:
    """What an interaction failed of: its planning, or the first step in plan order that failed."""
    if state.failure or state.planning_failure:
        return state.failure or state.planning_failure or Failure("error", "")
    if state.conclusion is not None and not state.conclusion.achieved:
        return Failure("not_achieved", state.conclusion.text)
    failed = [run.failure for run in state.by_node if run.state is S.FAILED and run.failure]
    failed += [failure for _, failure in state.unplanned]
    failed += [state.unobserved] if state.unobserved is not None else []
    failed += [
        Failure("not_achieved", each.text or f"{each.intent}: not done") for each in state.settled if not each.achieved
    ]
    return failed[0] if failed else Failure("error", "the interaction failed")
