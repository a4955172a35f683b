"""Does a manifest say what it means, and is every fault told with its place?"""

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from orchestrald.core.model import Retry
from orchestrald.errors import InvalidManifest
from orchestrald.manifest import Limits, SandboxRequest, Secret, external_actions, imported
from orchestrald.manifest_model import Manifest, parse_size
from orchestrald.manifest_text import parse
from orchestrald.protocol.action import request

FULL = """\
manifest: 1
name: invoices
version: 1.4.0
description: Read and file invoices.
x-team: finance
runtime:
  mode: oneshot
  protocol: orchestral.external_action.v1
  command: [python3, main.py]
  env: {PYTHONUNBUFFERED: "1"}
  env_pass: [HTTPS_PROXY]
  start_timeout: 10s
  idle_timeout: 5m
  stop_timeout: 500ms
  strict_stdout: true
  max_concurrency: 4
  platforms: [linux, macos]
requires:
  bins: [{name: pandoc}]
secrets:
  - {name: INVOICE_API_KEY, deliver: file, required: true}
sandbox:
  fs: {read: ["${workspace}/in"], write: ["${scratch}"]}
  net: {mode: allow, allow: ["api.example.com:443"]}
limits: {timeout: 60s, memory: 512MiB, cpus: 1.5, pids: 64, stdout: 4MiB, stderr: 64KiB}
actions:
  - name: extract
    description: One sentence.
    input_schema: {type: object, properties: {path: {type: string}}, required: [path], additionalProperties: false}
    output_schema: {type: object, properties: {total: {type: number}}, required: [total]}
    effects: read
    open_world: false
    idempotent: true
    dry_run: true
    approval: never
    timeout: 5s
    entrypoint: main:extract
    retry: {max: 1, on: [timeout]}
    examples: [{input: {path: a.pdf}, output: {total: 12.5}}]
  - name: file
    params_schema: {type: object}
"""


def minimal(**changes: Any) -> bytes:
    manifest = {
        "manifest": 1,
        "name": "p",
        "version": "1",
        "runtime": {"command": ["./run"]},
        "actions": [{"name": "a"}],
        **changes,
    }
    return json.dumps(manifest).encode()


def problems(data: bytes, folder: str = "p", file: str = "plugin.yaml") -> dict[str, str]:
    with pytest.raises(InvalidManifest) as caught:
        parse(data, folder, file)
    return {problem["path"]: problem["message"] for problem in caught.value.data["problems"]}


def test_every_key_reaches_the_action() -> None:
    parsed = parse(FULL.encode(), "invoices")
    assert parsed.warnings == ()
    extract, file = external_actions(
        parsed.manifest, Path("/p/invoices"), digest="sha256:d", program="/bin/py", generation=3
    )
    assert (extract.plugin, extract.version, extract.name, extract.generation) == ("invoices", "1.4.0", "extract", 3)
    assert (extract.folder, extract.command, extract.program) == (
        Path("/p/invoices"),
        ("python3", "main.py"),
        "/bin/py",
    )
    assert (extract.env, extract.env_pass) == ({"PYTHONUNBUFFERED": "1"}, ("HTTPS_PROXY",))
    assert extract.limits == Limits(5.0, 512 << 20, 1.5, 64, 4 << 20, 64 << 10)
    assert extract.sandbox == SandboxRequest(("${workspace}/in",), ("${scratch}",), "allow", ("api.example.com:443",))
    assert extract.secrets == (Secret("INVOICE_API_KEY"),)
    assert (extract.strict_stdout, extract.stop_timeout, extract.dry_run) == (True, 0.5, True)
    assert (extract.entrypoint, extract.max_concurrency, extract.retry_on) == (
        "main:extract",
        4,
        frozenset({"timeout"}),
    )
    spec = extract.spec
    assert (spec.name, spec.description, spec.plugin) == ("invoices.extract", "One sentence.", "invoices")
    assert (spec.effects, spec.open_world, spec.idempotent, spec.approval) == ("read", False, True, "never")
    assert (spec.retry, spec.timeout, spec.digest) == (Retry(max=1), 5.0, "sha256:d")
    assert spec.input_schema["required"] == ["path"]
    assert file.spec.input_schema == {"type": "object"}
    assert file.limits.timeout == 60.0


def test_what_is_left_out_is_pessimistic() -> None:
    (action,) = external_actions(parse(minimal(), "p").manifest, Path("/p"), digest="d")
    assert (action.spec.effects, action.spec.open_world, action.spec.idempotent) == ("destructive", True, False)
    assert action.sandbox == SandboxRequest(("${workspace}",), ("${scratch}",), "none", ())
    assert action.limits == Limits(60.0, 1 << 30, None, 128, 4 << 20, 1 << 20)
    assert (action.env, action.env_pass, action.secrets) == ({}, (), ())


def test_json_is_accepted_and_read_strictly() -> None:
    assert parse(minimal(), "p", "plugin.json").manifest.name == "p"
    with pytest.raises(InvalidManifest, match='"name" occurs twice'):
        parse(b'{"name":"a","name":"b"}', "p", "plugin.json")


