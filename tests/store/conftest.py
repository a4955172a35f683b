"""A store on disk, and a fake one, for whoever asks."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrald.store.memory import MemoryStore
from orchestrald.store.sqlite import Store, open_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "store.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    async with open_store(path, durability="process_crash") as opened:
        yield opened


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()
