"""Which word do the operator's rules have about a step, and what is a yes bound to?"""

from typing import Any

import pytest

from orchestrald.core.approval import NO_RULES, Rule, Rules, Verdict, Word, digest


def word(rules: Rules, action: str = "shell", approval: str = "auto", effects: str = "write", **params: Any) -> Word:
    return rules.verdict(action, approval, effects, params).word


def test_deny_wins_over_ask_and_ask_over_allow_whatever_their_order():
    every = [Rule("allow", "*"), Rule("ask", "s*"), Rule("deny", "shell")]
    for rules in (every, every[::-1]):
        assert word(Rules(rules)) == "deny"
        assert word(Rules(rules), "sing") == "ask"
        assert word(Rules(rules), "echo") == "allow"


@pytest.mark.parametrize(
    ("params", "given", "fits"),
    [
        ({}, {}, True),
        ({"command": "rm *"}, {"command": "rm -r build"}, True),
        ({"command": "rm *"}, {"command": "echo rm x"}, False),
        ({"command": "rm *"}, {}, False),
        ({"command": "rm *", "args.0": "-f"}, {"command": "rm x", "args": ["-f"]}, True),
        ({"command": "rm *", "args.0": "-f"}, {"command": "rm x", "args": []}, False),
        ({"options.force": True}, {"options": {"force": True}}, True),
        ({"options.force": True}, {"options": {"force": 1}}, False),
        ({"options.force": True}, {"options": {"force": "True"}}, False),
        ({"path": "[!/]*"}, {"path": "/etc/passwd"}, False),
        ({"args.9": "x"}, {"args": "x"}, False),
        ({"n": 1}, {"n": 1.0}, True),
        ({"n": 1}, {"n": True}, False),
        ({"paths": "/etc/*"}, {"paths": ["a", "/etc/x"]}, True),
        ({"paths": "/etc/*"}, {"paths": []}, False),
    ],
)
def test_a_rule_speaks_when_the_action_and_every_parameter_fit(
    params: dict[str, Any], given: dict[str, Any], fits: bool
):
    assert Rule("deny", "sh?ll", params).fits("shell", given) is fits
    assert not Rule("deny", "sh?ll", params).fits("shells", given)


@pytest.mark.parametrize(
    ("auto", "approval", "effects", "expected"),
    [
        ("never", "auto", "destructive", "allow"),
        ("destructive", "auto", "destructive", "ask"),
        ("destructive", "auto", "write", "allow"),
        ("always", "auto", "read", "ask"),
        ("always", "never", "destructive", "allow"),
        ("never", "always", "read", "ask"),
    ],
)
def test_where_no_rule_speaks_the_action_does(auto: Any, approval: str, effects: str, expected: str):
    assert word(Rules(auto=auto), approval=approval, effects=effects) == expected


def test_an_allow_rule_spares_the_question_of_an_action_that_always_asks():
    rules = Rules([Rule("allow", "shell", {"command": "ls*"}, "listing is harmless")])
    assert rules.verdict("shell", "always", "write", {"command": "ls -l"}) == Verdict(
        "allow", "listing is harmless", rule=True
    )
    assert word(rules, approval="always", command="lsof; rm x") == "allow"  # a pattern is a pattern, not a parser
    assert word(rules, approval="always", command="rm x") == "ask"


def test_the_reason_is_the_rules_own_or_says_which_rule_it_was():
    assert NO_RULES.verdict("a", "auto", "read", {}).reason == ""
    assert Rules([Rule("deny", "a", {"x": 1})]).verdict("a", "auto", "read", {"x": 1}).reason == "deny a x=1"


def test_a_digest_names_the_action_the_parameters_the_policy_and_what_was_shown():
    digests = {
        digest("a", {"x": 1}),
        digest("b", {"x": 1}),
        digest("a", {"x": 2}),
        digest("a", {"x": "1"}),
        digest("a", {"x": 1}, "policy"),
        digest("a", {"x": 1}, "policy", {"command": "rm"}),
        digest("a", {"x": 1}, "", {"command": "rm"}),
    }
    assert len(digests) == 7
    assert digest("a", {"x": 1, "y": 2}) == digest("a", {"y": 2, "x": 1})


def test_an_allow_rule_fits_a_list_only_when_it_fits_all_of_it():
    rule = Rule("allow", "rm", {"paths": "build/*"})
    assert rule.fits("rm", {"paths": ["build/a", "build/b"]})
    assert not rule.fits("rm", {"paths": ["build/a", "/etc"]})
    assert not rule.fits("rm", {"paths": []})
