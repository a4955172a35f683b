"""Which daemons do the rows share? Two for each user: as shipped, and one from which mechanisms can be taken."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from escape.host_side import Neighbourhood, neighbourhood
from escape.household import NOBODY, ROOT, Household, household, users
from orchestrald_sandbox import Unavailable, find_bwrap

Homes = Callable[..., Household]


def must_be_there(problem: str) -> None:
    """Where there is no sandbox nothing here proves anything: said loudly, and an error where it must be there."""
    if os.environ.get("CI") == "true" or os.environ.get("ORCHESTRAL_REQUIRE_KERNEL") == "1":
        pytest.fail(f"the escape suite cannot be run, and it must be run here: {problem}")
    pytest.skip(f"NOT TESTED, NO ESCAPE WAS TRIED: {problem}")


@pytest.fixture(scope="session")
def boundary() -> None:
    try:
        find_bwrap()
    except Unavailable as error:
        must_be_there(str(error))


@pytest.fixture(scope="session")
def around() -> Iterator[Neighbourhood]:
    with neighbourhood() as made:
        yield made


@pytest.fixture(scope="session")
def homes(boundary: None, around: Neighbourhood) -> Iterator[Homes]:
    """The household of a user, started when it is first asked for."""
    made: dict[tuple[str, bool], Household] = {}
    with ExitStack() as kept:

        def home(user: str, *, removable: bool) -> Household:
            if (user, removable) not in made:
                made[user, removable] = kept.enter_context(
                    household(user, removable=removable, port=around.tcp.getsockname()[1])
                )
                sandbox = made[user, removable].call("system.info")["sandbox"]
                if not sandbox["ok"]:
                    must_be_there(sandbox["reason"])
                if not removable:
                    made[user, removable].fall_asleep()
            return made[user, removable]

        yield home
        for each in (place for place in made.values() if not place.removable):
            events = each.events()
            assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
            assert not [line for line in each.log if '"exception"' in line], each.said


@pytest.fixture(params=[ROOT, NOBODY])
def user(request: pytest.FixtureRequest) -> str:
    if request.param not in users():
        pytest.skip("NOT TESTED AS ROOT: the suite itself does not run as root")
    return str(request.param)
