"""Does the daemon keep to itself what it holds?"""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from support.daemon import daemon

pytestmark = pytest.mark.slow


def test_it_writes_no_core_and_its_files_are_its_own():
    with daemon() as made:
        assert made.process is not None
        assert resource.prlimit(made.process.pid, resource.RLIMIT_CORE)[0] == 0
        assert Path(made.paths.store).stat().st_mode & 0o077 == 0


def test_it_cannot_be_traced_and_hands_on_nothing_that_was_open():
    ask = (
        "import ctypes, os, sys; from orchestrald.hardening import harden; harden();"
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), os.get_inheritable(int(sys.argv[1])))"  # PR_GET_DUMPABLE
    )
    opened = os.open("/dev/null", os.O_RDONLY)
    said = subprocess.run(
        [sys.executable, "-c", ask, str(opened)], pass_fds=[opened], capture_output=True, text=True, check=True
    )
    os.close(opened)
    assert said.stdout == "0 False\n"


def test_a_program_has_the_three_standard_descriptors_and_no_more():
    with daemon() as made:
        said = made.orchestral("call", "shell", "command=ls -l /proc/self/fd").stdout
        assert said.count(" -> ") == 4, said  # ls has the listing open itself
