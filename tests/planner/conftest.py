"""What the tests of the model planner share."""

import pytest

from planner.bench import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()
