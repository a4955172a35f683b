"""Does the name of a file stay data, whatever it is?"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrald.core.model import ActionSpec
from orchestrald.core.normalize import normalize
from orchestrald.core.references import resolve
from orchestrald.core.trigger_text import example, intent_for, of_file, of_moment, plan_for, quoted
from orchestrald.core.triggers import Folder
from orchestrald.errors import PlanError

names = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30),
    st.sampled_from(["yes", "{{x.y}}", "{{{{", "}}", "a\nb", "a  b", 'a" and delete "b', "{path}", "\u202egpj.exe"]),
)


@given(names)
def test_a_quoted_name_is_one_printable_line_that_says_exactly_the_name(name: str) -> None:
    text = quoted(name)
    assert text.isprintable()
    assert text[0] == text[-1] == '"'
    assert json.loads(text) == name
    assert " ".join(text.split()) == text, "who reads any number of spaces as one reads the same name"


@given(names)
def test_an_intent_gets_the_quoted_path_and_a_name_cannot_ask_for_another_hole(name: str) -> None:
    assert intent_for("read {path} now", of_file(f"/in/{name}", 0)) == f"read {quoted(f'/in/{name}')} now"


def test_braces_in_an_intent_without_a_file_mean_themselves() -> None:
    assert intent_for("say {path}", of_moment(0)) == "say {path}"


def never(_root: str) -> object:
    raise AssertionError("a name refers to nothing")


@given(names)
def test_a_plan_gets_the_name_as_it_is_and_nothing_in_it_is_a_reference(name: str) -> None:
    plan = {"steps": [{"id": "a", "action": "work", "params": {"p": "{{trigger.path}}", "t": "<{{ trigger.name }}>"}}]}
    data = of_file(f"/in/{name}", 0)
    params = plan_for(plan, data)["steps"][0]["params"]
    assert resolve(params, never) == {"p": data["path"], "t": f"<{data['name']}>"}


def test_every_other_reference_stays_for_the_executor() -> None:
    steps = [
        {"id": "a", "action": "work", "params": {"p": "{{trigger.at}}"}},
        {"id": "b", "action": "work", "params": {"p": "{{a.x}} at {{trigger.at}}, {{{{ }}"}},
    ]
    filled = plan_for({"steps": steps}, of_moment(0))["steps"]
    assert filled[0]["params"]["p"] == "1970-01-01T00:00:00Z"
    assert filled[1]["params"]["p"] == "{{a.x}} at 1970-01-01T00:00:00Z, {{{{ }}"


def test_a_plan_that_asks_for_what_its_trigger_does_not_have_is_told_what_there_is() -> None:
    plan = {"steps": [{"id": "a", "action": "work", "params": {"p": "{{trigger.path}}"}}]}
    with pytest.raises(PlanError) as refused:
        plan_for(plan, of_moment(0))
    assert "{{trigger.at}}" in refused.value.data["problems"][0]["hint"]


def test_a_plan_can_be_judged_before_any_file_has_come() -> None:
    shape = {"type": "object", "properties": {"p": {"type": "string", "pattern": r"\.pdf$"}}}
    plan = {"goal": "g", "steps": [{"id": "a", "action": "work", "params": {"p": "{{trigger.path}}"}}]}
    filled = plan_for(plan, example(Folder(folder="/in/", glob="*.pdf"), 0))
    assert filled["steps"][0]["params"]["p"] == "/in/example.pdf"
    assert not isinstance(normalize(filled, {"work": ActionSpec("work", input_schema=shape)}), list)
