"""Does a person hear of a question once, by a program of the operator's, also when the daemon dies meanwhile?"""

import json
import os
import select
import sys
from pathlib import Path
from typing import Any

from support.daemon import PATIENCE_S, Daemon, throwaway_home

NOTE = """
import sys
with open(sys.argv[1], "a", encoding="utf-8") as file:
    file.write(sys.stdin.read())
with open(sys.argv[2], "w") as door:  # tells the test, which reads at the other end
    door.write("told")
"""


def configured(home: Path) -> str:
    command = json.dumps([sys.executable, "-c", NOTE, str(home / "told"), str(home / "door")])
    return f"plugins: {{settings: {{notify: {{command: {command}}}}}}}\n"


def told(place: Daemon) -> list[dict[str, Any]]:
    """Everything that was told, once the next thing has been told."""
    door = os.open(place.home / "door", os.O_RDWR | os.O_NONBLOCK)
    try:
        assert select.select([door], [], [], PATIENCE_S)[0], place.said
        assert os.read(door, 100) == b"told"
    finally:
        os.close(door)
    return [json.loads(line) for line in (place.home / "told").read_text(encoding="utf-8").splitlines()]


def ask(place: Daemon, prompt: str) -> str:
    return place.submit({"id": "ask", "kind": "wait_user", "params": {"prompt": prompt}})


def test_a_question_is_told_once_although_the_daemon_is_killed_behind_it():
    with throwaway_home() as home:
        place = Daemon(home, configured(home))
        os.mkfifo(home / "door")
        try:
            place.start()
            first = ask(place, "The first?")
            [notice] = told(place)
            assert (notice["interaction_id"], notice["kind"], notice["prompt"]) == (first, "input", "The first?")
            place.kill()
            place.start()
            place.call("interaction.pause", interaction_id=first)  # brings it back into memory, with its question
            place.call("interaction.resume", interaction_id=first)
            ask(place, "The second?")
            assert [notice["prompt"] for notice in told(place)] == ["The first?", "The second?"]
        finally:
            place.kill()


def test_a_program_that_cannot_be_started_is_in_the_log_and_hurts_nobody():
    with throwaway_home() as home:
        place = Daemon(home, "plugins: {settings: {notify: {command: [/nonexistent/bell]}}}\n")
        try:
            place.start()
            it = ask(place, "Which?")
            assert place.end_of(it)["state"] == "waiting"
            place.call("interaction.respond", interaction_id=it, payload="this")
            assert place.end_of(it)["state"] == "completed"
            assert place.stop() == 0
            assert "/nonexistent/bell" in place.said
        finally:
            place.kill()
