"""Where are outputs kept that are too large for an event?

Rules of this file:

- `<folder>/ab/cdef...`: the name is the content's SHA-256, so a file is written once and never changed.
- A name appears only after its content is on disk, and `put` returns only after the name is, too.
- All of it happens in a worker thread: hashing and fsync never stop the loop.
"""

import hashlib
import math
import re
import secrets
from pathlib import Path

import trio

from orchestrald.beneath import open_root
from orchestrald.errors import DamagedReference, NotFound, StoreError
from orchestrald.store import durable

_DIGEST = re.compile(r"sha256:([0-9a-f]{2})([0-9a-f]{62})")
_AT_ONCE = 4
_MANY = 1_000

JUST_NOW_S = 60.0
"""Content that was stored less than so many seconds ago is not removed: who stored it may be about to name it."""


class References:
    """`base.ReferenceStore` in a folder, which is made if it is missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._limit = trio.CapacityLimiter(_AT_ONCE)
        self._put_at: dict[str, float] = {}
        self._leaving: dict[str, trio.Event] = {}

    async def put(self, content: bytes) -> str:
        """As `base.ReferenceStore`. Raises StoreError when the disk refuses."""
        digest = await trio.to_thread.run_sync(_digest_of, content, limiter=self._limit)
        while (leaving := self._leaving.get(digest)) is not None:
            await leaving.wait()
        self._put_at[digest] = trio.current_time()  # from now on, and before it is there: `remove` looks at this
        await trio.to_thread.run_sync(self._put, digest, content, limiter=self._limit)
        self._forget_old_ones()
        return digest

    async def get(self, digest: str) -> bytes:
        """As `base.ReferenceStore`. What does not look like a digest is unknown, never a path."""
        return await trio.to_thread.run_sync(self._get, digest, limiter=self._limit)

    async def remove(self, digest: str) -> bool:
        """As `base.ReferenceStore`."""
        if digest in self._leaving or self._put_at.get(digest, -math.inf) > trio.current_time() - JUST_NOW_S:
            return False
        gone = self._leaving[digest] = trio.Event()
        try:
            await trio.to_thread.run_sync(self._remove, digest, limiter=self._limit)
        finally:
            del self._leaving[digest]
            gone.set()
        return True

    async def digests(self, since: int) -> list[str]:
        """As `base.ReferenceStore`: by the time of the file."""
        return await trio.to_thread.run_sync(self._digests, since, limiter=self._limit)

    def _forget_old_ones(self) -> None:
        if len(self._put_at) > _MANY:
            before = trio.current_time() - JUST_NOW_S
            self._put_at = {digest: at for digest, at in self._put_at.items() if at > before}

    def _put(self, digest: str, content: bytes) -> None:
        path = self._path(digest)
        try:
            # Folders are synced also when another put made them: it may not have come that far. Clean ones cost little.
            durable.make_folder(path.parent)
            if path.is_file() and path.stat().st_size == len(content):
                durable.sync_folder(path.parent)
            else:
                self._write(path, content)
            durable.sync_folder(self._folder)
        except OSError as error:
            raise StoreError(f"The reference {digest} cannot be written: {error}") from error

    def _write(self, path: Path, content: bytes) -> None:
        temporary = path.with_name(f".{secrets.token_hex(8)}")
        try:
            durable.make_file(temporary)
            temporary.write_bytes(content)
            durable.publish(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def _get(self, digest: str) -> bytes:
        path = self._path(digest)
        try:
            with (
                open_root(str(self._folder)) as root,
                root.open(str(path.relative_to(self._folder)), alone=True) as file,
            ):
                content = file.read()
        except FileNotFoundError:
            raise NotFound(f"There is no reference {digest}.") from None
        except OSError as error:
            raise StoreError(f"The reference {digest} cannot be read: {error}") from error
        if _digest_of(content) != digest:
            raise DamagedReference(f"The reference {digest} was damaged: its content no longer matches its name.")
        return content

    def _remove(self, digest: str) -> None:
        path = self._path(digest)
        try:
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                durable.sync_folder(path.parent)
        except OSError as error:
            raise StoreError(f"The reference {digest} cannot be removed: {error}") from error

    def _digests(self, since: int) -> list[str]:
        try:
            files = [path for path in self._folder.glob("??/*") if path.stat().st_mtime_ns >= since * 1000]
        except OSError as error:
            raise StoreError(f"The folder of references cannot be read: {error}") from error
        named = (f"sha256:{path.parent.name}{path.name}" for path in files)
        return [digest for digest in named if _DIGEST.fullmatch(digest)]

    def _path(self, digest: str) -> Path:
        match = _DIGEST.fullmatch(digest)
        if match is None:
            raise NotFound(f"There is no reference {digest!r}: a digest is sha256: and 64 hexadecimal digits.")
        return self._folder / match[1] / match[2]


def sweep(folder: Path) -> None:
    """Remove what a crash left half-written. Call it before the first `put`."""
    for temporary in folder.glob("*/.*"):
        temporary.unlink(missing_ok=True)


def _digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
