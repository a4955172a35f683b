"""What would a plan do, and what has it cost to ask?

Rules of this file:

- A person may agree to what is shown: every step is there with all that it says, uncut and escaped.
- Nothing here runs anything.
"""

from __future__ import annotations

import json

from orchestrald.cli.command import FAILED, OK, print_json
from orchestrald.cli.draw import draw
from orchestrald.cli.text import money, plural, safe, safe_lines, spending
from orchestrald.client import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrald.cli.terminal import Line, Terminal
    from orchestrald.client import Client

EFFECTS = {"read": "only reads", "write": "writes", "destructive": "can destroy"}


def foresee(client: Client, request: dict[str, Any], screen: Terminal | None = None) -> Any:
    """What `plan.create` says of a request's intent, or `plan.validate` of its plan. Raises Refused if it has faults.

    A model may think for minutes; `screen` (where there is a person) says meanwhile that it does.
    """
    plan = request.get("plan")
    about = {"workspace": request["workspace"]}
    if plan is not None:
        found = client.call("plan.validate", plan=plan, **about)
        if found["valid"]:
            return found
        problems = found.get("problems") or []
        message = f"The plan cannot be run: {plural(len(problems), 'problem')}."
        raise Refused({"message": message, "data": {"kind": "invalid_plan", "problems": problems}})
    if screen is not None and screen.live:
        screen.draw([[("planning ...", "dim")]])
    try:
        # No bound of ours: the daemon has its own for every call, and there is Ctrl-C.
        about |= {"intent": request["intent"], "thread_id": request.get("thread_id")}
        return client.call("plan.create", timeout=None, **about)
    finally:
        if screen is not None and screen.live:
            screen.clear()


def show(found: dict[str, Any], intent: str, out: Terminal, *, as_json: bool) -> int:
    """A preview for somebody who only wants to see it; the exit code."""
    if as_json:
        print_json(found)
    elif "plan" in found:
        out.print(*plan_lines(found, intent, out), *cost_lines(found), *_how_to_run(found, intent))
    else:
        out.print(*answer_lines(found), "", *cost_lines(found), [("There is nothing to run.", "dim")])
    return OK if found.get("achieved", True) else FAILED


def _how_to_run(found: dict[str, Any], intent: str) -> list[Line]:
    lines: list[Line] = [[(f"hash: {safe(found['hash'])}", "dim")]] if found.get("hash") else []
    if not intent:
        says = "Nothing was run."
    elif str(found.get("planner", "")).startswith("llm:"):
        says = "Nothing was run. orchestral run --approve-plan shows a plan, and runs just that one."
    else:
        says = "Nothing was run. orchestral run with the same words runs it."
    return [*lines, [(says, "dim")]]


def answer_lines(found: dict[str, Any]) -> list[Line]:
    """What the planner says instead of a plan."""
    lines: list[Line] = [[(line, "")] for line in safe_lines(found.get("answer") or "")]
    return lines if found.get("achieved", True) else [[("It cannot be done.", "wait")], *lines]


def plan_lines(found: dict[str, Any], intent: str, out: Terminal) -> list[Line]:
    """The goal, the DAG, every step with what it does, and who would have to agree."""
    plan = found["plan"]
    by = f"  planned by {safe(found['planner'])}" if found.get("planner") else ""
    lines: list[Line] = [[(safe(plan.get("goal") or intent or "a plan"), "bold"), (by, "dim")], []]
    if found.get("graph"):
        lines += [*draw(found["graph"], out.columns, unicode=out.unicode), []]
    actions = {each["step_id"]: each for each in found.get("actions") or []}
    for step in plan.get("steps", []):
        lines += step_lines(step, actions.get(step["id"]))
    for name, value in plan.items():
        if name not in {"goal", "steps"}:
            lines.append([(f"{_named(name)}: {_shown(value)}", "dim")])
    return [*lines, [], *consent_lines(list(actions.values()))]


def step_lines(step: dict[str, Any], action: dict[str, Any] | None = None) -> list[Line]:
    """One step of a plan: what it is and does, what it takes, and on which conditions."""
    does = step.get("action") if step.get("kind", "action") == "action" else step["kind"]
    lines: list[Line] = [[(safe(step["id"]), "bold"), (f"  {safe(does)}", "run"), *_effects(action)]]
    for name, value in (step.get("params") or {}).items():
        lines.append([(f"    {safe(name)}: ", "dim"), (_shown(value), "")])
    for name, value in step.items():
        if name not in {"id", "kind", "action", "params"} and value not in (None, "", [], {}):
            said = ", ".join(map(str, value)) if name in {"depends_on", "exports"} else value
            lines.append([(f"    {_named(name)}: {_shown(said)}", "dim")])
    return lines


def _named(name: str) -> str:
    return safe(name.replace("_", " "))


def _shown(value: Any) -> str:
    return safe(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _effects(action: dict[str, Any] | None) -> Line:
    if action is None:
        return []
    effects = str(action.get("effects", ""))
    said = EFFECTS.get(effects, safe(effects))
    if effects != "read" and action.get("idempotent"):
        said += ", and may run twice without harm"
    return [(f"  {said}", "bad" if effects == "destructive" else "dim"), *_word(action)]


def _word(action: dict[str, Any]) -> Line:
    """Who has to agree, when it starts; nothing where nobody has to."""
    probably = "" if action.get("certain", True) else "probably "
    said = {"ask": f"will {probably}ask for a yes", "deny": f"will {probably}be denied"}.get(action.get("word", ""), "")
    if not said:
        return []
    why = f": {safe(action['reason'])}" if action.get("reason") else ""
    return [(f"; {said}{why}", "bad" if action["word"] == "deny" else "wait")]


def consent_lines(actions: list[dict[str, Any]]) -> list[Line]:
    """How many steps ask or are denied, and where that cannot be told yet. What a plugin asks by itself nobody can."""
    asks = sum(each.get("word") == "ask" for each in actions)
    denied = sum(each.get("word") == "deny" for each in actions)
    open_ = sum(each.get("word") == "allow" and not each.get("certain", True) for each in actions)
    lines: list[Line] = []
    if asks:
        lines.append([(f"{plural(asks, 'step')} will ask for a yes.", "wait")])
    if denied:
        lines.append([(f"{plural(denied, 'step')} will be denied: the operator's rules say so.", "bad")])
    if open_:
        whose = "Parameters of one step are" if open_ == 1 else f"Parameters of {open_:,} steps are"
        lines.append([(f"{whose} known only when it starts: it may ask, or be denied, all the same.", "dim")])
    return lines


def cost_lines(found: dict[str, Any], *, rounds: bool = True) -> list[Line]:
    """What asking took, and how much more of it may follow; nothing where no model was asked."""
    spent = found.get("spent") or {}
    if not spent.get("calls"):
        return []
    lines: list[Line] = [[(f"Asking took {spending(spent)}.", "dim")]]
    more = found.get("rounds", 0)
    if more and rounds:
        most = plural(more * spent.get("tokens", 0), "token")
        most += f", {money(more * spent['cost'])}" if spent.get("cost") else ""
        times = "one more round" if more == 1 else f"{more:,} more rounds"
        says = f"When it is run, at most {times} of planning follow, each about as much: {most} in all."
        lines.append([(says, "dim")])
    return lines
