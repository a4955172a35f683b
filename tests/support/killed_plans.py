"""Plans that are run, killed and compared: one for each thing that must survive."""

from typing import Any

Step = dict[str, Any]


def work(id_: str, action: str = "tally.work", **rest: Any) -> Step:
    return {"id": id_, "action": action, **rest}


def chain() -> list[Step]:
    first = work("s0", params={"n": 1, "pause_ms": 20})
    return [first, *(work(f"s{i}", params={"n": f"{{{{s{i - 1}.n}}}}", "pause_ms": 20}) for i in range(1, 6))]


def fan_out() -> list[Step]:
    leaves = [work(f"leaf{i}", params={"n": i, "pause_ms": 10 * (i % 4)}) for i in range(10)]
    every = [f"{{{{leaf{i}.n}}}}" for i in range(10)]
    return [*leaves, work("join", params={"after": every, "n": "{{leaf9.n}}"})]


def retries() -> list[Step]:
    made = [work(f"r{i}", params={"fail_first": i, "n": i, "pause_ms": 10}) for i in range(3)]
    return [*made, work("after", params={"after": ["{{r0}}", "{{r1}}", "{{r2}}"]})]


def for_each() -> list[Step]:
    return [
        work("list", "tally.list", params={"n": 12}),
        work("each", for_each={"items": "{{list.items}}", "max_parallel": 4}, params={"n": "{{item.n}}"}),
        work("sum", params={"after": "{{each}}", "n": "{{each[11].n}}"}),
    ]


def stored() -> list[Step]:
    """The list is larger than an event may be, so it lives in the reference store."""
    return [
        work("list", "tally.list", params={"n": 6, "pad": 20_000}),
        work("each", for_each="{{list.items}}", params={"n": "{{item.n}}", "pause_ms": 15}),
        work("last", params={"n": "{{each[5].n}}"}),
    ]


def timers() -> list[Step]:
    return [
        work("before"),
        {"id": "pause", "kind": "wait_until", "params": {"for": "150ms"}, "depends_on": ["before"]},
        {"id": "other", "kind": "wait_until", "params": {"for": "400ms"}},
        work("then", depends_on=["pause", "other"], params={"n": "{{before.n}}"}),
    ]


def once() -> list[Step]:
    return [
        work("first", "tally.once", params={"n": 3, "pause_ms": 40}),
        work("middle", params={"n": "{{first.n}}"}),
        work("last", "tally.once", params={"n": "{{middle.n}}", "pause_ms": 40}),
        work("each", "tally.once", for_each=[1, 2, 3], params={"n": "{{item}}", "pause_ms": 20}),
    ]


def conditions() -> list[Step]:
    """One that fails, what depends on it, and what a condition leaves out."""
    return [
        work("a", params={"n": 2}),
        work("no", when=False, params={"n": 1}),
        work("seen", params={"after": "{{no}}"}, depends_on=["no"]),
        work("bad", params={"n": "{{a.nothing}}"}),
        work("never", depends_on=["bad"]),
        work("fine", params={"n": "{{a.n}}"}),
    ]


PLANS = {
    made.__name__: {"goal": made.__name__, "steps": made()}
    for made in (chain, fan_out, retries, for_each, stored, timers, once, conditions)
}
