"""What becomes of each kind of answer, and what goes back to the model."""

import json
from typing import Any

import pytest

from orchestrald.core.observation import Observed, Seen
from orchestrald.core.redaction import Redaction
from orchestrald.errors import BadAnswer, ModelRefused, ModelUnavailable, PlanError, PlannerUnavailable, PromptTooLong
from orchestrald.models.base import Prompt, Reply, Tokens
from orchestrald.planner.base import Done, Proposal
from orchestrald.planner.llm import Settings
from planner.bench import Bench

COPY = {
    "type": "MINI_PLAN",
    "goal": "copy it",
    "steps": [
        {"id": "read", "action": "file_read", "params": {"path": "a.txt"}},
        {"id": "write", "action": "file_write", "params": {"path": "b.txt", "content": "{{read.content}}"}},
    ],
    "on_complete": "Copied to {{write.path}}.",
}
DONE = {"type": "DONE", "message": "It is done."}
SEEN = Observed((Seen("file_read", "file_read", "succeeded", {"content": "hello"}),), "read it", round=2, left=3)


def complaints(prompt: Prompt) -> list[dict[str, str]]:
    """The problems that went back with the last message."""
    text = prompt.messages[-1].text
    inside = text.partition('<data source="problems">\n')[2].partition("\n</data>")[0]
    return [json.loads(line) for line in inside.splitlines()]


async def test_a_plan_is_proposed_as_the_model_said_it(bench: Bench):
    said = await bench.ask([COPY])
    assert said.result == Proposal(
        {"goal": "copy it", "steps": COPY["steps"], "on_complete": COPY["on_complete"]}, "llm:scripted", True, 6
    )
    assert said.calls.purposes == ["plan"]


async def test_a_plan_without_closing_words_says_so_and_blank_ones_are_none(bench: Bench):
    for words in ({}, {"on_complete": None}, {"on_complete": " "}):
        steps = COPY["steps"]
        said = await bench.ask([{"type": "MINI_PLAN", "goal": "g", "steps": steps, **words}])
        assert said.plan == {"goal": "g", "steps": steps, "on_complete": None}


async def test_what_is_null_was_not_said(bench: Bench):
    step = {"id": "a", "action": "file_read", "params": {"path": "x"}, "when": None, "for_each": None, "retry": None}
    said = await bench.ask([{"type": "MINI_PLAN", "goal": None, "steps": [step], "on_failure": None}, DONE])
    assert said.calls.purposes == ["plan", "repair"]  # but what may not be said is not to be named either
    assert complaints(said.model.prompts[1])[0]["path"] == "steps[0].retry"


async def test_done_is_the_answer(bench: Bench):
    assert (await bench.ask([DONE])).result == Done("It is done.", "llm:scripted", True)
    given_up = {**DONE, "achieved": False}
    assert (await bench.ask([given_up])).result == Done("It is done.", "llm:scripted", False)


async def test_one_action_is_a_plan_of_one_step_with_an_id_of_its_own(bench: Bench):
    single = {"type": "SINGLE_ACTION", "action": "file_read", "params": {"path": "a.txt"}, "why": "to see it"}
    said = await bench.ask([single])
    step = {"id": "file_read", "action": "file_read", "params": {"path": "a.txt"}}
    assert said.plan == {"goal": "to see it", "steps": [step], "on_complete": None}
    again = await bench.ask([single], observed=SEEN)
    assert again.plan["steps"][0]["id"] == "file_read_2"


async def test_a_question_is_a_step_that_waits_for_a_person(bench: Bench):
    said = await bench.ask([{"type": "NEED_INPUT", "question": "Which one?", "choices": ["a", "b", "a"]}])
    params = {"prompt": "Which one?", "schema": {"enum": ["a", "b"]}}
    assert said.plan["steps"] == [{"id": "ask", "kind": "wait_user", "params": params}]
    open_ = await bench.ask([{"type": "NEED_INPUT", "question": "Which one?", "choices": []}])
    assert open_.plan["steps"][0]["params"] == {"prompt": "Which one?"}


