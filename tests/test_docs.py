"""Do the documents say what the code does?

What can be generated is generated; what people wrote is compared with the code, name by name.
"""

import ast
import importlib
import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from orchestrald import command as daemon_command
from orchestrald import errors, hookspecs
from orchestrald.cli import command as client_command
from orchestrald.cli import main as client
from orchestrald.config import Config, Grant, SandboxLimits
from orchestrald.core import events
from orchestrald.core.filling import fill
from orchestrald.core.graph import Graph
from orchestrald.core.model import ActionSpec
from orchestrald.core.normalize import normalize
from orchestrald.planner import playbooks
from orchestrald.protocol.messages import METHODS

ROOT = Path(__file__).resolve().parent.parent
HIDDEN = {".venv", ".git", "node_modules", "build", "dist"}
DOCUMENTS = sorted(
    p
    for p in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part in HIDDEN for part in p.relative_to(ROOT).parts)
)
BIN = Path(sys.executable).parent


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_docs", ROOT / "tools" / "generate_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- generated parts ------------------------------------------------------------------------------------------------


def test_generated_parts_are_current() -> None:
    assert [path.name for path in generator().outdated()] == [], "run `make docs`"


def test_every_generated_part_stands_in_exactly_one_document() -> None:
    found = [
        name for path in DOCUMENTS for name in re.findall(r"<!-- generated: ([a-z-]+) -->", path.read_text("utf-8"))
    ]
    # PROTOCOL.md documents the exit codes; README.md points there.
    assert sorted(found) == sorted(generator().PARTS)


# --- names ----------------------------------------------------------------------------------------------------------


def test_every_event_type_is_documented() -> None:
    assert [name for name in events.TYPES if f"`{name}`" not in read("ARCHITECTURE.md")] == []


def test_every_error_code_is_documented() -> None:
    text = read("PROTOCOL.md")
    assert [cls.code for cls in errors.every_error() if f"| `{cls.code}` | {cls.rpc} |" not in text] == []


def test_error_codes_tell_all_errors_apart() -> None:
    codes = [cls.code for cls in errors.every_error()]
    assert len(codes) == len(set(codes))


def test_every_code_that_a_step_can_fail_of_is_documented() -> None:
    text = read("PROTOCOL.md")
    assert [f"{where} {code}" for where, code in _failure_codes() if f"`{code}`" not in text] == []


def _failure_codes() -> Iterator[tuple[str, str]]:
    """Codes that the daemon itself gives, where they are literals."""
    for path in sorted((ROOT / "orchestrald").rglob("*.py")):
        if path.name in {"fake.py", "hookspecs.py"}:
            continue  # a fake's codes are its tests' own, and a plugin's defaults are documented for plugins
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for value in _codes_in(node):
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield f"{path.name}:{value.lineno}", value.value


def _codes_in(node: ast.AST) -> list[ast.expr]:
    """The code of `Failure(code, ...)`, of any `f(code=...)`, and of an `{"code": ..., "message": ...}`."""
    if isinstance(node, ast.Call):
        named = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
        return [*named, *(node.args[:1] if ast.unparse(node.func) == "Failure" else [])]
    if isinstance(node, ast.Dict) and [k and ast.unparse(k) for k in node.keys] == ["'code'", "'message'"]:
        return node.values[:1]
    return []


def test_every_method_is_documented_with_its_result() -> None:
    text = read("PROTOCOL.md")
    results = text[text.index("## 3. Results") : text.index("## 4. Events")]
    assert [name for name in METHODS if f"`{name}`" not in results] == []


def test_every_command_is_documented_and_explains_itself() -> None:
    text = read("README.md")
    for name, module in client.MODULES.items():
        said = client._load(module).COMMANDS[name]
        assert f"| `orchestral {name}` |" in text
        assert said.help
        assert f"orchestral {name}" in said.examples, f"orchestral {name} --help has no example of it"


def test_every_exit_code_is_documented() -> None:
    text = read("PROTOCOL.md")
    section = text[text.index("## 9. Exit codes") :]
    ours = {name: value for name, value in vars(client_command).items() if name.isupper() and type(value) is int}
    theirs = {name: value for name, value in vars(daemon_command).items() if name.startswith("EX_")}
    assert ours
    assert theirs
    assert [name for name, value in (ours | theirs).items() if f"| {value} |" not in section] == []