def test_unknown_keys_are_warned_about_and_name_what_was_meant() -> None:
    data = minimal(
        desciption="d", actions=[{"name": "a", "efects": "read", "x-own": 1}], limits={"ram": 1}, **{"x-y": 1}
    )
    assert set(parse(data, "p").warnings) == {
        "unknown key desciption; did you mean description?",
        "unknown key actions[0].efects; did you mean effects?",
        "unknown key limits.ram",
    }


def test_examples_that_do_not_fit_are_warned_about() -> None:
    action = {"name": "a", "input_schema": {"required": ["x"]}, "examples": [{"input": {}}, {"input": {"x": 1}}]}
    (warning,) = parse(minimal(actions=[action]), "p").warnings
    assert warning.startswith("actions[0].examples[0].input does not fit")


@pytest.mark.parametrize("mode", ["persistent", "mcp"])
def test_reserved_modes_are_read_and_refused_as_not_yet_supported(mode: str) -> None:
    found = problems(minimal(runtime={"mode": mode, "command": ["./run"]}))
    assert found == {"runtime.mode": f"{mode} is not yet supported by this version; use oneshot"}


@pytest.mark.parametrize(
    ("data", "path", "says"),
    [
        (b"", "", "begins with `manifest: 1`"),
        (b"- 1", "", "begins with `manifest: 1`"),
        (minimal(manifest=2), "manifest", "version 2 is not one"),
        (minimal(manifest="1"), "manifest", "must be 1, not '1'"),
        (minimal(manifest=True), "manifest", "must be 1"),
        (b"manifest: 1", "name", "missing"),
        (minimal(name="Other"), "name", "must match"),
        (minimal(name="q"), "name", "is not the name of its folder"),
        (minimal(version=1.4), "version", "write it in quotes: '1.4'"),
        (minimal(runtime={"command": []}), "runtime.command", "at least 1"),
        (minimal(runtime={"command": "./run"}), "runtime.command", "list"),
        (minimal(runtime={}), "runtime.command", "missing"),
        (minimal(runtime={"command": ["a\0b"]}), "runtime.command[0]", "must match"),
        (minimal(runtime={"command": ["a"], "env": {"A": 1}}), "runtime.env.A", "write it in quotes: '1'"),
        (minimal(runtime={"command": ["a"], "env": {"A=B": "x"}}), "runtime.env.A=B", "must match"),
        (minimal(runtime={"command": ["a"], "protocol": "v9"}), "runtime.protocol", "external_action.v1"),
        (minimal(runtime={"command": ["a"], "platforms": ["windows"]}), "runtime.platforms[0]", "'linux' or 'macos'"),
        (minimal(limits={"timeout": "soon"}), "limits.timeout", "a duration is"),
        (minimal(limits={"memory": "1XB"}), "limits.memory", "a size is"),
        (minimal(limits={"memory": 0}), "limits.memory", "greater than 0"),
        (minimal(limits={"pids": True}), "limits.pids", "integer"),
        (minimal(sandbox={"fs": {"read": ["/etc"]}}), "sandbox.fs.read[0]", "must match"),
        (minimal(sandbox={"fs": {"write": ["${home}"]}}), "sandbox.fs.write[0]", "must match"),
        (minimal(sandbox={"fs": {"write": ["${workspace}/../x"]}}), "sandbox.fs.write[0]", "leaves its folder"),
        (minimal(sandbox={"net": {"mode": "allow"}}), "sandbox.net", "belong together"),
        (minimal(sandbox={"net": {"allow": ["a:1"]}}), "sandbox.net", "belong together"),
        (minimal(sandbox={"net": {"mode": "allow", "allow": ["a"]}}), "sandbox.net.allow[0]", "must match"),
        (minimal(secrets=[{"name": "A B"}]), "secrets[0].name", "must match"),
        (minimal(actions=[]), "actions", "at least one"),
        (minimal(actions=[{"name": "a"}, {"name": "a"}]), "actions[1].name", "two actions named 'a'"),
        (minimal(actions=[{"name": "a.b"}]), "actions[0].name", "must match"),
        (minimal(actions=[{"name": "a", "effects": "none"}]), "actions[0].effects", "'read', 'write' or 'destructive'"),
        (minimal(actions=[{"name": "a", "idempotent": "yes"}]), "actions[0].idempotent", "true or false, not 'yes'"),
        (minimal(actions=[{"name": "a", "input_schema": {"$ref": "http://x"}}]), "actions[0].input_schema", "leaves"),
        (minimal(actions=[{"name": "a", "output_schema": {"type": "nope"}}]), "actions[0].output_schema", "type"),
        (minimal(actions=[{"name": "a", "retry": {"on": ["error"]}}]), "actions[0].retry.on[0]", "retryable_error"),
    ],
)
def test_a_fault_is_told_with_its_path_and_what_is_wanted(data: bytes, path: str, says: str) -> None:
    found = problems(data)
    assert path in found, found
    assert says in found[path]


