"""Which of many actions are shown."""

import json
import re
import time
from typing import Any

import pytest

from orchestrald.core.dialogue import Message
from orchestrald.core.model import ActionSpec
from orchestrald.core.observation import Observed, Seen
from orchestrald.core.redaction import Redaction
from orchestrald.models.base import Hear, Model, Prompt, Reply, Tokens
from orchestrald.planner.catalog import DETAILS, Detail, cards, line
from orchestrald.planner.data import Marking
from orchestrald.planner.llm import Settings
from orchestrald.planner.ranking import rank, words
from planner.bench import FEW, Bench
from support.scripted_model import ScriptedCalls, size

DONE = {"type": "DONE", "message": "Done."}
INPUT = {
    "type": "object",
    "properties": {f"field_{i}": {"type": "string", "description": "Some field of the thing. " * 4} for i in range(8)},
}
THOUSAND = {
    name: ActionSpec(name, f"Works on the {thing} number {i}. " + "It has much to say about it. " * 20, INPUT, INPUT)
    for i, thing in enumerate(["invoice", "mailbox", "calendar", "picture"] * 250)
    for name in [f"{thing}.do_{i}"]
}


def shown(prompt: Prompt) -> list[str]:
    return re.findall(r'^\{"action":"([^"]+)"', "\n".join(message.text for message in prompt.messages), re.MULTILINE)


async def test_few_actions_are_all_shown_without_asking(bench: Bench):
    said = await bench.ask([DONE])
    assert said.calls.purposes == ["plan"]
    assert shown(said.model.prompts[0]) == sorted(FEW)


async def test_a_thousand_actions_fit_a_small_window(bench: Bench):
    bench.catalog, bench.window = THOUSAND, 8192

    def answer(prompt: Prompt) -> dict[str, Any]:
        if prompt.name == "actions":
            assert prompt.shape is not None
            offered = prompt.shape["properties"]["actions"]["items"]["enum"]
            return {"actions": [name for name in offered if name.startswith("invoice")][:3]}
        return DONE

    said = await bench.ask(answer, "pay invoice number 40")
    assert said.calls.purposes == ["select", "plan"]
    assert all(size(prompt) <= 8192 for prompt in said.model.prompts)
    candidates, chosen = map(shown, said.model.prompts)
    assert 50 <= len(candidates) <= 100 and "invoice.do_40" in candidates
    assert 3 <= len(chosen) <= 8 and "invoice.do_40" in chosen
    assert (await bench.ask(answer, "pay invoice number 40")).model.prompts == said.model.prompts


@pytest.mark.parametrize(
    "choice",
    [
        "I choose invoices",
        "",
        {"actions": "invoice.do_40"},
        {"actions": [1, None, "nope"]},
        {"chosen": []},
        Reply('{"actions": ["mailbox.do_1"', Tokens(), "length"),
        Reply("No.", Tokens(), "refused"),
    ],
)
async def test_a_choice_that_cannot_be_read_is_made_by_words(bench: Bench, choice: Any):
    bench.catalog = THOUSAND
    said = await bench.ask([choice, DONE], "pay invoice number 40")
    assert len(shown(said.model.prompts[1])) == 30
    assert "invoice.do_40" in shown(said.model.prompts[1])


async def test_what_was_used_is_always_shown(bench: Bench):
    bench.catalog = THOUSAND
    steps = tuple(Seen(f"s{i}", name, "succeeded") for i, name in enumerate(["picture.do_3", "gone", "mailbox.do_1"]))
    choice = {"actions": ["calendar.do_2"]}
    said = await bench.ask([choice, DONE], "pay invoice number 40", observed=Observed(steps))
    assert {"picture.do_3", "mailbox.do_1", "calendar.do_2"} <= set(shown(said.model.prompts[1]))


async def test_the_last_message_and_the_ids_of_steps_choose_too(bench: Bench):
    bench.catalog, bench.settings = THOUSAND, Settings(max_actions=10)
    seen = Observed((Seen("calendar_777x", "gone", "succeeded"),))
    said = await bench.ask(["", DONE], "go on", dialogue=(Message(1, 1, "user", "picture number 7"),), observed=seen)
    assert {name.split(".")[0] for name in shown(said.model.prompts[1])} >= {"picture"}
    ids_alone = await bench.ask(["", DONE], "go on", observed=seen)
    assert {name.split(".")[0] for name in shown(ids_alone.model.prompts[1])} == {"calendar"}


async def test_an_action_that_was_not_shown_may_be_named_all_the_same(bench: Bench):
    bench.catalog = THOUSAND
    single = {"type": "SINGLE_ACTION", "action": "mailbox.do_997", "params": {}}
    said = await bench.ask([{"actions": ["invoice.do_0"]}, single])
    assert said.plan["steps"][0]["action"] == "mailbox.do_997"


def test_words_are_found_in_names_of_every_kind():
    assert words("fileRead HTTPServer files.read_all2 Überweisungen") == [
        "file", "read", "httpserver", "file", "read", "all2", "überweisungen",
    ]  # fmt: skip


