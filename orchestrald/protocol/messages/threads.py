"""What can be asked about threads?"""

from orchestrald.protocol.messages.shape import Id, Method, Page, Params, RequestId


class ThreadCreate(Params):
    title: str = ""
    request_id: RequestId | None = None


class ThreadGet(Params):
    thread_id: Id


METHODS: dict[str, Method] = {
    "thread.create": Method(ThreadCreate, "make a thread", True),
    "thread.get": Method(ThreadGet, "one thread"),
    "thread.list": Method(Page, "the newest threads"),
}
