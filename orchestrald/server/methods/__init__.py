"""What does each method do?

Thin by intent: a method reads its parameters, asks the engine or the reader, and shapes the answer that PROTOCOL.md
describes. Whoever looks for behaviour finds it a layer below. One module per family, as in `protocol.messages`.
"""

from typing import Any

from orchestrald.engine.engine import Engine
from orchestrald.protocol.messages import METHODS
from orchestrald.server.dispatch import Handler
from orchestrald.server.methods.approvals import Approvals
from orchestrald.server.methods.asking import Daemon
from orchestrald.server.methods.catalogue import Catalogue
from orchestrald.server.methods.events import Events
from orchestrald.server.methods.interactions import Interactions
from orchestrald.server.methods.memory import Memory
from orchestrald.server.methods.plans import Plans
from orchestrald.server.methods.references import References
from orchestrald.server.methods.sandbox import Sandbox
from orchestrald.server.methods.schedules import Schedules
from orchestrald.server.methods.system import System
from orchestrald.server.methods.threads import Threads
from orchestrald.server.methods.usage import Usage
from orchestrald.server.ring import Ring


def table(engine: Engine, ring: Ring, daemon: Daemon) -> dict[str, Handler]:
    """`interaction.submit` is `interaction_submit` of one of the families."""
    families: list[Any] = [
        System(daemon),
        Threads(engine),
        Plans(engine),
        Interactions(engine),
        Approvals(engine),
        Events(engine, ring),
        Catalogue(engine, daemon),
        Memory(engine),
        References(engine),
        Sandbox(engine, daemon),
        Schedules(engine, daemon),
        Usage(engine),
    ]
    names = ((name, name.replace(".", "_")) for name in METHODS)
    return {
        name: next(getattr(family, attribute) for family in families if hasattr(family, attribute))
        for name, attribute in names
    }
