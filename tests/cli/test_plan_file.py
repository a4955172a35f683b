"""Are plans read, and are broken ones explained?"""

from pathlib import Path

import pytest

from orchestrald.cli.command import BadInput
from orchestrald.cli.plan_file import parse_plan, read_plan


def test_yaml_and_json_give_the_same_plan(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("goal: g\nsteps:\n  - {id: a, when: 2024-01-01}\n", encoding="utf-8")
    (tmp_path / "p.json").write_text('{"goal": "g", "steps": [{"id": "a", "when": "2024-01-01"}]}', encoding="utf-8")
    assert read_plan(str(tmp_path / "p.yaml")) == read_plan(str(tmp_path / "p.json"))


def test_json_without_the_suffix_is_json(tmp_path: Path) -> None:
    (tmp_path / "plan").write_text('\n {"steps": []}', encoding="utf-8")
    assert read_plan(str(tmp_path / "plan")) == {"steps": []}


@pytest.mark.parametrize(
    ("text", "is_json", "where"),
    [
        ('{"steps": [\n  {"id": }]}', True, "line 2, column 10"),
        ("steps:\n  - id: a\n   action: b\n", False, "line 3, column 4"),
        ("steps: [a, b", False, "line 1, column 13"),
        ("a: *unknown", False, "line 1, column 4"),
    ],
)
def test_a_broken_file_is_explained_with_line_and_column(text: str, is_json: bool, where: str) -> None:
    with pytest.raises(BadInput, match=where) as caught:
        parse_plan(text, "p", is_json=is_json)
    assert "^" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "is_json", "says"),
    [
        ("", False, "is empty"),
        ("\x00", False, "not YAML"),
        ('{"a": NaN}', True, "NaN"),
        ("a: .nan", False, "what JSON cannot"),
        ("a: !!set {b}", False, "what JSON cannot"),
        ("a: !!python/object/apply:os.system [ls]", False, "not YAML"),
        ("[" * 100_000, True, "nested too deeply"),
        ("[" * 5_000, False, "nested too deeply"),
    ],
)
def test_what_can_be_no_plan_is_refused_in_words(text: str, is_json: bool, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        parse_plan(text, "p", is_json=is_json)


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        read_plan(str(tmp_path / "none.yaml"))
    (tmp_path / "p.yaml").write_bytes(b"goal: \xff")
    with pytest.raises(BadInput, match="byte 6 is 0xff"):
        read_plan(str(tmp_path / "p.yaml"))