def test_the_rarer_word_and_the_name_count_more_and_ties_go_by_name():
    described = {
        "b.read": "Read a thing.",
        "a.read": "Read a thing.",
        "zip": "Read and pack a thing.",
        "thing": "Something else.",
    }
    assert rank(described, "zip the thing")[:2] == ["zip", "thing"]
    assert rank(described, "nothing of it") == ["a.read", "b.read", "thing", "zip"]
    assert rank({}, "x") == []


def test_a_card_tells_what_an_action_needs_and_gives():
    made = cards(list(FEW.values()), 1000, Marking(Redaction()))
    assert made.text == (
        '<data source="actions">\n'
        '{"action":"file_read","does":"Read a text file.","effects":"read",'
        '"needs":{"path":"string: Within the workspace."},"gives":{"content?":"string","bytes?":"integer"}}\n'
        '{"action":"file_write","does":"Write a text file.","effects":"write","needs":{"path":"string: Within the '
        'workspace.","content":"string","append?":"boolean"},"gives":{"path?":"string"}}\n'
        "</data>"
    )


def test_one_card_that_is_too_long_keeps_no_other_out():
    long = ActionSpec("aaa", input_schema={"type": "object", "properties": {"x" * 9000: {}}})
    made = cards([long, *FEW.values()], 200, Marking(Redaction()))
    assert [spec.name for spec in made.shown] == sorted(FEW)
    assert made.left_out == 1
    json.loads(made.text.split("\n")[1])


@pytest.mark.parametrize("before", range(25, 41))
def test_a_description_loses_its_secrets_before_it_is_cut(before: int):
    known = "correct-horse-battery"
    about = "x" * before + known + " and more of it" * 40
    shape = {
        "type": "object",
        "properties": {"a": {"type": "string", "description": about, "default": about}, "b": {"enum": [about]}},
    }
    mark = Marking(Redaction([known]))
    for detail in (*DETAILS, Detail(40, 40, True)):
        told = line(ActionSpec("act", about, shape, shape), mark, detail)
        assert known[:3] not in told


async def test_a_description_that_is_chosen_by_loses_its_secrets_before_it_is_cut(bench: Bench):
    known = "correct-horse-battery"
    bench.redact = Redaction([known])
    bench.catalog = {f"a{i}": ActionSpec(f"a{i}", "x" * (55 + i) + known + " more" * 20) for i in range(31)}
    said = await bench.ask([{"actions": ["a1"]}, DONE])
    assert said.calls.purposes == ["select", "plan"]
    assert not any("xcor" in message.text for prompt in said.model.prompts for message in prompt.messages)


async def test_an_intent_of_megabytes_chooses_by_its_beginning(bench: Bench):
    bench.catalog = THOUSAND
    began = time.process_time()
    said = await bench.ask(["", DONE], "pay invoice number 40 " + "Picture " * 6_000_000)
    assert time.process_time() - began < 3, "with every word of it, it takes six seconds and more"
    assert "invoice.do_40" in shown(said.model.prompts[1])
    assert rank({"a": "x", "b": "late"}, "x " * 100_000 + "late") == ["a", "b"]
    said = await bench.ask(["", DONE], "go on " * 10_000, dialogue=(Message(1, 1, "user", "picture number 7"),))
    assert "picture" in shown(said.model.prompts[1])[0], "a long intent leaves room for what was said last"


class ByPurpose(ScriptedCalls):
    """Matches what is written down as the engine does: the n-th answer to a purpose is that of its n-th question."""

    def __init__(self, stored: dict[str, list[Reply]]) -> None:
        super().__init__()
        self.stored = stored

    async def ask(self, purpose: str, model: Model, prompt: Prompt, hear: Hear | None = None) -> Reply:
        self._answered = [self.stored[purpose].pop(0)] if self.stored.get(purpose) else []
        return await super().ask(purpose, model, prompt, hear)


async def test_after_a_restart_a_choice_is_asked_for_only_where_it_is_needed_and_no_plan_is_taken_for_one(bench: Bench):
    single = {"type": "SINGLE_ACTION", "action": "invoice.do_0", "params": {}}
    bench.catalog = THOUSAND
    first = await bench.ask([{"actions": ["invoice.do_0"]}, "no", single])
    assert first.calls.purposes == ["select", "plan", "repair"]

    def stored() -> dict[str, list[Reply]]:
        return {purpose: [reply] for purpose, reply in zip(first.calls.purposes, first.calls.replies, strict=True)}

    bench.catalog = {"invoice.do_0": THOUSAND["invoice.do_0"]}
    fewer = await bench.ask([], calls=(calls := ByPurpose(stored())))
    assert fewer.result == first.result and calls.purposes == ["plan", "repair"]

    bench.catalog = THOUSAND
    without = {purpose: replies for purpose, replies in stored().items() if purpose != "select"}
    more = await bench.ask([{"actions": []}], calls=(calls := ByPurpose(without)))
    assert more.result == first.result and calls.purposes == ["select", "plan", "repair"]
    assert len(more.model.prompts) == 1
