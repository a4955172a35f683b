"""References: what they mean, and that nothing else is taken for one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrald.core.references import BadReference, MissingValue, parse, parse_reference, references, rename, resolve

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


@pytest.mark.parametrize("digits", ["1" * 5_000, "9" * 400])
def test_an_index_that_no_list_can_have_is_refused_and_as_a_key_is_missing(digits: str) -> None:
    with pytest.raises(BadReference):
        parse(f"{{{{a.l[{digits}]}}}}")
    with pytest.raises(MissingValue):
        resolve(f"{{{{a.l.{digits}}}}}", VALUES.__getitem__)


@pytest.mark.parametrize("text", ['a["x y"].z', 'a["²"][0]', 'a[""]', "a.b-c[3]"])
def test_a_reference_is_spelled_so_that_it_is_read_again(text: str) -> None:
    reference = parse_reference(text)
    assert parse(f"{{{{{reference}}}}}") == (reference,)


def test_a_key_with_braces_is_refused_everywhere_as_no_template_could_hold_it() -> None:
    with pytest.raises(BadReference):
        parse_reference('a["}}"]')


@pytest.mark.parametrize("template", ["{{a.m}}", "{{a.l[1]}}", "{{a.n.x}}", "{{nobody}}", "{{a.l.x}}", '{{a.l["²"]}}'])
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
