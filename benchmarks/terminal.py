"""How does the result look in a terminal? A table while it is measured, bars when all is known."""

from collections.abc import Sequence
from math import log2

from benchmarks.row import Row

WHAT, FIGURE = 46, 12
MOST = 16.0
"""Times better or worse than promised at which a bar ends."""
HALF = 24
"""Characters on either side of the line that stands for the promise."""


def heading() -> str:
    return f"\n{'':{WHAT}}{'ours':>{FIGURE}}{'other':>{FIGURE}}{'ratio':>9}{'target':>9}  verdict"


def line(row: Row) -> str:
    ratio = "–" if row.ratio is None else f"{row.ratio:.2f}"
    target = "" if row.bound is None else str(row.bound)
    first = (
        f"{row.what:{WHAT}}{figure(row.ours, row.unit):>{FIGURE}}{figure(row.other, row.unit):>{FIGURE}}"
        f"{ratio:>9}{target:>9}  {row.verdict}"
    )
    return f"{first}\n  of {row.versus}" if row.versus else first


def figure(value: float | None, unit: str) -> str:
    """Three digits that mean something, and the unit."""
    if value is None:
        return "–"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}"


def bars(rows: Sequence[Row]) -> str:
    """Left of the line: worse than promised. Each halving or doubling is a quarter of a side."""
    lines = [f"{'':{WHAT}}{'worse':<{HALF}}│{'better than promised':>{HALF}}"]
    for row in rows:
        if row.bound is None or row.ratio is None:
            continue
        score = min(max(row.bound.score(row.ratio), 1 / MOST), MOST)
        length = round(abs(log2(score)) / log2(MOST) * HALF)
        left, right = ("", "█" * length) if score >= 1 else ("█" * length, "")
        shown = f"{row.bound.score(row.ratio):.2f}×"
        lines.append(f"{_short(row):{WHAT}}{left:>{HALF}}│{right:<{HALF}} {shown}")
    return "\n".join(lines)


def _short(row: Row) -> str:
    text = f"{row.what.partition(', ')[0].partition(' (')[0]} : {row.versus.partition(', ')[0]}"
    return text[: WHAT - 1]
