"""The fake store and the real one, for tests of what both promise.

Importing `both_stores` makes `store` each of them in turn, in place of the one on disk that conftest has.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrald.store.memory import MemoryStore
from orchestrald.store.sqlite import open_store


@pytest.fixture(name="store", params=["memory", "sqlite"])
async def both_stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    if request.param == "memory":
        yield MemoryStore()
        return
    async with open_store(tmp_path / "store.db", durability="process_crash") as opened:
        yield opened