def test_every_hook_is_documented_with_its_exact_arguments() -> None:
    text = read("plugins/README.md")
    hooks = {
        name: f for name, f in vars(hookspecs.Hooks).items() if inspect.isfunction(f) and not name.startswith("__")
    }
    assert hooks
    for name, function in hooks.items():
        arguments = [argument for argument in inspect.signature(function).parameters if argument != "self"]
        assert f"### `{name}({', '.join(arguments)})`" in text


def test_every_field_of_an_action_is_documented_with_its_default() -> None:
    text = read("plugins/README.md")
    for name, field in hookspecs.Action.__dataclass_fields__.items():
        assert f"| `{name}` |" in text
        if isinstance(field.default, str | bool | None) and field.default != "":
            shown = json.dumps(field.default) if isinstance(field.default, str) else str(field.default)
            assert f"| `{name}` | `{shown}` |" in text


def test_everything_that_a_plugin_may_raise_is_documented() -> None:
    text = read("plugins/README.md")
    raised = [
        n
        for n, c in vars(hookspecs).items()
        if inspect.isclass(c) and issubclass(c, Exception) and c.__module__ == hookspecs.__name__
    ]
    assert raised
    assert [name for name in raised if f"`{name}(" not in text] == []


# --- settings -------------------------------------------------------------------------------------------------------


def _defaults(model: BaseModel) -> dict[str, Any]:
    """The settings as they stand in a file: tuples are lists, and a duration may be written in any of its forms."""
    plain: dict[str, Any] = json.loads(model.model_dump_json())
    return plain


def test_the_example_configuration_is_every_setting_with_its_default() -> None:
    shown = yaml.safe_load(read("configs/orchestral.yaml"))
    _normal(shown)
    assert shown == _defaults(Config())


def _normal(shown: dict[str, Any]) -> None:
    """Forms that YAML 1.1 or a person writes and the daemon reads as something else."""
    shown["sandbox"]["network"] = "off" if shown["sandbox"]["network"] is False else shown["sandbox"]["network"]
    assert shown["service"]["drain_timeout"] == "30s"
    shown["service"]["drain_timeout"] = 30.0
    assert shown["events"]["retain_unmatched"] == "7d"
    shown["events"]["retain_unmatched"] = 7 * 86400.0
    assert shown["planner"]["max_time"] == "1h"
    shown["planner"]["max_time"] = 3600.0
    limits = shown["sandbox"]["limits"]
    shown["sandbox"]["limits"] = SandboxLimits.model_validate(limits).model_dump()


def test_the_playbook_that_the_readme_shows_can_be_used() -> None:
    shown = next(part for part in re.findall(r"```yaml\n(.*?)```", read("README.md"), re.DOTALL) if "playbook:" in part)
    book = playbooks.read(shown, "README.md")
    catalog = {name: ActionSpec(name) for name in ("shell", "echo")}
    for steps in (book.plan["steps"], book.on_failure.steps if book.on_failure else ()):
        filled = fill(fill(list(steps), "params", {"page": "a"}), "failed", {"step": "send", "message": "no"})
        assert isinstance(normalize({"steps": filled}, catalog), Graph)


def test_the_grants_that_the_example_shows_can_be_granted() -> None:
    about = read("configs/orchestral.yaml").split("settings: {}")[1].split("grants: {}")[0]
    shown = yaml.safe_load("\n".join(re.findall(r"#   (\w+: \{.+\})", about)))
    assert len(shown) > 1
    for grant in shown.values():
        Grant.model_validate(grant)


def test_every_key_of_a_grant_is_explained() -> None:
    text = read("configs/orchestral.yaml")
    assert [key for key in Grant.model_fields if key not in text] == []


