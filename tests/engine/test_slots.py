"""Are the limits kept, and does room that is there never go unused?"""

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from trio.testing import MockClock

from orchestrald.engine.slots import DaemonSlots, InteractionSlots
from support.rig import Gate, Rig, broken, busy, step

TOTAL, PER_INTERACTION = 3, 2
GROUPS: dict[str, list[tuple[str, int]]] = {
    "free": [],
    "boxed": [("sandboxes", 2)],
    "narrow": [("sandboxes", 2), ("action narrow", 1)],
    "single": [("action single", 1)],
}


@dataclass(eq=False)
class Hungry:
    """An interaction as the slots see it: what it wants to start, what it runs, and whether it was woken."""

    slots: InteractionSlots = field(init=False)
    wants: list[str] = field(default_factory=list)
    runs: list[tuple[str, list[str]]] = field(default_factory=list)
    woken: bool = False

    def slots_freed(self) -> None:
        self.woken = True


class SlotsMachine(RuleBasedStateMachine):
    """Interactions take turns in any order; a turn is what the actor and `start_ready` do with the slots."""

    def __init__(self) -> None:
        super().__init__()
        self.daemon = DaemonSlots(TOTAL, PER_INTERACTION, lambda action: GROUPS[action])
        self.all: list[Hungry] = []

    def turn(self, who: Hungry) -> None:
        who.woken = False
        woken_from = self.daemon.turn_begins(who)
        for action in sorted(set(who.wants)):
            while action in who.wants and who.slots.has_room(len(who.runs)) and who.slots.take(action):
                who.wants.remove(action)
                who.runs.append((action, who.slots.taken.pop()))
        self.daemon.turn_ends(woken_from)

    @rule(wants=st.lists(st.sampled_from(sorted(GROUPS)), max_size=4))
    def arrives(self, wants: list[str]) -> None:
        who = Hungry(wants=wants)
        who.slots = InteractionSlots(self.daemon, who)
        self.all.append(who)
        self.turn(who)

    @precondition(lambda self: any(who.woken for who in self.all))
    @rule(pick=st.integers(0, 20))
    def woken_one_takes_its_turn(self, pick: int) -> None:
        woken = [who for who in self.all if who.woken]
        self.turn(woken[pick % len(woken)])

    @precondition(lambda self: any(who.runs for who in self.all))
    @rule(pick=st.integers(0, 20), what=st.integers(0, 20))
    def step_ends(self, pick: int, what: int) -> None:
        busy_ones = [who for who in self.all if who.runs]
        who = busy_ones[pick % len(busy_ones)]
        _, groups = who.runs.pop(what % len(who.runs))
        self.daemon.give_back(groups)
        self.turn(who)  # its own end is news to it as well

    @precondition(lambda self: self.all)
    @rule(pick=st.integers(0, 20))
    def changes_its_mind(self, pick: int) -> None:
        self.all[pick % len(self.all)].wants.clear()

    @precondition(lambda self: any(not who.runs for who in self.all))
    @rule(pick=st.integers(0, 20))
    def is_cancelled_while_starving(self, pick: int) -> None:
        idle = [who for who in self.all if not who.runs]
        who = idle[pick % len(idle)]
        self.all.remove(who)
        self.daemon.forget(who)

    @invariant()
    def limits_are_kept(self) -> None:
        running = [groups for who in self.all for _, groups in who.runs]
        assert self.daemon.running == len(running) <= TOTAL
        for name, limit in {pair for pairs in GROUPS.values() for pair in pairs}:
            assert sum(name in groups for groups in running) <= limit
        assert all(len(who.runs) <= PER_INTERACTION for who in self.all)

    @invariant()
    def nobody_starves_beside_free_room(self) -> None:
        """Whoever could start something now was woken, or somebody else was woken for that very room."""
        if any(who.woken for who in self.all):
            return
        for who in self.all:
            for action in who.wants:
                groups = GROUPS[action]
                taken = [g for other in self.all for _, g in other.runs]
                room = len(taken) < TOTAL and len(who.runs) < PER_INTERACTION
                room = room and all(sum(name in g for g in taken) < limit for name, limit in groups)
                assert not room, f"{action} could start and nobody is awake"


