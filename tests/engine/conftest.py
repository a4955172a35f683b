"""What do the engine's tests stand on?"""

import pytest

from support.rig import Rig


@pytest.fixture
def rig() -> Rig:
    """Tests take `autojump_clock` as well: hours cost nothing then, and a stall is found at once."""
    return Rig()
