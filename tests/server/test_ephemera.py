"""Does progress reach those who look on, seldom enough, and nobody else?"""

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from orchestrald.server.ephemera import Ephemera, Mailbox


@pytest.fixture
def ephemera(make_log: Callable[..., Any]) -> Ephemera:
    return Ephemera(make_log().ring)


async def test_a_thousand_reports_a_second_are_shown_five_times_and_the_last_is_among_them(
    ephemera: Ephemera, autojump_clock: Any
) -> None:
    mailbox = Mailbox(None)
    ephemera.attach(mailbox)
    shown: list[float] = []

    async def look() -> None:
        while True:
            await ephemera._ring.changed()
            shown.extend(params["done"] for _, params in mailbox.take())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ephemera.run)
        nursery.start_soon(look)
        await trio.testing.wait_all_tasks_blocked()
        for n in range(1000):
            ephemera.progress("i1", "a", n, 1000)
            await trio.sleep(0.001)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert len(shown) <= 6
    assert shown[-1] == 999


async def test_only_those_who_look_at_an_interaction_see_its_steps(ephemera: Ephemera, autojump_clock: Any) -> None:
    one, other, every = Mailbox("i1"), Mailbox("i2"), Mailbox(None)
    for mailbox in (one, other, every):
        ephemera.attach(mailbox)
    ephemera.progress("i1", "a", 1, None, "one")
    ephemera.log("i2", "b", "warn", "careful")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ephemera.run)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    progress = ("events.progress", {"interaction_id": "i1", "step_id": "a", "done": 1, "message": "one"})
    log = ("events.log", {"interaction_id": "i2", "step_id": "b", "level": "warn", "message": "careful"})
    assert one.take() == [progress]
    assert other.take() == [log]
    assert every.take() == [log, progress]
    assert every.take() == []


def test_a_mailbox_that_nobody_empties_stays_small() -> None:
    mailbox = Mailbox(None)
    for n in range(10_000):
        mailbox.put(("i", f"s{n}"), ("events.progress", {}))
        mailbox.put(("i", "s"), ("events.log", {"message": str(n)}))
    notes = mailbox.take()
    assert len(notes) <= 512
    assert notes[255] == ("events.log", {"message": "9999"})  # of lines the newest are kept


def test_nothing_is_kept_while_nobody_looks(ephemera: Ephemera) -> None:
    ephemera.progress("i1", "a", 1, 2)
    ephemera.log("i1", "a", "info", "x")
    mailbox = Mailbox(None)
    ephemera.attach(mailbox)
    ephemera._hand_out()
    assert not mailbox
    ephemera.detach(mailbox)
    ephemera.detach(mailbox)
    ephemera.progress("i1", "a", 1, 2)
    assert not ephemera._progress
