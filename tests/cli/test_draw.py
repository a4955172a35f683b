"""What do drawings of DAGs look like, and do their lines tell the truth?"""

import xml.etree.ElementTree as ET
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrald.cli.draw import draw
from orchestrald.cli.svg import svg
from orchestrald.cli.terminal import line_cells, plain


def graph(*edges: tuple[str, str], states: dict[str, str] | None = None, action: str = "") -> dict[str, Any]:
    known = dict.fromkeys(node for edge in edges for node in edge)
    nodes = [{"id": n, "kind": "action", "action": action, **({"state": states[n]} if states else {})} for n in known]
    return {"nodes": nodes, "edges": [list(edge) for edge in edges]}


def drawn(found: dict[str, Any], width: int = 80, *, unicode: bool = True) -> str:
    return "\n" + plain(draw(found, width, unicode=unicode))


def test_a_chain_is_a_column() -> None:
    states = {"list": "succeeded", "combine": "running", "write": "failed"}
    assert (
        drawn(graph(("list", "combine"), ("combine", "write"), states=states, action="echo"))
        == """
 ┌─────────┐
 │ ✓ list  │
 │ echo    │
 └────┬────┘
┌─────▼─────┐
│ ▸ combine │
│ echo      │
└─────┬─────┘
 ┌────▼────┐
 │ ✗ write │
 │ echo    │
 └─────────┘"""
    )


def test_a_diamond_divides_and_joins() -> None:
    assert (
        drawn(graph(("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")))
        == """
    ┌───┐
    │ a │
    └─┬─┘
  ┌───┴───┐
┌─▼─┐   ┌─▼─┐
│ b │   │ c │
└─┬─┘   └─┬─┘
  └───┬───┘
    ┌─▼─┐
    │ d │
    └───┘"""
    )


def test_lines_of_different_meaning_leave_a_box_at_different_places() -> None:
    assert (
        drawn(graph(("a", "x"), ("b", "y"), ("a", "z"), ("b", "z")))
        == """
    ┌───┐   ┌───┐
    │ a │   │ b │
    └┬─┬┘   └┬─┬┘
  ┌──┘ └──┬──┘ └──┐
┌─▼─┐   ┌─▼─┐   ┌─▼─┐
│ x │   │ z │   │ y │
└───┘   └───┘   └───┘"""
    )


def test_a_wide_layer_keeps_the_telling_nodes_and_counts_the_rest() -> None:
    edges = [("start", f"fan{i}") for i in range(40)] + [(f"fan{i}", "report") for i in range(40)]
    states = {f"fan{i}": "succeeded" for i in range(40)} | {
        "fan33": "failed",
        "start": "succeeded",
        "report": "pending",
    }
    text = drawn(graph(*edges, states=states), 60)
    assert "✗ fan33" in text
    assert "… 37 more" in text
    assert max(len(line) for line in text.split("\n")) <= 60


def test_items_of_a_for_each_are_counted_at_their_step() -> None:
    found = graph(("list", "measure"), ("measure", "sum"))
    found["nodes"] += [{"id": f"measure[{i}]", "kind": "action", "state": "succeeded"} for i in range(12)]
    found["nodes"] += [{"id": f"measure[{i}]", "kind": "action", "state": "pending"} for i in range(12, 40)]
    assert "measure [12/40]" in drawn(found)
    assert "measure[0]" not in drawn(found)


def test_the_count_in_the_daemons_label_is_shown() -> None:
    found = graph(("list", "measure"))
    found["nodes"][1]["label"] = "measure: wc [12/40]"
    assert "│ measure [12/40] │" in drawn(found)


def test_ten_thousand_steps_in_a_row_fit_on_a_screen() -> None:
    text = drawn(graph(*((f"s{i}", f"s{i + 1}") for i in range(10_000))))
    assert "… 9,999 steps in a row" in text
    assert text.count("\n") < 20


def test_an_edge_that_crosses_layers_is_drawn_beside_them() -> None:
    assert (
        drawn(graph(("a", "b"), ("b", "c"), ("a", "c")))
        == """
    ┌───┐
    │ a │
    └─┬─┘
  ┌───┴──┐
┌─▼─┐    │
│ b │    │
└─┬─┘    │
  └──┬───┘
   ┌─▼─┐
   │ c │
   └───┘"""
    )


