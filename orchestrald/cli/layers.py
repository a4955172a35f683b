"""Where does each node of a DAG stand, in layers from top to bottom?

The classical four steps (Sugiyama): longest-path layers, one point per layer for an edge that crosses it, an order with
few crossings, and columns near the middle of the neighbours. Edges that cross a layer towards the same node share
one point: thirty sources of one report are one line, not thirty.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SWEEPS = 4
POINT = 3
"""The width of a crossing edge: its column may move by one to either side."""


class Spot:
    """A node with its place, or (when `node` is empty) a point of a long edge to `target`."""

    __slots__ = ("centre", "layer", "node", "port", "target", "width")

    def __init__(self, node: str, layer: int, width: int, target: str = "") -> None:
        self.node = node
        self.layer = layer
        self.width = width
        self.target = target
        self.centre = 0
        self.port = 0
        """Where edges from above arrive; set by whoever routes them."""

    @property
    def left(self) -> int:
        return self.centre - self.width // 2


class Layout:
    """`layers[i]` from left to right; `links[i]` are the edges from layer i to layer i + 1. `width` holds them all."""

    def __init__(self, layers: list[list[Spot]], links: list[list[tuple[Spot, Spot]]], width: int) -> None:
        self.layers = layers
        self.links = links
        self.width = width


def depths(nodes: list[str], edges: list[tuple[str, str]]) -> dict[str, int]:
    """The layer of every node: one below its lowest source, a source itself just above its first use."""
    below: dict[str, list[str]] = {node: [] for node in nodes}
    above = dict.fromkeys(nodes, 0)
    for upper, lower in edges:
        below[upper].append(lower)
        above[lower] += 1
    depth = dict.fromkeys(nodes, 0)
    unmet = dict(above)
    ready = [node for node in nodes if not unmet[node]]
    while ready:
        node = ready.pop()
        for lower in below[node]:
            depth[lower] = max(depth[lower], depth[node] + 1)
            unmet[lower] -= 1
            if not unmet[lower]:
                ready.append(lower)
    for node in nodes:
        if not above[node] and below[node]:
            depth[node] = min(depth[lower] for lower in below[node]) - 1
    return depth


def layout(
    nodes: list[str], edges: list[tuple[str, str]], width_of: Callable[[str], int], *, gap: int, room: int
) -> Layout:
    """Places for all nodes. A layer that is wider than `room` makes the layout wider than `room`; others keep to it."""
    depth = depths(nodes, edges)
    layers: list[list[Spot]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    spots: dict[str, Spot] = {}
    for node in nodes:
        spots[node] = Spot(node, depth[node], width_of(node))
        layers[depth[node]].append(spots[node])
    links = _links(edges, spots, layers)
    _order(layers, links)
    width = max([room, *(_packed(layer, gap) for layer in layers)])
    _place(layers, links, gap, width)
    return Layout(layers, links, _trim(layers))


def _links(
    edges: list[tuple[str, str]], spots: dict[str, Spot], layers: list[list[Spot]]
) -> list[list[tuple[Spot, Spot]]]:
    links: list[dict[tuple[Spot, Spot], None]] = [{} for _ in layers]
    points: dict[tuple[str, int], Spot] = {}
    for upper, lower in edges:
        at, end = spots[upper], spots[lower]
        for layer in range(at.layer + 1, end.layer):
            point = points.get((lower, layer))
            if point is None:
                point = points[lower, layer] = Spot("", layer, POINT, target=lower)
                layers[layer].append(point)
            links[layer - 1][at, point] = None
            at = point
        if at.layer < end.layer:  # a cycle is no plan, but must not stop a drawing
            links[at.layer][at, end] = None
    return [list(link) for link in links]


def _neighbours(links: list[list[tuple[Spot, Spot]]]) -> tuple[dict[Spot, list[Spot]], dict[Spot, list[Spot]]]:
    above: dict[Spot, list[Spot]] = {}
    below: dict[Spot, list[Spot]] = {}
    for link in links:
        for upper, lower in link:
            above.setdefault(lower, []).append(upper)
            below.setdefault(upper, []).append(lower)
    return above, below


def _order(layers: list[list[Spot]], links: list[list[tuple[Spot, Spot]]]) -> None:
    """Barycentre sweeps, down and up; the order with the fewest crossings is kept."""
    above, below = _neighbours(links)
    best, fewest = [list(layer) for layer in layers], _crossings(layers, links)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            place = {spot: index for row in layers for index, spot in enumerate(row)}
            near = above if down else below

            def middle(spot: Spot, place: dict[Spot, int] = place, near: dict[Spot, list[Spot]] = near) -> float:
                others = near.get(spot)
                return sum(place[other] for other in others) / len(others) if others else place[spot]

            layer.sort(key=middle)
        crossings = _crossings(layers, links)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    for layer, order in zip(layers, best, strict=True):
        layer[:] = order


def _crossings(layers: list[list[Spot]], links: list[list[tuple[Spot, Spot]]]) -> int:
    place = {spot: index for row in layers for index, spot in enumerate(row)}
    count = 0
    for link in links:
        pairs = sorted((place[upper], place[lower]) for upper, lower in link)[:300]
        count += sum(b[1] < a[1] for i, a in enumerate(pairs) for b in pairs[i + 1 :] if a[0] < b[0])
    return count


def _packed(layer: list[Spot], gap: int) -> int:
    return sum(spot.width for spot in layer) + gap * (len(layer) - 1)


def _place(layers: list[list[Spot]], links: list[list[tuple[Spot, Spot]]], gap: int, width: int) -> None:
    above, below = _neighbours(links)
    for layer in layers:
        at = (width - _packed(layer, gap)) // 2
        for spot in layer:
            spot.centre = at + spot.width // 2
            at += spot.width + gap
    for sweep in range(2 * SWEEPS):
        down = sweep % 2 == 0
        near = above if down else below
        for layer in layers if down else reversed(layers):
            wished = []
            for spot in layer:
                others = near.get(spot) or [spot]
                wished.append(sum(other.centre for other in others) / len(others))
            _settle(layer, wished, gap, width)


def _settle(layer: list[Spot], wished: list[float], gap: int, width: int) -> None:
    """The centres nearest to the wished ones (least squares) that keep the order and the gaps: pooled violators."""
    offsets, at = [], 0
    for index, spot in enumerate(layer):
        if index:
            before = layer[index - 1]
            at += before.width - before.width // 2 + gap + spot.width // 2
        offsets.append(at)
    blocks: list[list[float]] = []  # mean, count
    for wish, offset in zip(wished, offsets, strict=True):
        blocks.append([wish - offset, 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            mean, count = blocks.pop()
            total = blocks[-1][1] + count
            blocks[-1] = [(blocks[-1][0] * blocks[-1][1] + mean * count) / total, total]
    low = layer[0].width // 2
    high = width - (layer[-1].width - layer[-1].width // 2) - offsets[-1]
    index = 0
    for mean, count in blocks:
        start = int(max(low, min(mean, high)) + 0.5)
        for spot, offset in list(zip(layer, offsets, strict=True))[index : index + int(count)]:
            spot.centre = start + offset
        index += int(count)


def _trim(layers: list[list[Spot]]) -> int:
    """Move everything to the left edge; the width that is left."""
    spots = [spot for layer in layers for spot in layer]
    left = min((spot.left for spot in spots), default=0)
    for spot in spots:
        spot.centre -= left
        spot.port = spot.centre
    return max((spot.left + spot.width for spot in spots), default=0)
