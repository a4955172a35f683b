"""What is a planner told of what was said and done so far, in as much room as there is?

Newest first, and what is left out or cut is named. Everything that others said is marked as data, with its secrets
hidden before it is cut.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from orchestrald.core.dialogue import Message
from orchestrald.core.observation import Observed, Seen
from orchestrald.models.base import estimate
from orchestrald.planner.base import Kept, Request
from orchestrald.planner.data import Marking, marked, written
from orchestrald.planner.skills import Skill
from orchestrald.planner.window import clipped, fitting, shortened

_FAILURE = 150
"""Tokens of what a step failed of."""
_AT_ONCE = 4
_MOST_STEPS = 300
"""A step may take this part of the room that is left, or one of the newest would leave nothing for the others; and no
more steps are told, however large the window is."""


def dialogue(said: Sequence[Message], marking: Marking) -> Callable[[int], str]:
    def make(room: int) -> str:
        if not said:
            return ""
        mark = marking.anew()
        head = "# What was said before, oldest first"
        room -= estimate(f"{head}\n{_earlier(len(said))}\n{marked('dialogue')}\n")
        lines = fitting((_message(message, room // 3, mark) for message in reversed(said)), room)[::-1]
        left_out = len(said) - len(lines)
        return "\n".join(
            [head, *([_earlier(left_out)] if left_out else []), *([marked("dialogue", *lines)] if lines else [])]
        )

    return make


def _earlier(number: int) -> str:
    return "1 earlier message is left out." if number == 1 else f"{number} earlier messages are left out."


def _message(message: Message, room: int, mark: Marking) -> str:
    text, cut = shortened(message.text, max(room, 20), mark)
    return written({"from": message.role, "text": text, **({"shortened": f"to {cut}"} if cut else {})})


def skills(listed: Sequence[Skill], more: int, mark: Marking) -> Callable[[int], str]:
    """`listed` are the likeliest first; `more` is how many there are besides. They are the operator's words: not marked
    as data, but a secret in them stays here as well."""

    def make(room: int) -> str:
        if not listed:
            return ""
        head = "# Skills: what the operator wrote down. Ask for one with SKILL if it would help."
        room -= estimate(f"{head}\n999 more are not listed.\n")
        kept = fitting((f"- {mark.clean(skill.name)}: {mark.clean(skill.description)}" for skill in listed), room)
        unlisted = more + len(listed) - len(kept)
        return "\n".join([head, *sorted(kept), *([f"{unlisted} more are not listed."] if unlisted else [])])

    return make


def opened(bodies: Sequence[Skill], mark: Marking) -> Callable[[int], str]:
    def make(room: int) -> str:
        texts = []
        for number, skill in enumerate(bodies):
            share = room // (len(bodies) - number)
            text = _opened(skill, share, mark)
            room -= estimate(text + "\n\n")
            texts.append(text)
        return "\n\n".join(texts)

    return make


def _opened(skill: Skill, room: int, mark: Marking) -> str:
    head, body = f"# The skill {mark.clean(skill.name)}", mark.clean(skill.body)
    whole = f"{head}\n{body}"
    if estimate(whole) <= room:
        return whole
    note = f"(shortened to 99999 of {len(body)} characters)"
    kept = clipped(body, room - estimate(f"{head}\n\n{note}"))
    return f"{head}\n{kept}\n{note.replace('99999', str(len(kept)))}"


def kept(found: Sequence[Kept], mark: Marking) -> Callable[[int], str]:
    def make(room: int) -> str:
        if not found:
            return ""
        head = "# What was kept: values for {{memory.PLACE}}, and stored content"
        room -= estimate(f"{head}\n999 more are left out.\n{marked('kept')}\n")
        lines = fitting((_kept(each, mark) for each in found), room)
        missing = len(found) - len(lines)
        more = [f"{missing} more are left out."] if missing else []
        return "\n".join([head, *more, *([marked("kept", *lines)] if lines else [])])

    return make


def _kept(each: Kept, mark: Marking) -> str:
    about = {"about": each.about} if each.about else {}
    return written(mark.clean({"place": each.place, "bytes": each.size, **about}))


def observed(request: Request, mark: Marking) -> Callable[[int], str]:
    seen = request.observed

    def make(room: int) -> str:
        if seen is None:
            return ""
        head = "\n".join(["# What has been done", *_round(seen, bool(request.failed_step)), *_around(seen, mark)])
        return "\n".join([head, *_steps(seen.steps, room - estimate(head + "\n"), mark)])

    return make


def _round(seen: Observed, replaces: bool) -> list[str]:
    if replaces:
        return []
    if not seen.left:
        return [f"This is round {seen.round}, the last one: answer DONE, or a MINI_PLAN with on_complete."]
    return [f"This is round {seen.round}; {seen.left} more may follow."]


def _around(seen: Observed, mark: Marking) -> list[str]:
    """Words of the plan and of other intents, each cut to a few."""
    texts = [
        ("It was for this goal:", "goal", seen.goal),
        ("All this began with another intent:", "first intent", seen.first),
        ("These came in since, and are to be dealt with as well:", "later intents", list(seen.joined)),
    ]
    return [f"{words}\n{_short(source, said, 100, mark)}" for words, source, said in texts if said]


def _short(source: str, said: Any, room: int, mark: Marking) -> str:
    return marked(source, written(shortened(said, room, mark)[0]))


def _steps(steps: Sequence[Seen], room: int, mark: Marking) -> list[str]:
    """What failed first, then the newest; as many as fit, in the order of the plan, and notes on what is missing."""
    frame = estimate(f"{marked('steps')}\n999 other steps are left out: 999 succeeded, 99 failed, 999 pending.\n")
    room -= frame
    order = sorted(range(len(steps)), key=lambda i: (steps[i].replaced, steps[i].failure is None, -i))
    lines: dict[int, str] = {}
    notes: dict[int, str] = {}
    outputs = mark.anew()  # or large ones would leave nothing for a failure
    for place, i in enumerate(order[:_MOST_STEPS]):
        line, note = _line(steps[i], room // min(len(order) - place, _AT_ONCE), mark, outputs)
        cost = estimate(f"{line}\n{note}\n")
        if cost > room:
            break
        room -= cost
        lines[i] = line
        notes[i] = note
    told = [marked("steps", *(lines[i] for i in sorted(lines)))] if lines else []
    told += [notes[i] for i in sorted(notes) if notes[i]]
    if missing := [steps[i].state for i in range(len(steps)) if i not in lines]:
        counts = ", ".join(f"{n} {state}" for state, n in sorted(Counter(missing).items()))
        told.append(f"{len(missing)} other steps are left out: {counts}.")
    return told


def _line(step: Seen, room: int, mark: Marking, outputs: Marking) -> tuple[str, str]:
    about: dict[str, Any] = mark.clean({"id": step.id, "does": step.does, "state": step.state})
    if step.of:
        about["items"] = f"{step.done} of {step.of} succeeded"
    if step.replaced:
        about["replaced"] = True
    if step.reason:
        about["reason"] = shortened(step.reason, 60, mark)[0]
    if step.failure:
        about["failure"] = shortened(step.failure, _FAILURE, mark)[0]
    if step.stored:
        about["output"] = f"{step.stored} bytes, not shown; a reference can use them"
    if step.output is None or step.stored:
        return written(about), ""
    left = room - estimate(written(about)) - 40  # for the key and the note
    output, cut = shortened(step.output, max(left, 12), outputs)
    note = f"The output of {about['id']} is shortened to {cut}; a reference has all of it." if cut else ""
    return written({**about, "output": output}), note


def failed(request: Request, mark: Marking) -> str:
    """What is to be replaced, and what the replacement may build on; empty when nothing is."""
    if not request.failed_step:
        return ""
    steps = request.observed.steps if request.observed else ()
    stays = [step.id for step in steps if step.state == "succeeded" and not step.replaced]
    lines = [
        f"# What is to be replaced: the step {mark.clean(request.failed_step)}, which failed of",
        _short("failure", request.failure or {}, _FAILURE, mark),
        f"These steps wait for it, and go with it: {_named(request.replaces, mark)}."
        if request.replaces
        else "No other step waits for it.",
        "Answer with the steps that shall take their place, by SINGLE_ACTION or MINI_PLAN. Try another way.",
        f"What succeeded stays, and they may refer to it: {_named(stays, mark)}."
        if stays
        else "Nothing succeeded so far.",
        "DONE means: leave it at that; with achieved false: give up.",
    ]
    return "\n".join(lines)


def _named(ids: Sequence[str], mark: Marking, most: int = 10) -> str:
    return ", ".join(mark.clean(ids[:most])) + (f" and {len(ids) - most} more" if len(ids) > most else "")