async def test_all_faults_of_an_answer_go_back_at_once_and_are_mended(bench: Bench):
    broken = {
        "type": "MINI_PLAN",
        "goal": "g",
        "confidence": 1,
        "steps": [
            {"id": "a", "action": "file_reed", "params": {"path": "x"}},
            "file_read",
            {
                "id": "c",
                "action": "file_write",
                "params": {"path": 3},
                "sandbox": {"mode": "host"},
                "retry": {"max": 9},
            },
            {"id": "d", "action": "file_read", "params": {"path": "{{nobody.x}}"}, "depends_on": ["e"]},
            {"id": "e", "action": "file_read", "params": {"path": "{{d.nothing}}"}, "remember": {"thread.x": ""}},
        ],
        "on_complete": "{{gone.x}}",
    }
    said = await bench.ask([broken, COPY])
    assert said.calls.purposes == ["plan", "repair"]
    told = complaints(said.model.prompts[1])
    assert [(problem["path"], problem["code"]) for problem in told] == [
        ("confidence", "unknown_key"),
        ("steps[1]", "not_an_object"),
        ("steps[2].retry", "unknown_key"),
        ("steps[2].sandbox", "unknown_key"),
        ("steps[4].remember", "unknown_key"),
        ("steps[0].action", "unknown_action"),
        ("steps[2].params", "invalid_params"),
        ("steps[2].params.path", "invalid_params"),
        ("steps[3].depends_on", "cycle"),
        ("steps[3].params.path", "unknown_step"),
        ("steps[4].params.path", "unknown_output"),
    ]
    assert "Did you mean file_read" in told[5]["hint"]
    roles = [message.role for message in said.model.prompts[1].messages]
    assert roles == ["system", "user", "assistant", "user"]
    assert said.model.prompts[1].messages[:2] == said.model.prompts[0].messages
    assert json.loads(said.model.prompts[1].messages[2].text) == broken


async def test_a_step_that_is_none_keeps_its_place_and_hides_no_fault_of_another(bench: Bench):
    checked: list[Any] = []

    async def check(plan: dict[str, Any]) -> None:
        checked.append(plan["steps"])
        raise PlanError("bad", data={"problems": [{"path": "steps[1]", "code": "x", "message": "y"}]})

    plan = {"type": "MINI_PLAN", "goal": "g", "steps": [None, {"id": "a", "depends_on": None}, "b"]}
    said = await bench.ask([plan, DONE], check=check)
    assert checked == [[{}, {"id": "a"}, {}]]
    assert [problem["path"] for problem in complaints(said.model.prompts[1])] == ["steps[0]", "steps[2]", "steps[1]"]


async def test_a_check_that_only_says_no_is_passed_on_in_its_words(bench: Bench):
    async def check(plan: dict[str, Any]) -> None:
        raise PlanError("Not today.")

    said = await bench.ask([COPY, DONE], check=check)
    assert complaints(said.model.prompts[1]) == [{"code": "invalid_plan", "message": "Not today."}]


@pytest.mark.parametrize(
    ("answer", "problems"),
    [
        ("I would read the file.", [("", "bad_answer")]),
        ("", [("", "empty")]),
        (Reply('{"type": "DO', Tokens(output=77), "length"), [("", "cut_off")]),
        ({"message": "hi"}, [("type", "unknown_type")]),
        ({"type": "WORKFLOW"}, [("type", "unknown_type")]),
        ({"type": "SKILL", "name": "x"}, [("type", "unknown_type")]),
        ({"type": "DONE"}, [("message", "missing_key")]),
        (
            {"type": "DONE", "message": " ", "achieved": "yes"},
            [("achieved", "wrong_shape"), ("message", "wrong_shape")],
        ),
        ({"type": "NEED_INPUT", "choices": [1]}, [("choices", "wrong_shape"), ("question", "missing_key")]),
        ({"type": "NEED_INPUT", "question": "{{x.y}}?"}, [("question", "unknown_step")]),
        ({"type": "SINGLE_ACTION", "params": {}}, [("action", "missing_key")]),
        ({"type": "SINGLE_ACTION", "action": "nope"}, [("action", "unknown_action")]),
        ({"type": "SINGLE_ACTION", "action": "file_read", "params": {"path": 1}}, [("params.path", "invalid_params")]),
        ({"type": "SINGLE_ACTION", "action": "file_read", "params": "a"}, [("params", "wrong_shape")]),
        ({"type": "MINI_PLAN", "goal": "g"}, [("steps", "wrong_shape")]),
        ({"type": "MINI_PLAN", "goal": "g", "steps": []}, [("steps", "empty_plan")]),
        (
            {"type": "MINI_PLAN", "goal": 1, "steps": COPY["steps"], "on_complete": 2},
            [("goal", ""), ("on_complete", "")],
        ),
    ],
)
async def test_each_fault_goes_back_once_and_is_mended(bench: Bench, answer: Any, problems: list[tuple[str, str]]):
    said = await bench.ask([answer, DONE], observed=SEEN)
    assert isinstance(said.result, Done)
    assert said.calls.purposes == ["plan", "repair"]
    told = [(problem.get("path", ""), problem["code"]) for problem in complaints(said.model.prompts[1])]
    assert told == [(path, code or "wrong_shape") for path, code in problems]
    assert said.model.prompts[1].messages[2].text


