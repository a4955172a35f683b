"""Which methods does the socket answer, and what do they take?

Rules of this file:

- One module per family of methods; each has its parameters and its part of the table.
- `METHODS` is the live table: `system.schema`, the dispatcher and PROTOCOL.md are made from it or checked against it.
- A method that is not built is not listed. Parameters refuse unknown keys, naming the key.
- Every method that changes something takes a `request_id`: the same id with the same parameters, even after a restart,
  gets the first answer again with `replayed: true`; with other parameters it is a conflict.
- Results are plain objects; their keys are described in PROTOCOL.md.
"""

from orchestrald.protocol.messages import (
    approvals,
    catalogue,
    events,
    interactions,
    memory,
    plans,
    references,
    sandbox,
    schedules,
    system,
    threads,
    usage,
)
from orchestrald.protocol.messages.shape import Method as Method
from orchestrald.protocol.messages.shape import Params as Params
from orchestrald.protocol.messages.system import PROTOCOL_VERSION as PROTOCOL_VERSION

MAX_REQUEST_BYTES = 4 * 1024 * 1024

METHODS: dict[str, Method] = {
    **system.METHODS,
    **threads.METHODS,
    **plans.METHODS,
    **interactions.METHODS,
    **approvals.METHODS,
    **events.METHODS,
    **catalogue.METHODS,
    **memory.METHODS,
    **references.METHODS,
    **schedules.METHODS,
    **sandbox.METHODS,
    **usage.METHODS,
}
