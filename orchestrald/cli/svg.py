"""How does a DAG look as an SVG file?

One self-contained file without scripts, fonts or links, readable on light and dark pages.
"""

from __future__ import annotations

from orchestrald.cli.fold import Node, read_graph
from orchestrald.cli.layers import Spot, layout
from orchestrald.cli.text import cells, fit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LETTER = 8
BOX, ROOM, GAP, MARGIN = 46, 44, 24, 16
WIDEST = 4000

_COLOURS = {
    "succeeded": ("#e6f4ea", "#2e7d32"),
    "failed": ("#fdecea", "#c62828"),
    "running": ("#e3f2fd", "#1565c0"),
    "retrying": ("#fff8e1", "#b26a00"),
    "waiting": ("#fff8e1", "#b26a00"),
    "interrupted": ("#fff8e1", "#b26a00"),
}
_OTHER = ("#f5f5f5", "#616161")


def svg(graph: dict[str, Any]) -> str:
    """The whole file as one text. Items of a for_each are a count at their step; nothing else is left out."""
    picture = read_graph(graph)
    nodes = picture.nodes
    placed = layout(list(nodes), picture.edges, lambda n: _width(nodes[n]), gap=GAP, room=WIDEST)
    width = placed.width + 2 * MARGIN
    height = max(1, len(placed.layers)) * (BOX + ROOM) - ROOM + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="ui-sans-serif, system-ui, sans-serif" font-size="13">',
        '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#888"/></marker></defs>',
        '<g fill="none" stroke="#888" stroke-width="1.4">',
    ]
    for link in placed.links:
        parts += [_edge(upper, lower) for upper, lower in link]
    parts.append("</g>")
    parts += [_box(spot, nodes[spot.node]) for layer in placed.layers for spot in layer if spot.node]
    parts.append("</svg>")
    return "\n".join(parts)


def _width(node: Node) -> int:
    return max(cells(fit(node.name, 48)), cells(fit(node.action, 48)), 6) * LETTER + 24


def _top(spot: Spot) -> int:
    return MARGIN + spot.layer * (BOX + ROOM)


def _edge(upper: Spot, lower: Spot) -> str:
    x1, x2 = upper.centre + MARGIN, lower.centre + MARGIN
    y1, y2 = _top(upper) + BOX, _top(lower)
    bend = ROOM // 2
    path = f"M{x1} {y1}C{x1} {y1 + bend} {x2} {y2 - bend} {x2} {y2}"
    if lower.node:
        return f'<path d="{path}" marker-end="url(#a)"/>'
    return f'<path d="{path}V{y2 + BOX}"/>'


def _box(spot: Spot, node: Node) -> str:
    fill, stroke = _COLOURS.get(node.state, _OTHER)
    x, y, middle = spot.left + MARGIN, _top(spot), spot.centre + MARGIN
    name_y = y + (20 if node.action else 28)
    title = " ".join(part for part in (node.name, node.action, node.state) if part)
    lines = [
        f"<g><title>{_xml(title)}</title>",
        f'<rect x="{x}" y="{y}" width="{spot.width}" height="{BOX}" rx="7" fill="{fill}" stroke="{stroke}"/>',
        f'<text x="{middle}" y="{name_y}" text-anchor="middle" fill="#111" font-weight="600">'
        f"{_xml(fit(node.name, 48))}</text>",
    ]
    if node.action:
        lines.append(
            f'<text x="{middle}" y="{y + 37}" text-anchor="middle" fill="{stroke}">{_xml(fit(node.action, 48))}</text>'
        )
    return "".join(lines) + "</g>"


def _xml(text: str) -> str:
    """Text that is already `safe` of control characters, which XML has no way to say."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