def test_all_faults_are_told_at_once_with_their_lines() -> None:
    text = b"manifest: 1\nname: p\nversion: 1.4\nruntime:\n  command: [a]\nactions:\n  - name: a\n    idempotent: yes\n"
    with pytest.raises(InvalidManifest) as caught:
        parse(text, "p")
    assert (
        caught.value.message == "plugin.yaml line 3: version: must be a string; write it in quotes: '1.4' (and 1 more)"
    )
    assert [(p["path"], p["line"]) for p in caught.value.data["problems"]] == [
        ("version", 3),
        ("actions[0].idempotent", 8),
    ]
    assert "PROTOCOL.md" in caught.value.advice


@pytest.mark.parametrize(
    "text", [b"a: &x 1\nb: *x", b"a: 1\na: 2", b"a: [", b"\xff", b"#" * 300_000, b"a: !!python/none"]
)
def test_text_that_is_not_strict_yaml_is_an_invalid_manifest(text: bytes) -> None:
    with pytest.raises(InvalidManifest, match=r"^plugin\.yaml"):
        parse(text, "p")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
        lambda v: (
            st.lists(v, max_size=2)
            | st.dictionaries(
                st.sampled_from(["manifest", "name", "version", "runtime", "actions", "limits", "command", "sandbox"]),
                v,
                max_size=5,
            )
        ),
        max_leaves=12,
    )
)
def test_any_content_is_a_manifest_or_invalid(value: Any) -> None:
    with contextlib.suppress(InvalidManifest):
        parse(json.dumps(value).encode(), "p", "plugin.json")


@pytest.mark.parametrize(
    ("text", "size"), [(7, 7), ("1B", 1), ("1.5KiB", 1536), ("2 MB", 2_000_000), ("1GiB", 1 << 30)]
)
def test_sizes(text: object, size: int) -> None:
    assert parse_size(text) == size


def test_an_entry_of_the_original_becomes_the_same_action_under_its_own_name() -> None:
    entry = {
        "name": "echo_python",
        "kind": "external_process",
        "description": "d",
        "config": {
            "command": "python3",
            "args": ["echo.py"],
            "entrypoint": "main",
            "env": {"A": "1"},
            "working_dir": "plugins",
            "timeout_ms": 1500,
        },
        "interface": {"params_schema": {"type": "object", "required": ["x"]}},
    }
    action = imported(entry, Path("/cfg"))
    assert (action.spec.name, action.name, action.command) == ("echo_python", "echo_python", ("python3", "echo.py"))
    assert (action.cwd, action.folder, action.entrypoint) == (Path("/cfg/plugins"), Path("/cfg"), "main")
    assert (action.limits.timeout, action.env) == (1.5, {"A": "1"})
    assert action.spec.input_schema == {"type": "object", "required": ["x"]}
    assert action.spec.effects == "destructive"
    assert imported({"name": "a", "config": {"command": "c"}}, Path("/c")).cwd == Path("/c")


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"name": "a"},
        {"name": "a", "config": {}},
        {"name": "a", "config": []},
        {"name": 3, "config": {"command": "x"}},
        {"name": "a", "config": {"command": "x", "args": "y"}},
        {"name": "a", "config": {"command": "x", "env": 3}},
    ],
)
def test_an_entry_of_the_original_that_cannot_be_used_is_invalid(entry: dict[str, Any]) -> None:
    with pytest.raises(InvalidManifest):
        imported(entry, Path("/c"))


# --- the page ------------------------------------------------------------------------------------------------------

PAGE = (Path(__file__).parents[1] / "PROTOCOL.md").read_text(encoding="utf-8")


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        args = get_args(field.annotation)
        inner = args[0] if args else field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from keys(inner, f"{prefix}{name}{'[].' if args else '.'}")


def test_the_page_lists_every_key_and_no_other() -> None:
    table = PAGE.split("## 2. The manifest")[1].split("## 3.")[0]
    assert re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE) == list(keys(Manifest))


def test_the_manifest_on_the_page_has_no_faults_and_no_warnings() -> None:
    assert parse(PAGE.split("```yaml\n")[1].split("```")[0].encode(), "count").warnings == ()


def test_the_program_on_the_page_works(tmp_path: Path) -> None:
    script = tmp_path / "run"
    script.write_text(PAGE.split("```sh\n")[1].split("```")[0], encoding="utf-8")
    (tmp_path / "a.txt").write_text("1\n2\n3\n", encoding="utf-8")
    for path, ends in (("a.txt", (0, {"exports": {"lines": 3}})), ("missing", (65, None))):
        sent = request(
            action="lines", plugin="count", version="1", params={"path": path}, interaction_id="i", step_id="s",
            execution_id="e", attempt=1, idempotency_key="k",
        )  # fmt: skip
        env = {"PATH": os.defpath, "ORCHESTRAL_WORKSPACE": str(tmp_path)}
        done = subprocess.run(["/bin/sh", script], input=sent, capture_output=True, timeout=10, env=env, check=False)
        assert (done.returncode, json.loads(done.stdout) if done.stdout else None) == ends
