"""Does the client stay thin?

Wall clocks lie on a busy machine; what is imported does not.
"""

import json
import subprocess
import sys
from typing import Any

import pytest

HEAVY = {
    "trio",
    "pydantic",
    "yaml",
    "typing_extensions",
    "typing",
    "dataclasses",
    "sqlite3",
    "socket",
    "subprocess",
    "logging",
}


def imported_by(*argv: str, code: int = 0) -> set[str]:
    """The modules that one command line leaves in memory beyond what a bare interpreter has."""
    program = (
        "import sys; bare = set(sys.modules)\n"
        "from orchestrald.cli.main import dispatch\n"
        f"code = dispatch({list(argv)!r})\n"
        "print(code, *sorted(set(sys.modules) - bare), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    found, *names = done.stderr.splitlines()[-1].split()
    assert int(found) == code, done.stderr
    return set(names)


def test_status_imports_nothing_that_its_answer_does_not_need(daemon: Any) -> None:
    daemon.answers["system.info"] = {"version": "1", "sandbox": {"ok": True}, "interactions": {}}
    names = imported_by("status")
    assert not names & (HEAVY | {"argparse", "importlib.metadata", "threading", "signal", "selectors"})
    assert {name for name in names if name.startswith("orchestrald.")} == {
        "orchestrald.cli",
        "orchestrald.cli.command",
        "orchestrald.cli.main",
        "orchestrald.cli.status",
        "orchestrald.cli.text",
        "orchestrald.client",
        "orchestrald.paths",
    }


def test_a_command_with_arguments_never_imports_the_daemon(daemon: Any) -> None:
    daemon.answers["interaction.list"] = {"interactions": []}
    names = imported_by("list", "--json")
    assert not names & {"trio", "pydantic", "yaml", "typing_extensions", "sqlite3"}
    assert not any(name.startswith(("orchestrald.core", "orchestrald.engine", "orchestrald.errors")) for name in names)


@pytest.mark.parametrize(
    ("argv", "answers"),
    [
        (["emit", "door.opened"], {"event.emit": {"event_id": "evt_1"}}),
        (["threads"], {"thread.list": {"threads": []}}),
        (["repl"], {}),
        (
            ["pause", "i"],
            {"interaction.list": {"interactions": []}, "interaction.pause": {"interaction_id": "i", "state": "paused"}},
        ),
    ],
)
def test_taking_part_never_imports_the_daemon(daemon: Any, argv: list[str], answers: dict[str, Any]) -> None:
    daemon.answers |= answers
    names = imported_by(*argv)
    assert not names & {"trio", "pydantic", "yaml", "typing_extensions", "sqlite3", "readline"}
    assert not any(name.startswith(("orchestrald.core", "orchestrald.engine", "orchestrald.errors")) for name in names)


def test_a_json_plan_is_read_without_yaml(daemon: Any, tmp_path: Any) -> None:
    daemon.answers["plan.validate"] = {"valid": True, "plan": {"steps": []}}
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"steps": []}), encoding="utf-8")
    assert "yaml" not in imported_by("plan", "validate", str(file))


def test_help_loads_no_daemon_module() -> None:
    assert not imported_by("--help") & {"trio", "pydantic", "yaml"}
