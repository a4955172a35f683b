"""Does the house still stand as ARCHITECTURE.md says?

The import contracts are in pyproject.toml, [tool.importlinter]; the other rules are about names, sizes and calls.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("orchestrald", "sandbox", "plugins")
THIN = ("orchestrald/cli", "orchestrald/client.py", "orchestrald/paths.py", "orchestrald/version.py")
THIN_NAMES = ("orchestrald.cli", "orchestrald.client", "orchestrald.paths", "orchestrald.version")

LONG = {
    "orchestrald/core/decide.py": "every input beside every other: split, nobody could see that none is missing",
    "orchestrald/core/evolve.py": "every event, for the same reason; replay and live share it line by line",
    "orchestrald/engine/engine.py": "the one place where the core meets IO; what could be its own idea already is",
    "orchestrald/errors.py": "one tree: who must act on what is seen by looking at all of it",
    "orchestrald/runner/process.py": "one state machine over one program's descriptors",
}
"""Files of more than 300 lines, each with the reason. Whoever adds one has looked for the second idea in it."""

MOST_LINES = 300
MOST_TEST_LINES = 500
"""A test file follows its module, and cases are longer than rules."""


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py") if ".venv" not in path.parts)


def calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node


def where(path: Path, line: int = 0) -> str:
    return f"{path.relative_to(ROOT)}:{line}" if line else str(path.relative_to(ROOT))


@pytest.mark.slow
def test_the_import_contracts_hold(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "import sys; from importlinter.cli import lint_imports_command as c; sys.exit(c())",
    ]
    done = subprocess.run(
        [*command, "--config", "pyproject.toml", "--cache-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert " 0 broken" in done.stdout


def test_the_client_imports_the_standard_library_and_itself() -> None:
    # The one exception is a plan that is written in YAML: it is read by PyYAML, which is there wherever the daemon is.
    strange = []
    for path in sources(*(f for f in THIN if not f.endswith(".py"))) + [ROOT / f for f in THIN if f.endswith(".py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            strange += [
                f"{where(path, node.lineno)} {name}"
                for name in names
                if name.split(".")[0] not in sys.stdlib_module_names and not name.startswith(THIN_NAMES)
            ]
    assert [s for s in strange if not s.startswith("orchestrald/cli/plan_file.py") or not s.endswith(" yaml")] == []


def test_a_daemon_that_starts_does_not_load_a_model_client() -> None:
    """The `openai` package costs 700 ms and 40 MB: whoever adds it must load it at the first use, and in a thread."""
    code = "import sys, orchestrald.command; sys.exit(bool({'openai', 'httpx2', 'anyio', 'h11'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0


def test_the_sandbox_imports_the_standard_library_and_itself() -> None:
    strange = [
        where(path, node.lineno)
        for path in sources("sandbox")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.ImportFrom) and node.level == 0 and _top(node.module) not in sys.stdlib_module_names)
        or (isinstance(node, ast.Import) and any(_top(a.name) not in sys.stdlib_module_names for a in node.names))
    ]
    assert strange == []


def _top(name: str | None) -> str:
    return (name or "").split(".")[0]


def test_a_long_file_has_a_reason() -> None:
    long = {where(path) for path in sources(*PACKAGES) if _lines(path) > MOST_LINES}
    assert long - LONG.keys() == set(), "find the second idea in these, or give the reason in LONG"
    assert LONG.keys() - long == set(), "these are not long any more"


def test_test_files_stay_readable() -> None:
    assert [where(path) for path in sources("tests", "tools", "examples") if _lines(path) > MOST_TEST_LINES] == []


def test_most_files_hold_one_idea() -> None:
    sizes = sorted(_lines(path) for path in sources(*PACKAGES) if path.name != "__init__.py")
    assert sizes[len(sizes) // 2] <= 150


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_module_is_named_after_nothing() -> None:
    nothing = {"util", "utils", "helper", "helpers", "manager", "common", "misc", "shared", "stuff", "base_utils"}
    assert [where(path) for path in sources(*PACKAGES, "tests") if path.stem in nothing] == []


def test_every_module_says_which_question_it_answers() -> None:
    silent = []
    for path in sources(*PACKAGES, "tests", "tools", "examples"):
        text = path.read_text(encoding="utf-8")
        first = (ast.get_docstring(ast.parse(text)) or "").strip().split("\n")[0]
        if text.strip() and not first:
            silent.append(where(path))
    assert silent == []


def test_programs_are_spawned_without_fork_and_in_the_trio_thread() -> None:
    # preexec_fn and its like make Popen fork, 10 ms at 300 MB; trio's own functions spawn from a thread that it ends
    # after ten idle seconds, and bwrap's --die-with-parent then kills the plugin.
    keywords = {"preexec_fn", "user", "group", "extra_groups"}
    names = {"trio.run_process", "trio.lowlevel.open_process", "trio.open_process"}
    found = [
        where(path, call.lineno)
        for path in sources(*PACKAGES)
        for call in calls(path)
        if ast.unparse(call.func) in names
        or (ast.unparse(call.func).startswith("subprocess.") and keywords & {k.arg for k in call.keywords})
    ]
    assert found == []


def test_text_files_are_opened_with_an_encoding() -> None:
    found = [
        where(path, call.lineno)
        for path in sources(*PACKAGES, "tools", "examples")
        for call in calls(path)
        if _reads_text(call) and not any(k.arg == "encoding" for k in call.keywords)
    ]
    # /proc and /etc are ASCII, and the sandbox reads nothing else as text.
    assert [place for place in found if not place.startswith("sandbox/")] == []


def _reads_text(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    if name.endswith((".read_text", ".write_text")):
        return True
    mode = [a.value for a in call.args[1:2] if isinstance(a, ast.Constant)]
    return name == "open" and not (mode and "b" in str(mode[0]))


def test_a_test_that_really_sleeps_says_why() -> None:
    programs = ROOT / "tests" / "support" / "plugins"  # what tests run, and it may take its time
    simulated = ROOT / "tests" / "simulation"  # there is no real clock in it
    tests = [path for path in sources("tests") if not {programs, simulated} & set(path.parents)]
    assert [where(path, line) for path in tests for line in _unexplained_sleeps(path)] == []


def _unexplained_sleeps(path: Path) -> Iterator[int]:
    """Lines that sleep on a real clock, with no comment beside or just above and no docstring over them."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for function in ast.parse(text).body:
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and _explained(function):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"trio.sleep", "time.sleep", "asyncio.sleep"}:
                near = lines[max(0, node.lineno - 3) : node.lineno]
                if not any("#" in line for line in near):
                    yield node.lineno


def _explained(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """On trio's autojump clock sleeping takes no time; a docstring says what takes it."""
    return "autojump_clock" in {argument.arg for argument in function.args.args} or bool(ast.get_docstring(function))


def test_the_words_that_belong_to_others_name_nothing_here() -> None:
    # trio owns `task`; `job` and `workflow` are what other systems call an interaction and a plan.
    taken = {"task", "job", "workflow"}
    named = [
        f"{where(path, node.lineno)} {node.name}"
        for path in sources(*PACKAGES)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and taken & set(node.name.lower().strip("_").split("_"))
    ]
    assert named == []
