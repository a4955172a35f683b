"""Are the programs of a command line found, and is doubt admitted?"""

import shlex

import pytest

from orchestrald_shell.rules import why_ask
from orchestrald_shell.words import of_arguments, of_expression


@pytest.mark.parametrize(
    "expression",
    [
        "rm x", "/bin/rm x", "true; /bin/rm x", "true && rm x", "cat a | xargs rm", "env rm x", "env A=1 rm x",
        "A=1 rm x",
        "bash -c 'rm x'", "sh -ec 'true; rm x'", "r''m x", "\\rm x", "RM x", "nice -n 5 rm x", "timeout 5 rm x",
        "(rm x)", "{ rm x; }", "if true; then rm x; fi", "echo $(rm x)", "echo `rm x`", "echo \"$(rm x)\"",
        "cat <(rm x)",
        "find . -delete", "find . -exec rm {} +", "find . -exec sh -c 'rm x' \\;", "git reset --hard",
        "git -C sub checkout .", "git restore .", "mkfs.ext4 /dev/sda", "dd if=a of=b", "$RM x", "$'\\x72m' x", "r? x",
        "eval 'r''m x'", "cat x | sh", "busybox rm x", "sudo -u a rm x", "true\nrm x", "> out rm x", "echo 'unclosed",
        "sh script.sh", "env bash -c 'env rm x'", "echo a&rm x", "command rm x", "! rm x", "{rm,x}",
    ],
)  # fmt: skip
def test_what_destroys_or_cannot_be_told_is_asked_about(expression: str):
    assert why_ask(of_expression(expression))


@pytest.mark.parametrize(
    "expression",
    [
        "ls -la", "cat a | sort | uniq -c", "grep rm notes.txt", "echo 'do not rm it'", "git status && git diff",
        "find . -name '*.py'", "python3 -c 'print(1)'", "ls > rm", "wc -l < rm", "for_each.sh a b", "echo $HOME",
        "bash -c 'ls; wc -l x'", "A=1 ls", "cat a 2>&1", "echo done # rm x",
    ],
)  # fmt: skip
def test_what_reads_is_not_asked_about(expression: str):
    asked = why_ask(of_expression(expression))
    assert not asked or expression.endswith("# rm x")


def test_arguments_are_not_shell_syntax():
    assert not why_ask(of_arguments(["echo", "a; rm x", "$(rm x)"]))
    assert why_ask(of_arguments(["/bin/rm", "x"]))
    assert why_ask(of_arguments(["bash", "-c", "rm x"]))


def test_a_hostile_line_ends_in_doubt_and_soon():
    assert why_ask(of_arguments(["env"] * 1000))
    assert why_ask(of_expression("env " * 3000))
    assert why_ask(of_expression("sh -c 'sh -c " * 500))
    nested = "ls"
    for _ in range(8):
        nested = f"sh -c {shlex.quote(nested)}"
    assert why_ask(of_expression(nested))
