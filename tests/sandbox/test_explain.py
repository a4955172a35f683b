"""Do the words for people say what the words for bwrap do?"""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from orchestrald_sandbox import Backend, FsRead, Host, Limits, Mode, Network, Policy, destinations
from orchestrald_sandbox.bubblewrap import Descriptors, arguments, masks
from orchestrald_sandbox.cgroups import Cgroups
from orchestrald_sandbox.explain import explained, mechanisms, readable, spelled

WORKSPACE, PLUGIN, SCRATCH = "/srv/project", "/srv/project/plugins/p", "/state/scratch/run"
NO_GROUPS = Cgroups(problem="no control group was delegated")
VERSION_2 = Cgroups(2, (("memory", "/g"), ("pids", "/g"), ("cpu", "/g")))
MASKED = ("/home", "/srv/project/secrets")


def policy(**fields: object) -> Policy:
    known = {
        "workspace": WORKSPACE, "plugin_dir": PLUGIN, "scratch": SCRATCH, "read_roots": ("/opt/python",),
        "writable_roots": ("/srv/cache",), "masked": MASKED,
    }  # fmt: skip
    return Policy(**(known | fields))  # type: ignore[arg-type]


def descriptors(asked: Policy) -> Descriptors:
    early, late = masks(asked, MASKED)
    return Descriptors(seccomp=9, status=8, door=7, masks=dict.fromkeys((*early, *late)))


def mounted(words: list[str]) -> dict[str, str]:
    """What bwrap is told to mount last at each path: the option's name."""
    values = {"--ro-bind": 2, "--bind": 2, "--symlink": 2, "--tmpfs": 1, "--proc": 1, "--dev": 1, "--dir": 1}
    return {words[at + values[word]]: word for at, word in enumerate(words) if word in values}


COMBINATIONS = [(m, n, f) for m in list(Mode)[1:] for n in Network for f in FsRead]


@pytest.mark.parametrize(("mode", "network", "fs_read"), COMBINATIONS)
def test_what_can_be_read_and_written_is_what_is_mounted(
    example: Host, mode: Mode, network: Network, fs_read: FsRead
) -> None:
    listed = (destinations.parse(["example.com:443"]),) if network is Network.PROXY else ()
    asked = policy(mode=mode, network=network, fs_read=fs_read, destinations=listed)
    told = explained(asked, example, NO_GROUPS, existing=MASKED)
    done = mounted(arguments(asked, example, descriptors(asked)))
    writable = {path for path, word in done.items() if word == "--bind"} | {"/tmp", "/var/tmp", "/dev/shm"}
    assert {each.path for each in told.writes} == writable
    above = {"/var", "/tmp/home"}  # made for what lies below, or within what is writable
    assert {each.path for each in told.reads} == done.keys() - writable - set(told.hidden) - above
    assert set(told.hidden) == ({"/home"} if fs_read is FsRead.HOST else set()) | {"/srv/project/secrets"}


def test_a_plugins_own_folder_is_never_among_what_can_be_written(example: Host) -> None:
    told = explained(policy(mode=Mode.WORKSPACE_WRITE), example, NO_GROUPS)
    assert WORKSPACE in [each.path for each in told.writes]
    assert {each.path: each.why for each in told.reads}[PLUGIN] == "the plugin's own folder: never writable to it"


def test_a_reason_that_the_caller_knows_wins(example: Host) -> None:
    told = explained(policy(), example, NO_GROUPS, reasons={"/opt/python": "its interpreter"})
    assert {each.path: each.why for each in told.reads}["/opt/python"] == "its interpreter"


def test_protected_names_matter_only_where_something_can_be_written(example: Host) -> None:
    assert explained(policy(), example, NO_GROUPS).protected == ()
    assert ".git" in explained(policy(mode=Mode.WORKSPACE_WRITE), example, NO_GROUPS).protected


def test_every_limit_is_said_with_what_holds_it(example: Host) -> None:
    told = {each.name: each for each in explained(policy(), example, VERSION_2).limits}
    assert {name: each.value for name, each in told.items()} == dict(Limits().items())
    assert all(each.by for each in told.values())
    assert told["memory_bytes"].by.startswith("cgroup v2") and told["open_files"].by.startswith("rlimit")
    assert told["tmp_bytes"].by == "the size of the mount" and told["workspace_bytes"].by.startswith("watched")


def test_without_control_groups_memory_is_watched_and_a_share_of_the_processor_is_not_held(example: Host) -> None:
    halved = policy(limits=Limits(cpu_percent=50))
    told = {each.name: each.by for each in explained(halved, example, NO_GROUPS).limits}
    assert told["memory_bytes"].startswith("watched") and told["cpu_percent"].startswith("not held")
    held = {each.name: each.by for each in explained(halved, example, VERSION_2).limits}
    assert "cgroup v2" in held["cpu_percent"]
    free = {each.name: each.by for each in explained(policy(), example, VERSION_2).limits}
    assert free["cpu_percent"].startswith("not limited")


