"""How does an action read in a prompt?

As one line of JSON: its name, what it does, its effects, what it needs and what it gives. Lines are in the order of the
names and depend on the actions alone, so that the same catalog is the same text, which endpoints need not read twice.
Descriptions are a plugin's words, and stand in the prompt as data; secrets are hidden before anything of them is cut.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from orchestrald.core.model import ActionSpec
from orchestrald.models.base import estimate
from orchestrald.planner.data import Marking, marked, written
from orchestrald.planner.inlined import inlined

_DEEPEST = 3
_MOST_KEYS = 40
_MOST_CHOICES = 12


class Detail(NamedTuple):
    """Characters of an action's and of a parameter's description, and whether outputs are more than their keys."""

    about: int
    parameter: int
    outputs: bool


DETAILS = (Detail(400, 120, True), Detail(160, 60, True), Detail(100, 0, False), Detail(40, 0, False))


class Cards(NamedTuple):
    """`text` is the marked catalog of the actions in `shown`, by name; `left_out` found no room."""

    text: str
    shown: tuple[ActionSpec, ...]
    left_out: int


def cards(actions: Sequence[ActionSpec], room: int, mark: Marking, details: Sequence[Detail] = DETAILS) -> Cards:
    """The most detailed catalog that fits into `room` tokens. Where even the plainest does not hold all, the last of
    `actions` are left out, and whatever is too long."""
    for detail in details:
        lines = {spec.name: line(spec, mark, detail) for spec in actions}
        text = marked("actions", *(lines[name] for name in sorted(lines)))
        if estimate(text) <= room:
            return Cards(text, tuple(sorted(actions, key=_name)), 0)
    shown: list[ActionSpec] = []
    room -= estimate(marked("actions"))
    for spec in actions:  # one that is too long must not keep out those behind it
        cost = estimate(lines[spec.name] + "\n")
        if cost <= room:
            room -= cost
            shown.append(spec)
    shown.sort(key=_name)
    return Cards(marked("actions", *(lines[s.name] for s in shown)), tuple(shown), len(actions) - len(shown))


def _name(spec: ActionSpec) -> str:
    return spec.name


def line(spec: ActionSpec, mark: Marking, detail: Detail) -> str:
    about: dict[str, Any] = {"action": spec.name}
    if spec.description:
        about["does"] = first_words(mark.clean(spec.description), detail.about)
    about["effects"] = spec.effects
    if spec.input_schema:
        about["needs"] = _shape(inlined(mark.clean(spec.input_schema)), detail.parameter, 0)
    if spec.output_schema:
        given = _shape(inlined(mark.clean(spec.output_schema)), detail.parameter, 0)
        about["gives"] = given if detail.outputs or not isinstance(given, dict) else list(given)
    return written(mark.clean(about))


def first_words(text: str, most: int) -> str:
    """The text on one line, cut behind its first sentence when it has more than `most` characters."""
    text = " ".join(text.split())
    if len(text) <= most:
        return text
    sentence, stop, _ = text.partition(". ")
    return sentence + stop.strip() if stop and len(sentence) < most else f"{text[: most - 1]}…"


def _shape(schema: dict[str, Any], words: int, depth: int) -> Any:
    """A value's shape in little: `{"path": "string", "max?": "integer"}`, `["string"]`, `"a | b"`. A `?` behind a name
    means that it may be left out."""
    if properties := schema.get("properties"):
        if depth == _DEEPEST:
            return "object"
        required = schema.get("required", ())
        named = list(properties.items())
        some = {
            name if name in required else f"{name}?": _shape(inner, words, depth + 1)
            for name, inner in named[:_MOST_KEYS]
        }
        return some if len(named) <= _MOST_KEYS else {**some, "…": f"{len(named) - _MOST_KEYS} more"}
    if schema.get("type") == "array" and "items" in schema and depth < _DEEPEST:
        return [_shape(schema["items"], words, depth + 1)]
    return _text(schema, words)


def _text(schema: dict[str, Any], words: int) -> str:
    text = _type(schema)
    if "default" in schema and words:
        text += f" = {first_words(written(schema['default']), words)}"
    if words and isinstance(description := schema.get("description"), str) and description:
        text += f": {first_words(description, words)}"
    return text


def _type(schema: dict[str, Any]) -> str:
    choices = [schema["const"]] if "const" in schema else schema.get("enum")
    if choices:
        more = f" | … ({len(choices)} in all)" if len(choices) > _MOST_CHOICES else ""
        return " | ".join(first_words(written(choice), 40) for choice in choices[:_MOST_CHOICES]) + more
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(branch) for branch in schema["anyOf"]))
    type_ = schema.get("type", "object" if "properties" in schema else "any")
    return type_ if isinstance(type_, str) else " | ".join(type_)
