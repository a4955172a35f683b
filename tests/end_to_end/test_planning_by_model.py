"""Does a goal that takes a model three rounds come to the same end when the daemon is killed in each phase of each?"""

import re
from typing import Any

import pytest

from support.chat_server import Answer, say
from support.lives import gate, heard, hold, over, restart, runs, states
from support.planned import Doors, planned, told, wants

pytestmark = [pytest.mark.slow, pytest.mark.kernel]

STEPS = [f"s{n}" for n in range(1, 11)]
ANSWER = "ten steps, the last of them 10"


def held(id_: str, **rest: Any) -> dict[str, Any]:
    """A step that ends when the gate of its round is open; each note of it counts."""
    return hold(id_, until=f"gate{round_of(id_)}", n=int(id_[1:]), action="guest.hold", **rest)


def round_of(step_id: str) -> int:
    return 1 if int(step_id[1:]) <= 4 else 2 if int(step_id[1:]) <= 8 else 3


PLANS = {
    1: {"type": "MINI_PLAN", "goal": "first", "steps": [held(each) for each in STEPS[:4]]},
    2: {
        "type": "MINI_PLAN",
        "goal": "second",
        "steps": [held(each, depends_on=[STEPS[int(each[1:]) - 5]]) for each in STEPS[4:8]],
    },
    3: {
        "type": "MINI_PLAN",
        "goal": "third",
        "steps": [held("s9"), held("s10", depends_on=["s9"])],
        "on_complete": "ten steps, the last of them {{s10.n}}",
    },
}


def answer(asked: dict[str, Any]) -> tuple[int, Answer]:
    """The plan of the round, by what the model is told has been done."""
    done = max((round_of(each) for each in STEPS if re.search(rf'"?{each}\b', told(asked))), default=0)
    return done + 1, say(PLANS[done + 1], tokens=(1000, 0, 100))


def open_gates(place: Any, *numbers: int) -> None:
    for number in numbers:
        gate(place, f"gate{number}")


def check(place: Any, name: str) -> None:
    """The same outcome, no call paid twice, no step run twice but what a person may not even notice: none here."""
    shown = over(place, name)
    assert (shown["state"], shown["answer"]) == ("completed", ANSWER)
    assert states(shown) == dict.fromkeys(STEPS, "succeeded")
    assert [event["data"]["part"] for event in place.events(types=["model.answered"])] == [
        "round 1",
        "round 2",
        "round 3",
    ]


def test_undisturbed() -> None:
    doors = Doors(answer, closed=False)
    with planned(doors) as (place, _):
        open_gates(place, 1, 2, 3)
        name = wants(place)
        check(place, name)
        assert doors.arrived == [1, 2, 3]
        assert [runs(place, name, each) for each in STEPS] == [1] * 10


def test_killed_before_each_call() -> None:
    """The intent, or the end of the plan before, is durable, and the model was not asked yet: the gate of the last step
    opens, and the daemon dies."""
    doors = Doors(answer, closed=False)
    with planned(doors) as (place, _):
        name = wants(place)
        restart(place)
        for number in (1, 2):
            heard(place, "step.started", name, 4 * number)
            open_gates(place, number)
            heard(place, "interaction.planning", name, number + 1)
            restart(place)
        open_gates(place, 3)
        check(place, name)
        assert [runs(place, name, each) for each in STEPS] == [1] * 10


def test_killed_during_each_call() -> None:
    doors = Doors(answer, closed=True)
    with planned(doors) as (place, _):
        open_gates(place, 1, 2, 3)
        name = wants(place)
        for number in (1, 2, 3):
            doors.wait_for(number)
            place.kill()
            doors.open(number)
            place.start()
        check(place, name)
        assert sorted(set(doors.arrived)) == [1, 2, 3]
        assert len(doors.arrived) == 6, "what nobody has an answer to is asked once more, and not more often"
        assert [runs(place, name, each) for each in STEPS] == [1] * 10


def test_killed_after_each_call() -> None:
    """The answer is durable: from here on it must never be asked for again, whether the plan was adopted or not."""
    doors = Doors(answer, closed=False)
    with planned(doors) as (place, _):
        name = wants(place)
        for number in (1, 2, 3):
            heard(place, "model.answered", name, number)
            restart(place)
            open_gates(place, number)
        check(place, name)
        assert doors.arrived == [1, 2, 3]


def test_killed_during_the_execution_of_each_plan() -> None:
    """Steps that run when the daemon dies are declared idempotent here, and run again; what has succeeded does not."""
    doors = Doors(answer, closed=False)
    with planned(doors) as (place, _):
        name = wants(place)
        for number, running in ((1, STEPS[:4]), (2, STEPS[4:8]), (3, STEPS[8:9])):
            for each in running:
                heard(place, "step.started", name, step_id=each)
            restart(place)
            open_gates(place, number)
            for each in running:
                heard(place, "step.succeeded", name, step_id=each)
        check(place, name)
        assert doors.arrived == [1, 2, 3]
