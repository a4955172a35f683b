"""Is promise 1 true of a real daemon: whenever it is killed, nothing acknowledged is lost, nothing is done twice?

`ORCHESTRAL_KILLS` is how often it is killed (the default keeps the suite short; `make crash` means it), and
`ORCHESTRAL_SEED` repeats the instants of a run that failed, as far as a machine repeats anything.
"""

import os
import random
import threading
from typing import Any

import pytest

from orchestrald.client import ClientError, Connection
from support.daemon import GRANTED, PATIENCE_S, Daemon, daemon
from support.killed_plans import PLANS
from support.testimony import check_gap_free, check_runs, check_steps, outcome

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

KILLS = int(os.environ.get("ORCHESTRAL_KILLS", "25"))
SEED = int(os.environ.get("ORCHESTRAL_SEED", random.SystemRandom().randrange(10**6)))

LONGEST_LIFE_S = 0.9
STARTING_S = 0.5
MOST_LIVES = 60
"""Of one round. More would mean that the daemon dies of its own past, and comes no further."""


class Round:
    """All plans once, through as many lives as it takes."""

    def __init__(self, place: Daemon, number: int, rng: random.Random) -> None:
        self.daemon = place
        self.rng = rng
        self.wanted = {f"{number}-{name}": plan for name, plan in PLANS.items()}
        self.accepted: dict[str, str] = {}
        self.published: dict[int, dict[str, Any]] = {}
        self.finished: set[str] = set()
        self.asked = 0

    def one_life(self, connection: Connection) -> None:
        """Do as a client does until everything is finished. Leaves by ClientError or OSError when the daemon dies."""
        self.check_what_was_promised(connection)
        connection.call("events.subscribe", {"after_seq": max(self.published, default=0)}, PATIENCE_S)
        for request_id in self.rng.sample(sorted(self.wanted), len(self.wanted)):
            self.submit(connection, request_id)
        self.answer_questions(connection)
        while len(self.finished) < len(self.wanted):
            message = connection.notification(PATIENCE_S)
            assert message is not None, f"nothing happens any more: {self.states()}"
            if message["method"] == "events.event":
                self.heard(message["params"]["event"])
                if message["params"]["event"]["type"] == "interaction.waiting":
                    self.answer_questions(connection)

    def heard(self, event: dict[str, Any]) -> None:
        self.published[event["seq"]] = event
        if event["type"] in {"interaction.completed", "interaction.failed"}:
            self.finished |= {event["interaction_id"]} & set(self.accepted.values())

    def submit(self, connection: Connection, request_id: str) -> None:
        """Also what was accepted before: the same request must be the same interaction, for ever."""
        body = {"plan": self.wanted[request_id], "workspace": str(self.daemon.workspace), "request_id": request_id}
        answer = connection.call("interaction.submit", body, PATIENCE_S)
        known = self.accepted.setdefault(request_id, answer["interaction_id"])
        assert answer["interaction_id"] == known, f"{request_id} was started twice"

    def answer_questions(self, connection: Connection) -> None:
        """A person lets what was interrupted be done again."""
        for interaction_id in set(self.accepted.values()) - self.finished:
            shown = connection.call("interaction.get", {"interaction_id": interaction_id}, PATIENCE_S)
            if shown["state"] in {"completed", "failed"}:
                self.finished.add(interaction_id)
            for step in shown["steps"]:
                question = step.get("question", {})
                if question.get("kind") == "interrupted":
                    self.asked += 1
                    self.respond(connection, interaction_id, step)

    def respond(self, connection: Connection, interaction_id: str, step: dict[str, Any]) -> None:
        body = {
            "interaction_id": interaction_id,
            "step_id": step["step_id"],
            "payload": {"decision": "retry"},
            "request_id": f"{interaction_id}/{step['step_id']}/{step['attempt']}",
        }
        connection.call("interaction.respond", body, PATIENCE_S)

    def check_what_was_promised(self, connection: Connection) -> None:
        """Everything that any client was ever told before the kill is still so."""
        for interaction_id in self.accepted.values():
            connection.call("interaction.get", {"interaction_id": interaction_id}, PATIENCE_S)
        if self.published:
            first, last = min(self.published), max(self.published)
            kept = {event["seq"]: event for event in self.daemon.events(first - 1) if event["seq"] <= last}
            for seq, event in self.published.items():
                assert kept[seq] == event, f"event {seq} was published, and is another one now"

    def states(self) -> dict[str, str]:
        return {r: self.daemon.call("interaction.get", interaction_id=i)["state"] for r, i in self.accepted.items()}


def live_and_be_killed(work: Round, rng: random.Random) -> bool:
    """One life. False when everything came to its end before the kill."""
    place = work.daemon
    process = place.spawn()
    at_the_start = rng.random() < 0.25  # while it opens its store, recovers, and re-issues
    if not at_the_start:
        place.wait_until_ready()
    killer = threading.Timer(rng.uniform(0, STARTING_S if at_the_start else LONGEST_LIFE_S), process.kill)
    killer.start()
    try:
        place.ready.wait(PATIENCE_S)
        work.one_life(place.connect())
    except (ClientError, OSError):
        assert place.gone() == -9, place.said
        return True
    finally:
        killer.cancel()
        killer.join()
    place.kill()
    return False


def settle(work: Round) -> None:
    """Bring it to its end in peace."""
    work.daemon.start()
    work.one_life(work.daemon.connect())
    work.daemon.kill()


def outcomes(work: Round) -> dict[str, Any]:
    name = {request_id: request_id.split("-", 1)[1] for request_id in work.accepted}
    return {name[request_id]: outcome(work.daemon.end_of(i)) for request_id, i in work.accepted.items()}


def test_a_daemon_that_is_killed_again_and_again_loses_nothing_and_repeats_nothing(
    capsys: pytest.CaptureFixture[str],
):
    rng = random.Random(SEED)
    print(f"ORCHESTRAL_SEED={SEED}")
    kills, rounds, questions = 0, 0, 0
    with daemon(GRANTED, started=False) as place:
        place.drop_tally()
        undisturbed = Round(place, 0, rng)
        settle(undisturbed)
        place.start()
        expected = outcomes(undisturbed)
        place.kill()
        assert expected.keys() == PLANS.keys()
        while kills < KILLS:
            rounds += 1
            work = Round(place, rounds, rng)
            lives = 0
            while live_and_be_killed(work, rng):
                kills, lives = kills + 1, lives + 1
                assert lives < MOST_LIVES, f"no end after {lives} lives"
                if kills == KILLS:
                    settle(work)
                    break
            place.start()
            for name, seen in outcomes(work).items():
                assert seen == expected[name], name
            questions += work.asked
            place.kill()
        place.start()
        events = place.events()
        check_gap_free(events)
        check_steps(events)
        runs = check_runs(events, place.workspace)
        interrupted = sum(event["type"] == "step.interrupted" for event in events)
        assert place.stop() == 0
    with capsys.disabled():
        print(
            f"\n{kills} kills in {rounds} rounds: {len(events)} events, {runs} runs of external plugins, "
            f"{interrupted} steps interrupted, {questions} questions to a person; seed {SEED}"
        )
