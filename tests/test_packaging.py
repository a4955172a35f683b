"""Does the wheel hold what the repository holds, and does it work where it is installed?

A plugin folder that is forgotten in `packages` vanishes from the wheel without a word; so these tests compare.
"""

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

pytestmark = pytest.mark.slow


def run(*command: str | Path, env: Mapping[str, str] | None = None, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def packages() -> dict[str, Path]:
    """Every package of ours by the name that it is imported by, found by looking, not by reading pyproject.toml."""
    found = {"orchestrald": ROOT / "orchestrald", "orchestrald_sandbox": ROOT / "sandbox" / "orchestrald_sandbox"}
    return found | {path.parent.name: path.parent for path in (ROOT / "plugins").glob("*/__init__.py")}


def test_every_file_of_every_package_is_in_the_wheel_and_nothing_else(names: set[str]) -> None:
    expected = {
        f"{package}/{path.relative_to(folder).as_posix()}"
        for package, folder in packages().items()
        for path in folder.rglob("*")
        if path.is_file() and not any(p.startswith((".", "__pycache__")) for p in path.relative_to(folder).parts)
    }
    expected |= {f"orchestrald/playbooks/{path.name}" for path in (ROOT / "configs" / "playbooks").glob("*.yaml")}
    assert {name for name in names if ".dist-info/" not in name} == expected


def test_nothing_generic_lands_beside_other_peoples_packages(names: set[str]) -> None:
    version = PROJECT["project"]["version"]
    assert {name.split("/")[0] for name in names} == {*packages(), f"orchestrald-{version}.dist-info"}


@pytest.mark.parametrize("package", sorted(packages()))
def test_every_package_says_that_it_is_typed(package: str, names: set[str]) -> None:
    assert f"{package}/py.typed" in names


def test_migrations_and_playbooks_travel_along(names: set[str]) -> None:
    assert "orchestrald/store/migrations/0001_initial.sql" in names
    assert "orchestrald/playbooks/say.yaml" in names


def test_every_bundled_plugin_is_announced_like_a_strangers() -> None:
    announced = set(PROJECT["project"]["entry-points"]["orchestrald"].values())
    assert announced == {path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py")}


def test_the_version_is_said_once_and_repeated_correctly(wheel: Path) -> None:
    text = (ROOT / "orchestrald" / "version.py").read_text(encoding="utf-8")
    (said,) = re.findall(r'^VERSION = "(.+)"$', text, re.MULTILINE)
    assert said == PROJECT["project"]["version"]
    assert wheel.name.startswith(f"orchestrald-{said}-")


def test_every_dependency_is_pinned_with_hashes() -> None:
    for name in ("runtime", "dev"):
        pinned = (ROOT / "constraints" / f"{name}.txt").read_text(encoding="utf-8")
        assert "--hash=sha256:" in pinned
        for dependency in PROJECT["project"]["dependencies"]:
            package = re.split(r"[<>=]", dependency)[0]
            assert re.search(rf"^{re.escape(package)}==", pinned, re.MULTILINE | re.IGNORECASE), (name, package)


def test_what_is_imported_is_what_is_declared_and_nothing_is_declared_in_vain() -> None:
    # Each comes with, and is pinned by, the other.
    companions = {"outcome": "trio", "pydantic_core": "pydantic", "httpx2": "openai"}
    imported = {name for folder in packages().values() for path in folder.rglob("*.py") for name in _imports(path)}
    foreign = imported - sys.stdlib_module_names - packages().keys()
    project = PROJECT["project"]
    declared = {re.split(r"[<>=]", each)[0] for each in project["dependencies"]}
    extra = {each.split("-")[0] for extra in project["optional-dependencies"].values() for each in extra}
    assert {companions.get(name, name).replace("yaml", "pyyaml") for name in foreign} == declared | extra


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


@pytest.fixture(params=["wheel", "editable"])
def installed(request: pytest.FixtureRequest, wheel: Path, tmp_path: Path) -> Path:
    """A fresh environment's `bin` with us in it and nothing else of ours. No index is asked.

    What we depend on is taken from the environment that runs the tests, by a .pth that comes after the fresh one's own
    packages: so what is imported as ours can only be what was installed. Ours is not in there, even when it is
    installed where the tests run: an editable install is a .pth too, and those of a folder on the path are not read.
    """
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path)
    (site,) = (tmp_path / "lib").glob("python*/site-packages")
    borrowed = [entry for entry in sys.path if entry.endswith("site-packages")]
    (site / "zz_borrowed.pth").write_text("\n".join(borrowed) + "\n", encoding="utf-8")
    what = [str(wheel)] if request.param == "wheel" else ["--editable", str(ROOT)]
    run(
        sys.executable, "-m", "pip", "--python", tmp_path / "bin" / "python", "install", "--quiet", "--no-deps",
        "--no-index", "--no-build-isolation", "--disable-pip-version-check", "--ignore-installed", *what,
    )  # fmt: skip
    return tmp_path / "bin"


def test_both_programs_run_where_they_are_installed(installed: Path, tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "ORCHESTRAL_HOME": str(tmp_path / "home")}
    assert "usage: orchestral COMMAND" in run(installed / "orchestral", "--help", env=env, cwd=tmp_path)
    assert PROJECT["project"]["version"] in run(installed / "orchestral", "--version", env=env, cwd=tmp_path)
    assert "serve" in run(installed / "orchestrald", "--help", env=env, cwd=tmp_path)
    code = "import orchestrald_sandbox, orchestrald.service, orchestrald.store.migrate as m; print(m.__file__)"
    place = run(installed / "python", "-c", code, env=env, cwd=tmp_path).strip()
    assert place.startswith((str(tmp_path), str(ROOT / "orchestrald")))


def test_an_installed_daemon_has_its_plugins_and_playbooks(installed: Path) -> None:
    home = f"/tmp/orch-{os.getpid()}-{installed.parent.name[-6:]}"  # a socket's path may have about 100 characters
    env = {"PATH": os.environ["PATH"], "ORCHESTRAL_HOME": home}
    try:
        assert run(installed / "orchestral", "run", "say", "hello", "--quiet", env=env, cwd=Path("/")) == "hello\n"
        listed = run(installed / "orchestral", "plugins", env=env, cwd=Path("/"))
        assert all(name in listed for name in ("echo", "files", "shell"))
    finally:
        run(installed / "orchestral", "stop", "--drain", "0", env=env, cwd=Path("/"))
        run("rm", "-rf", home)
