"""`make demo`: what orchestrald does, on the real files of this repository, in about fifteen seconds.

A throw-away home, three plugins in three languages, one intent; the daemon is killed with SIGKILL half-way, the client
starts it again, and the journal shows that no finished step ran twice. Everything below is a command that you can type.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
BIN = Path(sys.executable).parent
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
BOLD, DIM, PLAIN = ("\033[1m", "\033[2m", "\033[0m") if COLOUR else ("", "", "")


def main() -> int:
    # A socket's path may have about 100 characters: a short folder, whatever TMPDIR says.
    home = Path(tempfile.mkdtemp(prefix="orch-", dir="/tmp"))
    os.environ["ORCHESTRAL_HOME"] = str(home)
    workspace = home / "workspace"
    try:
        return tell(home, workspace)
    finally:
        subprocess.run([BIN / "orchestral", "stop"], capture_output=True, check=False)
        shutil.rmtree(home, ignore_errors=True)


def tell(home: Path, workspace: Path) -> int:
    say("A throw-away home and a copy of this repository's files to work on")
    copy_repository(workspace)
    print(f"{DIM}ORCHESTRAL_HOME={home}{PLAIN}")
    orchestral("start")

    language, combine = third_language(home)
    say(f"Three plugins in three languages are dropped into the plugin folder: sh and awk, Python, {language}")
    (home / "config" / "playbooks").mkdir(parents=True, exist_ok=True)
    playbook = (HERE / "survey.yaml").read_text(encoding="utf-8").replace("COMBINE", combine)
    (home / "config" / "playbooks" / "survey.yaml").write_text(playbook, encoding="utf-8")
    for name in ("list-files", "measure", combine):
        drop(HERE / "plugins" / name, home / "plugins" / name)
    wait_for_plugins({"list-files", "measure", combine})
    orchestral("plugins")

    say("What would be done, and nothing is done yet")
    orchestral("plan", "survey", "this repository", cwd=workspace)

    say("Now it is done; half-way, the daemon is killed with SIGKILL, and the client starts it again")
    interaction = run_and_kill(workspace)

    say("What the journal says")
    if not show_journal(interaction):
        return 1
    orchestral("show", interaction, "--graph")

    say("The report that the sandboxed steps wrote into the workspace")
    print("\n".join((workspace / "report.md").read_text(encoding="utf-8").splitlines()[:14]) + "\n…")

    say("Three commands to try next")
    print(f"  {BIN / 'orchestral'} run say hello          a playbook without plugins")
    print(f"  {BIN / 'orchestral'} actions               what can be done, and with which parameters")
    print(f"  {BIN / 'orchestral'} --help                everything else")
    return 0


def say(text: str) -> None:
    print(f"\n{BOLD}── {text}{PLAIN}", flush=True)


def orchestral(*words: str, cwd: Path | None = None, show: bool = True) -> str:
    """Run the client as a user would, and print what it prints."""
    if show:
        print(f"{DIM}$ orchestral {' '.join(words)}{PLAIN}", flush=True)
    done = subprocess.run([BIN / "orchestral", *words], cwd=cwd, check=True, text=True, stdout=subprocess.PIPE)
    if show:
        print(done.stdout, end="", flush=True)
    return done.stdout


def copy_repository(workspace: Path) -> None:
    """The files that git knows, or all of them where this is no checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=False).stdout
    names = [name for name in listed.decode().split("\0") if name]
    for name in names or [str(p.relative_to(REPOSITORY)) for p in REPOSITORY.rglob("*.py") if ".venv" not in p.parts]:
        source, target = REPOSITORY / name, workspace / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def third_language(home: Path) -> tuple[str, str]:
    """The first language that this machine has, and the plugin that is written in it."""
    if shutil.which("go"):
        print(f"{DIM}compiling the Go plugin…{PLAIN}", flush=True)
        source = HERE / "plugins" / "combine-go" / "main.go"
        environment = os.environ | {"GOCACHE": str(home / "go-cache"), "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
        command = ["go", "build", "-o", home / "combine", source]
        if subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0:
            return "Go", "combine-go"
    if shutil.which("node"):
        return "JavaScript", "combine-node"
    return "Perl", "combine-perl"


def drop(source: Path, target: Path) -> None:
    """Copy to a name that is ignored, then rename: nobody ever sees half a plugin."""
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.copytree(source, temporary)
    compiled = target.parent.parent / "combine"
    if target.name == "combine-go":
        shutil.copy2(compiled, temporary / "combine")
    temporary.rename(target)


def wait_for_plugins(names: set[str]) -> None:
    """Until all are live, which takes less than two seconds; each look is a call to the daemon."""
    for _ in range(200):
        listed = json.loads(orchestral("plugins", "--json", show=False))
        if names <= {plugin["name"] for plugin in listed["plugins"] if plugin["state"] == "ready"}:
            return
    raise SystemExit(f"the plugins did not come alive: {orchestral('plugins', show=False)}")


def run_and_kill(workspace: Path) -> str:
    """Submit, follow, and kill the daemon when a third of the files are measured. Returns the interaction's id."""
    words = ["run", "survey", "this repository"]
    print(f"{DIM}$ orchestral {' '.join(words)}{PLAIN}", flush=True)
    with subprocess.Popen([BIN / "orchestral", *words], cwd=workspace, text=True, stderr=subprocess.PIPE) as client:
        assert client.stderr is not None
        interaction, measured, killed = "", 0, False
        for line in client.stderr:
            print(line, end="", flush=True)
            interaction = interaction or next((word for word in line.split() if word.startswith("int_")), "")
            measured += line.startswith("measure[") and " succeeded" in line
            if measured >= 8 and not killed:
                killed = True
                pid = json.loads(orchestral("status", "--json", show=False))["pid"]
                os.kill(pid, signal.SIGKILL)
                print(f"{BOLD}   kill -9 {pid}   (the daemon){PLAIN}", flush=True)
    if client.returncode != 0:
        raise SystemExit(f"the run ended with exit status {client.returncode}")
    return interaction


def show_journal(interaction: str) -> bool:
    """Count starts and successes per step. True when no step was started after it had succeeded."""
    listed = orchestral("events", interaction, "--json", show=False)
    events = [json.loads(line) for line in listed.splitlines()]
    started = Counter(event["step_id"] for event in events if event["type"] == "step.started")
    succeeded = Counter(event["step_id"] for event in events if event["type"] == "step.succeeded")
    interrupted = [event["step_id"] for event in events if event["type"] == "step.interrupted"]
    again, done = [], set()
    for event in events:
        if event["type"] == "step.started" and event["step_id"] in done:
            again.append(event["step_id"])
        if event["type"] == "step.succeeded":
            done.add(event["step_id"])
    print(f"  {len(succeeded)} steps succeeded, each once: {max(succeeded.values()) == 1}")
    print(f"  interrupted by the kill, and run again because they are idempotent: {', '.join(interrupted) or 'none'}")
    print(f"  attempts: {sum(started.values())} for {len(started)} steps")
    print(f"  started again after they had succeeded: {', '.join(again) or 'none'}")
    return not again and max(succeeded.values()) == 1


if __name__ == "__main__":
    sys.exit(main())
