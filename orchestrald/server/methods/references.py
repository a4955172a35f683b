"""What is in the reference store?"""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from orchestrald.core.artifacts import type_of
from orchestrald.engine.engine import Engine
from orchestrald.errors import InvalidParams
from orchestrald.protocol.messages import references as m
from orchestrald.server.dispatch import Peer
from orchestrald.server.methods.asking import Answer, Row, once
from orchestrald.store.base_kept import ReferenceRow


@dataclass(frozen=True, slots=True)
class References:
    engine: Engine

    async def reference_put(self, params: m.ReferencePut, peer: Peer) -> Answer:
        content = _content(params)
        if params.keep and params.until is not None:
            raise InvalidParams("Give either keep or until.")

        async def serve(row: Row) -> Answer:
            media_type = params.media_type or ("application/octet-stream" if params.text is None else "text/plain")
            until = None if params.keep else params.until or self.engine.artifacts.until()
            about: dict[str, Any] = {
                "type": params.type or type_of(media_type),
                "media_type": media_type,
                "name": params.name,
                "metadata": params.metadata,
                "by": peer.by,
            }
            about |= {} if until is None else {"until": until}
            return await self.engine.artifacts.put(content, about, params.thread_id or "", row)

        return await once(self.engine, params, "reference.put", peer, serve)

    async def reference_list(self, params: m.ReferenceList, peer: Peer) -> Answer:
        rows = await self.engine.reader.kept.references(
            type_=params.type, thread_id=params.thread_id, before=params.cursor, limit=params.limit
        )
        answer: Answer = {"references": [_wire(row) for row in rows]}
        return answer | ({"cursor": rows[-1].seq} if len(rows) == params.limit else {})

    async def reference_get(self, params: m.ReferenceGet, peer: Peer) -> Answer:
        content, known = await self.engine.artifacts.get(params.digest)
        answer: Answer = {"digest": params.digest, "size": len(content), **(_wire(known) if known else {})}
        try:
            return answer | {"text": content.decode("utf-8")}
        except UnicodeDecodeError:
            return answer | {"base64": base64.b64encode(content).decode("ascii")}

    async def reference_delete(self, params: m.ReferenceDelete, peer: Peer) -> Answer:
        async def serve(row: Row) -> Answer:
            return await self.engine.artifacts.delete(params.digest, peer.by, row)

        return await once(self.engine, params, "reference.delete", peer, serve)


def _content(params: m.ReferencePut) -> bytes:
    if (params.text is None) == (params.base64 is None):
        raise InvalidParams("Give either text or base64.")
    try:
        content = base64.b64decode(params.base64, validate=True) if params.base64 is not None else _bytes(params.text)
    except (binascii.Error, ValueError) as error:
        raise InvalidParams(f"base64: {error}.") from None
    if len(content) > m.MAX_CONTENT:
        raise InvalidParams(
            f"The content has {len(content)} bytes, and {m.MAX_CONTENT} are allowed.",
            hint="Put large content into a file of the workspace, and pass its path.",
        )
    return content


def _bytes(text: str | None) -> bytes:
    return (text or "").encode("utf-8")


def _wire(row: ReferenceRow) -> Answer:
    wire = row._asdict()
    return {name: value for name, value in wire.items() if value not in (None, "")}
