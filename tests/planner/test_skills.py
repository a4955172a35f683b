"""Skills: which files are some, and when a model gets to read one."""

import re
from pathlib import Path

import pytest

from orchestrald.core.redaction import Redaction
from orchestrald.errors import BadAnswer
from orchestrald.planner.skills import MAX_BYTES, MAX_SKILLS, BadSkill, Skills, read
from planner.bench import Bench
from support.scripted_model import size

DEPLOY = "---\nname: deploy\ndescription: How we deploy, step by step.\nlicense: MIT\n---\nFirst build, then copy.\n"
DONE = {"type": "DONE", "message": "Done."}


def put(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name / "SKILL.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def skill(name: str, about: str = "About something.", body: str = "Do it well.") -> str:
    return f"---\nname: {name}\ndescription: {about}\n---\n{body}\n"


def loaded(*folders: Path) -> Skills:
    skills = Skills(folders)
    assert skills.reload() == []
    return skills


def test_a_skill_has_a_name_a_description_and_a_body(tmp_path: Path):
    put(tmp_path, "deploy", DEPLOY)
    assert loaded(tmp_path).listed("") == [("deploy", "How we deploy, step by step.", "First build, then copy.")]


def test_a_later_folder_replaces_what_an_earlier_one_says(tmp_path: Path):
    put(tmp_path / "ours", "deploy", DEPLOY)
    put(tmp_path / "theirs", "deploy", skill("deploy", "Mine."))
    found = loaded(tmp_path / "ours", tmp_path / "theirs").listed("")
    assert [each.description for each in found] == ["Mine."]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("just words", "does not begin with YAML"),
        ("---\nname: a\ndescription: b\n", "does not begin with YAML"),
        ("---\nname: [\n---\nx", "line"),
        ("---\n- a\n---\nx", "its name"),
        ("---\nname: A B\ndescription: b\n---\nx", "its name"),
        ("---\nname: a\n---\nx", "its description"),
        (f"---\nname: a\ndescription: {'b' * 1025}\n---\nx", "its description"),
        ("---\nname: a\ndescription: b\n---\n \n", "no body"),
    ],
)
def test_what_is_no_skill_is_refused_in_words(text: str, why: str):
    with pytest.raises(BadSkill, match=why):
        read(text)


def test_broken_huge_and_foreign_files_are_named_and_the_others_stay(tmp_path: Path):
    outside = put(tmp_path / "outside", "secret", skill("secret"))
    folder = tmp_path / "skills"
    put(folder, "deploy", DEPLOY)
    put(folder, "huge", skill("huge", body="x" * MAX_BYTES))
    put(folder, "latin", skill("latin").encode() + b"\xff")
    put(folder, "broken", "words")
    (folder / "linked").mkdir()
    (folder / "linked" / "SKILL.md").symlink_to(outside)
    (folder / "folder").symlink_to(outside.parent)
    (folder / "odd" / "SKILL.md").mkdir(parents=True)
    (folder / "nowhere").mkdir()
    (folder / "nowhere" / "SKILL.md").symlink_to("/nowhere")
    skills = Skills([folder])
    faults = {Path(fault.split(": ")[0]).parent.name: fault.split(": ", 1)[1] for fault in skills.reload()}
    assert faults == {
        "broken": "it does not begin with YAML between two lines of ---",
        "folder": "it is a link that leads out of its folder",
        "huge": f"it is larger than {MAX_BYTES} bytes",
        "latin": "byte 62 is not UTF-8",
        "linked": "it is a link that leads out of its folder",
        "odd": "it is not a file",
    }
    assert [each.name for each in skills.listed("")] == ["deploy"]


def test_more_skills_than_the_limit_are_left_out_and_that_is_said(tmp_path: Path):
    for number in range(MAX_SKILLS + 3):
        put(tmp_path, f"s{number:03}", skill(f"s{number:03}"))
    skills = Skills([tmp_path])
    assert skills.reload() == ["3 skills are left out: 200 is the limit"]
    assert len(skills) == MAX_SKILLS


