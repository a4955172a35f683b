"""What do the rules say of several matters, and how much of an answer do they let a template be?"""

from orchestrald.core.inputs import PlanConcluded
from orchestrald.core.interaction import Matter
from orchestrald.interpreter.rules import MOST_WORDS, RulesInterpreter
from support.plans import graph, step
from support.simulation import World


def ended(text: str, *, achieved: bool = True) -> World:
    world = World()
    world.submit(None, "do it")
    world.say(PlanConcluded(world.tick(), text, achieved, "llm:x"))
    return world


def ran(**plan: str) -> World:
    world = World()
    world.submit(graph(step("a", "once"), **plan))
    world.succeed("a", text="x" * 50_000)
    return world


def test_references_in_a_planners_words_are_filled_in_and_braces_that_are_none_stay() -> None:
    world = ran()
    world.state.conclusion = ended("{{a.text}}").state.conclusion
    assert RulesInterpreter().explain(world.state, "completed") == "x" * 50_000
    for words in ("{{a.nothing}}", "{{nobody.x}}", "{{ handlebars }", "{{#if}}"):
        world.state.conclusion = ended(words).state.conclusion
        assert RulesInterpreter().explain(world.state, "completed") == words


def test_an_answer_is_bounded_whatever_its_template_repeats() -> None:
    said = RulesInterpreter().explain(ran(on_complete="{{a.text}}" * 1_500).state, "completed")
    assert said.endswith(f"… (cut at {MOST_WORDS} characters)")
    assert len(said) < MOST_WORDS + 100


def test_each_matter_has_its_words_and_what_went_wrong_is_named() -> None:
    world = ended("The last one is done.")
    world.state.settled = [Matter("a", "The first: {{intent}}", True), Matter("b", "", True), Matter("c", "", False)]
    said = RulesInterpreter().explain(world.state, "failed")
    assert said == "The first: do it\nNot done: c\nThe last one is done."
