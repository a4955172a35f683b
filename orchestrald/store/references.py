"""Where are outputs kept that are too large for an event?

Rules of this file:

- `<folder>/ab/cdef...`: the name is the content's SHA-256, so a file is written once and never changed.
- A name appears only after its content is on disk, and `put` returns only after the name is, too.
- All of it happens in a worker thread: hashing and fsync never stop the loop.
"""

import hashlib
import re
import secrets
from pathlib import Path

import trio

from orchestrald.beneath import open_root
from orchestrald.errors import NotFound, StoreError
from orchestrald.store import durable

_DIGEST = re.compile(r"sha256:([0-9a-f]{2})([0-9a-f]{62})")
_AT_ONCE = 4


class References:
    """`base.ReferenceStore` in a folder, which is made if it is missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._limit = trio.CapacityLimiter(_AT_ONCE)

    async def put(self, content: bytes) -> str:
        """As `base.ReferenceStore`. Raises StoreError when the disk refuses."""
        return await trio.to_thread.run_sync(self._put, content, limiter=self._limit)

    async def get(self, digest: str) -> bytes:
        """As `base.ReferenceStore`. What does not look like a digest is unknown, never a path."""
        return await trio.to_thread.run_sync(self._get, digest, limiter=self._limit)

    def _put(self, content: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
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
        return digest

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
        if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            raise StoreError(f"The reference {digest} was damaged on disk: its content no longer matches its name.")
        return content

    def _path(self, digest: str) -> Path:
        match = _DIGEST.fullmatch(digest)
        if match is None:
            raise NotFound(f"There is no reference {digest!r}: a digest is sha256: and 64 hexadecimal digits.")
        return self._folder / match[1] / match[2]


def sweep(folder: Path) -> None:
    """Remove what a crash left half-written. Call it before the first `put`."""
    for temporary in folder.glob("*/.*"):
        temporary.unlink(missing_ok=True)
