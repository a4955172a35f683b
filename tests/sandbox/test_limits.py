"""How is a command kept from using up the machine?"""

from __future__ import annotations

import pytest

from orchestrald_sandbox import Limits, limits, status


def test_every_limit_of_a_process_becomes_an_option() -> None:
    words = limits.prlimit(Limits(cpu_seconds=7, processes=9), "/p", processes=True)
    assert words[0] == "/p" and words[-1] == "--"
    assert {"--core=0", "--cpu=7:12", "--nproc=9:9", "--nofile=512:512", "--msgqueue=0"} <= set(words)


@pytest.mark.parametrize(
    ("written", "expected"),
    [(b"", (None, None)), (b'{"child-pid": 7, "net-namespace": 1}\n', (7, None)),
     (b'{"child-pid": 7}\n{"exit-code": 0}\n', (7, 0)), (b'{"child-pid": 7}\n{"exit-co', (7, None)),
     (b"[1]\nnonsense\n\xff\n", (None, None))],
)  # fmt: skip
def test_the_status_pipe_is_read_as_far_as_it_is_written(
    written: bytes, expected: tuple[int | None, int | None]
) -> None:
    got = status.read(written)
    assert (got.child, got.exit_code) == expected
