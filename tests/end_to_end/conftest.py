"""Which daemon do these tests talk to?"""

from collections.abc import Iterator

import pytest

from support.daemon import GRANTED, SUPPORT, Daemon, daemon


@pytest.fixture(scope="module")
def place() -> Iterator[Daemon]:
    """One that all tests of a file share: whatever one of them does to it, the next must find it well."""
    with daemon(GRANTED, started=False) as made:
        made.drop_tally()
        made.drop(SUPPORT / "plugins" / "hostile")
        made.start()
        pid = made.call("system.hello")["pid"]
        yield made
        assert made.call("system.hello")["pid"] == pid, "it died on the way"
        events = made.events()
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert not [line for line in made.log if '"exception"' in line], made.said
