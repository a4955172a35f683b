"""Which bytes do we accept as JSON, and which do we write?

Rules of this file:

- One reading only: what two parsers would read differently (duplicate keys, NaN, 2**70, UTF-16, a lone surrogate) is
  refused.
- Depth and the number of values are counted in the bytes, before anything is built: `[[],[],...]` takes 25 times its
  size as Python objects, and deep nesting would meet the recursion limit in somebody's code, if not in ours.
- The standard library's parser with hooks: measured within 1.5 µs of pydantic_core's on a small message, and that one
  has no hook for duplicate keys and reads 1e999 as infinity.
"""

import json
import re
from itertools import accumulate
from math import isinf
from typing import Any

from pydantic_core import to_json

MAX_DEPTH = 64
MAX_VALUES = 200_000
MAX_INTEGER = 2**53
"""Beyond it JavaScript, jq and Go's float64 silently read another number; the bound itself is accepted."""

# A string that never ends is taken to the end of the input: failing there instead would try again from each of its
# escaped quotes, which is quadratic.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKETS = b"[]{}"
_NOT_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_MARKS = (
    (b"\xef\xbb\xbf", "it begins with a byte order mark"),
    (b"\xff\xfe", "it looks like UTF-16"),
    (b"\xfe\xff", "it looks like UTF-16"),
)


class NotStrictJson(ValueError):
    """The bytes are not one JSON value that every parser reads alike; the message says what and where."""


def loads(data: bytes, *, max_depth: int = MAX_DEPTH, max_values: int = MAX_VALUES) -> Any:
    """The one JSON value in `data` (whitespace around it is fine). Raises NotStrictJson, and nothing else."""
    _measure(data, max_depth, max_values)
    try:
        value = _DECODER.decode(data.decode("utf-8"))
    except UnicodeDecodeError as e:
        raise NotStrictJson(_not_utf8(data, e)) from None
    except json.JSONDecodeError as e:
        raise NotStrictJson(_syntax(data, e)) from None
    except RecursionError:
        raise NotStrictJson("it is nested too deep to be read") from None
    if b"\\ud" in data or b"\\uD" in data:
        _refuse_lone_surrogates(value)
    return value


def dumps(value: Any) -> bytes:
    """`value` as compact UTF-8 JSON without a line break in it. Raises NotStrictJson for NaN, infinities and
    whatever JSON has no form for."""
    try:
        data = to_json(value, inf_nan_mode="constants")
    except (ValueError, RecursionError) as e:
        raise NotStrictJson(f"the value cannot be written as JSON: {e}") from None
    if b"NaN" in data or b"Infinity" in data:
        _refuse_nan(data)
    return data


def _measure(data: bytes, max_depth: int, max_values: int) -> None:
    opens = data.count(b"[") + data.count(b"{")
    if opens <= max_depth and opens + data.count(b",") < max_values:
        return
    bare = _STRING.sub(b"", data)
    opens = bare.count(b"[") + bare.count(b"{")
    if opens + bare.count(b",") >= max_values:
        raise NotStrictJson(f"it holds more than {max_values} values")
    deepest = max(accumulate(map(_STEP.__getitem__, bare.translate(None, _NOT_BRACKETS))), default=0)
    if deepest > max_depth:
        raise NotStrictJson(f"it is nested {deepest} levels deep; {max_depth} is the limit")


def _integer(digits: str) -> int:
    if len(digits) < 16:
        return int(digits)
    if len(digits) > 17 or abs(int(digits)) > MAX_INTEGER:
        raise NotStrictJson(f"the integer {_short(digits)} is beyond ±2^53; send it as a string")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if isinf(value):
        raise NotStrictJson(f"the number {_short(digits)} is too large for a float")
    return value


def _constant(word: str) -> Any:
    raise NotStrictJson(f"{word} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(k for k, _ in pairs if k in seen or seen.add(k))  # type: ignore[func-returns-value]
        raise NotStrictJson(f"the key {_short(json.dumps(twice))} occurs twice in one object")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant)


def _refuse_lone_surrogates(value: Any) -> None:
    try:
        to_json(value)
    except ValueError:
        raise NotStrictJson("a string holds half of a surrogate pair (\\ud800 to \\udfff alone)") from None


def _refuse_nan(data: bytes) -> None:
    # The words may stand inside a string, where they are harmless.
    if re.search(rb"NaN|Infinity", _STRING.sub(b"", data)):
        raise NotStrictJson("the value holds NaN or an infinity, which JSON does not have")


def _not_utf8(data: bytes, error: UnicodeDecodeError) -> str:
    for mark, says in _MARKS:
        if data.startswith(mark):
            return f"{says}; it must be UTF-8 without one"
    return f"byte {error.start} (0x{data[error.start]:02x}) is not UTF-8"


def _syntax(data: bytes, error: json.JSONDecodeError) -> str:
    if not data.strip():
        return "it is empty"
    if data.startswith(_MARKS[0][0]):
        return f"{_MARKS[0][1]}; it must be UTF-8 without one"
    if b"\0" in data[:4]:
        return "it looks like UTF-16 or UTF-32; it must be UTF-8"
    if error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated string"):
        return f"it ends in the middle, after {len(data)} bytes"
    if error.msg == "Extra data":
        return f"something follows the value, at line {error.lineno} column {error.colno}"
    return f"{error.msg} at line {error.lineno} column {error.colno}"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
