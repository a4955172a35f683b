"""What can be asked of the reference store?"""

from orchestrald.protocol.messages.shape import Id, Method, Params


class ReferenceGet(Params):
    digest: Id


METHODS: dict[str, Method] = {
    "reference.get": Method(ReferenceGet, "a stored output as text or base64"),
}
