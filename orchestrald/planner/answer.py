"""What did the model answer, and what is wrong with it, all of it at once?

The contract's half of the check: which kind of answer it is, whether it has what that needs, and nothing that a model
may not say (how an action is sandboxed, retried or remembered). What the engine has to say of a plan comes on top, so a
plan is handed on even where parts of it are at fault here.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from orchestrald.core.model import RESERVED_IDS, STEP_ID
from orchestrald.core.observation import Seen
from orchestrald.core.plan_shape import Problem, nearest
from orchestrald.core.references import BadReference, MissingValue, Reference, follow, references
from orchestrald.core.states import StepState
from orchestrald.core.working_set import ROOT
from orchestrald.errors import BadAnswer
from orchestrald.models.extract import read_object

STEP_KEYS = ("id", "kind", "action", "params", "depends_on", "when", "for_each", "timeout")
"""What a model may say of a step."""

_LEFT_NOTHING = (StepState.FAILED, StepState.CANCELLED)
"""What did not begin yet, or is skipped, is null or will be something: a reference to it means something."""

_MOST_KEYS = 64
"""Keys that a hint is made of, and characters of each."""

_KEYS = {
    "DONE": ("message", "achieved"),
    "NEED_INPUT": ("question", "choices"),
    "SINGLE_ACTION": ("action", "params", "why"),
    "MINI_PLAN": ("goal", "steps", "on_complete", "on_failure"),
    "SKILL": ("name",),
}


class Finished(NamedTuple):
    message: str
    achieved: bool


class Planned(NamedTuple):
    """`plan` is what the engine is asked about. `places` are paths in it and what the answer calls them."""

    plan: dict[str, Any]
    places: tuple[tuple[str, str], ...] = ()

    def as_said(self, path: str) -> str:
        """A path into the plan as a path into the answer."""
        for place, said in self.places:
            if path.startswith(place):
                return said + path.removeprefix(place)
        return path


class Opens(NamedTuple):
    skill: str


class Reading(NamedTuple):
    """`answer` missing: there is nothing to go on with. With problems it is not to be acted on, only to be checked."""

    answer: Finished | Planned | Opens | None
    problems: list[Problem]


def read_answer(text: str, taken: Collection[str] = (), skills: Collection[str] = ()) -> Reading:
    """`taken` are ids of steps that there are already, `skills` what may be opened now. Never raises."""
    try:
        said = {key: value for key, value in read_object(text).items() if value is not None}
    except BadAnswer as error:
        return Reading(None, [Problem("", error.code, error.message, "Answer with exactly one JSON object.")])
    kind = said.pop("type", None)
    kinds = [name for name in _KEYS if name != "SKILL" or skills]
    if not isinstance(kind, str) or kind not in kinds:
        found = "type is missing" if kind is None else f"there is no type {kind!r}"
        return Reading(None, [Problem("type", "unknown_type", found, f"It is one of {', '.join(kinds)}.")])
    reader = _Reader(said, set(taken))
    for key in said.keys() - set(_KEYS[kind]):
        reader.fault(key, "unknown_key", f"there is no key {key!r} in {kind}", nearest(key, _KEYS[kind]))
    answer = reader.skill(skills) if kind == "SKILL" else _READERS[kind](reader)
    return Reading(answer, sorted(reader.problems))


class _Reader:
    def __init__(self, said: dict[str, Any], taken: set[str]) -> None:
        self.said = said
        self.taken = taken
        self.problems: list[Problem] = []

    def fault(self, path: str, code: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(path, code, message, hint))

    def text(self, key: str) -> str:
        """A text that must be there."""
        value = self.said.get(key)
        if value is None:
            self.fault(key, "missing_key", f"{key} is missing")
        elif not isinstance(value, str) or not value.strip():
            self.fault(key, "wrong_shape", f"{key} must be a text that is not empty")
        return value if isinstance(value, str) else ""

    def finished(self) -> Finished:
        message = self.text("message")
        achieved = self.said.get("achieved", True)
        if not isinstance(achieved, bool):
            self.fault("achieved", "wrong_shape", "achieved must be true or false")
        return Finished(message, bool(achieved))

    def asked(self) -> Planned:
        params: dict[str, Any] = {"prompt": self.text("question")}
        choices = self.said.get("choices")
        if isinstance(choices, list) and choices and all(isinstance(each, str) and each for each in choices):
            params["schema"] = {"enum": list(dict.fromkeys(choices))}
        elif choices not in (None, []):
            self.fault("choices", "wrong_shape", "choices must be a list of texts")
        step = {"id": _free("ask", self.taken), "kind": "wait_user", "params": params}
        places = (
            ("steps[0].params.prompt", "question"),
            ("steps[0].params.schema", "choices"),
            ("steps[0].kind", "type"),
        )
        return Planned({"goal": "", "steps": [step], "on_complete": None}, places)

    def single(self) -> Planned:
        action, why = self.text("action"), self.said.get("why", "")
        step = {"id": _free(readable_id(action), self.taken), "action": action, "params": self.said.get("params", {})}
        goal = why if isinstance(why, str) else ""
        return Planned({"goal": goal, "steps": [step], "on_complete": None}, (("steps[0].", ""),))

    def planned(self) -> Planned | None:
        steps = self.said.get("steps")
        if not isinstance(steps, list):
            found = "steps is missing" if steps is None else "steps must be a list"
            self.fault("steps", "wrong_shape", found, "Give a list of steps.")
            return None
        plan = {"goal": self.said.get("goal", ""), "steps": [self._step(i, step) for i, step in enumerate(steps)]}
        plan["on_complete"] = _words(self.said.get("on_complete"))
        if (words := _words(self.said.get("on_failure"))) is not None:
            plan["on_failure"] = words
        return Planned(plan)

    def _step(self, position: int, step: Any) -> dict[str, Any]:
        if not isinstance(step, dict):
            self.fault(f"steps[{position}]", "not_an_object", "a step is an object with id, action and params")
            return {}  # it keeps its place, so that the paths of the others stay right
        for key in step.keys() - set(STEP_KEYS):
            hint = nearest(key, STEP_KEYS)
            self.fault(f"steps[{position}].{key}", "unknown_key", f"there is no key {key!r} in a step", hint)
        return {key: step[key] for key in STEP_KEYS if step.get(key) is not None}

    def skill(self, skills: Collection[str]) -> Opens | None:
        name = self.text("name")
        if name and name not in skills:
            self.fault("name", "unknown_skill", f"there is no skill {name!r} to be opened now", nearest(name, skills))
        return Opens(name)


_READERS: dict[str, Callable[[_Reader], Finished | Planned | None]] = {
    "DONE": _Reader.finished,
    "NEED_INPUT": _Reader.asked,
    "SINGLE_ACTION": _Reader.single,
    "MINI_PLAN": _Reader.planned,
}


def misled(message: str, intent: str, steps: Sequence[Seen]) -> list[Problem]:
    """What is wrong with the references in closing words, which the daemon fills in: all of them or, where the text is
    none that `references` can read, none. Then its braces mean something else, and nothing is wrong."""
    try:
        found = dict.fromkeys(reference for _, reference in references(message))
    except BadReference:
        return []
    known = {step.id: step for step in steps if not step.replaced}
    return [problem for reference in found if (problem := _misleading(reference, intent, known)) is not None]


def _misleading(reference: Reference, intent: str, known: Mapping[str, Seen]) -> Problem | None:
    if reference.root == ROOT:
        return None
    step = known.get(reference.root)
    if step is None and reference.root != "intent":
        words = f"there is no step {reference.root!r}"
        return Problem("message", "unknown_step", words, nearest(reference.root, known) or "Say it in plain words.")
    output = intent if step is None else step.output
    if step is not None and output is None:
        if step.stored or step.state not in _LEFT_NOTHING:
            return None
        return Problem("message", "unknown_output", f"the step {step.id!r} is {step.state} and left no output")
    try:
        follow(output, reference)
    except MissingValue:  # its words quote the value, and cut what they quote before any secret in it is hidden
        keys = [key for key in islice(output, _MOST_KEYS) if len(key) <= _MOST_KEYS] if isinstance(output, dict) else []
        hint = nearest(str(reference.path[0]), keys) if reference.path[0] not in keys else ""
        return Problem("message", "unknown_output", f"{{{{{reference}}}}} leads to no value", hint)
    return None


def asking(plan: Planned) -> list[Problem]:
    """Where the plan would wait for a person, and nobody is there."""
    places = []
    for position, step in enumerate(plan.plan["steps"]):
        if step.get("kind", step.get("action")) == "wait_user":
            places.append(plan.as_said(f"steps[{position}].{'kind' if 'kind' in step else 'action'}"))
    hint = "Do without, or answer DONE with achieved false and say what is missing."
    return [Problem(place, "unattended", "nobody is there to be asked", hint) for place in places]


def _words(said: Any) -> Any:
    """Closing words; blank ones are none, or the intent would count as done without a word."""
    return None if isinstance(said, str) and not said.strip() else said


def readable_id(action: str) -> str:
    """A step's id of the last part of an action's name: `read_all` of `files/read_all`."""
    part = next((part for part in reversed(re.split(r"[./:]", action)) if part), "")
    name = re.sub(r"[^A-Za-z0-9_-]", "_", part)[:48]
    return name if STEP_ID.fullmatch(name) else f"do_{name}" if name else "do"


def _free(name: str, taken: Collection[str]) -> str:
    number, free = 1, name
    while free in taken or free in RESERVED_IDS:
        number += 1
        free = f"{name}_{number}"
    return free