async def test_an_answer_that_was_cut_off_is_told_how_long_it_was(bench: Bench):
    said = await bench.ask([Reply('{"type": "DO', Tokens(output=77), "length"), DONE])
    assert complaints(said.model.prompts[1])[0]["message"] == "your answer was cut off at 77 tokens: say it shorter"


async def test_braces_that_name_no_step_may_stand_in_a_message(bench: Bench):
    message = "Jinja writes {{user.name}}, and {{ is no reference."
    assert (await bench.ask([{"type": "DONE", "message": message}], observed=SEEN)).result.text == message  # type: ignore[union-attr]


async def test_after_the_last_repair_the_last_faults_are_named(bench: Bench):
    unknown = {"type": "SINGLE_ACTION", "action": "nope", "params": {}}
    with pytest.raises(PlanError) as raised:
        await bench.ask(["no", "no", unknown])
    assert bench.calls.purposes == ["plan", "repair", "repair"]
    assert type(raised.value) is PlanError
    assert raised.value.message == "The plan of scripted has one fault, after 2 repairs."
    assert raised.value.data["problems"][0]["message"] == "there is no action 'nope'"
    with pytest.raises(BadAnswer) as bad:
        await bench.ask([unknown, unknown, "no"])
    assert bad.value.data["problems"][0]["code"] == "bad_answer"
    bench.settings = Settings(max_repairs=0)
    with pytest.raises(BadAnswer, match=r"has one fault\.$"):
        await bench.ask(["no"])


async def test_a_refusal_ends_it_in_the_models_words(bench: Bench):
    with pytest.raises(ModelRefused) as raised:
        await bench.ask([Reply("I will \x1b[2Jnot. " + "No. " * 1000, Tokens(), "refused")])
    assert raised.value.message.startswith("scripted declined: I will \\x1b[2Jnot. No.")
    assert len(raised.value.message) < 600


async def test_where_nobody_may_be_asked_it_says_so(bench: Bench):
    with pytest.raises(PlannerUnavailable, match="nobody may be asked"):
        await bench.ask([], calls=None)


async def test_without_a_check_the_contract_alone_is_read(bench: Bench):
    said = await bench.ask([{"type": "SINGLE_ACTION", "action": "nope"}], check=None)
    assert said.plan["steps"][0] == {"id": "nope", "action": "nope", "params": {}}


async def test_an_endpoint_with_a_smaller_window_is_asked_once_more_in_half_of_it(bench: Bench):
    said = await bench.ask([PromptTooLong(), DONE], dialogue=())
    assert said.calls.purposes == ["plan", "plan"]
    assert [prompt.max_tokens for prompt in said.model.prompts] == [4096, 3200]
    with pytest.raises(PromptTooLong):
        await bench.ask([PromptTooLong(), PromptTooLong()])


async def test_what_a_model_cannot_do_right_now_is_not_hidden(bench: Bench):
    with pytest.raises(ModelUnavailable):
        await bench.ask([ModelUnavailable("later")])


async def test_a_round_that_is_begun_again_asks_the_same_and_goes_on_where_it_was(bench: Bench):
    answers: list[Any] = ["no", {"type": "DONE"}, COPY]
    whole = await bench.ask(answers, observed=SEEN)
    for finished in range(4):
        again = await bench.ask(answers[finished:], observed=SEEN, answered=whole.calls.replies[:finished])
        assert again.result == whole.result
        assert again.calls.purposes == whole.calls.purposes
        assert again.model.prompts == whole.model.prompts[finished:]


async def test_what_a_model_says_in_an_error_has_no_secrets(bench: Bench):
    known = "correct-horse-battery"
    bench.redact = Redaction([known])
    for before in range(470, 500):
        with pytest.raises(ModelRefused) as refused:
            await bench.ask([Reply("x" * before + known + "y" * 900, Tokens(), "refused")])
        assert "cor" not in refused.value.message
    with pytest.raises(PlanError) as faults:
        await bench.ask([{"type": known}, {"type": "DONE", "message": "x", known: 1}, {"type": "SKILL", known: 1}])
    with pytest.raises(PlanError) as plan:
        await bench.ask([{"type": "SINGLE_ACTION", "action": known, "params": {}}] * 3)
    assert known not in json.dumps([faults.value.data, plan.value.data])
    assert "[redacted]" in json.dumps(plan.value.data)


