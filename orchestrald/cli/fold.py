"""What is left out of a drawing of a DAG, so that the rest can be read?

The items of a for_each become a count at their step, a layer that is too wide keeps its most telling nodes and one
that stands for the others, and long chains of a big graph become one node.
"""

from __future__ import annotations

from orchestrald.cli.board import FINISHED, parent_of
from orchestrald.cli.layers import depths
from orchestrald.cli.text import cells, plural, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

BIG = 60
_TELLING = ("failed", "waiting", "interrupted", "running", "retrying")


class Node:
    """A node of a drawing. `state` is empty for a plan that was never run; `stands_for` counts the nodes behind it."""

    __slots__ = ("action", "name", "node_id", "stands_for", "state")

    def __init__(self, node_id: str, name: str, action: str = "", state: str = "", stands_for: int = 1) -> None:
        self.node_id = node_id
        self.name = name
        self.action = action
        self.state = state
        self.stands_for = stands_for


class Picture:
    """Nodes by id in the plan's order, and the edges between them without doubles."""

    def __init__(self, nodes: dict[str, Node], edges: list[tuple[str, str]]) -> None:
        self.nodes = nodes
        self.edges = edges

    def merge(self, hidden: set[str], into: Node) -> Picture:
        """The picture with `into` in the place of the hidden nodes."""
        nodes: dict[str, Node] = {}
        for node_id, node in self.nodes.items():
            if node_id not in hidden:
                nodes[node_id] = node
            else:
                nodes.setdefault(into.node_id, into)
        name = {node_id: into.node_id if node_id in hidden else node_id for node_id in self.nodes}
        edges = dict.fromkeys((name[a], name[b]) for a, b in self.edges if name[a] != name[b])
        return Picture(nodes, list(edges))


def read_graph(graph: dict[str, Any]) -> Picture:
    """The daemon's json graph, items of a for_each folded into their step. Edges to unknown nodes are dropped."""
    nodes: dict[str, Node] = {}
    items: dict[str, list[str]] = {}
    for found in graph.get("nodes") or []:
        node_id = str(found["id"])
        parent = parent_of(node_id)
        if parent:
            items.setdefault(parent, []).append(found.get("state") or "")
            nodes.setdefault(parent, Node(parent, safe(parent)))
        else:
            kind = found.get("kind", "action")
            action = found.get("action") or (kind if kind != "action" else "")
            name = safe(node_id + _count(str(found.get("label") or "")))
            nodes[node_id] = Node(node_id, name, safe(action), str(found.get("state") or ""))
    for parent, states in items.items():
        node = nodes[parent]
        done = sum(state in FINISHED for state in states)
        node.name += f" [{done}/{len(states)}]" if any(states) else f" [{len(states)}]"
        node.state = next((state for state in _TELLING if state in states), node.state)
    edges = dict.fromkeys(
        (parent_of(str(a)) or str(a), parent_of(str(b)) or str(b)) for a, b in graph.get("edges") or []
    )
    return Picture(nodes, [(a, b) for a, b in edges if a != b and a in nodes and b in nodes])


def _count(label: str) -> str:
    """What ends the daemon's label of a for_each: its count, or a sign that there will be one. Empty for others."""
    last = label.rpartition(" ")[2]
    is_count = last[:1] == "[" and last[-1:] == "]" and last[1:-1].replace("/", "").isdigit()
    return f" {last}" if is_count or last == "\u00d7n" else ""


def fold_chains(picture: Picture, ellipsis: str) -> Picture:
    """A big picture with the inside of each long chain as one node; a picture that can be read stays as it is."""
    if len(picture.nodes) <= BIG:
        return picture
    below: dict[str, list[str]] = {}
    above: dict[str, list[str]] = {}
    for a, b in picture.edges:
        below.setdefault(a, []).append(b)
        above.setdefault(b, []).append(a)
    inner = {n for n in picture.nodes if len(above.get(n, [])) == 1 and len(below.get(n, [])) == 1}
    stand: dict[str, str] = {}
    nodes = dict(picture.nodes)
    for start in picture.nodes:
        if start not in inner or above[start][0] in inner:
            continue
        run = [start]
        while below[run[-1]][0] in inner:
            run.append(below[run[-1]][0])
        if len(run) > 3:
            into = _standing(run, picture, f"{ellipsis} {plural(len(run), 'step')} in a row")
            nodes[run[0]] = into
            stand.update(dict.fromkeys(run, run[0]))
            for gone in run[1:]:
                del nodes[gone]
    edges = dict.fromkeys((stand.get(a, a), stand.get(b, b)) for a, b in picture.edges)
    return Picture(nodes, [(a, b) for a, b in edges if a != b])


def fold_wide(picture: Picture, width_of: Callable[[Node], int], *, gap: int, room: int, ellipsis: str) -> Picture:
    """The picture with every layer that is wider than `room` cut to its telling nodes and a count of the others."""
    depth = depths(list(picture.nodes), picture.edges)
    rows: dict[int, list[str]] = {}
    for node_id in picture.nodes:
        rows.setdefault(depth[node_id], []).append(node_id)
    crossing: dict[int, set[str]] = {}
    for a, b in picture.edges:
        for layer in range(depth[a] + 1, min(depth[b], depth[a] + 200)):
            crossing.setdefault(layer, set()).add(b)
    for layer, row in rows.items():
        free = room - len(crossing.get(layer, ())) * (3 + gap)
        if sum(width_of(picture.nodes[n]) + gap for n in row) - gap <= free:
            continue
        free -= cells(f"{ellipsis} {len(row):,} more") + 4
        telling = sorted(row, key=lambda n: picture.nodes[n].state not in _TELLING)
        kept: set[str] = set()
        for node_id in telling:
            free -= width_of(picture.nodes[node_id]) + gap
            if free < 0:
                break
            kept.add(node_id)
        hidden = [n for n in row if n not in kept]
        if len(hidden) > 1:
            into = _standing(hidden, picture, "")
            into.name = f"{ellipsis} {into.stands_for:,} more"
            picture = picture.merge(set(hidden), into)
    return picture


def _standing(hidden: list[str], picture: Picture, name: str) -> Node:
    nodes = [picture.nodes[n] for n in hidden]
    states = {node.state for node in nodes}
    state = next((state for state in _TELLING if state in states), nodes[0].state if len(states) == 1 else "")
    return Node(hidden[0], name, "", state, sum(node.stands_for for node in nodes))
