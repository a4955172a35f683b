"""What can the screen in front of us show, and how is a picture on it replaced without flicker?

A picture is a list of lines, a line a list of (text, style) pieces: renderers stay pure and know neither colours nor
encodings. Styles: `ok bad run wait dim bold` and empty. Pieces must be `safe` already.
"""

from __future__ import annotations

import os

from orchestrald.cli.text import cells, fit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TextIO

Line = list[tuple[str, str]]

_SGR = {"ok": "32", "bad": "31", "run": "36", "wait": "33", "dim": "2", "bold": "1"}
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


class Terminal:
    """A stream with what it can do. `live` means that a picture can be redrawn in place."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str] | None = None) -> None:
        env = os.environ if environ is None else environ
        self.stream = stream
        smart = stream.isatty() and env.get("TERM", "") not in {"", "dumb"}
        self.is_terminal = stream.isatty()
        self.live = smart
        self.colour = smart and not env.get("NO_COLOR")
        self.unicode = _speaks_unicode(stream, env)
        self.ellipsis = "…" if self.unicode else "..."
        self._columns = env.get("COLUMNS", "")
        self._drawn: list[int] = []
        self._hidden = False

    @property
    def columns(self) -> int:
        return self._size()[0]

    @property
    def rows(self) -> int:
        return self._size()[1]

    def _size(self) -> tuple[int, int]:
        try:
            columns, rows = os.get_terminal_size(self.stream.fileno())
        except (OSError, ValueError, AttributeError):
            columns, rows = 0, 0
        if not self.is_terminal:
            columns = int(self._columns) if self._columns.isdigit() else 100
        return columns or 80, rows or 24

    def paint(self, line: Line) -> str:
        """The line as it is written: with colours where the terminal has them."""
        if not self.colour:
            return "".join(text for text, _ in line)
        return "".join(f"\x1b[{_SGR[style]}m{text}\x1b[0m" if style else text for text, style in line)

    def print(self, *lines: Line | str) -> None:
        """Write lines for good, above whatever is drawn next."""
        out = self._erase() + "".join(
            self.paint(line if isinstance(line, list) else [(line, "")]) + "\n" for line in lines
        )
        self._write(out)

    def draw(self, lines: Iterable[Line]) -> None:
        """Replace the picture: one write, the old lines overwritten instead of cleared first, so nothing flickers."""
        width = self.columns - 1  # a full last column makes some terminals wrap
        picture = [fit_line(line, width, self.ellipsis) for line in lines]
        out = [] if self._hidden else [HIDE]
        self._hidden = True
        out.append(self._up())
        out += [self.paint(line) + "\x1b[K\n" for line in picture]
        out.append("\x1b[J")
        self._drawn = [line_cells(line) for line in picture]
        self._write("".join(out))

    def release(self) -> None:
        """Leave the picture where it is and give the cursor back. Safe to call twice."""
        self._drawn = []
        if self._hidden:
            self._hidden = False
            self._write(SHOW)

    def clear(self) -> None:
        """Take the picture away, cursor and all, to ask something or to print something else."""
        self._write(self._erase())
        self.release()

    def _erase(self) -> str:
        out = self._up() + "\x1b[J" if self._drawn else ""
        self._drawn = []
        return out

    def _up(self) -> str:
        # a window that was made narrower has wrapped the old lines
        lines = sum(max(1, -(-width // self.columns)) for width in self._drawn)
        return f"\r\x1b[{lines}A" if lines else ""

    def _write(self, text: str) -> None:
        if not text:
            return
        try:
            self.stream.write(text)
        except UnicodeEncodeError:
            encoding = self.stream.encoding or "ascii"
            self.stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        self.stream.flush()


def line_cells(line: Line) -> int:
    return sum(cells(text) for text, _ in line)


def fit_line(line: Line, width: int, ellipsis: str = "…") -> Line:
    """The line in at most `width` cells, its end replaced by the ellipsis when it is longer."""
    if line_cells(line) <= width:
        return line
    fitted: Line = []
    room = width - len(ellipsis)
    for text, style in line:
        used = cells(text)
        if used > room:
            fitted.append((fit(text, room, "") + ellipsis, style))
            break
        fitted.append((text, style))
        room -= used
    return fitted


def plain(lines: Iterable[Line]) -> str:
    """The lines without styles, as one text."""
    return "\n".join("".join(text for text, _ in line).rstrip() for line in lines)


def _speaks_unicode(stream: TextIO, environ: Mapping[str, str]) -> bool:
    if environ.get("LC_ALL", "") in {"C", "POSIX"}:  # Python would write UTF-8 here; the person asked for ASCII
        return False
    return (getattr(stream, "encoding", None) or "").lower().replace("-", "").replace("_", "") == "utf8"
