"""How does what set a schedule off get into what is submitted, and stay data there?

Whoever can put a file into a watched folder chooses its name. So a name is quoted in an intent and escaped in a plan,
and what comes of it is a submission and nothing else: no name answers a question or approves a step.
"""

import json
import re
from datetime import UTC, datetime
from typing import Any

from orchestrald.core.filling import fill
from orchestrald.core.references import MissingValue
from orchestrald.core.triggers import Folder, Trigger
from orchestrald.errors import PlanError

ROOT = "trigger"
"""`{{trigger.path}}` in a schedule's plan is the file; no step of it may be called so."""

_HOLE = "{path}"


def quoted(text: str) -> str:
    """The text in double quotes, on one line, with nothing in it that a reader could take for something else.

    Also a second space in a row is escaped: who matches phrases takes any number of spaces for one, and would then be
    speaking of another file.
    """
    visible = "".join(c if c.isprintable() else _escaped(c) for c in json.dumps(text, ensure_ascii=False))
    return re.sub(r"(?<= ) ", r"\\u0020", visible)


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1] if ord(character) > 0x7E else f"\\u{ord(character):04x}"


def of_file(path: str, moment: int) -> dict[str, Any]:
    return {"path": path, "name": path.rpartition("/")[2], "at": _iso(moment)}


def of_moment(moment: int) -> dict[str, Any]:
    return {"at": _iso(moment)}


def example(trigger: Trigger, now: int) -> dict[str, Any]:
    """What the trigger might say one day, so that a plan can be judged before it does."""
    if isinstance(trigger, Folder):
        return of_file(f"{trigger.folder.rstrip('/')}/{trigger.glob.replace('*', 'example')}", now)
    return of_moment(now)


def intent_for(intent: str, data: dict[str, Any]) -> str:
    """The intent with the file's quoted path for `{path}`; where there is no file, braces mean themselves."""
    return intent.replace(_HOLE, quoted(data["path"])) if "path" in data else intent


def plan_for(plan: Any, data: dict[str, Any]) -> Any:
    """The plan with `{{trigger.*}}` filled in. Raises PlanError when it asks for what this trigger does not have."""
    try:
        return fill(plan, ROOT, data)
    except MissingValue as error:
        known = " and ".join(f"{{{{{ROOT}.{name}}}}}" for name in data)
        problem = {"path": "", "code": "unknown_reference", "message": f"{error}.", "hint": f"There is {known}."}
        raise PlanError("The plan has one fault.", data={"problems": [problem]}) from None


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment // 1_000_000, UTC).isoformat().replace("+00:00", "Z")
