"""How does the result look as a picture? One bar per promise, on a logarithmic scale, as SVG."""

from collections.abc import Mapping, Sequence
from html import escape
from math import log2

from benchmarks.row import Row
from benchmarks.terminal import MOST, figure

WIDTH, LABELS, SIDE = 1180, 440, 240
LINE, TOP, BOTTOM = 22, 58, 34
MIDDLE = LABELS + SIDE
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#222}.small{font-size:11px;fill:#666}.met{fill:#2e7d32}.not{fill:#c62828}"
    "line{stroke:#bbb}.promise{stroke:#222}"
    "@media(prefers-color-scheme:dark){svg{background:#111}text{fill:#eee}.small{fill:#aaa}.promise{stroke:#eee}}"
)


def svg(rows: Sequence[Row], machine: Mapping[str, str]) -> str:
    """Rows without a target or without a figure are left out."""
    shown = [row for row in rows if row.bound is not None and row.ratio is not None]
    height = TOP + LINE * len(shown) + BOTTOM
    about = ", ".join(f"{key} {value}" for key, value in machine.items() if value)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<style>{STYLE}</style><title>orchestrald: measured against what was promised</title>",
        '<text x="12" y="22">Measured against what was promised</text>',
        f'<text class="small" x="12" y="40">{escape(about)}</text>',
        *_scale(height),
        *(part for number, row in enumerate(shown) for part in _bar(row, TOP + LINE * number)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _scale(height: int) -> list[str]:
    marks = []
    for power in range(-4, 5, 2):
        x = MIDDLE + power / log2(MOST) * SIDE
        label = "as promised" if power == 0 else f"{2**power:g}×"
        kind = ' class="promise"' if power == 0 else ""
        marks.append(f'<line{kind} x1="{x:.0f}" x2="{x:.0f}" y1="{TOP - 6}" y2="{height - BOTTOM + 4}"/>')
        marks.append(f'<text class="small" text-anchor="middle" x="{x:.0f}" y="{height - 12}">{label}</text>')
    return marks


def _bar(row: Row, y: int) -> list[str]:
    assert row.bound is not None
    assert row.ratio is not None
    score = row.bound.score(row.ratio)
    end = MIDDLE + log2(min(max(score, 1 / MOST), MOST)) / log2(MOST) * SIDE
    left, width, kind = min(MIDDLE, end), max(abs(end - MIDDLE), 1), "met" if row.met else "not"
    label = escape(f"{row.what} : {row.versus}")
    figures = escape(f"{figure(row.ours, row.unit)} : {figure(row.other, row.unit)} = {row.ratio:.2f} ({row.bound})")
    return [
        f'<text x="{LABELS - 12}" y="{y + 14}" text-anchor="end">{label}</text>',
        f'<rect class="{kind}" x="{left:.0f}" y="{y + 3}" width="{width:.0f}" height="14" rx="2"/>',
        f'<text class="small" x="{MIDDLE + SIDE + 12}" y="{y + 14}">{figures}</text>',
    ]
