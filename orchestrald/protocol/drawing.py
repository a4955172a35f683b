"""What does a DAG look like as text that other programs draw? Mermaid for pages, DOT for Graphviz."""

import json
from typing import Any, Literal

Format = Literal["json", "mermaid", "dot"]

_COLOURS = {
    "succeeded": "#c8e6c9",
    "failed": "#ffcdd2",
    "running": "#bbdefb",
    "retrying": "#ffe0b2",
    "waiting": "#fff9c4",
    "interrupted": "#ffe0b2",
    "cancelled": "#e0e0e0",
    "skipped": "#eeeeee",
}


def draw(graph: dict[str, Any], form: Format) -> Any:
    """A graph of `nodes` [{id, label, state?}] and `edges` [[from, to]] in the format asked for."""
    if form == "mermaid":
        return mermaid(graph)
    return dot(graph) if form == "dot" else graph


def mermaid(graph: dict[str, Any]) -> str:
    # Mermaid reserves words such as `end` as ids, so nodes are numbered and only their labels carry names.
    numbers = {node["id"]: f"n{i}" for i, node in enumerate(graph["nodes"])}
    lines = ["flowchart TD"]
    for node in graph["nodes"]:
        label = node["label"].replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace("\n", " ")
        lines.append(f'    {numbers[node["id"]]}["{label}"]')
    lines += [f"    {numbers[source]} --> {numbers[target]}" for source, target in graph["edges"]]
    for state, colour in _COLOURS.items():
        coloured = [numbers[node["id"]] for node in graph["nodes"] if node.get("state") == state]
        if coloured:
            lines.append(f"    style {','.join(coloured)} fill:{colour}") if len(coloured) == 1 else lines.extend(
                [f"    classDef {state} fill:{colour}", f"    class {','.join(coloured)} {state}"]
            )
    return "\n".join(lines) + "\n"


def dot(graph: dict[str, Any]) -> str:
    # JSON's string syntax is DOT's, but for escapes that labels do not need.
    lines = ["digraph plan {", '    node [shape=box, style="rounded,filled", fillcolor=white];']
    for node in graph["nodes"]:
        colour = _COLOURS.get(node.get("state", ""), "white")
        lines.append(f"    {_quote(node['id'])} [label={_quote(node['label'])}, fillcolor={_quote(colour)}];")
    lines += [f"    {_quote(source)} -> {_quote(target)};" for source, target in graph["edges"]]
    return "\n".join([*lines, "}"]) + "\n"


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