def test_without_unicode_the_drawing_is_ascii() -> None:
    assert (
        drawn(graph(("a", "b"), ("a", "c")), unicode=False)
        == """
    +---+
    | a |
    +-+-+
  +---+---+
+-v-+   +-v-+
| b |   | c |
+---+   +---+"""
    )


def test_names_are_escaped_and_cut() -> None:
    text = drawn(graph(("a\x1b[2J", "b" * 200)), 60)
    assert "\\x1b[2J" in text
    assert max(len(line) for line in text.split("\n")) <= 60


def test_no_steps_is_said() -> None:
    assert drawn({"nodes": [], "edges": []}) == "\n(no steps)"


EDGES = st.integers(2, 11).flatmap(
    lambda n: st.lists(
        st.tuples(st.integers(0, n - 2), st.integers(1, n - 1)).filter(lambda e: e[0] < e[1]), min_size=1, max_size=18
    )
)

UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
DIRECTIONS = dict(zip("│─┘┐┤└┌├┴┬┼", (3, 12, 5, 6, 7, 9, 10, 11, 13, 14, 15), strict=True))


@settings(max_examples=150, deadline=None)
@given(EDGES)
def test_whoever_follows_the_lines_finds_exactly_the_edges(pairs: list[tuple[int, int]]) -> None:
    """Names are wide enough that every line meets a box at a column of its own."""
    wanted = {(f"node_number_{a:02d}", f"node_number_{b:02d}") for a, b in pairs}
    lines = [" " * 2 + "".join(text for text, _ in line) for line in draw(graph(*sorted(wanted)), 400)]
    rows = [line.ljust(420) for line in lines]
    assert follow(rows) == wanted


def follow(rows: list[str]) -> set[tuple[str, str]]:
    """Go down from every box; to the sides where a line joins; over a vertical line that only passes."""
    found = set()
    for y, row in enumerate(rows):
        for x, sign in enumerate(row):
            if sign == "┬" and is_border(rows, y, x):
                source = name_above(rows, y, x)
                found |= {(source, target) for target in reach(rows, y + 1, x)}
    return found


def is_border(rows: list[str], y: int, x: int) -> bool:
    left = x
    while rows[y][left] in "─┬":
        left -= 1
    return rows[y][left] == "└" and rows[y - 1][left] == "│" and "node" in rows[y - 1][left : x + 20]


def name_above(rows: list[str], y: int, x: int) -> str:
    left = x
    while rows[y][left] != "└":
        left -= 1
    return rows[y - 1][left + 1 :].split("│")[0].strip()


def reach(rows: list[str], y: int, x: int) -> set[str]:
    found: set[str] = set()
    pending, seen = [(y, x, DOWN)], set()
    while pending:
        y, x, way = at = pending.pop()
        if at in seen:
            continue
        seen.add(at)
        sign = rows[y][x]
        if sign == "▼":
            found.add(rows[y + 1][rows[y].rindex("┌", 0, x) + 1 :].split("│")[0].strip())
            continue
        open_to = DIRECTIONS.get(sign, 0)
        if way in {LEFT, RIGHT} and sign == "│":  # it passes over us
            pending.append((y, x + (1 if way == RIGHT else -1), way))
            continue
        if open_to & DOWN:
            pending.append((y + 1, x, DOWN))
        if open_to & LEFT and way != RIGHT:
            pending.append((y, x - 1, LEFT))
        if open_to & RIGHT and way != LEFT:
            pending.append((y, x + 1, RIGHT))
    return found


@given(EDGES, st.integers(30, 120))
def test_every_line_of_a_drawing_keeps_to_the_width_unless_layers_cannot(
    pairs: list[tuple[int, int]], width: int
) -> None:
    lines = draw(graph(*{(f"n{a}", f"n{b}") for a, b in pairs}), width)
    assert max(line_cells(line) for line in lines) <= max(width, 60)


@given(EDGES)
def test_an_svg_is_sound_and_names_every_node(pairs: list[tuple[int, int]]) -> None:
    names = {f"<n&{i}>" for pair in pairs for i in pair}
    root = ET.fromstring(svg(graph(*{(f"<n&{a}>", f"<n&{b}>") for a, b in pairs})))  # noqa: S314 -- our own
    texts = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert texts == names
