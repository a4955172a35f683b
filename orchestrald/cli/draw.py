"""How does a DAG look in a terminal?

Boxes in layers from top to bottom. Between two layers, edges with the same sources share one line, which says just
that: each of these to each of those. Every line meets a box at a column of its own, and where two cross the vertical
one passes over, so `┼` always means that lines are joined.
"""

from __future__ import annotations

from orchestrald.cli.fold import Node, fold_chains, fold_wide, read_graph
from orchestrald.cli.layers import Spot, layout
from orchestrald.cli.text import cells, fit
from orchestrald.cli.tree import STYLE, Signs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrald.cli.terminal import Line

GAP = 3  # odd, as the widths are: then what joins two equal boxes stands exactly between them
DETAILED = 16
"""Up to so many nodes, each box names its action as well."""

UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
_UNICODE = dict(zip(range(1, 16), "│││─┘┐┤─└┌├─┴┬┼", strict=True))
_ASCII = dict(zip(range(1, 16), "|||-++|-++|-+++", strict=True))


class Canvas:
    """Characters with a style each; lines are kept as directions and become characters at the end."""

    def __init__(self, width: int, *, unicode: bool) -> None:
        self.width = width
        self.signs = _UNICODE if unicode else _ASCII
        self.arrow = "▼" if unicode else "v"
        self.rows: list[list[tuple[str, str]]] = []

    def add_rows(self, count: int) -> int:
        """The number of the first new row."""
        first = len(self.rows)
        self.rows += [[(" ", "")] * self.width for _ in range(count)]
        return first

    def put(self, row: int, column: int, text: str, style: str = "") -> None:
        at = column
        for character in text:
            wide = cells(character)
            if wide and 0 <= at < self.width:
                self.rows[row][at] = (character, style)
                if wide == 2 and at + 1 < self.width:
                    self.rows[row][at + 1] = ("", style)
            at += wide

    def lines(self) -> list[Line]:
        return [_joined(row) for row in self.rows]


def draw(graph: dict[str, Any], width: int, *, unicode: bool = True) -> list[Line]:
    """The drawing, at most `width` columns where that can be done. An empty graph is one line that says so."""
    signs = Signs(unicode=unicode)
    picture = fold_chains(read_graph(graph), signs.ellipsis)
    if not picture.nodes:
        return [[("(no steps)", "dim")]]
    detailed = len(picture.nodes) <= DETAILED
    longest = max(12, min(40, width - 6))

    def texts(node: Node) -> tuple[str, str]:
        sign = "" if not node.state else ("* " if node.state == "running" else signs.of(node.state, 0) + " ")
        if node.state == "running" and unicode:
            sign = "▸ "
        action = node.action if detailed and node.action != node.name else ""
        return sign + fit(node.name, longest, signs.ellipsis), fit(action, longest, signs.ellipsis)

    def width_of(node: Node) -> int:
        return max(cells(text) for text in texts(node)) + 4 | 1  # odd, so that a line can leave in the middle

    picture = fold_wide(picture, width_of, gap=GAP, room=width, ellipsis=signs.ellipsis)
    nodes = picture.nodes
    detailed = detailed and len(nodes) <= DETAILED
    placed = layout(list(nodes), picture.edges, lambda n: width_of(nodes[n]), gap=GAP, room=width)
    canvas = Canvas(placed.width, unicode=unicode)
    height = 4 if any(texts(node)[1] for node in nodes.values()) else 3
    for index, layer in enumerate(placed.layers):
        top = canvas.add_rows(height)
        arriving = {spot for _, spot in placed.links[index - 1]} if index else set()
        for spot in layer:
            if spot.node:
                node = nodes[spot.node]
                _box(canvas, top, height, spot, texts(node), STYLE.get(node.state, ""), arrives=spot in arriving)
            else:
                for row in range(top, top + height):
                    canvas.put(row, spot.port, canvas.signs[UP | DOWN])
        _route(canvas, top + height - 1, placed.links[index])
    return canvas.lines()


def _box(
    canvas: Canvas, top: int, height: int, spot: Spot, texts: tuple[str, str], style: str, *, arrives: bool
) -> None:
    line = canvas.signs
    left, inner = spot.left, spot.width - 2
    canvas.put(top, left, line[DOWN | RIGHT] + line[LEFT] * inner + line[DOWN | LEFT], style)
    canvas.put(top + height - 1, left, line[UP | RIGHT] + line[LEFT] * inner + line[UP | LEFT], style)
    for row in range(top + 1, top + height - 1):
        canvas.put(row, left, line[UP], style)
        canvas.put(row, left + spot.width - 1, line[UP], style)
    canvas.put(top + 1, left + 2, texts[0], style or "bold")
    if height > 3:
        canvas.put(top + 2, left + 2, texts[1], "dim")
    if arrives:
        canvas.put(top, spot.port, canvas.arrow, style)


