"""The profile for macOS's Seatbelt, against golden files and judged by a model of its language.

Nothing here has run on macOS. `ORCHESTRAL_GOLDEN=1 pytest tests/sandbox` writes the golden files anew; read the diff.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrald_sandbox import (
    FsRead,
    Mode,
    Network,
    Policy,
    destinations,
    seatbelt,
    seatbelt_names,
    seatbelt_profile,
)
from orchestrald_sandbox.protected import Names
from support.seatbelt_model import FILE_WRITES, Asked, Form, Profile, found_by, parse

GOLDEN = Path(__file__).parent / "golden" / "seatbelt"
TAG = "run-0123456789"
W, DEEP, PLUGIN, PYTHON = "/Users/u/w", "/Users/u/w/deep/more", "/Users/u/plugins/p", "/Users/u/.pyenv/versions/3.11.7"
VENDORED, SCRATCH = "/Users/u/w/vendored", "/Users/u/state/runs/1"
GIVEN_TEMPORARY = "/var/folders/zz/abc/T/run-1"
TEMPORARY = "/private" + GIVEN_TEMPORARY
GIT_FOLDER = "/Users/u/w/.bare/worktrees/x"  # where a pointer file leads: no name of ours matches it
POLICY = Policy(
    workspace=W, writable_roots=(DEEP,), plugin_dir=PLUGIN, read_roots=(PYTHON, VENDORED), scratch=SCRATCH,
    masked=("/Users/u/state", "/opt/private", "/Users/u/w/hidden"),
)  # fmt: skip
WRITING = replace(POLICY, mode=Mode.WORKSPACE_WRITE)
CASES = list(itertools.product((Mode.READ_ONLY, Mode.WORKSPACE_WRITE), Network, FsRead))
KINDS = list(itertools.product((Mode.READ_ONLY, Mode.WORKSPACE_WRITE), FsRead))
LISTED = (destinations.parse(["example.com:443"]),)

Generate = Callable[..., Profile]
SHOWING = ("file-read-data", "file-map-executable", "process-exec")
# All that a rule may name; a word unknown to macOS would make it refuse the whole profile.
OPERATIONS = {
    "default", "process-fork", "process-exec", "process-info*", "signal", "sysctl-read", "mach-lookup", "ipc-posix-sem",
    "file-read*", "file-read-metadata", "file-map-executable", "file-clone", "file-link", "file-write*",
    "file-write-create", "file-write-data", "file-write-unlink", "file-write-setugid", "file-write-mount",
    "file-write-umount", "network-outbound", "network-inbound", "network-bind", "system-socket",
}  # fmt: skip


def make(generate: Generate, policy: Policy = POLICY, **options: object) -> Asked:
    return Asked(generate(policy, **{"temporary": GIVEN_TEMPORARY, "tag": TAG} | options))


def in_all(generate: Generate, policy: Policy = POLICY, **options: object) -> Iterator[Asked]:
    for mode, fs_read in KINDS:
        yield make(generate, replace(policy, mode=mode, fs_read=fs_read), **options)


# --- the laws: each is a test of the generator, and what the mutants of it are tried by ---------------------------


def nothing_but_what_is_listed_can_be_read(generate: Generate) -> None:
    asked = make(generate)
    for path in ("/Users", "/Users/u", "/Users/u/.ssh/id", "/Users/u/w2/x", "/opt/homebrew/x", "/private/etc/passwd",
                 "/private/tmp/x", "/private/var/folders/zz/abc/T/run-2/x", "/usr/local/var/db", "/dev/disk0",
                 "/dev/tty", "/private/var/db/x", "/System/Volumes/Data/x", PLUGIN + "2/x"):  # fmt: skip
        assert not any(asked.may(operation, path) for operation in SHOWING), path


def host_shows_the_disk_but_for_what_is_covered_or_masked(generate: Generate) -> None:
    asked = make(generate, replace(POLICY, fs_read=FsRead.HOST))
    assert asked.may("file-read-data", "/opt/homebrew/x") and asked.may("process-exec", "/Applications/x")
    for path in ("/Users/u/.ssh/id", "/Volumes/x", "/private/tmp/x", "/private/var/folders/zz/abc/T/run-2",
                 "/dev/disk0", "/dev/ttys001", "/private/var/run/x", "/opt/private/x",
                 "/Users/u/state/db"):  # fmt: skip
        assert not any(asked.may(each, path) for each in (*SHOWING, "file-read-metadata", "file-clone")), path


def what_is_shown_can_be_read_and_run(generate: Generate) -> None:
    for asked in in_all(generate):
        for path in (W, W + "/x", PLUGIN + "/run", PYTHON + "/bin/python3", SCRATCH + "/x", TEMPORARY, "/bin/sh",
                     "/usr/lib/dyld", "/System/Library/Frameworks/x"):  # fmt: skip
            assert all(asked.may(operation, path) for operation in SHOWING), path
        assert asked.may("file-read-data", "/")


def the_folders_above_can_be_looked_up_and_not_listed(generate: Generate) -> None:
    for asked in in_all(generate):
        for path in ("/Users", "/Users/u", "/Users/u/.pyenv", "/private", "/private/var/folders/zz", "/tmp", "/var",
                     "/etc", "/Users/u/state", "/dev"):  # fmt: skip
            assert asked.may("file-read-metadata", path), path
        assert not asked.may("file-read-data", "/Users/u") and not asked.may("file-read-data", "/dev")


def what_is_masked_within_something_shown_is_hidden_and_stays_where_it_is(generate: Generate) -> None:
    for asked in in_all(generate, replace(POLICY, masked=(*POLICY.masked, W + "/a/b/secret"))):
        for path in (W + "/hidden", W + "/hidden/x", W + "/a/b/secret"):
            assert not any(
                asked.may(each, path) for each in (*SHOWING, "file-read-metadata", "file-clone", "file-link")
            )
            assert asked.writes(path) == set(), path
        for path in (W, W + "/a", W + "/a/b"):
            assert not asked.may("file-write-unlink", path), path


def other_letters_are_the_same_path(generate: Generate) -> None:
    asked = make(
        generate, replace(WRITING, plugin_dir=W + "/p\u00e9", masked=("/users/U/W/secret", "/users/u/W/PE\u0301/x"))
    )
    shown = [each for each in asked.rules if each[0] == "allow" and ["subpath", asked.name(W)] in each]
    hidden = [
        each for each in asked.rules if each[0] == "deny" and ["subpath", asked.name("/users/U/W/secret")] in each
    ]
    assert asked.rules.index(hidden[0]) > asked.rules.index(shown[0]), "on a disk that folds letters it would be seen"
    assert ["subpath", asked.name("/users/u/W/PE\u0301/x")] in hidden[0]
    assert asked.writes(W + "/p\u00e9/x") == set()


def reading_changes_nothing_but_the_runs_own_folders(generate: Generate) -> None:
    for fs_read in FsRead:
        asked = make(generate, replace(POLICY, fs_read=fs_read))
        for path in (W, W + "/x", DEEP + "/x", PLUGIN + "/x", PYTHON, "/Users/u/x", "/private/tmp/x", "/bin/x", "/x",
                     "/private/var/folders/zz/abc/T/x", "/Users/u/state/db", "/dev/zero", "/dev/disk0"):  # fmt: skip
            assert asked.writes(path) == set(), path
        for path in (TEMPORARY + "/x", SCRATCH + "/x"):
            assert asked.writes(path) == set(FILE_WRITES), path


def writing_ends_at_the_roots(generate: Generate) -> None:
    for fs_read in FsRead:
        asked = make(generate, replace(WRITING, fs_read=fs_read))
        for path in (W + "/x", W + "/a/b/environment", DEEP + "/x", TEMPORARY + "/x", SCRATCH + "/x", W + "/gitx"):
            assert asked.writes(path) == set(FILE_WRITES), path
        for path in ("/Users/u/x", "/Users/u/w2", PLUGIN + "/x", PYTHON + "/x", "/private/tmp/x", "/private/etc/hosts",
                     VENDORED, VENDORED + "/x"):  # fmt: skip
            assert asked.writes(path) == set(), path


def protected_names_are_refused_in_all_letters_at_any_depth_wherever_one_can_write(generate: Generate) -> None:
    asked = make(generate, WRITING)
    for root in (W, W + "/a/b/c/d/e", DEEP, TEMPORARY, TEMPORARY + "/tree", SCRATCH):
        for name in (".git", ".GIT", ".gIt/hooks/x", ".env", ".Env.local", ".bashrc", ".vscode/tasks.json", ".codex/x",
                     ".g\u200cit/config", "\u200c.git", ".v\u017fcode/x", ".hu\u017fKy",
                         ".pro\ufb01le", ".git\n", "a\nb/.git"):  # fmt: skip
            assert asked.writes(f"{root}/{name}") == set(), (root, name)
    assert asked.writes(W + "/.gitignore") == asked.writes(W + "/é/x.git") == set(FILE_WRITES)


def a_part_of_a_protected_name_is_no_way_to_it(generate: Generate) -> None:
    asked = make(generate, replace(WRITING, protected=(".git/hooks", "conf/*/key")))
    for path in ("/.git/hooks", "/sub/.GIT/Hooks/x", "/conf/a/key", "/conf/a/key/x"):
        assert asked.writes(W + path) == set(), path
    for path in ("/.git", "/sub/.Git", "/conf", "/conf/a"):
        assert {"file-write-create", "file-write-unlink"}.isdisjoint(asked.writes(W + path)), path
    for path in ("/.git/objects/x", "/.git/hook", "/conf/a/other"):
        assert asked.writes(W + path) == set(FILE_WRITES), path


def a_root_within_something_protected_is_writable_and_its_surroundings_are_not(generate: Generate) -> None:
    inner = W + "/.codex/runs/1"
    asked = make(generate, replace(WRITING, writable_roots=(inner,)))
    assert asked.writes(inner + "/x") == set(FILE_WRITES) and asked.writes(inner + "/.git") == set()
    assert asked.writes(W + "/.codex/x") == set() == asked.writes(W + "/.codex/runs/2")


def what_has_a_rule_of_its_own_is_not_moved_nor_anything_above_it(generate: Generate) -> None:
    asked = make(generate, WRITING, protected=[GIT_FOLDER])
    for path in (W, DEEP, W + "/deep", VENDORED, TEMPORARY, SCRATCH, GIT_FOLDER, W + "/.bare", W + "/.bare/worktrees",
                 W + "/.git", "/Users/u", "/Users"):  # fmt: skip
        assert not asked.may_move(path, TEMPORARY + "/elsewhere"), path
        assert not asked.may_move(TEMPORARY + "/mine", path), path
    assert asked.may_move(W + "/a", W + "/b")


def what_exists_and_is_protected_is_not_written(generate: Generate) -> None:
    asked = make(generate, WRITING, protected=[GIT_FOLDER])
    assert asked.writes(GIT_FOLDER) == set() == asked.writes(GIT_FOLDER + "/HEAD")
    assert asked.writes(W + "/.bare/x") == set(FILE_WRITES)


def there_is_no_second_name_and_no_other_user(generate: Generate) -> None:
    for asked in in_all(generate):
        for operation in ("file-link", "file-mknod", "file-write-setugid", "file-write-mount", "file-write-umount"):
            assert not asked.may(operation, W + "/x") and not asked.may(operation, TEMPORARY + "/x"), operation


def network_off_reaches_nothing(generate: Generate) -> None:
    for asked in in_all(generate):
        for operation, about in itertools.product(
            ("network-outbound", "network-bind", "network-inbound"),
            ({"remote": "localhost:3128"}, {"remote": "*:443"}, {"local": "localhost:80"}, {"path": W + "/socket"}),
        ):
            assert not asked.may(operation, **about)


def proxy_reaches_its_port_and_asks_no_service(generate: Generate) -> None:
    for asked in in_all(generate, replace(POLICY, network=Network.PROXY, destinations=LISTED), proxy_port=4001):
        assert asked.may("network-outbound", remote="localhost:4001")
        assert not any(asked.may("network-outbound", remote=each) for each in ("localhost:3128", "*:4001", "*:443"))
        assert not asked.may("network-bind", local="localhost:4001")
        assert not asked.may("network-outbound", "/private/var/run/mDNSResponder")
        assert not asked.may("mach-lookup", name="com.apple.trustd.agent")


def network_host_is_not_every_socket_of_the_host(generate: Generate) -> None:
    for asked in in_all(generate, replace(POLICY, network=Network.HOST)):
        assert asked.may("network-outbound", remote="*:443") and asked.may("network-bind", local="*:80")
        assert asked.may("network-outbound", "/private/var/run/mDNSResponder")
        for path in ("/private/var/run/docker.sock", W + "/socket", "/Users/u/.ssh/agent"):
            assert not asked.may("network-outbound", path), path


def granted_sockets_are_those_below_what_is_shown(generate: Generate) -> None:
    for asked in in_all(generate, replace(POLICY, unix_sockets=True)):
        assert asked.may("network-outbound", W + "/socket") and asked.may("network-bind", TEMPORARY + "/socket")
        for path in ("/private/var/run/docker.sock", "/Users/u/state/daemon.sock", W + "/hidden/socket"):
            assert not asked.may("network-outbound", path) and not asked.may("network-bind", path), path
        assert not asked.may("network-bind", PLUGIN + "/socket")
        assert not asked.may("network-outbound", remote="*:443")


def other_programs_are_out_of_reach(generate: Generate) -> None:
    for network in Network:
        listed = LISTED if network is Network.PROXY else ()
        for asked in in_all(generate, replace(POLICY, network=network, destinations=listed)):
            for operation in ("signal", "process-info-pidinfo"):
                assert asked.may(operation, target="same-sandbox") and not asked.may(operation, target="others")
            for name in ("kern.procargs2", "kern.proc.all", "kern.proc.pid.1", "kern.bootargs"):
                assert not asked.may("sysctl-read", name=name), name
            for name in ("com.apple.coreservices.launchservicesd", "com.apple.lsd.mapdb", "com.apple.pasteboard.1",
                         "com.apple.cfprefsd.agent", "com.apple.distributed_notifications@Uv3"):  # fmt: skip
                assert not asked.may("mach-lookup", name=name), name
            for operation in ("ipc-posix-shm-read-data", "iokit-open", "appleevent-send", "pseudo-tty", "lsopen",
                              "mach-register", "mach-priv-task-port", "sysctl-write", "job-creation"):  # fmt: skip
                assert not asked.may(operation), operation


def programs_find_what_they_need(generate: Generate) -> None:
    for asked in in_all(generate):
        assert asked.may("process-fork") and asked.may("ipc-posix-sem")
        assert all(asked.may("sysctl-read", name=each) for each in ("kern.sysv.semmni", "kern.argmax", "hw.ncpu"))
        assert asked.may("mach-lookup", name="com.apple.system.opendirectoryd.libinfo")
        assert asked.may("file-write-data", "/dev/null") and asked.may("file-read-data", "/dev/urandom")
        assert asked.may("file-read-data", "/dev/fd/0") and asked.may("file-write-data", "/dev/fd/2")
        assert not asked.may("file-write-data", "/dev/fd/0") and not asked.may("file-read-data", "/dev/fd/3")


def every_denial_is_tagged(generate: Generate) -> None:
    for asked in in_all(generate, replace(POLICY, unix_sockets=True, network=Network.HOST), protected=[GIT_FOLDER]):
        denials = [rule for rule in asked.rules if rule[0] == "deny"]
        assert denials[0][1] == "default" and asked.rules[0] == denials[0]
        assert all(rule[-1] == ["with", ["message", ("text", TAG)]] or rule[-1] == ["with", "message", ("text", TAG)]
                   for rule in denials)  # fmt: skip


LAWS = (
    nothing_but_what_is_listed_can_be_read, host_shows_the_disk_but_for_what_is_covered_or_masked,
    what_is_shown_can_be_read_and_run, the_folders_above_can_be_looked_up_and_not_listed,
    what_is_masked_within_something_shown_is_hidden_and_stays_where_it_is,
    other_letters_are_the_same_path, reading_changes_nothing_but_the_runs_own_folders, writing_ends_at_the_roots,
    protected_names_are_refused_in_all_letters_at_any_depth_wherever_one_can_write,
    a_part_of_a_protected_name_is_no_way_to_it,
    a_root_within_something_protected_is_writable_and_its_surroundings_are_not,
    what_has_a_rule_of_its_own_is_not_moved_nor_anything_above_it, what_exists_and_is_protected_is_not_written,
    there_is_no_second_name_and_no_other_user, network_off_reaches_nothing, proxy_reaches_its_port_and_asks_no_service,
    network_host_is_not_every_socket_of_the_host, granted_sockets_are_those_below_what_is_shown,
    other_programs_are_out_of_reach, programs_find_what_they_need, every_denial_is_tagged,
)  # fmt: skip


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_of_every_profile_it_holds_that(law: Callable[[Generate], None]) -> None:
    law(seatbelt.profile)


# --- and that each of them can fail ---------------------------------------------------------------------------------

MUTATIONS = (
    ("profile", '"(version 1)", f"(deny default {message}"', '"(version 1)", f"(allow default)"'),
    ("profile", 'if rule.startswith("(deny") else rule', 'if rule.startswith("(allow") else rule'),
    ("profile", '        "(deny process-info*)",\n', '        "(allow process-info*)",\n'),
    ("profile", '"(allow signal (target same-sandbox))"', '"(allow signal)"'),
    ("profile", 'SYSCTL_PREFIXES = ("hw.", ', 'SYSCTL_PREFIXES = ("hw.", "kern.", '),
    ("profile", '*_rule(hide, _fixed("subpath", COVERED))', ""),
    ("profile", "*_rule(hide, parameters.trees(view.outer_masks)),", ""),
    ("profile", "*_rule(hide, parameters.trees(view.inner_masks)),", ""),
    ("profile", "parameters.literals(_above(view.shown))", "parameters.trees(_above(view.shown))"),
    ("profile", '"allow file-read-metadata", parameters.literals', '"allow file-read*", parameters.literals'),
    ("profile", 'verdict = "allow" if path in view.writable else "deny"', 'verdict = "allow"'),
    ("profile", 'else "deny"\n        rules +=', 'else ""\n        rules += [] if not verdict else'),
    ("profile", "key=lambda path: (depth(path), path)", "key=lambda path: (-depth(path), path)"),
    ("names", "return unicodedata.normalize(\"NFD\", unicodedata.normalize(\"NFD\", path).casefold())", "return path"),
    ("names", 'return f"/private{path}" if', 'return path if'),
    ("profile", "if policy.mode is Mode.WORKSPACE_WRITE:", "if False:"),
    ("profile", "        for path in view.writable:\n            rules += _prot",
     "        for path in policy.roots():\n            rules += _prot"),
    ("profile", '*_rule("deny file-write*", [*parameters.literals(fixed), *parameters.trees(fixed)]),', ""),
    ("profile", '*_rule(f"deny {MOVE}", parameters.literals((*pinned, *_above(pinned)))),', ""),
    ("profile", "parameters.literals((*pinned, *_above(pinned)))", "parameters.literals(pinned)"),
    ("profile", 'MOVE = "file-write-create file-write-unlink"', 'MOVE = "file-write-unlink"'),
    ("profile", '"(deny file-link)"', '"(allow file-link)"'),
    ("profile", '"(deny file-write-setugid file-write-mount file-write-umount)",', ""),
    ("profile", "(MOVE, above)", ""),
    ("profile", "(*parameters.trees([root]), *inner, either)", "(*parameters.trees(['/nowhere']), *inner, either)"),
    ("profile", ", *inner, either", ", either"),
    ("profile", '["(remote ip)", *_fixed', '["(remote ip)", "(subpath \\"/\\")", *_fixed'),
    ("profile", 'f"(remote ip {where})"', '"(remote ip)"'),
    ("profile", "if policy.network is Network.HOST:", "if policy.network is not Network.OFF:"),
    ("profile", "if policy.unix_sockets:", "if True:"),
    ("profile", 'rules += _rule("deny network-bind network-outbound", parameters.trees(view.inner_masks))', "pass"),
    ("profile", "if lines else []", ""),
    ("names", "[{sign.lower()}{sign.upper()}]", "{sign}"),
    ("names", '"/(.*/)?"', '"/"'),
    ("names", "(/|$)\")\n        above", "$\")\n        above"),
    ("names", "range(1, len(parts))", "range(1, 1)"),
    ("names", "[^ -~]+[.]|", ""),
)  # fmt: skip


def mutant(module: str, before: str, after: str, monkeypatch: pytest.MonkeyPatch) -> Generate:
    """The generator, with one piece of its source replaced."""
    made: dict[str, ModuleType] = {}
    for name, original in (("names", seatbelt_names), ("profile", seatbelt_profile)):
        assert original.__file__ is not None
        source = Path(original.__file__).read_text(encoding="utf-8")
        if name == module:
            assert source.count(before) == 1, f"there is no such piece, or several: {before}"
            source = source.replace(before, after)
        made[name] = ModuleType(f"{original.__name__}_mutant")
        made[name].__package__ = original.__package__
        monkeypatch.setitem(sys.modules, made[name].__name__, made[name])
        exec(compile(source, original.__file__, "exec"), vars(made[name]))  # noqa: S102  our own source
    for word in ("canonical", "expressions", "folded"):
        setattr(made["profile"], word, getattr(made["names"], word))
    return made["profile"].profile  # type: ignore[no-any-return]


@pytest.mark.parametrize(("module", "before", "after"), MUTATIONS)
def test_a_mutant_of_the_generator_breaks_a_law(
    module: str, before: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate = mutant(module, before, after, monkeypatch)
    outcomes = set()
    for law in LAWS:
        try:
            law(generate)
            outcomes.add("held")
        except AssertionError:
            outcomes.add("broken")
        if len(outcomes) == 2:
            return
    raise AssertionError(f"every law is {outcomes}: the mutant lives, or makes no profile at all")


def test_the_generator_itself_is_no_mutant(monkeypatch: pytest.MonkeyPatch) -> None:
    generate = mutant("profile", "READ =", "READ =", monkeypatch)
    assert generate(POLICY, temporary=TEMPORARY, tag=TAG) == seatbelt.profile(POLICY, temporary=TEMPORARY, tag=TAG)
    for law in LAWS:
        law(generate)


# --- the text --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "network", "fs_read"), CASES)
def test_the_profile_is_that_of_the_golden_file(mode: Mode, network: Network, fs_read: FsRead) -> None:
    listed = LISTED if network is Network.PROXY else ()
    policy = replace(POLICY, mode=mode, network=network, fs_read=fs_read, destinations=listed)
    text, parameters = seatbelt.profile(policy, temporary=GIVEN_TEMPORARY, tag=TAG, protected=[GIT_FOLDER])
    made = text + "".join(f"; {name} = {value}\n" for name, value in parameters.items())
    golden = GOLDEN / f"{mode.value}-{network.value}-{fs_read.value}.sb"
    if os.environ.get("ORCHESTRAL_GOLDEN") == "1":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(made, encoding="utf-8")
    assert made == golden.read_text(encoding="utf-8")


def strings(form: Form) -> Iterator[str]:
    if isinstance(form, list):
        for each in form:
            yield from strings(each)
    elif isinstance(form, tuple):
        yield form[1]


@pytest.mark.parametrize(
    "hostile",
    [
        '/Users/u/a") (allow default) ("',
        "/Users/u/a\nb\\",
        '/Users/u/(param "x"',
        '/Users/u/é#"',
        "/Users/u/;=$(x)' `y`",
    ],
)
def test_no_path_and_no_name_of_a_policy_becomes_text(hostile: str) -> None:
    name = hostile.removeprefix("/Users/u/")
    for policy in (
        replace(WRITING, workspace=hostile, protected=(name, f"{name}/x")),
        replace(
            POLICY, plugin_dir=hostile, read_roots=(hostile + "/r",), scratch=hostile + "/s", masked=(hostile + "/m",)
        ),
    ):
        plain, _ = seatbelt.profile(
            WRITING if policy.mode is Mode.WORKSPACE_WRITE else POLICY, temporary=TEMPORARY, tag=TAG
        )
        text, parameters = seatbelt.profile(policy, temporary=hostile + "/t", tag=TAG, protected=[hostile + "/p"])
        fixed = {each for each in strings(parse(plain)) if not re.fullmatch(r"(PATH|NAME|PROXY)_\d+", each)}
        assert {each for each in strings(parse(text)) if not re.fullmatch(r"(PATH|NAME|PROXY)_\d+", each)} <= fixed
        assert hostile in parameters.values() and name not in text


@pytest.mark.parametrize(("mode", "network", "fs_read"), CASES)
@pytest.mark.parametrize("unix_sockets", [False, True])
def test_the_profile_is_well_formed_and_names_only_what_macos_knows(
    mode: Mode, network: Network, fs_read: FsRead, unix_sockets: bool
) -> None:
    listed = LISTED if network is Network.PROXY else ()
    policy = replace(
        POLICY, mode=mode, network=network, fs_read=fs_read, destinations=listed, unix_sockets=unix_sockets
    )
    text, parameters = seatbelt.profile(policy, temporary=TEMPORARY, tag=TAG, protected=[GIT_FOLDER])
    version, *rules = parse(text)
    assert version == ["version", "1"] and all(
        isinstance(rule, list) and rule[0] in ("allow", "deny") for rule in rules
    )
    assert {each for rule in rules for each in rule[1:] if isinstance(each, str)} <= OPERATIONS
    assert [rule for rule in rules if rule[0] == "allow" and all(isinstance(each, str) for each in rule)] == [
        ["allow", "process-fork"], ["allow", "ipc-posix-sem"],
        *([["allow", "file-read*", "file-map-executable", "process-exec"]] if fs_read is FsRead.HOST else []),
    ], "these, and no others, are about everything"  # fmt: skip
    assert set(re.findall(r'\(param "([A-Z]+_\d+)"\)', text)) == set(parameters), "each is used, and each is given"
    for bad in ("network*", "no-sandbox", "launchservices", "with no-log", "import"):
        assert bad not in text


@pytest.mark.parametrize("text", ["(", ")", '("', "(a]", "(allow 'x)", '("a\\"b")'])
def test_the_parser_of_these_tests_refuses_what_is_not_well_formed(text: str) -> None:
    with pytest.raises(AssertionError):
        parse(text)


# A name that a disk takes for a protected one must match: in ASCII any, and of the others all that begin with a dot.
LETTERS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/"), min_size=1, max_size=8)
DOT_NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=8).map(
    lambda x: f".{x}"
)


@given(
    pattern=st.sampled_from([".git", ".env*", "a?c", "k[a-c]*", "[!x]y", "x[", "s]^\\", "*"]) | LETTERS,
    name=LETTERS | DOT_NAMES,
)
def test_whatever_protected_names_match_is_refused(pattern: str, name: str) -> None:
    if set(pattern) <= {"."} or (not name.isascii() and not pattern.startswith(".")):
        return
    for tried in (name, pattern, pattern.swapcase(), pattern.replace("s", "\u017f").replace("k", "\N{KELVIN SIGN}")):
        if Names.of([pattern]).first.match(tried.casefold()) and (tried.isascii() or tried.startswith(".")):
            whole, _ = seatbelt_names.expressions([pattern], 2)
            for path in (f"/a/b/{tried}", f"/a/b/c/d/{tried}/e"):
                assert any(found_by(each, path) for each in whole), (tried, whole)


@pytest.mark.parametrize("pattern", ["café", "cafe\u0301", "é", "a/ß"])
def test_an_accent_in_a_protected_name_is_matched_however_the_disk_holds_it(pattern: str) -> None:
    whole, _ = seatbelt_names.expressions([pattern], 0)
    for form in ("NFC", "NFD"):
        for name in (unicodedata.normalize(form, pattern), unicodedata.normalize(form, pattern.upper())):
            assert found_by(whole[0], f"/x/{name}"), (whole, name)
