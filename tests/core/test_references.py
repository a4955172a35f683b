"""References: what they mean, and that nothing else is taken for one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrald.core.references import BadReference, MissingValue, parse, references, rename, resolve

VALUES: dict[str, Any] = {"a": {"n": 1, "l": [{"x": "y"}], "odd key": True, "s": "t"}, "skipped": None}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{a.n}}", 1),
        ("{{ a.n }}", 1),
        ("{{a}}", VALUES["a"]),
        ("{{a.l[0].x}}", "y"),
        ("{{a.l.0.x}}", "y"),
        ('{{a["odd key"]}}', True),
        ("n={{a.n}}, s={{a.s}}", "n=1, s=t"),
        ("{{a.l}}!", '[{"x":"y"}]!'),
        ("{{skipped}}", None),
        ("{{skipped.any.path}}", None),
        ("<{{skipped}}>", "<>"),
        ("{{{{.Names}}", "{{.Names}}"),
        ("{{{{{{a.n}}", "{{1"),
        ("}} {", "}} {"),
        ({"k": ["{{a.n}}", 2]}, {"k": [1, 2]}),
    ],
)
def test_a_template_resolves(template: Any, value: Any) -> None:
    assert resolve(template, VALUES.__getitem__) == value


@pytest.mark.parametrize("template", ["{{", "{{}}", "{{a.}}", "{{a[x]}}", "{{1a}}", "{{a b}}", "{{.Names}}", "{{a}"])
def test_what_is_not_a_reference_is_refused(template: str) -> None:
    with pytest.raises(BadReference):
        parse(template)


@pytest.mark.parametrize("template", ["{{a.m}}", "{{a.l[1]}}", "{{a.n.x}}", "{{nobody}}", "{{a.l.x}}"])
def test_a_missing_value_is_an_error_not_a_null(template: str) -> None:
    with pytest.raises(MissingValue):
        resolve(template, VALUES.__getitem__)


def test_references_are_found_with_the_path_of_their_string() -> None:
    value = {"x": ["no", "{{a.n}} and {{b}}"]}
    assert [(path, str(reference)) for path, reference in references(value)] == [
        (("x", 1), "a.n"),
        (("x", 1), "b"),
    ]


def test_renaming_touches_roots_only() -> None:
    assert rename({"p": "{{a.a}} {{{{a}} {{b}}"}, {"a": "r1_a"}) == {"p": "{{r1_a.a}} {{{{a}} {{b}}"}


@given(st.text(alphabet='{}a.[]0 "', max_size=20))
def test_escaping_makes_any_text_mean_itself(text: str) -> None:
    assert resolve(text.replace("{{", "{{{{"), VALUES.__getitem__) == text
