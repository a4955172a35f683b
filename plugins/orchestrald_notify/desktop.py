"""How is a notice shown on a desktop, so that nothing in it is taken for more than text?"""

from html import escape

from orchestrald.hookspecs import Notice, Notifier
from orchestrald_notify.spawn import run

MOST_CHARACTERS = 300
"""A bubble shows no more; `orchestral show` shows all of it."""

_SCRIPT = (
    "on run argv",
    "display notification (item 2 of argv) with title (item 1 of argv)",
    "end run",
)

_WANTS = {
    "approval": "wants to run",
    "interrupted": "was interrupted",
    "input": "asks",
    "clarification": "asks",
}


def texts(notice: Notice) -> tuple[str, str]:
    """A title and a body, each on one line. The title begins with our name, whoever wrote the rest."""
    title = f"orchestral: {notice.step_id} {_WANTS.get(notice.kind, 'waits')}"
    about = f" ({notice.title})" if notice.title else ""
    return _line(title), _line(notice.prompt + about)


def _line(text: str) -> str:
    """Without controls and marks that reorder text; cut where a bubble would cut it."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return plain if len(plain) <= MOST_CHARACTERS else plain[: MOST_CHARACTERS - 1] + "…"


def notify_send(program: str) -> Notifier:
    async def on_the_desktop(notice: Notice) -> None:
        title, body = texts(notice)
        # The body is markup to most servers, and `--` ends the options: both texts are somebody else's.
        await run([program, "--app-name=orchestral", "--", title, escape(body, quote=False)])

    return on_the_desktop


def osascript(program: str) -> Notifier:
    async def on_the_desktop(notice: Notice) -> None:
        # As arguments, never inside the script. The title, which comes first, begins with a letter.
        script = [word for line in _SCRIPT for word in ("-e", line)]
        await run([program, *script, *texts(notice)])

    return on_the_desktop
