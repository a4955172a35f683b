"""The filter, judged by an interpreter of its own language, and its numbers by the kernel's headers."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrald_sandbox import Unavailable
from orchestrald_sandbox.seccomp import (
    AUDIT_ARCH,
    FLAGS_AT,
    FORBIDDEN,
    MODE_AT,
    NO_SUCH_CALL,
    NUMBERS,
    program,
)  # fmt: skip

ARCHES = list(AUDIT_ARCH)
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
ALLOWED = 0


def judge(code: bytes, arch: int, number: int, *arguments: int) -> int:
    """The errno the filter answers with; 0 when it allows. Any other verdict, or running off the end,
    raises."""
    words = [*arguments, *([0] * (6 - len(arguments)))]
    data = struct.pack("<iIQ6Q", struct.unpack("<i", struct.pack("<I", number))[0], arch, 0, *words)
    program_ = list(struct.iter_unpack("<HBBI", code))
    accumulator, at = 0, 0
    while True:
        operation, if_true, if_false, operand = program_[at]
        at += 1
        match operation:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, operand)
            case 0x15:
                at += if_true if accumulator == operand else if_false
            case 0x35:
                at += if_true if accumulator >= operand else if_false
            case 0x45:
                at += if_true if accumulator & operand else if_false
            case 0x05:
                at += operand
            case 0x06:
                action, value = operand & 0xFFFF0000, operand & 0xFFFF
                assert action in (0x7FFF0000, 0x00050000), hex(action)
                return ALLOWED if action == 0x7FFF0000 else value
            case _:
                raise AssertionError(f"unknown instruction {operation:#x}")


def call(arch: str, name: str, *arguments: int, unix: bool = False) -> int | None:
    number = NUMBERS[name][ARCHES.index(arch)]
    if number is None:
        return None
    return judge(program(arch, unix_sockets=unix), AUDIT_ARCH[arch], number, *arguments)


@pytest.mark.parametrize("arch", ARCHES)
def test_every_forbidden_call_is_refused_whatever_its_arguments(arch: str) -> None:
    for name in FORBIDDEN:
        assert call(arch, name, *([0xFFFFFFFF_FFFFFFFF] * 6)) in (errno.EPERM, None), name
        assert call(arch, name) in (errno.EPERM, None), name


@pytest.mark.parametrize("arch", ARCHES)
def test_calls_with_hidden_arguments_look_as_if_the_kernel_lacked_them(arch: str) -> None:
    for name in NO_SUCH_CALL:
        assert call(arch, name) == errno.ENOSYS, name


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("number", [0, 63, 93, 1000, 0x3FFFFFFF])
def test_what_is_not_named_is_allowed(arch: str, number: int) -> None:
    assert judge(program(arch, unix_sockets=False), AUDIT_ARCH[arch], number) == ALLOWED


@pytest.mark.parametrize("arch", ARCHES)
@given(foreign=st.integers(0, 2**32 - 1), number=st.integers(0, 2**32 - 1))
def test_a_call_of_another_architecture_is_never_let_through(arch: str, foreign: int, number: int) -> None:
    if foreign != AUDIT_ARCH[arch]:
        assert judge(program(arch, unix_sockets=True), foreign, number) == errno.ENOSYS


@given(number=st.integers(0x40000000, 2**32 - 1))
def test_x32_numbers_are_refused_on_x86_64(number: int) -> None:
    assert judge(program("x86_64", unix_sockets=False), AUDIT_ARCH["x86_64"], number) == errno.ENOSYS


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("bit", [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000])
def test_clone_makes_threads_and_processes_but_no_namespace(arch: str, bit: int) -> None:
    thread, fork = 0x3D0F00, 0x1200011
    assert call(arch, "clone", thread) == ALLOWED
    assert call(arch, "clone", fork) == ALLOWED
    assert call(arch, "clone", fork | bit) == errno.EPERM
    assert call(arch, "clone", (1 << 40) | fork | bit) == errno.EPERM


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("request_", [0x5412, 0x541C])
def test_typing_into_a_terminal_is_refused_with_any_high_bits(arch: str, request_: int) -> None:
    for high in (0, 1 << 32, 0xFFFFFFFF << 32):
        assert call(arch, "ioctl", 0, request_ | high) == errno.EPERM
    assert call(arch, "ioctl", 0, 0x5401) == ALLOWED
    assert call(arch, "ioctl", request_, 0x5401) == ALLOWED


@pytest.mark.parametrize("arch", ARCHES)
def test_personality_can_be_asked_and_not_changed(arch: str) -> None:
    assert call(arch, "personality", 0) == ALLOWED
    assert call(arch, "personality", 0xFFFFFFFF) == ALLOWED
    assert call(arch, "personality", 0x0040000) == errno.EPERM


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("unix", [False, True])
@given(family=st.integers(0, 2**32 - 1) | st.integers(0, 50), high=st.integers(0, 2**32 - 1))
def test_only_inet_families_and_a_granted_unix_are_open(arch: str, unix: bool, family: int, high: int) -> None:
    open_ = {2, 10} | ({1} if unix else set())
    expected = ALLOWED if family in open_ else errno.EAFNOSUPPORT
    assert call(arch, "socket", family | high << 32, 1, unix=unix) == expected
    assert call(arch, "socketpair", family, 1, unix=unix) == (ALLOWED if family == 1 else errno.EAFNOSUPPORT)


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("name", MODE_AT)
def test_no_file_can_be_made_setuid_or_setgid(arch: str, name: str) -> None:
    before = [0] * MODE_AT[name]
    for mode in (0o4755, 0o2755, 0o6000):
        assert call(arch, name, *before, mode) in (errno.EPERM, None)
    for mode in (0o755, 0o1777, 0o100644):
        assert call(arch, name, *before, mode) in (ALLOWED, None)


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("name", FLAGS_AT)
def test_open_is_judged_by_its_mode_only_when_it_creates(arch: str, name: str) -> None:
    before = [0] * FLAGS_AT[name]
    for creating in (0o100, 0o101, 0o20200000 | 1):
        assert call(arch, name, *before, creating, 0o4755) in (errno.EPERM, None)
        assert call(arch, name, *before, creating, 0o644) in (ALLOWED, None)
    assert call(arch, name, *before, 0o0, 0o6777) in (ALLOWED, None)


def test_a_machine_without_a_table_has_no_sandbox() -> None:
    with pytest.raises(Unavailable) as caught:
        program("riscv64", unix_sockets=False)
    assert "riscv64" in caught.value.reason and caught.value.hint


@pytest.mark.parametrize("arch", ARCHES)
def test_the_numbers_are_those_of_the_kernel_headers(arch: str) -> None:
    header = HEADERS[arch]
    if not header.exists():
        pytest.skip(f"NUMBERS OF {arch} NOT CHECKED: {header} is not installed (linux-libc-dev)")
    text = header.read_text()
    real = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\b", text)}
    column = ARCHES.index(arch)
    mine = {name: numbers[column] for name, numbers in NUMBERS.items() if numbers[column] is not None}
    newer = {"fchmodat2"}  # 6.6; the headers may be older
    assert {name: real.get(name) for name in mine if name in real or name not in newer} == {
        name: number for name, number in mine.items() if name in real or name not in newer
    }
    without = {name for name, numbers in NUMBERS.items() if numbers[column] is None}
    assert not without & set(real) - ({"open", "creat", "chmod", "mkdir", "mknod"} if arch == "x86_64" else set())


@pytest.mark.parametrize("arch", ARCHES)
def test_the_program_is_whole_records_and_short_enough_for_the_kernel(arch: str) -> None:
    code = program(arch, unix_sockets=True)
    assert len(code) % 8 == 0 and len(code) // 8 < 4096