def test_an_rlimit_on_processes_is_not_claimed_for_uid_0(example: Host) -> None:
    def by(host: Host, asked: Policy) -> str:
        return {each.name: each.by for each in explained(asked, host, NO_GROUPS).limits}["processes"]

    root = replace(example, uid=0)
    assert by(example, policy()) == "watching and rlimit"
    assert by(root, policy()) == "watching"
    assert by(root, policy(run_as=(1000, 1000))) == "watching and rlimit"
    assert by(root, policy(run_as=(0, 0))) == "watching"


@pytest.mark.parametrize("uid", [0, 1000])
def test_the_mechanisms_in_force_are_said_in_a_few_words(uid: int) -> None:
    found = mechanisms(VERSION_2, uid)
    assert found["memory"] == "cgroup v2 and rlimit" and found["cpu"] == "cgroup v2 and rlimit"
    assert found["processes"] == ("cgroup v2" if uid == 0 else "cgroup v2 and rlimit")
    without = mechanisms(NO_GROUPS, uid)
    assert without["memory"] == "watching and rlimit" and without["cpu"] == "rlimit"
    assert without["problem"] == NO_GROUPS.problem and "problem" not in found


def test_only_some_controllers_hold_only_some_limits() -> None:
    found = mechanisms(Cgroups(1, (("pids", "/g"),)), 1000)
    assert found["processes"] == "cgroup v1 and rlimit" and found["memory"] == "watching and rlimit"


def test_mode_none_says_plainly_that_nothing_is_confined(example: Host) -> None:
    for host in (example, None):
        told = explained(policy(mode=Mode.NONE), host, VERSION_2)
        assert told.says.startswith("Nothing is confined") and told.backend == "none"
        assert [each.path for each in told.writes] == ["/"] and told.unix_sockets and told.network == "host"
        assert not {each.name for each in told.limits} & {"memory_bytes", "processes", "workspace_bytes", "tmp_bytes"}
        assert told.weaker


def test_destinations_are_spelled_as_an_operator_writes_them() -> None:
    entries = ("example.com:443", "*.example.org:80", "203.0.113.5:443", "10.0.0.0/8:443", "[2001:db8::1]:443",
               "[fd00::/8]:443")  # fmt: skip
    listed = destinations.parse(entries)
    assert set(spelled(listed)) == set(entries)
    assert destinations.parse(spelled(listed)) == listed


def test_of_a_proxy_every_list_is_told(example: Host) -> None:
    lists = (destinations.parse(["*.example.com:443"]), destinations.parse(["a.example.com:443"]))
    told = explained(policy(network=Network.PROXY, destinations=lists), example, NO_GROUPS)
    assert told.destinations == (("*.example.com:443",), ("a.example.com:443",))
    assert "proxy" in told.network_says


def test_seatbelt_claims_no_limit_that_only_linux_holds() -> None:
    told = explained(policy(backend=Backend.SEATBELT), None, VERSION_2)
    assert {each.name for each in told.limits} == {"cpu_seconds", "open_files", "file_bytes"}
    assert "/tmp" not in {each.path for each in told.writes}


def test_an_explanation_is_json(example: Host) -> None:
    told = explained(policy(), example, VERSION_2).as_json()
    assert json.loads(json.dumps(told))["reads"][0] == {"path": "/usr", "why": "the system's programs and libraries"}


def test_no_number_of_a_descriptor_is_left_in_the_readable_words(example: Host) -> None:
    asked = policy(mode=Mode.WORKSPACE_WRITE)
    numbered = Descriptors(
        seccomp=101, status=102, door=103, etc=104, roots={WORKSPACE: 105, PLUGIN: 106},
        protected={f"{WORKSPACE}/.git": 107}, masks={"/srv/project/secrets": 108},
    )  # fmt: skip
    lines = readable(arguments(asked, example, numbered), {104: "/state/etc", 105: "/real/project"})
    assert not [line for line in lines if re.search(r"\b10[1-8]\b", " ".join(line))]
    assert all(line[0].startswith("--") for line in lines)
    assert ["--bind-fd", "<fd: /real/project>", WORKSPACE] in lines
    assert ["--ro-bind-fd", f"<fd: {PLUGIN}>", PLUGIN] in lines  # nobody said where it leads
    assert ["--seccomp", "<fd: the filter of system calls>"] in lines
    flat = [word for line in lines for word in line]
    assert len(flat) == len(arguments(asked, example, numbered))
