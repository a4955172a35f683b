"""What surrounds a confined run: the proxy, the parts of a workspace, what a plan narrows, what is used up."""

import http.server
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from orchestrald.actions import LoadedAction
from orchestrald.core.model import StepSandbox
from orchestrald.hookspecs import Confinement
from orchestrald.manifest import SandboxRequest
from orchestrald.runner.base import Failed, Outcome, Succeeded
from support.bench import Bench, Notes, children

pytestmark = pytest.mark.kernel
WRITES = SandboxRequest(write=("${workspace}",))
FETCH = """#!/usr/bin/python3
import json, sys, urllib.error, urllib.request
try:
    with urllib.request.urlopen(json.load(sys.stdin)["input"]["params"]["url"], timeout=5) as answer:
        said = answer.read().decode()
except urllib.error.HTTPError as error:
    said = f"{error.code}"
except OSError as error:
    said = str(error)
print(json.dumps({"exports": {"said": said}}))
"""


async def run(bench: Bench, action: LoadedAction, notes: Notes | None = None, **fields: Any) -> Outcome:
    with trio.fail_after(20):
        return await bench.runner.run(action, bench.attempt(**fields), notes or Notes())


@pytest.fixture
def upstream() -> Iterator[str]:
    """A server of this machine, as host:port."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"from outside")

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def fetching(bench: Bench, *hosts: str) -> LoadedAction:
    asked = SandboxRequest(network="allow", hosts=hosts)
    return bench.external([bench.program("fetch.py", FETCH)], sandbox=asked)


async def test_what_both_the_operator_and_the_manifest_list_is_reached(bench: Bench, upstream: str, notes: Notes):
    bench.granted["p"] = Confinement(network="proxy", destinations=(upstream, "other.example:443"))
    said = await run(bench, fetching(bench, upstream), notes, params={"url": f"http://{upstream}/"})
    assert said == Succeeded({"said": "from outside"})
    assert notes.violations == []


async def test_what_is_not_listed_is_refused_and_told_at_once(bench: Bench, upstream: str, notes: Notes):
    bench.granted["p"] = Confinement(network="proxy", destinations=("other.example:443", "127.0.0.1:1"))
    said = await run(bench, fetching(bench, "other.example:443"), notes, params={"url": f"http://{upstream}/"})
    assert said == Succeeded({"said": "403"})
    assert [(seen.kind, seen.certain) for seen in notes.violations] == [("network_denied", True)]
    assert upstream in notes.violations[0].evidence


async def test_a_manifest_cannot_list_what_the_operator_has_not(bench: Bench, upstream: str):
    bench.granted["p"] = Confinement(network="proxy", destinations=("127.0.0.1:1",))
    said = await run(bench, fetching(bench, upstream), params={"url": f"http://{upstream}/"})
    assert said == Succeeded({"said": "403"})


@pytest.mark.parametrize("granted", [Confinement(network="proxy"), Confinement()], ids=["an empty list", "off"])
async def test_an_empty_list_is_no_network(bench: Bench, upstream: str, granted: Confinement, notes: Notes):
    bench.granted["p"] = granted
    said = await run(bench, fetching(bench, upstream), notes, params={"url": f"http://{upstream}/"})
    assert isinstance(said, Succeeded)
    assert "refused" in str(said.output["said"])
    assert notes.violations == []


async def test_a_proxied_run_that_is_stopped_leaves_neither_process_nor_descriptor(bench: Bench, upstream: str):
    bench.granted["p"] = Confinement(network="proxy", destinations=(upstream,))
    asked = SandboxRequest(network="allow", hosts=(upstream,))
    text = """#!/usr/bin/python3
