"""What did the operator configure?

Rules of this file:

- The models below are the settings; configs/orchestral.yaml lists each with its default and a test compares the two.
- An unknown key is an error that names the nearest one: a misspelt setting that is ignored is one that fails open.
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from orchestrald.config_models import Budgets, Interpreter, Planner, Providers, Section
from orchestrald.core.approval import Rule, Rules, Word
from orchestrald.core.model import ActionSpec, Seconds, parse_duration
from orchestrald.hookspecs import Confinement
from orchestrald.manifest_model import Size


class App(Section):
    name: str = "orchestral"
    environment: str = "development"


class Runtime(Section):
    """`max_parallel_steps` is per interaction, `max_parallel_steps_daemon` for all of them together."""

    max_parallel_steps: int = Field(16, ge=1, le=1024)
    max_parallel_steps_daemon: int = Field(64, ge=1, le=4096)
    max_parallel_sandboxes: int = Field(0, ge=0, le=1024, description="0 means twice the number of processor cores")
    concurrency_policy: str = "interrupt_and_start_new"
    max_interactions_per_thread: int = Field(10, ge=1, le=10_000)
    max_queued_per_thread: int = Field(100, ge=0, le=10_000)
    max_replans: int = Field(1, ge=0, le=20)


class References(Section):
    """`retention`: how long what is stored is kept, if nobody says otherwise; missing: for ever."""

    retention: Annotated[float, BeforeValidator(parse_duration), Field(ge=60, le=100 * 366 * 86400)] | None = None


class Store(Section):
    durability: Literal["power_loss", "process_crash"] = "power_loss"
    inline_output_bytes: int = Field(64 * 1024, ge=1024, le=4 * 1024 * 1024)


class Events(Section):
    """`retain_unmatched` is how long an external event that no step waits for is kept for one that will."""

    retain_unmatched: Seconds = 7 * 86400.0


class ApprovalRule(Section):
    """Exactly one of `deny`, `ask` and `allow` names the actions, as a pattern; `params` are patterns by path."""

    deny: str | None = None
    ask: str | None = None
    allow: str | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    reason: str = ""

    @model_validator(mode="after")
    def _one_word(self) -> "ApprovalRule":
        if len([word for word in (self.deny, self.ask, self.allow) if word]) != 1:
            raise ValueError("a rule has exactly one of deny, ask and allow")
        return self

    def rule(self) -> Rule:
        words: tuple[Word, ...] = ("deny", "ask", "allow")
        word = next(word for word in words if getattr(self, word))
        return Rule(word, getattr(self, word), self.params, self.reason)


class Approvals(Section):
    """`expires` missing: a question stays open until somebody answers it."""

    auto: Literal["never", "destructive", "always"] = "never"
    unattended: Literal["queue", "deny"] = "queue"
    expires: Seconds | None = None
    rules: tuple[ApprovalRule, ...] = ()


class SandboxLimits(Section):
    """What one run may use. All processes together: `memory`, `processes`, `cpus` (0: as many as there are; held only
    where there is a control group), `workspace_*`; the rest is for each process or file."""

    memory: Size = 1 << 30
    address_space: Size = 4 << 30
    processes: int = Field(128, ge=1, le=1_000_000)
    cpus: float = Field(0, ge=0, le=1024)
    cpu_time: Seconds = 60.0
    open_files: int = Field(512, ge=64, le=1_000_000)
    file_size: Size = 256 << 20
    tmp: Size = 64 << 20
    workspace_growth: Size = 1 << 30
    workspace_files: int = Field(20_000, ge=1)

    def given(self) -> dict[str, int]:
        """Those that were written down, by the sandbox's own names and in its units."""
        found: dict[str, int] = {}
        for key in self.model_fields_set:
            value = getattr(self, key)
            if key == "cpus":
                value = value * 100 or 100_000
            found[_LIMITS.get(key, key)] = max(1, int(value))
        return found


_LIMITS = {
    "memory": "memory_bytes",
    "address_space": "address_space_bytes",
    "cpus": "cpu_percent",
    "cpu_time": "cpu_seconds",
    "file_size": "file_bytes",
    "tmp": "tmp_bytes",
    "workspace_growth": "workspace_bytes",
}


