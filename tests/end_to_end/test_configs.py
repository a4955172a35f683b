"""Is every file of configs/ one that can be copied as it is?"""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from orchestrald.config import Config
from orchestrald.config_file import load, parse
from support.daemon import Daemon, daemon

CONFIGS = Path(__file__).parent.parent.parent / "configs"
PLAYBOOKS = sorted((CONFIGS / "playbooks").glob("*.yaml"))


def test_the_settings_file_says_the_defaults():
    assert load(CONFIGS / "orchestral.yaml", {}) == Config()


def keys(model: type[BaseModel], above: str = "") -> set[str]:
    """Every setting's dotted name. A mapping whose keys are the user's own is one setting."""
    found = set()
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= keys(inner, f"{above}{name}.")
        else:
            found.add(above + name)
    return found


def test_the_settings_file_lists_every_key():
    raw = yaml.safe_load((CONFIGS / "orchestral.yaml").read_text(encoding="utf-8"))
    assert listed(raw) == keys(Config)


def listed(raw: dict[str, Any], above: str = "") -> set[str]:
    found = set()
    for name, value in raw.items():
        found |= listed(value, f"{above}{name}.") if isinstance(value, dict) and value else {above + name}
    return found


def test_its_commented_examples_can_be_used_too():
    """Each stands in the comment above the key that it is an example of."""
    section, example, seen = "", "", set()
    for line in (CONFIGS / "orchestral.yaml").read_text(encoding="utf-8").splitlines():
        if line.startswith("  #   "):
            example += f"    {line.removeprefix('  #   ')}\n"
        elif line[:1].isalpha():
            section = line.partition(":")[0]
        elif example and not line.startswith("  #"):
            key = line.strip().partition(":")[0]
            parse(f"{section}:\n  {key}:\n{example}", {}, "example")
            seen.add(f"{section}.{key}")
            example = ""
    assert {"approvals.rules", "plugins.settings", "plugins.grants", "providers.backends", "providers.models"} <= seen


@pytest.mark.slow
def test_every_playbook_is_found_and_each_of_its_phrases_makes_a_plan():
    with daemon() as place:
        assert place.call("system.info")["playbooks"] == len(PLAYBOOKS)
        for path in PLAYBOOKS:
            for phrase in yaml.safe_load(path.read_text(encoding="utf-8"))["phrases"]:
                proposed = propose(place, phrase)
                assert proposed["planner"] == f"playbook:{path.stem}"
                assert proposed["plan"]["steps"]


def propose(place: Daemon, phrase: str) -> dict[str, Any]:
    """What the phrase leads to, with a word in the place of each parameter."""
    intent = " ".join("word" if part.startswith("{") else part for part in phrase.split())
    answer: dict[str, Any] = place.call("plan.create", intent=intent, workspace=str(place.workspace))
    return answer
