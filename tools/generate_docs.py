"""Which parts of the documents are made from the code, and do they say what the code says?

    python tools/generate_docs.py            write them again (`make docs`)
    python tools/generate_docs.py --check    exit 1, naming the documents that are out of date

A generated part stands between `<!-- generated: name -->` and `<!-- end -->`. `PARTS` holds a function per name.
"""

import dataclasses
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

from orchestrald import errors
from orchestrald.cli import command, main
from orchestrald.core import effects, events, inputs, states
from orchestrald.protocol.messages import METHODS, Params

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "PROTOCOL.md")

_PART = re.compile(r"(?P<open><!-- generated: (?P<name>[a-z-]+) -->\n).*?(?P<close><!-- end -->)", re.DOTALL)


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


# --- ARCHITECTURE.md ------------------------------------------------------------------------------------------------


def state_diagrams() -> str:
    interaction = _diagram(states.INTERACTION, states.InteractionState.QUEUED, states.FINAL_INTERACTION, "interaction.")
    step = _diagram(states.STEP, states.StepState.PENDING, states.FINISHED, "step.")
    return f"The interaction:\n\n{interaction}\nA step, and an item of a `for_each` step:\n\n{step}"


def _diagram(moves: Mapping[Any, Mapping[str, StrEnum]], first: StrEnum, last: frozenset[Any], prefix: str) -> str:
    lines = [f"    [*] --> {first}"]
    for state, edges in moves.items():
        lines += [f"    {state} --> {after}: {event.removeprefix(prefix)}" for event, after in edges.items()]
        if state in last:
            lines.append(f"    {state} --> [*]")
    return "```mermaid\nstateDiagram-v2\n" + "\n".join(lines) + "\n```\n"


def state_sets() -> str:
    sets = [("final interaction", states.FINAL_INTERACTION), ("alive", states.ALIVE), ("finished", states.FINISHED)]
    sets += [("in flight", states.IN_FLIGHT), ("resting", states.RESTING)]
    order = [*states.InteractionState, *states.StepState]
    return table(
        ["named set", "states"],
        [[name, ", ".join(f"`{s}`" for s in sorted(members, key=order.index))] for name, members in sets],
    )


def event_table() -> str:
    rows = [[f"`{name}`", f"`{about.kind}`", about.says] for name, about in events.TYPES.items()]
    return table(["type", "kind", "what it says: its data"], rows)


def input_table() -> str:
    return table(["input", "fields", "what happened"], [_class(cls) for cls in get_args(inputs.Input)])


def effect_table() -> str:
    return table(
        ["effect", "fields", "what the shell is asked to do"], [_class(cls) for cls in get_args(effects.Effect)]
    )


_UNDOCUMENTED = {inputs.CancelRequested: "Somebody asked to stop the interaction."}


def _class(cls: type[Any]) -> list[str]:
    names = [f.name for f in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else list(cls._fields)
    says = _UNDOCUMENTED.get(cls) or _sentence(inspect.getdoc(cls) or "")
    return [f"`{cls.__name__}`", ", ".join(name for name in names if name != "at"), says]


def _sentence(text: str) -> str:
    return " ".join(text.split("\n\n", maxsplit=1)[0].split())


# --- PROTOCOL.md ----------------------------------------------------------------------------------------------------


def method_table() -> str:
    rows = [
        [f"`{name}`", _params(method.params), method.says + (" ✎" if method.changes else "")]
        for name, method in METHODS.items()
    ]
    return table(["method", "parameters", "what it does"], rows)


def _params(model: type[Params]) -> str:
    schema = model.model_json_schema()
    required = set(schema.get("required", []))
    shown = [_parameter(name, about, name in required) for name, about in schema.get("properties", {}).items()]
    return "; ".join(shown)


def _parameter(name: str, about: dict[str, Any], required: bool) -> str:
    shapes = [shape for shape in about.get("anyOf", [about]) if shape.get("type") != "null"]
    words = " or ".join(_shape(shape) for shape in shapes)
    default = about.get("default")
    said = "" if required or default in (None, "", {}, []) else f" = {_default(default)}"
    return f"`{name}`{'' if required else '?'} {words}{said}".strip()


def _default(value: Any) -> str:
    return f"`{value}`" if isinstance(value, str) else f"{value:,}" if type(value) is int else str(value).lower()


def _shape(shape: dict[str, Any]) -> str:
    if "enum" in shape:
        return ", ".join(f"`{word}`" for word in shape["enum"])
    kind = shape.get("type", "any value")
    if kind == "array":
        return f"list of {shape['items']['type']}s"
    least, most = shape.get("minimum"), shape.get("maximum")
    return f"{kind} {least:,.0f} to {most:,.0f}" if least is not None and most is not None else str(kind)


_WHO: dict[type[errors.OrchestralError], str] = {
    errors.RequestError: "the client",
    errors.PlanError: "the planner",
    errors.PlannerUnavailable: "the planner",
    errors.PluginError: "the plugin's author",
    errors.SandboxUnavailable: "the administrator",
    errors.StoreError: "the administrator",
    errors.DamagedReference: "the administrator",
    errors.AlreadyRunning: "the administrator",
    errors.BudgetExhausted: "the administrator",
    errors.OrchestralError: "us",
}


def error_table() -> str:
    rows = []
    for cls in errors.every_error():
        who = next(says for base, says in _WHO.items() if issubclass(cls, base))
        rows.append([f"`{cls.code}`", str(cls.rpc), who, _sentence(cls.__doc__ or ""), cls.hint])
    order = list(dict.fromkeys(_WHO.values()))
    rows.sort(key=lambda row: order.index(row[2]))  # stable: within a family, parents stay before children
    return table(["`data.kind`", "`code`", "who must act", "default message", "default `data.hint`"], rows)


# --- README.md ------------------------------------------------------------------------------------------------------


def command_table() -> str:
    rows = []
    for group, names in main.GROUPS.items():
        for name, module in names.items():
            says = main._load(module).COMMANDS[name].help.split("\n")[0]
            rows.append([f"`orchestral {name}`", says, group])
    return table(["command", "what it does", "to"], rows)


def exit_codes() -> str:
    rows = re.findall(r"^ +(\d+)  (.+)$", command.EXIT_CODES, re.MULTILINE)
    return table(["`orchestral` ends with", "when"], [[number, says] for number, says in rows])


PARTS: dict[str, Callable[[], str]] = {
    "commands": command_table,
    "effects": effect_table,
    "errors": error_table,
    "events": event_table,
    "exit-codes": exit_codes,
    "inputs": input_table,
    "methods": method_table,
    "state-sets": state_sets,
    "states": state_diagrams,
}


def renewed(text: str) -> str:
    """The document with every generated part made anew. KeyError for a part that nobody makes."""
    return _PART.sub(lambda found: f"{found['open']}\n{PARTS[found['name']]()}\n{found['close']}", text)


def outdated() -> dict[Path, str]:
    """Each document that is not what it should be, with what it should be."""
    texts = {ROOT / name: (ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS}
    return {path: new for path, text in texts.items() if (new := renewed(text)) != text}


def run(argv: list[str]) -> int:
    found = outdated()
    for path, text in found.items():
        print(f"{path.name} {'is out of date: make docs' if '--check' in argv else 'was written again'}")
        if "--check" not in argv:
            path.write_text(text, encoding="utf-8")
    return int(bool(found) and "--check" in argv)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
