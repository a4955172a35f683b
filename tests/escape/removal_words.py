"""Which words does bwrap get when a mechanism is gone? Pure: words in, fewer or weaker words out."""

from collections.abc import Sequence

DROPPED: dict[str, tuple[tuple[str, ...], ...]] = {
    "network-namespace": (("--unshare-net",),),
    "ipc-namespace": (("--unshare-ipc",),),
    "uts-namespace": (("--unshare-uts",), ("--hostname", "sandbox")),
    "userns-limit": (("--disable-userns",),),
    "new-session": (("--new-session",),),
    "die-with-parent": (("--die-with-parent",),),
    "proc-read-only": (("--remount-ro", "/proc"),),
    "dev-read-only": (("--remount-ro", "/dev"),),
    "root-read-only": (("--remount-ro", "/"),),
    "pid-namespace": (("--unshare-pid",),),
}
"""Runs of words that are left out."""

REPLACED: dict[str, tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]] = {
    # Without a word bwrap gives up all capabilities by itself, unless it is started by root.
    "capabilities": ((("--cap-drop", "ALL"), ("--cap-add", "ALL")),),
    # A fresh /proc cannot be mounted in a process namespace of somebody else's.
    "pid-namespace": ((("--proc", "/proc"), ("--ro-bind", "/proc", "/proc")),),
    "dev": ((("--remount-ro", "/dev"), ("--dev-bind", "/dev", "/dev")),),
    "shm": ((("--tmpfs", "/dev/shm"), ("--bind", "/dev/shm", "/dev/shm")),),
}


def without(words: list[str], gone: frozenset[str]) -> list[str]:
    if "shm" in gone:
        words = without_tmpfs(words, "/dev/shm", but=("--tmpfs", "/dev/shm"))
    for name in sorted(gone):
        for run in DROPPED.get(name, ()):
            words = replaced(words, run, ())
        for run, by in REPLACED.get(name, ()):
            words = replaced(words, run, by)
    if "read-only-binds" in gone:
        weaker = {"--ro-bind": "--bind", "--ro-bind-fd": "--bind-fd"}
        words = [weaker.get(word, word) for word in words]
    if "sizes" in gone:
        words = [word for at, word in enumerate(words) if "--size" not in words[max(0, at - 1) : at + 1]]
    if "allow-list" in gone:
        words = _whole_disk(words)
    return words


def _whole_disk(words: list[str]) -> list[str]:
    """The host's root in place of the listed folders, and none of the folders that cover parts of it."""
    for place in ("/tmp", "/run", "/var/tmp"):
        words = without_tmpfs(words, place)
    kept: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--symlink" or words[at : at + 3] == ["--ro-bind", "/usr", "/usr"]:
            at += 3
        elif word == "--dir":
            kept = kept[:-2] if kept[-2:-1] == ["--perms"] else kept
            at += 2
        elif words[at : at + 2] == ["--remount-ro", "/"] or words[at : at + 2] == ["--remount-ro", "/run"]:
            at += 2
        else:
            kept.append(word)
            at += 1
    mounts = kept.index("--hostname") + 2 if "--hostname" in kept else 0
    return [*kept[:mounts], "--ro-bind", "/", "/", *kept[mounts:]]


def without_tmpfs(words: list[str], place: str, but: Sequence[str] = ()) -> list[str]:
    """With `but` instead of `--size N --perms M --tmpfs place`, of which the first two pairs may be missing."""
    for at in range(len(words) - 1):
        if words[at : at + 2] == ["--tmpfs", place]:
            start = at
            while start >= 2 and words[start - 2] in ("--size", "--perms"):
                start -= 2
            return [*words[:start], *but, *words[at + 2 :]]
    return words


def replaced(words: list[str], run: Sequence[str], by: Sequence[str]) -> list[str]:
    """Every occurrence of a run of words, by other words."""
    found: list[str] = []
    at = 0
    while at < len(words):
        if words[at : at + len(run)] == list(run):
            found += by
            at += len(run)
        else:
            found.append(words[at])
            at += 1
    return found
