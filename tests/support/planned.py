"""A daemon whose planner is a model behind a real HTTP server that the test holds in its hand."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from support.chat_server import Answer, ChatServer, Script
from support.daemon import PATIENCE_S, Daemon
from support.lives import GRANTS, many_lives


def settings(server: ChatServer, more: str = "") -> str:
    """One backend, one model, tried once: a fault that is not to be waited out is told at once."""
    return f"""
providers:
  backends:
    - {{name: fake, base_url: "{server.base_url}", timeout: 20s, retries: 0}}
  default_model: fake
{more}
{GRANTS}
"""


@contextmanager
def planned(script: Script = (), more: str = "", **server: Any) -> Iterator[tuple[Daemon, ChatServer]]:
    """A daemon that is started, with the plugins `guest` and `tally`, and the server that it asks."""
    with ChatServer(script, **server) as asked, many_lives() as place:
        place.drop_tally()
        place.configure(settings(asked, more))
        place.start()
        yield place, asked


def wants(place: Daemon, intent: str = "something that no playbook knows", **about: Any) -> str:
    """Submit an intent; the interaction's id."""
    said = place.call("interaction.submit", intent=intent, workspace=str(place.workspace), **about)
    return str(said["interaction_id"])


def told(asked: dict[str, Any]) -> str:
    """What the model is told of this very round: the last message of a request."""
    return str(asked["messages"][-1]["content"])


class Doors:
    """Answers that wait until the test opens the door of their round. Every arrival is noted."""

    def __init__(self, answer: Callable[[dict[str, Any]], tuple[int, Answer]], closed: bool) -> None:
        self._answer = answer
        self._doors = {number: threading.Event() for number in range(1, 20)}
        self.arrived: list[int] = []
        self._news = threading.Condition()
        if not closed:
            for number in self._doors:
                self.open(number)

    def __call__(self, asked: dict[str, Any]) -> Answer:
        number, answer = self._answer(asked)
        with self._news:
            self.arrived.append(number)
            self._news.notify_all()
        assert self._doors[number].wait(PATIENCE_S), f"nobody opened the door of round {number}"
        return answer

    def open(self, number: int) -> None:
        self._doors[number].set()

    def wait_for(self, number: int) -> None:
        with self._news:
            assert self._news.wait_for(lambda: number in self.arrived, PATIENCE_S), (
                f"round {number} was never asked for"
            )