TestSlots = SlotsMachine.TestCase


async def test_no_more_steps_run_than_the_daemon_allows(rig: Rig, autojump_clock: MockClock):
    rig.limits = {"max_parallel_steps": 4, "max_parallel_steps_daemon": 6}
    most = [0, 0]

    async def watch(*_: object) -> object:
        running = [len(actor.scopes) for actor in rig.engine.live.values()]
        most[:] = [max(most[0], *running), max(most[1], sum(running))]
        return await busy(1)(*_)  # type: ignore[arg-type]

    rig.script["work"] = [watch]  # type: ignore[list-item]
    async with rig.running() as engine:
        ids = [(await rig.submit(*[step(f"s{i}") for i in range(20)])).id for _ in range(4)]
        for interaction_id in ids:
            assert (await rig.end_of(interaction_id)).state == "completed"
        assert engine.slots.running == 0
    assert most == [4, 6]


async def test_a_long_interaction_does_not_keep_a_short_one_waiting(rig: Rig, autojump_clock: MockClock):
    rig.limits = {"max_parallel_steps": 2, "max_parallel_steps_daemon": 2}
    rig.script["work"] = [busy(1)]
    async with rig.running():
        long = await rig.submit(*[step(f"s{i}") for i in range(100)])
        short = await rig.submit(step("a"))
        await rig.end_of(short.id)
        assert sum(event.type == "step.succeeded" for event in rig.events) <= 5
        assert (await rig.end_of(long.id)).state == "completed"


async def test_an_interaction_that_is_cancelled_while_it_starves_stalls_nobody(rig: Rig, autojump_clock: MockClock):
    rig.limits = {"max_parallel_steps_daemon": 1}
    gate = Gate()
    rig.script |= {"other": [gate], "work": [busy(1)]}
    async with rig.running() as engine:
        first = await rig.submit(step("a", "other"))
        starving = [await rig.submit(step("b")) for _ in range(3)]
        await gate.begun.wait()
        await engine.cancel(starving[0].id, "uid:0", "")
        await engine.cancel(starving[1].id, "uid:0", "")
        gate.open.set()
        for each in (first, starving[2]):
            assert (await rig.end_of(each.id)).state == "completed"
        assert (await rig.end_of(starving[0].id)).state == "cancelled"
        assert engine.slots.running == 0


async def test_an_action_at_its_own_limit_holds_back_nothing_else(rig: Rig, autojump_clock: MockClock):
    rig.actions.limits["work"] = [("action work", 1)]
    rig.script |= {"work": [busy(10)], "other": [busy(1)]}
    async with rig.running():
        await rig.run(step("a"), step("b"), step("c", "other"))
    ends = [event.step_id for event in rig.events if event.type == "step.succeeded"]
    assert ends[0] == "c"
    assert sorted(ends) == ["a", "b", "c"]


async def test_shared_limits_hold_across_interactions(rig: Rig, autojump_clock: MockClock):
    rig.actions.limits |= {"work": [("sandboxes", 2)], "other": [("sandboxes", 2), ("action other", 1)]}
    rig.script |= {"work": [busy(1)], "other": [busy(1)], "once": [busy(3)]}
    async with rig.running() as engine:
        plan = [step("a"), step("b", "other"), step("c", "other"), step("d"), step("e", "once", depends_on=["d"])]
        ids = [(await rig.submit(*plan)).id for _ in range(5)]
        for interaction_id in ids:
            assert (await rig.end_of(interaction_id)).state == "completed"
        assert engine.slots.running == 0


async def test_a_retry_that_finds_no_room_is_started_when_there_is_some(rig: Rig, autojump_clock: MockClock):
    rig.limits = {"max_parallel_steps_daemon": 1}
    rig.script |= {"work": [broken(retryable=True, retry_after_ms=1_000), busy(1)], "other": [busy(10)]}
    async with rig.running():
        state = await rig.run(step("a"), step("b", "other"))
    assert state.state == "completed"
    assert state.runs["a"].attempt == 2
