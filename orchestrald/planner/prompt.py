"""What is a planner told, in which order, and in how much room?

One system message, which depends on the actions alone and is the same in every round, so that endpoints need not read
it twice; then one message about this intent. A faulty answer goes back with everything that is wrong with it.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from orchestrald.core.model import ActionSpec
from orchestrald.core.plan_shape import Problem
from orchestrald.errors import PromptTooLong
from orchestrald.models.base import Message, Prompt, estimate
from orchestrald.planner import told
from orchestrald.planner.base import Request
from orchestrald.planner.catalog import cards
from orchestrald.planner.contract import MAX_BYTES, contract
from orchestrald.planner.data import Marking, marked, written
from orchestrald.planner.rules import RULES
from orchestrald.planner.skills import Skill
from orchestrald.planner.window import Part, clipped, divide, fit, shortened

CATALOG_SHARE = 0.4
_SHAPE_SHARE = 0.12
_USER_SHARE = 0.75
"""Of what catalog and shape leave. The rest is for an answer that goes back with its faults."""

_WORKSPACE = 150
_PROBLEM = 200
_LEAST = 100
_CUT_NOTE = 20
"""Tokens: of a folder's path, of one problem, of the room for the intent and all that led to it, and of the words that
say how much of an answer is left."""


class Complaint(NamedTuple):
    """An answer of the model, and all that is wrong with it."""

    answer: str
    problems: tuple[Problem, ...]


class About(NamedTuple):
    """`actions` are the likeliest first, in case that there is no room for all. `skills` may still be opened, the
    likeliest first; `more_skills` is how many there are besides; `opened` has those whose body is told."""

    request: Request
    actions: tuple[ActionSpec, ...]
    skills: tuple[Skill, ...] = ()
    more_skills: int = 0
    opened: tuple[Skill, ...] = ()
    complaint: Complaint | None = None


def catalog_room(window: int) -> int:
    """Tokens that the catalog may have. Raises PromptTooLong when the window is too small for anything."""
    return int(divide(window, RULES).room * CATALOG_SHARE)


def compose(about: About, window: int, mark: Marking) -> Prompt:
    """The prompt, whose messages, shape and answer together fit into the window. Raises PromptTooLong."""
    mark = mark.anew()
    answer, room = divide(window, RULES)
    catalog = cards(about.actions, catalog_room(window), mark)
    names = [skill.name for skill in about.skills]
    # What an endpoint enforces takes up little room where it counts at all; what it must be told in words does.
    refers = bool(about.request.observed or about.request.kept)
    asks = not about.request.unattended
    shape = mark.clean(contract(catalog.shown, names, min(MAX_BYTES, 2 * window), refers=refers, asks=asks))
    outline = mark.clean(contract(catalog.shown, names, min(MAX_BYTES, int(room * _SHAPE_SHARE) * 3), asks=asks))
    head = [RULES, catalog.text]
    if catalog.left_out:
        head.append(f"{catalog.left_out} more actions are left out, for want of room.")
    system = "\n".join(head)
    room = window - answer - estimate(system) - estimate(written(outline)) - 64
    if room < window // 16:
        raise PromptTooLong(f"A window of {window} tokens is too small for these actions and an intent.")
    user = _user(about, int(room * _USER_SHARE), mark)
    messages = [Message("system", system), Message("user", user)]
    if about.complaint is not None:
        messages += _complaint(about.complaint, room - estimate(user), mark)
    return Prompt(tuple(messages), shape, "plan", answer, outline)


def _user(about: About, room: int, mark: Marking) -> str:
    """The intent comes last, where it is best heeded; it is given its room first."""
    request = about.request
    head = f"# Environment\nos: {sys.platform}"
    if request.now:
        head += f"\nnow: {datetime.fromtimestamp(request.now / 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ, a %A}"
    if request.workspace:
        folder = written(shortened(request.workspace, _WORKSPACE, mark)[0])
        head += f"\nThe folder that steps may see:\n{marked('workspace', folder)}"
    if request.unattended:
        head += "\nNobody is there to be asked: do not answer NEED_INPUT."
    replaced = told.failed(request, mark)
    room -= estimate(f"{head}\n\n{replaced}\n\n\n\n\n\n\n\n\n\n")
    if room < _LEAST:
        raise PromptTooLong("What must be told of the intent does not fit into the model's window.")
    intent, seen, opened, said, kept, skills = fit(
        room,
        [
            Part(0.3, lambda room: _intent(request.intent, room, mark)),
            Part(0.3, told.observed(request, mark)),
            Part(0.2, told.opened(about.opened, mark)),
            Part(0.08, told.dialogue(request.dialogue, mark)),
            Part(0.04, told.kept(request.kept, mark)),
            Part(0.08, told.skills(about.skills, about.more_skills, mark)),
        ],
    )
    return "\n\n".join(part for part in (head, skills, opened, kept, said, seen, replaced, intent) if part)


def _intent(intent: str, room: int, mark: Marking) -> str:
    head = "# The intent"
    text, cut = shortened(intent, max(room - estimate(f"{head}\n<intent>\n</intent>\n") - 20, 20), mark)
    note = f"\n(shortened to {cut})" if cut else ""
    return f"{head}\n<intent>\n{written(text)}\n</intent>{note}"


def _complaint(complaint: Complaint, room: int, mark: Marking) -> Sequence[Message]:
    mark = mark.anew()
    head = "That answer cannot be used. Mend all of this, and give the whole answer again:"
    left = int(room * 0.6) - estimate(f"{head}\n{marked('problems')}\n9999 more problems are left out.\n")
    lines: list[str] = []
    for problem in complaint.problems:
        line = written(shortened(problem.to_json(), _PROBLEM, mark)[0])
        left -= estimate(line + "\n")
        if left < 0 and lines:
            break
        lines.append(line)
    missing = len(complaint.problems) - len(lines)
    more = [f"{missing} more problems are left out."] if missing else []
    words = "\n".join([head, marked("problems", *lines), *more])
    return Message("assistant", _again(complaint.answer, room - estimate(words), mark)), Message("user", words)


def _again(answer: str, room: int, mark: Marking) -> str:
    """The model's own words, or as much of them as there is room for. Endpoints refuse a message without any."""
    text, whole = mark.beginning(answer, max(room, 0) * 4)
    kept = clipped(text, room)
    if not whole or len(kept) < len(text):
        kept = clipped(text, room - _CUT_NOTE)
        kept += f"… ({len(kept)} of {len(answer)} characters)"
    return kept.strip() or "(nothing)"
