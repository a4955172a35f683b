"""Does `notify` tell a person, and is what it tells never more than text?

The desktop's program is stood in for by one that writes down how it was called.
"""

import json
import os
import sys
from pathlib import Path

import pytest
import trio

import orchestrald_notify
from orchestrald.errors import ConfigError
from orchestrald.hookspecs import ActionError, Notice, Notifier
from orchestrald.plugin_host import collect
from orchestrald_notify.desktop import osascript

PATIENCE_S = 10
NOTICE = Notice("int_1", "thr_1", "publish", "approval", "It writes.", "the release")


def notifiers(**settings: object) -> list[Notifier]:
    return collect(orchestrald_notify, "notify", settings).notifiers


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A desktop with a notify-send; the file in which its arguments are, once it was called."""
    program = tmp_path / "notify-send"
    file = tmp_path / "called.json"
    program.write_text(
        f"#!{sys.executable}\nimport json, sys\nopen({str(file)!r}, 'w').write(json.dumps(sys.argv[1:]))\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DISPLAY", ":7")
    return file


def words(file: Path) -> list[str]:
    found: list[str] = json.loads(file.read_text(encoding="utf-8"))
    return found


async def test_a_notice_is_shown_on_the_desktop(called: Path):
    [desktop] = notifiers()
    await desktop(NOTICE)
    assert words(called)[1:] == ["--", "orchestral: publish wants to run", "It writes. (the release)"]


async def test_what_others_wrote_is_neither_an_option_nor_markup_nor_a_control(called: Path):
    [desktop] = notifiers()
    await desktop(Notice("i", "t", "--urgency=critical", "input", "<a href='x'>&\x1b[2J\u202eyes</a>" + "y" * 1000))
    app, end, title, body = words(called)
    assert (app, end) == ("--app-name=orchestral", "--")
    assert title == "orchestral: --urgency=critical asks"
    assert body.startswith("&lt;a href='x'&gt;&amp; [2J yes")
    assert "\x1b" not in body
    assert len(body) < 400


@pytest.mark.parametrize("missing", ["session", "program"])
async def test_without_a_desktop_nothing_is_called(called: Path, missing: str, monkeypatch: pytest.MonkeyPatch):
    if missing == "program":
        monkeypatch.setenv("PATH", "/nonexistent")
    else:
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS"):
            monkeypatch.delenv(name, raising=False)
    assert notifiers() == []


async def test_the_operator_may_forbid_the_desktop(called: Path):
    assert notifiers(desktop=False) == []


async def test_on_a_mac_the_texts_are_arguments_of_a_fixed_script(called: Path):
    evil = '" & (do shell script "id") & "'
    await osascript(str(called.with_name("notify-send")))(NOTICE.__class__("i", "t", evil, "input", evil))
    *script, title, body = words(called)
    assert not [word for word in script if "shell" in word]
    assert title == f"orchestral: {evil} asks"
    assert body == evil


async def test_a_program_gets_the_notice_as_one_json_line_on_its_standard_input(tmp_path: Path):
    file = tmp_path / "said"
    [program] = notifiers(desktop=False, command=["sh", "-c", 'cat > "$1"', "sh", str(file)])
    await program(NOTICE)
    line = file.read_text(encoding="utf-8")
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "interaction_id": "int_1",
        "thread_id": "thr_1",
        "step_id": "publish",
        "kind": "approval",
        "prompt": "It writes.",
        "title": "the release",
    }


async def test_a_program_that_fails_is_told():
    [program] = notifiers(desktop=False, command=["sh", "-c", "exit 3"])
    with pytest.raises(ActionError, match="sh ended with status 3"):
        await program(NOTICE)


async def test_a_program_that_takes_too_long_is_killed_with_all_that_it_started(tmp_path: Path):
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    # its child holds the pipe open for as long as it lives
    [program] = notifiers(desktop=False, command=["sh", "-c", 'sleep 600 > "$1" & sleep 600', "sh", str(alive)])
    with trio.move_on_after(PATIENCE_S) as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(program, NOTICE)
            reader = await trio.to_thread.run_sync(lambda: alive.open("rb"))
            nursery.cancel_scope.cancel()
        with reader:
            assert await trio.to_thread.run_sync(reader.read) == b""
    assert not scope.cancelled_caught


async def test_a_program_that_does_not_listen_hurts_nobody():
    [program] = notifiers(desktop=False, command=["true"])
    await program(Notice("i", "t", "s", "input", "x" * 1_000_000))


def test_a_misspelt_setting_names_the_nearest():
    with pytest.raises(ConfigError, match="'comand', did you mean 'command'"):
        notifiers(comand=["x"])
