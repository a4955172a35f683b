"""Does a program always end, in bounds, and leave nothing behind?"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from orchestrald.runner.process import Bounds, Ended, run_process
from orchestrald.runner.spawn import Enclosure, Program
from support.bench import children

ENV = {"PATH": "/usr/bin:/bin"}
MIB = 1 << 20
Marked = tuple[str, Callable[[], list[int]]]


async def run(script: str, stdin: bytes = b"", **bounds: object) -> Ended:
    with trio.fail_after(10):
        return await run_process(
            Program(["/bin/sh", "-c", script], ENV, stdin=stdin), Bounds(**({"timeout": 5.0, "stop": 0.2} | bounds))
        )


async def gone(sleeping: Callable[[], list[int]]) -> bool:
    """The kernel takes a moment to take a killed process out of /proc."""
    with trio.move_on_after(2):
        while sleeping():
            await trio.sleep(0.005)
    return not sleeping()


async def test_it_gets_its_input_and_gives_its_output_and_status():
    ended = await run("cat; echo oops >&2; exit 3", b"hello")
    assert (ended.end, ended.returncode) == ("exited", 3)
    assert (ended.stdout.value(), ended.stderr.value()) == (b"hello", b"oops\n")


async def test_a_request_larger_than_a_pipe_arrives_while_the_output_is_read():
    data = os.urandom(MIB) * 8
    ended = await run("cat", data, stdout=16 * MIB)
    assert ended.stdout.value() == data


async def test_a_program_that_never_reads_its_request_is_not_an_error():
    ended = await run("echo done", b"x" * (8 * MIB))
    assert (ended.end, ended.returncode, ended.stdout.value()) == ("exited", 0, b"done\n")


async def test_what_is_more_than_is_kept_is_counted_and_dropped():
    ended = await run("head -c 300000 /dev/zero", stdout=1000)
    assert (len(ended.stdout.value()), ended.stdout.total, ended.stdout.truncated) == (1000, 300000, True)


async def test_a_flood_on_stdout_is_killed_at_the_limit():
    ended = await run("yes", stdout=MIB, stdout_kill=MIB)
    assert (ended.end, ended.returncode) == ("stdout_limit", -9)
    assert ended.stdout.total < 4 * MIB


async def test_a_flood_on_stderr_is_killed_and_its_end_is_kept():
    ended = await run("yes >&2", stderr=100, stderr_kill=MIB)
    assert ended.end == "stderr_limit"
    assert len(ended.stderr.value()) == 100


async def test_a_byte_now_and_then_does_not_move_the_deadline():
    ended = await run("while :; do echo x; sleep 0.05; done", timeout=0.3)
    assert ended.end == "timeout"


async def test_silence_ends_at_the_idle_limit_and_speech_does_not():
    assert (await run("sleep 30", idle=0.1)).end == "idle"
    assert (await run("for i in 1 2 3 4 5 6; do echo x; sleep 0.05; done", idle=0.2)).end == "exited"


async def test_closed_pipes_do_not_count_as_the_end():
    assert (await run("exec >&- 2>&-; sleep 30", timeout=0.2)).end == "timeout"


async def test_one_that_never_reads_and_never_ends_is_stopped():
    assert (await run("sleep 30", b"x" * (8 * MIB), timeout=0.2)).end == "timeout"


async def test_it_is_asked_before_it_is_killed():
    ended = await run("trap 'echo bye; exit 5' TERM; sleep 30 & wait", timeout=0.2, stop=3.0)
    assert (ended.end, ended.returncode, ended.stdout.value()) == ("timeout", 5, b"bye\n")


async def test_one_that_ignores_sigterm_is_killed_after_its_grace(marked: Marked):
    seconds, sleeping = marked
    started = trio.current_time()
    ended = await run(f"trap '' TERM; sleep {seconds}; sleep {seconds}", timeout=0.1, stop=0.1)
    assert (ended.end, ended.returncode) == ("timeout", -9)
    assert trio.current_time() - started < 3
    assert await gone(sleeping)


async def test_a_stopped_one_is_killed_too():
    ended = await run("kill -STOP $$", timeout=0.1, stop=0.1)
    assert (ended.end, ended.returncode) == ("timeout", -9)


async def test_a_grandchild_that_holds_stdout_is_not_waited_for_and_does_not_survive(marked: Marked):
    seconds, sleeping = marked
    started = trio.current_time()
    ended = await run(f"sleep {seconds} & echo done")
    assert (ended.end, ended.stdout.value()) == ("exited", b"done\n")
    assert trio.current_time() - started < 2
    assert await gone(sleeping)


async def test_cancellation_leaves_no_process(marked: Marked):
    seconds, sleeping = marked
    started = trio.current_time()
    with trio.move_on_after(0.2) as scope:
        await run(f"trap '' TERM; sleep {seconds} & sleep {seconds}", timeout=None)
    assert scope.cancelled_caught
    assert trio.current_time() - started < 3
    assert await gone(sleeping)


async def test_twenty_runs_leave_no_zombie_and_no_descriptor():
    before = (children(), len(os.listdir("/proc/self/fd")))
    for _ in range(20):
        await run("exit 0", b"x")
    assert (children(), len(os.listdir("/proc/self/fd"))) == before


async def test_a_file_that_is_still_being_written_is_tried_again(tmp_path: Path):
    program = tmp_path / "true"
    program.write_bytes(Path("/bin/true").read_bytes())
    program.chmod(0o755)
    writer = program.open("ab")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_close_soon, writer)
        with trio.fail_after(5):
            ended = await run_process(Program([str(program)], ENV), Bounds())
    assert ended.returncode == 0


async def _close_soon(file: object) -> None:
    await trio.sleep(0.12)  # a writer who holds a file open for a moment is what is tested
    file.close()


async def test_one_that_does_not_exist_is_an_oserror():
    with pytest.raises(FileNotFoundError):
        await run_process(Program(["/no/such/program"], ENV), Bounds())


async def test_it_runs_at_a_lower_priority_than_the_daemon():
    ended = await run("sleep 0.05; nice")
    assert int(ended.stdout.value()) == os.nice(0) + 10


async def test_the_loop_goes_on_during_a_flood():
    gaps = []

    async def watch() -> None:
        last = trio.current_time()
        while True:
            await trio.sleep(0.001)  # how late this wakes up is what is measured
            gaps.append(trio.current_time() - last)
            last = trio.current_time()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        await run("head -c 100000000 /dev/zero", stdout=1000)
        nursery.cancel_scope.cancel()
    assert sorted(gaps)[len(gaps) // 2] < 0.05


async def test_an_exit_and_the_end_of_the_status_may_be_seen_in_one_look():
    reading, writing = os.pipe()

    def started() -> None:
        os.close(writing)
        time.sleep(0.1)  # blocks the loop on purpose: when it looks again, everything has happened

    enclosure = Enclosure(
        reading, first_process=lambda _: None, admit=lambda _: None, withdraw=lambda: None, too_much=lambda _: ""
    )
    with trio.fail_after(5):
        program = Program(["/bin/true"], ENV, started=started, enclosure=enclosure)
        ended = await run_process(program, Bounds(timeout=5.0))
    os.close(reading)
    assert (ended.end, ended.returncode, ended.status) == ("exited", 0, b"")
