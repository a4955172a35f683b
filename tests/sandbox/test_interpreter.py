"""What must be shown to the sandbox so that a program and its interpreter can start?"""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrald_sandbox import CommandError, resolve

ELF = b"\x7fELF"
USR = "/usr/local/bin:/usr/bin:/bin"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home" / "plugin").mkdir(parents=True)
    return (tmp_path / "home").resolve()


def executable(path: Path, content: bytes | str = ELF) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(0o755)
    return path


def found(home: Path, *command: str, path: str = USR):  # type: ignore[no-untyped-def]
    return resolve(command, folder=str(home / "plugin"), path=path, home=str(home))


def python_in(home: Path, version: str = "3.11.7") -> Path:
    """A pyenv-like installation; gives its prefix."""
    prefix = home / ".pyenv" / "versions" / version
    executable(prefix / "bin" / f"python{version[:4]}")
    (prefix / "bin" / "python3").symlink_to(f"python{version[:4]}")
    (prefix / "lib" / f"python{version[:4]}").mkdir(parents=True)
    return prefix


def test_a_program_under_usr_needs_nothing(home: Path) -> None:
    got = found(home, "sh", "-c", "x")
    assert got.argv[0] in ("/usr/bin/sh", "/bin/sh") and got.argv[1:] == ("-c", "x")
    assert (got.read_roots, got.path) == ((), ())


def test_a_binary_in_the_plugins_folder_needs_nothing_else(home: Path) -> None:
    program = executable(home / "plugin" / "bin" / "run")
    got = found(home, "bin/run")
    assert (got.argv, got.read_roots, got.path) == ((str(program),), (), ())


def test_an_interpreter_in_the_home_brings_its_prefix_and_not_the_home(home: Path) -> None:
    prefix = python_in(home)
    got = found(home, "python3", "main.py", path=f"{prefix}/bin:{USR}")
    assert got.argv == (f"{prefix}/bin/python3", "main.py")
    assert got.read_roots == (str(prefix),)
    assert got.path == (f"{prefix}/bin",)


def test_a_first_line_with_env_is_followed_to_the_interpreter(home: Path) -> None:
    prefix = python_in(home)
    script = executable(home / "plugin" / "main.py", "#!/usr/bin/env -S python3 -I\nprint()\n")
    got = found(home, "./main.py", "x", path=f"{prefix}/bin:{USR}")
    assert got.argv == (f"{prefix}/bin/python3", "-I", str(script), "x")
    assert got.read_roots == (str(prefix),)


def test_a_pyenv_shim_is_seen_through(home: Path) -> None:
    old, new = python_in(home, "3.10.13"), python_in(home, "3.11.7")
    executable(home / ".pyenv" / "shims" / "python3", "#!/usr/bin/env bash\nexec pyenv exec\n")
    (home / ".pyenv" / "version").write_text("3.11.7\n")
    path = f"{home}/.pyenv/shims:{USR}"
    assert found(home, "python3", path=path).argv == (f"{new}/bin/python3",)
    (home / "plugin" / ".python-version").write_text("3.10.13\n")
    assert found(home, "python3", path=path).argv == (f"{old}/bin/python3",)
    (home / "plugin" / ".python-version").write_text("system\n")
    executable(home / "sys" / "python3")
    assert found(home, "python3", path=f"{path}:{home}/sys").argv[0].startswith(("/usr", "/bin", f"{home}/sys"))


def test_a_shim_for_a_version_that_is_not_there_names_the_version(home: Path) -> None:
    python_in(home)
    executable(home / ".pyenv" / "shims" / "python3", "#!/usr/bin/env bash\n")
    (home / ".pyenv" / "version").write_text("3.9.1\n")
    with pytest.raises(CommandError, match=r"3\.9\.1"):
        found(home, "python3", path=f"{home}/.pyenv/shims")
    (home / ".pyenv" / "version").write_text("../../../plugin\n")
    with pytest.raises(CommandError, match="shim"):
        found(home, "python3", path=f"{home}/.pyenv/shims")


def test_a_virtual_environment_is_run_as_such_and_brings_its_base(home: Path) -> None:
    prefix = python_in(home)
    environment = home / "project" / ".venv"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to(prefix / "bin" / "python3")
    (environment / "pyvenv.cfg").write_text(f"home = {prefix}/bin\nversion = 3.11.7\n")
    got = found(home, str(environment / "bin" / "python"), "-m", "x")
    assert got.argv == (f"{environment}/bin/python", "-m", "x")
    assert set(got.read_roots) == {str(environment), str(prefix)}


def test_a_tool_in_a_shared_folder_of_the_home_is_shown_alone(home: Path) -> None:
    (home / ".local" / "lib" / "python3.11").mkdir(parents=True)
    tool = executable(home / ".local" / "bin" / "tool")
    assert found(home, str(tool)).read_roots == (str(tool),)
    rustup = executable(home / ".cargo" / "bin" / "rustup")
    (home / ".cargo" / "bin" / "cargo").symlink_to("rustup")
    got = found(home, "cargo", path=str(home / ".cargo" / "bin"))
    assert got.argv == (f"{home}/.cargo/bin/cargo",)
    assert got.read_roots == (f"{home}/.cargo/bin/cargo", str(rustup))


def test_a_plugin_cannot_have_a_project_shown_by_naming_a_program_in_it(home: Path) -> None:
    (home / "project" / "lib").mkdir(parents=True)
    program = executable(home / "project" / "bin" / "x")
    executable(home / "plugin" / "main", f"#!{program}\n")
    assert found(home, "./main").read_roots == (str(program),)
    (home / "plugin" / "link").symlink_to(program)
    assert found(home, "./link").read_roots == (str(program),)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("#!/opt/no/python\n", "/opt/no/python does not exist"),
        ("#!/usr/bin/env no-such-thing\n", "'no-such-thing': not found in"),
        ("#!/usr/bin/env python3\r\nprint()\r\n", "CR LF"),
        ("#!\n", "nothing after"),
        ("echo hello\n", "neither a binary nor begins with '#!'"),
        ("#!/usr/bin/env A=1 sh\n", "not understood"),
    ],
)
def test_a_script_that_cannot_run_says_what_is_missing(home: Path, content: str, says: str) -> None:
    executable(home / "plugin" / "main", content)
    with pytest.raises(CommandError) as caught:
        found(home, "./main")
    assert says in str(caught.value) and "main" in str(caught.value)


def test_a_missing_or_unusable_command_says_so(home: Path) -> None:
    (home / "plugin" / "plain").write_text("x")
    (home / "plugin" / "dangling").symlink_to("nowhere")
    expected = {
        "./no": "does not exist", "./plain": r"chmod \+x", "./dangling": "link to nowhere",
        "no-such-program": "not found in", ".//": "not a file", "": "empty",
    }  # fmt: skip
    for name, says in expected.items():
        with pytest.raises(CommandError, match=says):
            found(home, name)
    with pytest.raises(CommandError, match="empty"):
        found(home)


def test_scripts_that_run_each_other_end_in_an_error(home: Path) -> None:
    one, two = home / "plugin" / "one", home / "plugin" / "two"
    executable(one, f"#!{two}\n")
    executable(two, f"#!{one}\n")
    with pytest.raises(CommandError, match="deep"):
        found(home, "./one")