import socket, time
held = [socket.create_connection(("127.0.0.1", 3128)) for _ in range(5)]
time.sleep(60)
"""
    action = bench.external([bench.program("hold.py", text)], sandbox=asked, limits={"timeout": 0.6})
    assert isinstance(await run(bench, fetching(bench, upstream), params={"url": f"http://{upstream}/"}), Succeeded)
    before, running = set(os.listdir("/proc/self/fd")), children()
    outcome = await run(bench, action)
    assert isinstance(outcome, Failed)
    assert outcome.failure.code == "timeout"
    with trio.move_on_after(0.3):
        await run(bench, action)
    assert set(os.listdir("/proc/self/fd")) == before
    assert children() == running


async def test_only_the_parts_of_the_workspace_that_a_manifest_names_are_there(bench: Bench):
    for name in ("in", "out", "other"):
        (bench.workspace / name).mkdir()
    (bench.workspace / "in" / "a").write_text("read me")
    bench.granted["p"] = Confinement(mode="workspace_write")
    asked = SandboxRequest(read=("${workspace}/in",), write=("${workspace}/out", "${scratch}"))
    action = bench.sh(
        """cd "$ORCHESTRAL_WORKSPACE" && cat in/a > out/b
           there=$(ls | tr '\\n' ' '); touch in/new 2>/dev/null && there="$there WROTE"
           echo "{\\"exports\\":{\\"there\\":\\"$there\\"}}" """,
        sandbox=asked,
    )
    assert await run(bench, action) == Succeeded({"there": "in out "})
    assert (bench.workspace / "out" / "b").read_text() == "read me"


async def test_a_part_that_is_missing_or_a_link_is_told(bench: Bench):
    bench.granted["p"] = Confinement(mode="workspace_write")
    action = bench.sh("true", sandbox=SandboxRequest(read=("${workspace}/no",)))
    outcome = await run(bench, action)
    assert isinstance(outcome, Failed)
    assert (outcome.failure.code, "No such file" in outcome.failure.message) == ("cannot_run", True)
    (bench.workspace / "no").symlink_to("/etc")
    outcome = await run(bench, action)
    assert isinstance(outcome, Failed)
    assert "link" in outcome.failure.message


async def test_a_plan_narrows_what_was_granted_and_never_widens_it(bench: Bench):
    bench.granted["p"] = Confinement(mode="workspace_write")
    action = bench.sh("""echo x > "$ORCHESTRAL_WORKSPACE/new" && echo '{"exports":{}}' || exit 65""", sandbox=WRITES)
    assert isinstance(await run(bench, action, sandbox=StepSandbox(mode="read_only")), Failed)
    assert isinstance(await run(bench, action, sandbox=StepSandbox(network="host")), Succeeded)
    bench.granted["p"] = Confinement()
    assert isinstance(await run(bench, action, sandbox=StepSandbox(mode="workspace_write")), Failed)


async def test_a_plan_can_wish_a_sandbox_back_where_the_operator_has_none(bench: Bench):
    bench.granted["p"] = Confinement(mode="none", backend="none")
    action = bench.sh("""echo "{\\"exports\\":{\\"pid\\":$$}}" """)
    confined = await run(bench, action, sandbox=StepSandbox(mode="read_only"))
    assert isinstance(confined, Succeeded)
    assert confined.output["pid"] <= 3


async def test_what_a_run_may_write_is_bounded_while_it_runs(bench: Bench, notes: Notes):
    bench.granted["p"] = Confinement(mode="workspace_write", limits={"workspace_bytes": 8 << 20})
    action = bench.sh(
        """cd "$ORCHESTRAL_WORKSPACE"; n=0
           while [ $n -lt 48 ]; do dd if=/dev/urandom of=f$n bs=1M count=1 conv=fsync 2>/dev/null; n=$((n+1)); done
           sleep 30""",
        sandbox=WRITES,
    )
    outcome = await run(bench, action, notes)
    assert isinstance(outcome, Failed)
    assert outcome.failure.code == "disk_growth"
    assert [seen.kind for seen in notes.violations] == ["disk_growth"]


async def test_a_run_that_ended_before_anybody_looked_fails_all_the_same(bench: Bench, notes: Notes):
    bench.granted["p"] = Confinement(mode="workspace_write", limits={"workspace_files": 100})
    text = (
        "#!/usr/bin/python3\nimport os\nfor n in range(3000): open(f'{os.environ[\"ORCHESTRAL_WORKSPACE\"]}/{n}', 'w')"
    )
    action = bench.external([bench.program("many.py", f"{text}\nprint('{{\"exports\":{{}}}}')\n")], sandbox=WRITES)
    outcome = await run(bench, action, notes)
    assert isinstance(outcome, Failed)
    assert (outcome.failure.code, notes.violations[0].kind) == ("disk_growth", "disk_growth")


async def test_too_many_processes_are_refused_or_the_end_of_the_run(bench: Bench, notes: Notes):
    text = """#!/usr/bin/python3
import os, time
made = 0
try:
    while made < 200:
        if os.fork() == 0: time.sleep(20); os._exit(0)
        made += 1
except OSError: pass
print('{"exports":{"made":%d}}' % made)
"""
    outcome = await run(bench, bench.external([bench.program("fork.py", text)], limits={"pids": 20}), notes)
    if isinstance(outcome, Succeeded):
        assert int(outcome.output["made"]) <= 20
    else:
        assert isinstance(outcome, Failed)
        assert outcome.failure.code == "too_many_processes"


async def test_a_program_that_is_missing_is_told_as_a_violation_too(bench: Bench, notes: Notes):
    outcome = await run(bench, bench.external(["./missing"]), notes)
    assert isinstance(outcome, Failed)
    assert outcome.failure.code == "cannot_run"
    assert [(seen.kind, seen.mode, seen.backend) for seen in notes.violations] == [
        ("exec_failed", "read_only", "bubblewrap")
    ]


@pytest.mark.parametrize("how", ["ended", "stopped"])
async def test_without_a_sandbox_a_child_that_left_the_group_is_found_all_the_same(
    bench: Bench, marked: tuple[str, Callable[[], list[int]]], how: str
):
    seconds, sleeping = marked
    bench.granted["p"] = Confinement(mode="none", backend="none")
    text = f"""#!/usr/bin/python3
import os, time
done, told = os.pipe()  # closed by the exec: then it sleeps
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.dup2(os.open("/dev/null", os.O_RDWR), 1)
        os.execvp("sleep", ["sleep", "{seconds}"])
    os._exit(0)
os.close(told)
os.read(done, 1)
if {how == "stopped"}: time.sleep(60)
print('{{"exports":{{}}}}')
"""
    outcome = await run(bench, bench.external([bench.program("leave.py", text)]), timeout=1.0)
    assert isinstance(outcome, Succeeded if how == "ended" else Failed)
    assert sleeping() == []


async def test_what_a_killed_daemon_left_running_is_ended_at_the_next_start(bench: Bench, tmp_path: Path):
    folder = tmp_path / "state" / "scratch" / "exec_old"
    folder.mkdir()
    left = subprocess.Popen(  # noqa: ASYNC220  it must not be one that trio waits for
        ["/usr/bin/sleep", "60"], env={"ORCHESTRAL_SCRATCH": str(folder)}, start_new_session=True
    )
    try:
        await bench.runner.sweep()
        assert left.wait(5) == -signal.SIGKILL
        assert not folder.exists()
    finally:
        left.kill()
        left.wait()


async def test_each_run_without_a_sandbox_is_logged(bench: Bench, caplog: pytest.LogCaptureFixture):
    bench.granted["p"] = Confinement(mode="none", backend="none")
    for _ in range(2):
        await run(bench, bench.sh("""echo '{"exports":{}}'"""))
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len([text for text in said if "without a sandbox" in text]) == 2
