"""Is every method answered, and is every error one that its reader can act on?"""

from typing import Any

import pytest

from orchestrald.errors import InternalError, InvalidParams
from orchestrald.protocol.messages import METHODS
from orchestrald.protocol.messages.events import EventsList
from orchestrald.protocol.messages.interactions import Submit
from orchestrald.server.dispatch import INLINE, Dispatcher, read_params


async def nothing(_: Any, __: Any) -> dict[str, Any]:
    return {}


def test_a_method_without_handler_or_a_handler_without_method_stops_the_start() -> None:
    handlers = dict.fromkeys(METHODS, nothing)
    Dispatcher(handlers)
    del handlers["system.ping"]
    handlers["system.pong"] = nothing
    with pytest.raises(
        InternalError, match=r"without a handler: \['system.ping'\].*without a method: \['system.pong'\]"
    ):
        Dispatcher(handlers)


def test_every_method_that_is_answered_in_turn_exists_and_changes_nothing() -> None:
    assert METHODS.keys() >= INLINE
    assert [name for name in INLINE if METHODS[name].changes] == []


def test_all_wrong_parameters_are_named_in_one_sentence() -> None:
    with pytest.raises(InvalidParams) as refused:
        read_params(EventsList, {"limit": 0, "afterseq": 1, "types": ["a", 2], "wait_ms": "soon"})
    assert refused.value.message == (
        "types[1]: input should be a valid string; "
        "limit: input should be greater than or equal to 1; "
        "wait_ms: input should be a valid integer, unable to parse string as an integer; "
        "afterseq: unknown parameter (did you mean after_seq)."
    )
    assert [p["path"] for p in refused.value.data["problems"]] == ["types[1]", "limit", "wait_ms", "afterseq"]


def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(InvalidParams, match=r"^interaction_id: is required\.$"):
        read_params(METHODS["interaction.get"].params, {})


def test_unknown_parameters_by_the_thousand_do_not_make_an_endless_answer() -> None:
    with pytest.raises(InvalidParams, match="and 9950 more") as refused:
        read_params(Submit, {f"x{n}": n for n in range(10_000)})
    assert len(str(refused.value.to_wire())) < 30_000
