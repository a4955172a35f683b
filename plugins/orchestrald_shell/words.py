"""Which programs does a command line name?

A courtesy to the person who is asked, not a boundary: a program can always start another that no list can see, and
what holds then is the sandbox. So the reading errs on the side of asking: where it is not certain, it says so.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import NamedTuple

EXPRESSION = frozenset(" |&;<>$`(){}*?\n")
"""Characters that make a command without arguments a shell expression, as the original has it."""

_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash", "fish"})
_STARTERS = frozenset({
    "busybox", "builtin", "chroot", "command", "doas", "env", "exec", "flock", "ionice", "nice", "nohup", "parallel",
    "setsid", "stdbuf", "sudo", "time", "timeout", "toybox", "unshare", "watch", "xargs",
})  # fmt: skip
_OPAQUE = frozenset({"eval", "source", ".", "trap", "alias"})
_KEYWORDS = frozenset({"!", "do", "done", "elif", "else", "esac", "fi", "if", "in", "then", "until", "while", "{", "}"})
_FIND_STARTS = frozenset({"-exec", "-execdir", "-ok", "-okdir"})
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_SUBSTITUTION = re.compile(r"\$\(|[<>]\(|`")
_EXPANDED = frozenset("$*?[{~")
_SEPARATORS = frozenset("|&;()\n")
_MOST_LEVELS = 4
_MOST_WORDS = 100


class Invocation(NamedTuple):
    """A program by its base name in lower case, and its arguments."""

    name: str
    arguments: tuple[str, ...]


class Reading(NamedTuple):
    """What a command line starts. Not `certain`: there may be more than can be seen."""

    invocations: tuple[Invocation, ...]
    certain: bool


def of_arguments(argv: Sequence[str], level: int = 0) -> Reading:
    """What a program with its arguments starts: itself, and what it is told to start."""
    words = list(argv)
    found: list[Invocation] = []
    while words and _ASSIGNMENT.match(words[0]):
        words.pop(0)
    if not words:
        return Reading((), True)
    name, arguments = _base(words[0]), tuple(words[1:])
    found.append(Invocation(name, arguments))
    certain = not _EXPANDED & set(words[0]) and name not in _OPAQUE and level < _MOST_LEVELS
    for inner in _started(name, arguments, level + 1) if level < _MOST_LEVELS else ():
        found.extend(inner.invocations)
        certain = certain and inner.certain
    return Reading(tuple(found), certain)


def of_expression(text: str, level: int = 0) -> Reading:
    """What a shell expression starts, in every segment of it."""
    # What is substituted runs as well, also within double quotes: its bounds become separators like any other.
    certain = _SUBSTITUTION.search(text) is None and level < _MOST_LEVELS
    lexer = shlex.shlex(_SUBSTITUTION.sub(" ; ", text).replace("\n", " ; "), posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        tokens = list(lexer)
    except ValueError:  # a quote that does not end, as within a substitution that was cut open
        return Reading(tuple(Invocation(_base(word), ()) for word in re.findall(r"[\w./-]+", text)), False)
    found: list[Invocation] = []
    for segment in _segments(tokens):
        inner = of_arguments(segment, level)
        found.extend(inner.invocations)
        certain = certain and inner.certain
    return Reading(tuple(found), certain)


def _segments(tokens: Sequence[str]) -> Iterator[list[str]]:
    segment: list[str] = []
    redirected = False
    for token in tokens:
        if token and set(token) <= _SEPARATORS | {"<", ">"}:
            redirected = "<" in token or ">" in token
            if not redirected and segment:
                yield segment
                segment = []
        elif redirected:
            redirected = False  # a file's name
        elif segment or token not in _KEYWORDS:
            segment.append(token)
    if segment:
        yield segment


def _started(name: str, arguments: Sequence[str], level: int) -> Iterator[Reading]:
    if name in _SHELLS:
        yield from _started_by_shell(arguments, level)
    elif name == "find":
        for index, argument in enumerate(arguments):
            if argument in _FIND_STARTS:
                yield of_arguments(arguments[index + 1 :], level)
    elif name in _STARTERS:
        yield from _started_by_starter(arguments, level)


def _started_by_starter(arguments: Sequence[str], level: int) -> Iterator[Reading]:
    """Options differ from program to program (`nice -n 5 rm`, `timeout 5 rm`): each word may be the program."""
    considered = arguments[:_MOST_WORDS]
    for index, argument in enumerate(considered):
        if argument.startswith("-"):
            continue
        name = _base(argument)
        if name in _STARTERS:
            yield Reading((Invocation(name, ()),), certain=True)  # what it may start is considered here already
        else:
            yield of_arguments(considered[index:], level)
    if len(arguments) > _MOST_WORDS:
        yield Reading((), certain=False)


def _started_by_shell(arguments: Sequence[str], level: int) -> Iterator[Reading]:
    for index, argument in enumerate(arguments):
        if argument.startswith("-") and not argument.startswith("--") and "c" in argument:
            yield of_expression(" ".join(arguments[index + 1 : index + 2]), level)
            return
    yield Reading((), certain=False)  # a script, or stdin


def _base(word: str) -> str:
    return word.rsplit("/", 1)[-1].lower()