RESULTS = Observed(
    (
        Seen("read", "file_read", "succeeded", {"content": "hello", "lines": [{"text": "a"}], "none": None}),
        Seen("big", "file_read", "succeeded", stored=9_000_000),
        Seen("no", "file_read", "skipped", reason="condition"),
        Seen("bad", "file_read", "failed", failure={"code": "x", "message": "y"}),
        Seen("soon", "file_read", "running"),
        Seen("old", "file_read", "superseded", {"content": "x"}, replaced=True),
    )
)


@pytest.mark.parametrize(
    "message",
    [
        "{{read.content}} and {{read}}, {{read.lines[0].text}}, {{ read.none }}",
        "{{big.anything[3]}}",
        "{{no.content}}, {{soon.content}}",
        "{{memory.thread.x}}, {{intent}}",
        "{{{{nobody.x}}}}",
        "{% if x %} {{}} {{ a + b }}",
        "{{nobody.x}} and {{ a + b }}",
        "{nobody}",
    ],
)
async def test_closing_words_may_refer_to_what_there_is(bench: Bench, message: str):
    said = await bench.ask([{"type": "DONE", "message": message}], observed=RESULTS)
    assert said.result.text == message  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("message", "observed", "problems"),
    [
        ("{{reed.content}}", RESULTS, [("unknown_step", "there is no step 'reed'", "Did you mean read")]),
        ("{{old.content}}", RESULTS, [("unknown_step", "there is no step 'old'", "")]),
        ("{{error.message}}", RESULTS, [("unknown_step", "there is no step 'error'", "")]),
        (
            "{{read.contents}}",
            RESULTS,
            [("unknown_output", "{{read.contents}} leads to no value", "Did you mean content")],
        ),
        ("{{read.lines[1].text}}", RESULTS, [("unknown_output", "{{read.lines[1].text}} leads to no value", "")]),
        ("{{bad.content}}", RESULTS, [("unknown_output", "the step 'bad' is failed and left no output", "")]),
        ("{{intent.x}}", RESULTS, [("unknown_output", "{{intent.x}} leads to no value", "")]),
        (
            "{{a.b}} {{read.content}} {{c}} {{a.b}}",
            RESULTS,
            [("unknown_step", "there is no step 'a'", ""), ("unknown_step", "there is no step 'c'", "")],
        ),
        ("{{read.content}}", None, [("unknown_step", "there is no step 'read'", "Say it in plain words.")]),
    ],
)
async def test_closing_words_that_refer_to_nothing_go_back(
    bench: Bench, message: str, observed: Observed | None, problems: list[tuple[str, str, str]]
):
    said = await bench.ask([{"type": "DONE", "message": message}, DONE], observed=observed)
    told = complaints(said.model.prompts[1])
    assert [(each["path"], each["code"], each["message"]) for each in told] == [
        ("message", code, words) for code, words, _ in problems
    ]
    for each, (_, _, hint) in zip(told, problems, strict=True):
        assert each.get("hint", "").startswith(hint)


async def test_faults_of_closing_words_go_back_with_the_others_and_quote_no_output(bench: Bench):
    output = {"text": "x" * 10 + "correct-horse-battery"}
    answer = {"type": "DONE", "message": "{{s.text.deeper}}", "achieved": 1, "why": "x"}
    said = await bench.ask([answer, DONE], observed=Observed((Seen("s", "a", "succeeded", output),)))
    assert [each["path"] for each in complaints(said.model.prompts[1])] == ["achieved", "why", "message"]
    assert "xxx" not in said.model.prompts[1].messages[-1].text


async def test_where_nobody_is_there_a_question_goes_back(bench: Bench):
    question = {"type": "NEED_INPUT", "question": "Which?"}
    wait = {"id": "q", "kind": "wait_user", "params": {"prompt": "Which?"}}
    short = {"id": "r", "action": "wait_user", "params": {"prompt": "Which?"}}
    cases: list[tuple[dict[str, Any], list[str]]] = [
        (question, ["type"]),
        (
            {"type": "MINI_PLAN", "goal": "g", "steps": [COPY["steps"][0], wait, short]},
            ["steps[1].kind", "steps[2].action"],
        ),  # type: ignore[index]
        ({"type": "SINGLE_ACTION", "action": "wait_user", "params": {"prompt": "Which?"}}, ["action"]),
    ]
    for answer, paths in cases:
        said = await bench.ask([answer, DONE], unattended=True)
        told = complaints(said.model.prompts[1])
        assert [(each["path"], each["code"]) for each in told] == [(path, "unattended") for path in paths]
        assert isinstance((await bench.ask([answer])).result, Proposal)
