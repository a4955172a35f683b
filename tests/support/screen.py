"""A person at a terminal: what they type, and what they see."""

import contextlib
import os
import select
import subprocess
import sys
import time

PATIENCE_S = 10.0


class Screen:
    """A person at a terminal: `orchestral` on a pseudo-terminal."""

    def __init__(self, *argv: str, **env: str) -> None:
        program = (
            "import fcntl, signal, sys, termios\n"
            "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"  # so that typing \x03 is Ctrl-C
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # whoever runs the tests may ignore it
            f"sys.argv[1:] = {list(argv)!r}\n"
            "from orchestrald.cli.main import main; main()"
        )
        self.fd, slave = os.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm", **env},
        )
        os.close(slave)
        self.seen = ""
        self._read = 0

    def until(self, text: str) -> str:
        """Everything that was written until `text` came."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen[-2000:]
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.fd, 65536).decode("utf-8", "replace")
                except OSError:
                    break
        assert text in self.seen, self.seen[-2000:]
        return self.seen

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def end(self) -> int:
        """Read to the end; the exit code."""
        while True:
            assert select.select([self.fd], [], [], PATIENCE_S)[0], self.seen[-2000:]
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                break
            if not data:
                break
            self.seen += data.decode("utf-8", "replace")
        os.close(self.fd)
        return self.process.wait(PATIENCE_S)

    def next(self, text: str) -> str:
        """What was written from the end of the last wait of this kind until `text` came."""
        while text not in self.seen[self._read :]:
            shown = self.seen
            self._more()
            assert self.seen != shown, self.seen[-2000:]
        begin, self._read = self._read, self.seen.index(text, self._read) + len(text)
        return self.seen[begin : self._read]

    def _more(self) -> None:
        if select.select([self.fd], [], [], PATIENCE_S)[0]:
            with contextlib.suppress(OSError):
                self.seen += os.read(self.fd, 65536).decode("utf-8", "replace")
