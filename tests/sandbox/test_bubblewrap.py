"""The words for bwrap, against golden files. `ORCHESTRAL_GOLDEN=1 pytest tests/sandbox` writes them anew;
read the diff."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrald_sandbox import FsRead, Host, Mode, Network, Policy, destinations
from orchestrald_sandbox.bubblewrap import Descriptors, arguments, command_line, masks, user_switch

GOLDEN = Path(__file__).parent / "golden"
POLICY = Policy(
    workspace="/home/u/w", writable_roots=("/home/u/w/deep/more",), plugin_dir="/home/u/plugins/p",
    read_roots=("/home/u/.pyenv/versions/3.11.7",), scratch="/state/runs/1",
    masked=("/home", "/root", "/state", "/home/u/w/.env"),
)  # fmt: skip
FDS = Descriptors(
    seccomp=10, status=11, door=12, etc=13,
    roots={"/home/u/w": 3, "/home/u/w/deep/more": 4, "/home/u/plugins/p": 5, "/state/runs/1": 6},
    protected={"/home/u/w/.git": 7, "/home/u/w/.env": 8},
    masks={"/home": None, "/root": None, "/state": None, "/home/u/w/.env": 9},
)  # fmt: skip
CASES = list(itertools.product((Mode.READ_ONLY, Mode.WORKSPACE_WRITE), Network, FsRead))


def with_network(policy: Policy, network: Network) -> Policy:
    listed = (destinations.parse(["example.com:443"]),) if network is Network.PROXY else ()
    return replace(policy, network=network, destinations=listed)


def lines(words: list[str]) -> str:
    """An option and its values on one line, so that a diff shows what changed."""
    text = ""
    for word in words:
        text += f"\n{word}" if word.startswith("--") else f" {word}"
    return text.strip() + "\n"


@pytest.mark.parametrize(("mode", "network", "fs_read"), CASES)
def test_the_words_are_those_of_the_golden_file(example: Host, mode: Mode, network: Network, fs_read: FsRead) -> None:
    policy = with_network(replace(POLICY, mode=mode, fs_read=fs_read), network)
    fds = FDS if mode is Mode.WORKSPACE_WRITE else replace(FDS, protected={})
    made = lines([*arguments(policy, example, fds), "--", *command_line(policy, example, ["/usr/bin/true", "x"])])
    golden = GOLDEN / f"{mode.value}-{network.value}-{fs_read.value}.txt"
    if os.environ.get("ORCHESTRAL_GOLDEN") == "1":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(made)
    assert made == golden.read_text()


@pytest.mark.parametrize(("mode", "network", "fs_read"), CASES)
def test_no_case_goes_without_a_single_one_of_the_mechanisms(
    example: Host, mode: Mode, network: Network, fs_read: FsRead
) -> None:
    words = arguments(with_network(replace(POLICY, mode=mode, fs_read=fs_read), network), example, FDS)
    for option in ("--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--disable-userns",
                   "--new-session", "--die-with-parent", "--seccomp", "--json-status-fd", "--file"):  # fmt: skip
        assert words.count(option) == 1, option
    text = " ".join(words)
    assert "--cap-drop ALL" in text
    assert "--proc /proc --remount-ro /proc" in text
    assert ("--unshare-net" in words) == (network is not Network.HOST)
    assert not {"--clearenv", "--setenv", "--share-net", "--dev-bind", "--cap-add", "--bind-try"} & set(words)


def test_everything_is_mounted_before_the_root_is_sealed(example: Host) -> None:
    words = arguments(replace(POLICY, mode=Mode.WORKSPACE_WRITE), example, FDS)
    sealed = len(words) - words[::-1].index("--remount-ro") - 1
    assert words[sealed + 1] == "/"
    assert not any(word.startswith(("--bind", "--ro-bind", "--tmpfs", "--dir")) for word in words[sealed:])


def test_every_tmpfs_has_a_size(example: Host) -> None:
    for fs_read in FsRead:
        words = arguments(replace(POLICY, fs_read=fs_read), example, FDS)
        for index, word in enumerate(words):
            if word == "--tmpfs":
                assert "--size" in words[index - 4 : index], words[index + 1]


def test_a_folder_of_the_plugin_within_the_workspace_is_mounted_after_it_and_stays_read_only(
    example: Host,
) -> None:
    policy = Policy(mode=Mode.WORKSPACE_WRITE, workspace="/w/x", plugin_dir="/w/x/plugins/p")
    words = arguments(policy, example, replace(FDS, roots={}, protected={}, masks={}))
    outer, inner = words.index("/w/x"), words.index("/w/x/plugins/p")
    assert (words[outer - 1], words[inner - 1]) == ("--bind", "--ro-bind") and outer < inner


def test_what_is_protected_is_mounted_after_what_is_writable_and_what_is_hidden_after_both(
    example: Host,
) -> None:
    words = arguments(replace(POLICY, mode=Mode.WORKSPACE_WRITE), example, FDS)
    assert words.index("4") < min(words.index("7"), words.index("8"))
    assert max(words.index("7"), words.index("8")) < words.index("9")


def test_a_mask_that_nothing_shows_is_not_mounted(example: Host) -> None:
    assert masks(POLICY, ["/home", "/root", "/home/u/w/.env", "/home/u/w/.env/x"]) == ([], ["/home/u/w/.env"])
    shown = replace(POLICY, fs_read=FsRead.HOST)
    assert masks(shown, ["/home", "/home/v", "/root"]) == (["/home", "/root"], [])


def test_a_mask_over_a_shown_folder_is_sealed_only_after_that_is_mounted(example: Host) -> None:
    words = arguments(replace(POLICY, fs_read=FsRead.HOST), example, FDS)
    seal = [i for i, word in enumerate(words) if word == "--remount-ro" and words[i + 1] == "/home"]
    assert len(seal) == 1 and seal[0] > words.index("3")


def test_an_old_bwrap_gets_paths(example: Host) -> None:
    old = replace(example, has_bind_fd=False)
    policy = replace(POLICY, mode=Mode.WORKSPACE_WRITE)
    fds = replace(FDS, etc=None, roots={}, protected={"/home/u/w/.git": None}, masks={})
    words = arguments(policy, old, fds)
    assert not [word for word in words if word.endswith("bind-fd")]
    assert lines(words).count("--ro-bind /home/u/w/.git /home/u/w/.git") == 1


def test_another_user_is_taken_on_before_bwrap_starts(example: Host) -> None:
    assert user_switch(POLICY, example) == []
    words = user_switch(replace(POLICY, run_as=(123, 456)), example)
    assert words[:5] == ["/usr/bin/setpriv", "--reuid", "123", "--regid", "456"] and words[-1] == "--"


def test_limits_are_words_only_for_another_users_process(example: Host) -> None:
    assert command_line(POLICY, example, ["x"]) == ["x"]
    assert "--nproc=128:128" in command_line(replace(POLICY, run_as=(1, 1)), example, ["x"])


def test_folders_above_something_hidden_are_mount_points_that_cannot_be_moved(example: Host) -> None:
    fds = replace(FDS, anchors={"/home/u/w/conf": 20, "/home/u/w/conf/in": 21})
    words = arguments(replace(POLICY, mode=Mode.WORKSPACE_WRITE), example, fds)
    outer, inner, guarded = words.index("20"), words.index("21"), words.index("7")
    assert (words[outer - 1], words[inner - 1]) == ("--bind-fd", "--bind-fd")
    assert words.index("3") < outer < inner < guarded
