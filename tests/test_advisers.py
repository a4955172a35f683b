"""Are planner and interpreter what the settings say, also after a reload?"""

from pathlib import Path

import pytest

from orchestrald.advisers import Advisers
from orchestrald.config import Config
from orchestrald.config_file import parse
from orchestrald.core.model import ActionSpec
from orchestrald.engine.model_calls import Budget, Budgets
from orchestrald.errors import ConfigError, NoPlaybook, PlannerUnavailable
from orchestrald.paths import Paths
from orchestrald.planner.base import Proposal, Request

LOCAL = 'providers: {backends: [{name: local, base_url: "http://127.0.0.1:1/v1", retries: 0}], default_model: m}'


class Catalog:
    specs = {"echo": ActionSpec("echo"), "file_read": ActionSpec("file_read")}  # noqa: RUF012  a stand-in's


def config(text: str) -> Config:
    return parse(text, {}, "test")


def advisers(home: Path, text: str = "") -> Advisers:
    made = Advisers(
        config(text), {}, Paths.find({"ORCHESTRAL_HOME": str(home)}), Path("/etc/orchestral.yaml"), Catalog()
    )
    made.reload()
    return made


async def test_without_a_model_playbooks_plan_and_say_how_to_have_one(tmp_path: Path) -> None:
    made = advisers(tmp_path)
    proposal = await made.propose(Request("say hello"))
    assert isinstance(proposal, Proposal)
    assert proposal.planner.startswith("playbook:")
    with pytest.raises(NoPlaybook) as caught:
        await made.propose(Request("make tea"))
    assert "OPENAI_API_KEY" in caught.value.advice
    assert "/etc/orchestral.yaml" in caught.value.advice
    assert "model" not in made.listing()


async def test_with_a_model_it_is_asked_what_no_playbook_knows(tmp_path: Path) -> None:
    made = advisers(tmp_path, LOCAL)
    assert made.listing()["model"] == "local/m"
    assert isinstance(await made.propose(Request("say hello")), Proposal)
    with pytest.raises(PlannerUnavailable, match="nobody may be asked here"):
        await made.propose(Request("make tea"))


async def test_a_reload_of_the_settings_changes_whom_it_asks(tmp_path: Path) -> None:
    made = advisers(tmp_path)
    made.configure(config(f"{LOCAL}\nplanner: {{mode: llm}}\nbudgets: {{day: {{tokens: 5}}}}"))
    assert made.budgets == Budgets(day=Budget(tokens=5))
    with pytest.raises(PlannerUnavailable):
        await made.propose(Request("say hello"))
    made.configure(config(f"{LOCAL}\nplanner: {{mode: deterministic}}"))
    with pytest.raises(NoPlaybook):
        await made.propose(Request("make tea"))


async def test_settings_that_cannot_be_used_leave_the_old_ones_in_force(tmp_path: Path) -> None:
    made = advisers(tmp_path, LOCAL)
    with pytest.raises(ConfigError):
        made.configure(config(f"{LOCAL}\nplanner: {{backend: moon}}"))
    assert made.listing()["model"] == "local/m"


def test_skills_and_playbooks_are_read_again_when_they_change(tmp_path: Path) -> None:
    made = advisers(tmp_path)
    assert (made.changed(), made.listing()["skills"]) == (False, 0)
    folder = Path(Paths.find({"ORCHESTRAL_HOME": str(tmp_path)}).skills_dir) / "brew"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text("---\nname: brew\ndescription: how tea is made\n---\nBoil water.\n", "utf-8")
    (folder.parent / "broken").mkdir()
    (folder.parent / "broken" / "SKILL.md").write_text("no front matter", "utf-8")
    assert made.changed()
    (fault,) = made.reload()
    assert "broken" in fault
    assert (made.changed(), made.listing()["skills"]) == (False, 1)


def test_money_is_kept_in_micro_dollars(tmp_path: Path) -> None:
    priced = f"{LOCAL[:-1]}, models: [{{name: m, model: m, price: {{input: 1, output: 1}}}}]}}"
    made = advisers(tmp_path, f"{priced}\nbudgets: {{interaction: {{cost: 0.05, tokens: 100}}}}")
    assert made.budgets.interaction == Budget(tokens=100, cost=50_000)