class Grant(Section):
    """What one plugin's programs may touch. A key left out means: as in the section `sandbox`.

    `destinations`, `protected` and each of `limits` take the place of the general ones; `masked` are added to them.
    """

    mode: Literal["none", "read_only", "workspace_write"] | None = None
    network: Literal["off", "proxy", "host"] | None = None
    destinations: tuple[str, ...] | None = None
    fs_read: Literal["minimal", "host"] | None = None
    unix_sockets: bool = False
    writable_roots: tuple[str, ...] = ()
    read_roots: tuple[str, ...] = ()
    env_pass: tuple[str, ...] = ()
    protected: tuple[str, ...] | None = None
    masked: tuple[str, ...] = ()
    limits: SandboxLimits = SandboxLimits()


class Sandbox(Section):
    mode: Literal["read_only", "workspace_write"] = "read_only"
    backend: Literal["auto", "bubblewrap", "seatbelt"] = "auto"
    network: Literal["off", "proxy", "host"] = "off"
    destinations: tuple[str, ...] = ()
    fs_read: Literal["minimal", "host"] = "minimal"
    protected: tuple[str, ...] | None = None
    masked: tuple[str, ...] = ()
    limits: SandboxLimits = SandboxLimits()
    bwrap_path: str | None = None
    run_as: tuple[int, int] | None = None


class Plugins(Section):
    """`settings` and `grants` are by plugin name. A grant may loosen the sandbox for one plugin; nothing else can."""

    folders: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)
    grants: dict[str, Grant] = Field(default_factory=dict)


class Observability(Section):
    """`traces` is the address of a collector that takes spans over OTLP/HTTP; missing: none are made."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_file: str | None = None
    log_format: Literal["auto", "human", "json"] = "auto"
    traces: Annotated[str, Field(pattern=r"^https?://[^\s/]")] | None = None


class Server(Section):
    max_connections: int = Field(64, ge=1, le=4096)
    allow_uids: tuple[int, ...] = ()


class Service(Section):
    drain_timeout: Seconds = 30.0


class Config(Section):
    version: Literal[1] = 1
    app: App = App()
    runtime: Runtime = Runtime()
    planner: Planner = Planner()
    interpreter: Interpreter = Interpreter()
    providers: Providers = Providers()
    budgets: Budgets = Budgets()
    store: Store = Store()
    references: References = References()
    events: Events = Events()
    approvals: Approvals = Approvals()
    sandbox: Sandbox = Sandbox()
    plugins: Plugins = Plugins()
    observability: Observability = Observability()
    server: Server = Server()
    service: Service = Service()


def confinement(config: Config, plugin: str) -> Confinement:
    """The operator's word for one plugin: its grant laid over the section `sandbox`."""
    general = config.sandbox
    grant = config.plugins.grants.get(plugin, Grant())
    return Confinement(
        mode=grant.mode or general.mode,
        backend="none" if grant.mode == "none" else general.backend,
        network=grant.network or general.network,
        destinations=general.destinations if grant.destinations is None else grant.destinations,
        fs_read=grant.fs_read or general.fs_read,
        writable_roots=grant.writable_roots,
        unix_sockets=grant.unix_sockets,
        bwrap_path=general.bwrap_path,
        read_roots=grant.read_roots,
        env_pass=grant.env_pass,
        run_as=general.run_as,
        protected=general.protected if grant.protected is None else grant.protected,
        masked=(*general.masked, *grant.masked),
        limits=general.limits.given() | grant.limits.given(),
    )


def gate(config: Config, specs: Mapping[str, ActionSpec]) -> Rules:
    """The operator's word on approvals. A yes to an action is void when what it may touch, or the plugin, changes."""
    said = config.approvals
    return Rules(
        rules=tuple(rule.rule() for rule in said.rules),
        auto=said.auto,
        unattended=said.unattended,
        expires_us=None if said.expires is None else int(said.expires * 1_000_000),
        policies={name: _policy(config, spec) for name, spec in specs.items()},
        declared={name: (spec.approval, spec.effects) for name, spec in specs.items()},
    )


def _policy(config: Config, spec: ActionSpec) -> str:
    about = (spec.plugin, spec.version, spec.digest, confinement(config, spec.plugin))
    return hashlib.sha256(repr(about).encode()).hexdigest()[:16]
