"""Which variables does a confined program find, and which never?"""

from __future__ import annotations

import pytest

from orchestrald_sandbox import PolicyError, environment


def test_the_base_has_only_what_is_named_here() -> None:
    assert environment.base() == {
        "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp/home", "TMPDIR": "/tmp", "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8", "USER": "plugin", "LOGNAME": "plugin",
    }  # fmt: skip


def test_interpreters_come_first_and_once() -> None:
    got = environment.base(path=("/opt/x/bin", "/usr/bin"), timezone="Europe/Berlin")
    assert got["PATH"] == "/opt/x/bin:/usr/bin:/usr/local/bin:/bin" and got["TZ"] == "Europe/Berlin"
    assert "TZ" not in environment.base(timezone="")


@pytest.mark.parametrize(
    "name",
    ["LD_PRELOAD", "ld_library_path", "DYLD_INSERT_LIBRARIES", "PYTHONPATH", "PYTHONSTARTUP", "NODE_OPTIONS",
     "BASH_ENV", "ENV", "GIT_SSH_COMMAND", "SSH_AUTH_SOCK", "HTTPS_PROXY", "no_proxy", "PERL5OPT",
     "", "A=B", "A B", "1A"],
)  # fmt: skip
def test_what_changes_the_program_is_never_inherited(name: str) -> None:
    assert not environment.inheritable(name)
    for source in ({}, {name: "x"}):
        with pytest.raises(PolicyError, match="never passed on"):
            environment.inherited([name], source)


def test_granted_names_are_copied_and_unset_ones_left_out() -> None:
    assert environment.inherited(["API_KEY", "MISSING"], {"API_KEY": "1", "OTHER": "2"}) == {"API_KEY": "1"}
