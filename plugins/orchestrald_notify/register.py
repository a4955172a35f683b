"""Which notifiers are there on this machine?"""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from typing import Any

from orchestrald.hookspecs import Notifier, hookimpl, read_settings
from orchestrald_notify.desktop import notify_send, osascript
from orchestrald_notify.program import tell_program
from orchestrald_notify.settings import Settings

SESSION = ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY")


@hookimpl
def register_notifiers(register: Callable[[Notifier], None], settings: Mapping[str, Any]) -> None:
    chosen = read_settings(Settings, settings)
    if chosen.desktop and (desktop := desktop_notifier()) is not None:
        register(desktop)
    if chosen.command:
        register(tell_program(chosen.command))


def desktop_notifier() -> Notifier | None:
    """The one of the desktop that the daemon was started from; missing where it was started from none."""
    if sys.platform == "darwin":
        found = shutil.which("osascript")
        return osascript(found) if found else None
    found = shutil.which("notify-send")
    return notify_send(found) if found and any(os.environ.get(name) for name in SESSION) else None
