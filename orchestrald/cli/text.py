"""How does what strangers wrote, and what machines count, become text that is safe and pleasant to read?

Rules of this file:

- Everything that came from a plan, a plugin, a model or a file name passes `safe` or `safe_lines` before it is printed:
  a terminal obeys control characters, and bidirectional overrides make a command look like another one.
- Columns are counted in cells, not characters.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_SPACES = frozenset("\u00a0\u1680\u202f\u205f\u3000") | {chr(n) for n in range(0x2000, 0x200B)}
_JOINERS = frozenset("\u200c\u200d")
"""Without them Persian, Hindi and many emoji are spelled wrong; they cannot reorder or hide anything."""


def safe(value: object) -> str:
    """One line that a terminal only prints: controls, line ends, bidi marks become `\\x1b` and so on."""
    text = value if isinstance(value, str) else str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _SPACES or c in _JOINERS else _escaped(c) for c in text)


def safe_lines(value: object) -> list[str]:
    """The lines of a text, each `safe`, tabs as four spaces, trailing empty lines dropped. Empty text has no lines."""
    text = value if isinstance(value, str) else str(value)
    lines = [safe(line.removesuffix("\r").replace("\t", "    ")) for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def first_line(value: object) -> str:
    """The first line of a text, `safe`, with a mark when more follow."""
    lines = safe_lines(value)
    return "" if not lines else lines[0] + (" ..." if len(lines) > 1 else "")


def _escaped(character: str) -> str:
    known = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    if known:
        return known
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def cells(text: str) -> int:
    """How many columns a terminal gives the text: two for wide East Asian characters and emoji, none for accents."""
    if text.isascii():
        return len(text)
    import unicodedata

    width = 0
    for character in text:
        if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
            continue
        width += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return width


def fit(text: str, width: int, ellipsis: str = "…") -> str:
    """The text in at most `width` cells, its end replaced by the ellipsis when it is longer."""
    if cells(text) <= width:
        return text
    room = width - cells(ellipsis)
    if room < 0:
        return ellipsis[: max(0, width)]
    kept, used = [], 0
    for character in text:
        used += cells(character)
        if used > room:
            break
        kept.append(character)
    return "".join(kept).rstrip() + ellipsis


def wrap(value: object, width: int) -> list[str]:
    """The `safe_lines` of a text, each in at most `width` cells: broken at spaces, or within a word that is longer."""
    lines = []
    some = 4 * width  # characters: most take a cell each, and a long line is not measured again for each cut
    for line in safe_lines(value):
        while len(line) > some or cells(line) > width:
            head = fit(line[:some], width, "")
            bare = line.lstrip(" ")
            if head.strip():
                cut = line.rfind(" ", len(line) - len(bare) + 1, len(head) + 1)
                cut = cut if cut > 0 else len(head)
                lines.append(line[:cut].rstrip(" "))
                bare = line[cut:].lstrip(" ")
            elif bare == line:  # not even one character has room
                break
            line = bare  # noqa: PLW2901 -- what is left of it
        lines.append(line)
    return lines


def pad(text: str, width: int) -> str:
    return text + " " * max(0, width - cells(text))


def duration(seconds: float) -> str:
    """`12 ms`, `1.2 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`. Negative counts as nothing: clocks are set back."""
    seconds = max(0.0, seconds)
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def ago(at: int, now: int) -> str:
    """How long before `now` something was (both in UTC microseconds): `3 s ago`; `in 5 min` for what is to come."""
    seconds = (now - at) / 1_000_000
    if abs(seconds) < 1:
        return "just now"
    size = abs(seconds)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if size >= length:
            count = f"{int(size // length)} {unit}"
            return f"{count} ago" if seconds > 0 else f"in {count}"
    return "just now"


def size(count: int) -> str:
    """Bytes as `512 B`, `1.5 KiB`, `20 MiB`."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 10 else f"{amount:.1f} {unit}"


def money(micro: int) -> str:
    """Micro-dollars as `$0.0031`, `$12`; what is less than a hundredth of a cent is said to be."""
    if 0 < micro < 100:
        return "less than $0.0001"
    return f"${micro / 1_000_000:,.4f}".rstrip("0").rstrip(".")


def spending(spent: Mapping[str, int]) -> str:
    """`3 calls, 4,210 tokens, $0.0031`; without the money where no call had a price."""
    said = f"{plural(spent.get('calls', 0), 'call')}, {plural(spent.get('tokens', 0), 'token')}"
    return said + (f", {money(spent['cost'])}" if spent.get("cost") else "")


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def table(rows: Iterable[Sequence[str]], heads: Sequence[str], width: int) -> list[str]:
    """Lines with aligned columns; the last column takes what is left of `width`. Cells must be `safe` already."""
    body = [list(row) for row in rows]
    widths = [max(cells(row[i]) for row in [list(heads), *body]) for i in range(len(heads))]
    last = len(heads) - 1
    widths[last] = max(10, width - sum(widths[:last]) - 2 * last)
    lines = []
    for row in [list(heads), *body]:
        parts = [pad(cell, widths[i]) for i, cell in enumerate(row[:last])] + [fit(row[last], widths[last])]
        lines.append("  ".join(parts).rstrip())
    return lines


def nearest(word: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The known words that look like `word`, best first; empty when none does."""
    from difflib import get_close_matches

    return get_close_matches(word, list(known), n=count, cutoff=0.5)