class Group:
    """Edges with the same sources: one horizontal line, in `row` (-1: straight down, needs none).

    `leaves` and `arrives` are the columns at which the line meets each source and each target.
    """

    def __init__(self, sources: list[Spot]) -> None:
        self.sources = sources
        self.targets: list[Spot] = []
        self.leaves: dict[Spot, int] = {}
        self.arrives: dict[Spot, int] = {}
        self.row = -1

    @property
    def left(self) -> int:
        return min(*self.leaves.values(), *self.arrives.values())

    @property
    def right(self) -> int:
        return max(*self.leaves.values(), *self.arrives.values())


def _route(canvas: Canvas, bottom: int, links: list[tuple[Spot, Spot]]) -> None:
    """Draw the edges of one gap in new rows below `bottom`, the last row of the upper layer."""
    groups = _groups(links)
    rows = _assign_rows(groups)
    first = canvas.add_rows(rows)
    marks: dict[tuple[int, int], int] = {}
    for group in groups:
        for spot, column in group.leaves.items():
            if spot.node:
                canvas.put(bottom, column, canvas.signs[LEFT | RIGHT | DOWN])
            for at in range(rows if group.row < 0 else group.row):
                marks[at, column] = UP | DOWN
        for column in group.arrives.values():
            for at in range(group.row + 1, rows):
                marks[at, column] = UP | DOWN
    for group in groups:
        if group.row >= 0:
            _horizontal(marks, group)
    for (row, column), directions in marks.items():
        canvas.put(first + row, column, canvas.signs[directions])


def _horizontal(marks: dict[tuple[int, int], int], group: Group) -> None:
    own: dict[int, int] = dict.fromkeys(group.leaves.values(), UP)
    for column in group.arrives.values():
        own[column] = own.get(column, 0) | DOWN
    left, right = group.left, group.right
    for column in range(left, right + 1):
        sides = (LEFT if column > left else 0) | (RIGHT if column < right else 0)
        if column in own:
            marks[group.row, column] = own[column] | sides
        elif (group.row, column) not in marks:  # another group's vertical line passes over
            marks[group.row, column] = sides


def _groups(links: list[tuple[Spot, Spot]]) -> list[Group]:
    """Targets with the same sources together, every meeting of a group and a node at a column of its own."""
    above: dict[Spot, list[Spot]] = {}
    for upper, lower in links:
        above.setdefault(lower, []).append(upper)
    together: dict[tuple[int, ...], Group] = {}
    for lower, uppers in above.items():
        key = tuple(sorted(id(upper) for upper in uppers))
        together.setdefault(key, Group(uppers)).targets.append(lower)
    groups = list(together.values())
    leaving: dict[Spot, list[Group]] = {}
    for group in groups:
        for upper in group.sources:
            leaving.setdefault(upper, []).append(group)
    taken: dict[int, Group] = {}
    for upper, mine in leaving.items():
        mine.sort(key=lambda group: sum(spot.centre for spot in group.targets) / len(group.targets))
        for group, column in zip(mine, _ports(upper, len(mine)), strict=True):
            group.leaves[upper] = column
            taken[column] = group
    for group in groups:
        for lower in group.targets:
            lower.port = group.arrives[lower] = _aside(lower, group, taken)
    return groups


def _ports(spot: Spot, count: int) -> list[int]:
    """The columns at which `count` lines leave: apart where the box is wide enough, else they share."""
    if not spot.node:
        return [spot.port] * count  # a point of a long edge goes on where it arrived, and only once
    step = min(2, (spot.width - 3) // max(1, count - 1))
    start = spot.centre - step * (count - 1) // 2
    return [start + step * index for index in range(count)]


def _aside(lower: Spot, group: Group, taken: dict[int, Group]) -> int:
    """The column nearest to the middle in which no other group's line comes down."""
    reach = (lower.width - 3) // 2 if lower.node else lower.width // 2
    for distance in range(reach + 1):
        for port in (lower.centre + distance, lower.centre - distance):
            if taken.get(port, group) is group:
                return port
    return lower.centre


def _assign_rows(groups: list[Group]) -> int:
    """Give every group that needs one a row in which nothing overlaps it; the number of rows."""
    rows: list[list[Group]] = []
    for group in sorted(groups, key=lambda g: (g.left, g.right)):
        if group.left == group.right:
            continue
        for index, row in enumerate(rows):
            if all(group.left > other.right + 1 or group.right < other.left - 1 for other in row):
                group.row = index
                row.append(group)
                break
        else:
            group.row = len(rows)
            rows.append([group])
    return len(rows)


def _joined(row: list[tuple[str, str]]) -> Line:
    """Neighbours of one style as one piece, without the spaces at the end."""
    last = max((i for i, (text, _) in enumerate(row) if text.strip()), default=-1)
    line: Line = []
    for text, style in row[: last + 1]:
        if line and (line[-1][1] == style or not text.strip()):
            line[-1] = (line[-1][0] + text, line[-1][1])
        else:
            line.append((text, style))
    return line
