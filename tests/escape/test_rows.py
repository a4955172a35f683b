"""Is every attempt of the table held, and does it get through as soon as its mechanism is gone?

Each row is run four times: as root and as a user without rights, against the daemon as it is shipped, and against one
from which what holds the attempt was taken. The second half is what makes the first worth something.
"""

import pytest

from escape.conftest import Homes
from escape.host_side import Neighbourhood
from escape.rows import Row, run, table

pytestmark = [pytest.mark.kernel, pytest.mark.slow]
every_row = pytest.mark.parametrize("row", table(), ids=lambda row: row.name)


@every_row
def test_held(row: Row, user: str, homes: Homes, around: Neighbourhood) -> None:
    home = homes(user, removable=bool(row.also))
    home.remove(*row.also.split()) if row.also else None
    verdict = run(row, home.scene(row.name, around))
    assert verdict.escaped is False, verdict.evidence


@every_row
def test_gets_through_without_its_mechanism(row: Row, user: str, homes: Homes, around: Neighbourhood) -> None:
    if user in row.unprovable:
        pytest.skip(f"cannot be shown: {row.unprovable[user]}")
    home = homes(user, removable=True)
    home.remove("probe", *f"{row.also} {row.removed} {row.further.get(user, '')}".split())
    try:
        verdict = run(row, home.scene(row.name, around))
    finally:
        home.remove()
    assert verdict.escaped is True, verdict.evidence
    assert not verdict.incomplete, f"held all the same: {verdict.incomplete}"