def test_a_change_on_the_disk_is_seen(tmp_path: Path):
    path = put(tmp_path, "deploy", DEPLOY)
    skills = Skills([tmp_path, tmp_path / "missing"])
    assert skills.changed()
    skills.reload()
    assert not skills.changed()
    path.write_text(DEPLOY + "More.", encoding="utf-8")
    assert skills.changed()
    skills.reload()
    path.unlink()
    assert skills.changed()


async def test_names_are_in_the_prompt_and_a_body_only_when_it_is_asked_for(bench: Bench, tmp_path: Path):
    put(tmp_path, "deploy", DEPLOY)
    put(tmp_path, "cook", skill("cook", "How to cook.", "Boil water."))
    bench.skills = loaded(tmp_path)
    said = await bench.ask([{"type": "SKILL", "name": "deploy"}, DONE])
    assert said.calls.purposes == ["plan", "skill"]
    before, after = (prompt.messages[1].text for prompt in said.model.prompts)
    assert "- cook: How to cook.\n- deploy: How we deploy, step by step." in before
    assert "First build" not in before and "Boil" not in after
    assert "# The skill deploy\nFirst build, then copy." in after
    assert "- deploy" not in after
    assert said.model.prompts[0].messages[0] == said.model.prompts[1].messages[0]


async def test_a_skill_that_is_open_or_unknown_is_a_fault_and_three_are_enough(bench: Bench, tmp_path: Path):
    for name in "abcd":
        put(tmp_path, name, skill(name))
    bench.skills = loaded(tmp_path)
    asks = [{"type": "SKILL", "name": name} for name in "aabxcd"]
    with pytest.raises(BadAnswer) as raised:
        await bench.ask(asks)
    assert bench.calls.purposes == ["plan", "skill", "repair", "skill", "repair", "skill"]
    assert len(bench.model.prompts[3].messages) == 2, "what is mended is not complained about again"
    assert "there is no skill 'a' to be opened now" in bench.model.prompts[2].messages[-1].text
    assert "there is no skill 'x' to be opened now" in bench.model.prompts[4].messages[-1].text
    assert raised.value.data["problems"][0]["message"] == "there is no type 'SKILL'"
    assert "# Skills" not in bench.model.prompts[5].messages[1].text


async def test_of_many_skills_the_likeliest_are_listed_and_a_long_body_is_cut_to_fit(bench: Bench, tmp_path: Path):
    for number in range(40):
        put(tmp_path, f"s{number:02}", skill(f"s{number:02}", body="x" * 60_000))
    put(tmp_path, "z", skill("z", "All about zebras.", body="y" * 60_000))
    bench.skills, bench.window = loaded(tmp_path), 8192
    said = await bench.ask([{"type": "SKILL", "name": "z"}, DONE], "feed the zebra")
    before, after = (prompt.messages[1].text for prompt in said.model.prompts)
    assert "- z: All about zebras." in before
    assert "21 more are not listed." in before
    assert re.search(r"y{100,}\n\(shortened to \d+ of 60000 characters\)", after)
    assert all(size(prompt) <= 8192 for prompt in said.model.prompts)


async def test_a_secret_in_a_skill_stays_here(bench: Bench, tmp_path: Path):
    known = "correct-horse-battery"
    bench.redact, bench.window = Redaction([known]), 8192
    put(tmp_path, "deploy", skill("deploy", f"Deploy with {known}.", f"Use {known}. " * 2000))
    bench.skills = loaded(tmp_path)
    said = await bench.ask([{"type": "SKILL", "name": "deploy"}, DONE])
    before, after = (prompt.messages[1].text for prompt in said.model.prompts)
    assert "- deploy: Deploy with [redacted]." in before
    assert "# The skill deploy\nUse [redacted]. Use" in after and "correct" not in before + after
