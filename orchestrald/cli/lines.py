"""Where do the lines of a conversation come from: a keyboard with its history, or a pipe?"""

from __future__ import annotations

import contextlib
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from orchestrald.cli.terminal import Terminal

REMEMBERED = 1000


class Lines:
    """`screen` is where a person sits; None means a pipe, which is not prompted. `history` is the file that keeps what
    was typed, for nobody else to read."""

    def __init__(self, screen: Terminal | None, history: str) -> None:
        self._screen = screen
        self._history = history
        # `input` edits lines only where both ends are a terminal; elsewhere it would write the prompt to stdout
        self._readline = _readline() if screen is not None and sys.stdout.isatty() else None
        if self._readline is not None:
            with contextlib.suppress(OSError):
                self._readline.read_history_file(history)

    def next(self, prompt: str) -> str | None:
        """The next line without its end; None when there is none any more. Ctrl-C raises KeyboardInterrupt."""
        if self._readline is not None:
            try:
                return input(prompt)
            except EOFError:
                self._end()
                return None
        if self._screen is not None:
            self._screen.stream.write(prompt)
            self._screen.stream.flush()
        line = sys.stdin.readline()
        if not line:
            self._end()
            return None
        return line.rstrip("\r\n")

    def _end(self) -> None:
        if self._screen is not None:
            self._screen.print("")

    def close(self) -> None:
        """Keep the history. A folder that is not there, or not ours, keeps none."""
        if self._readline is None:
            return
        with contextlib.suppress(OSError):
            # GNU's readline makes such a file itself, the other one leaves it to the umask
            os.close(os.open(self._history, os.O_WRONLY | os.O_CREAT, 0o600))
            self._readline.set_history_length(REMEMBERED)
            self._readline.write_history_file(self._history)


def _readline() -> ModuleType | None:
    """Missing where Python was built without it."""
    try:
        import readline
    except ImportError:
        return None
    return readline