@pytest.mark.parametrize(
    "module",
    ["orchestrald_echo", "orchestrald_files.settings", "orchestrald_notify.settings", "orchestrald_shell.settings"],
)
def test_every_setting_of_a_bundled_plugin_is_documented(module: str) -> None:
    model: type[BaseModel] = importlib.import_module(module).Settings
    text = read("plugins/README.md")
    assert model.model_fields
    assert [name for name in model.model_fields if f"`{name}`" not in text] == []


# --- links, paths, blocks -------------------------------------------------------------------------------------------


def _anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    plain = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    heads = re.findall(r"^#+ (.+)$", plain, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    plain = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", plain):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        if not file.exists() or (anchor and anchor not in _anchors(file.read_text(encoding="utf-8"))):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_document_names_a_machine_of_ours_or_an_index(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/root/|/work/|/tmp/dev|pypi\.org|pythonhosted|/home/(?!u/p)", text)


def test_every_file_that_a_document_names_exists() -> None:
    named = re.compile(r"`((?:orchestrald|sandbox|plugins|tests|tools|configs|examples|benchmarks)/[\w./-]+)`")
    mine = {"tests/test_wordcount.py"}  # the reader's own, in plugins/README.md
    missing = []
    for path in DOCUMENTS:
        text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        missing += [f"{path.name}: {n}" for n in named.findall(text) if n not in mine and not (ROOT / n).exists()]
    assert missing == []


def test_the_threat_model_says_of_every_file_of_the_boundary_what_it_stops() -> None:
    table = read("sandbox/README.md").split("## What each file stops")[1].split("## What nothing here stops")[0]
    named = set(re.findall(r"`(\w+\.py)`", table))
    there = {path.name for path in (ROOT / "sandbox" / "orchestrald_sandbox").glob("*.py")} - {"__init__.py"}
    assert named == there


def test_every_kind_of_violation_is_documented() -> None:
    said = read("PROTOCOL.md").split("### Violations")[1].split("\n## ")[0]
    documented = set(
        re.findall(r"`(\w+)`", "\n".join(line.split("|")[1] for line in said.splitlines() if line[:2] == "| "))
    )
    code = "".join(read(f"orchestrald/runner/{name}.py") for name in ("violations", "verdict", "confine", "external"))
    told = set(re.findall(r'Violation\(\s*"(\w+)"', code)) | set(re.findall(r': \("(\w+)", "', code))
    denied = {"network_denied"}
    assert told | denied <= documented
    assert documented == told | denied


def test_every_make_target_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([\w./-]+):", read("Makefile"), re.MULTILINE))
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        named = set(re.findall(r"(?:^|`)make ([\w./-]+)", text, re.MULTILINE))
        assert named <= targets, f"{path.name} names {named - targets}"


def test_every_command_line_in_a_document_names_a_command() -> None:
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        lines = [
            line for block in re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL) for line in block.splitlines()
        ]
        named = {word for line in lines for word in re.findall(r"(?:^|[ (/])orchestral (\w+)", line)}
        assert named <= client.MODULES.keys(), f"{path.name} names {named - client.MODULES.keys()}"


def _blocks(name: str) -> list[str]:
    return re.findall(r"<!-- run: [\w ]+ -->\n```sh\n(.*?)```", read(name), re.DOTALL)


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(
        prefix="orch-", dir="/tmp"
    ) as folder:  # a socket's path may have about 100 characters
        yield Path(folder)


@pytest.mark.slow
@pytest.mark.kernel
def test_what_the_readme_asks_to_paste_works_as_it_stands(home: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("A small project.\n\nIt has a licence.\n", encoding="utf-8")
    (tmp_path / "LICENSE").write_text("Do what you like.\n", encoding="utf-8")
    env = {**os.environ, "ORCHESTRAL_HOME": str(home), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    blocks = _blocks("README.md")
    assert len(blocks) == 3
    try:
        said = _shell("set -eu\n" + "\n".join(blocks), env, tmp_path)
    finally:
        _shell("orchestral stop --drain 0", env, tmp_path)
    assert '"words": 4' in said
    assert "README.md has 7 words, LICENSE has 4." in said
    assert "✓ count [2/2]" in said


def _shell(script: str, env: Mapping[str, str], cwd: Path) -> str:
    done = subprocess.run(
        ["/bin/sh"], input=script, env=env, cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout
