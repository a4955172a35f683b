"""Is a secret hidden however it is written, and everything else left alone, in little time?"""

import json
import time
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrald.core.redaction import HIDDEN, SHORTEST, Redaction

KEY = "sk-proj-Zm9vYmFyYmF6cXV4MDEyMzQ1Njc4OQ"
STRANGE = 'pass+w/ord="ü\\'
"""A secret that is written differently everywhere, and looks like nothing."""

redact = Redaction()

secrets = st.text(
    st.characters(codec="utf-8", exclude_characters="[]", exclude_categories=("Cc", "Zs", "Zl", "Zp")),
    min_size=SHORTEST,
)
"""Without brackets: with them, what stands for a secret could itself be part of one."""


# --- known values ----------------------------------------------------------------------------------------------------


@given(st.lists(secrets, min_size=1, max_size=4), st.lists(st.text(max_size=20), max_size=6), st.randoms())
def test_no_known_secret_is_left_whatever_stands_around_it(known, texts, random):
    parts = [*known, *known, *texts]
    random.shuffle(parts)
    assert not [secret for secret in known if secret in Redaction(known)("".join(parts))]


@given(secrets, st.binary(max_size=10), st.binary(max_size=10))
def test_a_known_secret_within_base64_is_hidden_wherever_it_begins(secret, before, after):
    for encode in (b64encode, urlsafe_b64encode):
        shown = Redaction([secret])(encode(before + secret.encode() + after).decode())
        assert HIDDEN in shown
        assert len(shown.replace(HIDDEN, "")) <= 4 * (len(before) + len(after)) // 3 + 10


@pytest.mark.parametrize(
    "written",
    [
        STRANGE,
        quote(STRANGE, safe=""),
        quote(STRANGE, safe="").lower(),
        quote_plus(STRANGE),
        json.dumps(STRANGE),
        json.dumps(STRANGE, ensure_ascii=False),
        b64encode(f"user:{STRANGE}".encode()).decode(),
    ],
)
def test_a_known_secret_is_hidden_as_it_is_written_in_addresses_json_and_headers(written):
    shown = Redaction([STRANGE])(f"before {written} after")
    assert HIDDEN in shown and "ord" not in shown and shown.startswith("before ") and shown.endswith(" after")


def test_of_two_secrets_that_overlap_nothing_is_left():
    assert Redaction(["abcdefgh-1234", "1234-ijklmnop", "efgh-1234"])("<abcdefgh-1234-ijklmnop>") == f"<{HIDDEN}>"


def test_a_short_secret_and_an_empty_one_hide_no_words():
    assert Redaction(["", "   ", "word"])("a word and a space") == "a word and a space"


def test_the_white_space_around_a_variable_s_value_is_no_part_of_the_secret():
    assert Redaction(["my-own-secret\n"])("x my-own-secret y") == f"x {HIDDEN} y"


# --- what looks like one ---------------------------------------------------------------------------------------------


AROUND = ["{}", "({})", "key={}&x=1", "key%3D{}%26x=1", '{{"key": "{}"}}', "line\\n{}\\n", "={}."]


@pytest.mark.parametrize(
    "secret",
    [
        KEY,
        "sk-ant-api03-aB3dE5fG7hI9jK1lM3nO5",
        "sk-" + "a1B2" * 12,
        "sk_live_" + "a1B2c3D4" * 3,
        "gsk_" + "a1B2" * 13,
        "xai-" + "a1B2" * 20,
        "hf_" + "aBcD" * 9,
        "AIza" + "Sy-_9" * 7,
        "ghp_" + "a1B2" * 9,
        "github_pat_" + "a1B2_" * 10,
        "glpat-" + "a1-_B" * 4,
        "xoxb-12345-67890-abcdef",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nMIIE-notreally\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nabc\n-----END PGP PRIVATE KEY BLOCK-----",
    ],
)
@pytest.mark.parametrize("around", AROUND)
def test_what_looks_like_a_credential_is_hidden(secret, around):
    text = around.format(secret)
    shown = redact(f"before {text} after")
    assert secret[8:] not in shown and HIDDEN in shown
    assert shown.startswith("before ") and (shown.endswith(" after") or "BEGIN" in secret)


def test_a_private_key_that_was_cut_off_is_hidden_to_the_end():
    assert redact("it is -----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg") == f"it is {HIDDEN}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres://me:hunter2@db:5432/x", "postgres://[redacted]@db:5432/x"),
        ("redis://:hunter2@cache", "redis://[redacted]@cache"),
        ("Authorization: Bearer abcdef-123", "Authorization: Bearer [redacted]"),
        ("authorization: Basic dXNlcjpwYXNz", "authorization: Basic [redacted]"),
        ('{"Authorization":"Bearer abcdef-123","x":1}', '{"Authorization":"Bearer [redacted]","x":1}'),
        ("{'authorization': 'Bearer abcdef-123'}", "{'authorization': 'Bearer [redacted]'}"),
        (r'"{\"Authorization\": \"Bearer abcdef-123\"}"', r'"{\"Authorization\": \"Bearer [redacted]\"}"'),
        ("sent Bearer abcdefghijklmnop1234 to it", "sent Bearer [redacted] to it"),
        ("x-api-key: abcdef-123", "x-api-key: [redacted]"),
        ("GET /v1?api_key=abcdef-123&page=2", "GET /v1?api_key=[redacted]&page=2"),
        ("OPENAI_API_KEY=abcdef-123", "OPENAI_API_KEY=[redacted]"),
        ("aws_secret_access_key = abcdef/123+x", "aws_secret_access_key = [redacted]"),
        ('"clientSecret": "abcdef-123"', '"clientSecret": "[redacted]"'),
        ("İİ password: correct-horse", "İİ password: [redacted]"),
        ("PASSWORD='correct-horse'", "PASSWORD='[redacted]'"),
    ],
)
def test_what_is_named_as_a_secret_is_hidden_and_its_name_is_not(text, shown):
    assert redact(text) == shown
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "an interaction in8f3c0e with 12,345 tokens ended at 2026-01-01T00:00:00.000000Z",
        "task-force-on-the-long-hyphenated-name-of-things",
        "the risk-assessment-of-everything-that-we-know",
        "http://127.0.0.1:8080/v1/models?page=3@x and me@example.com",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "next_page_token=CAEQAA-0123456789 max_tokens=20000000",
        "set api_key_env: OPENAI_API_KEY; password: {{ask.password_of_user}} secret=$MY_SECRET_VALUE",
        "-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----",
        "the bearer of bad news; Authorization is needed; no password",
        "eyJ is how base64 of a JSON object begins",
    ],
)
def test_ordinary_text_is_left_alone(text):
    assert redact(text) == text


@given(st.text())
def test_what_was_redacted_stays_as_it_is(text):
    once = redact(f"{text} {KEY} {text}")
    assert redact(once) == once


# --- JSON ------------------------------------------------------------------------------------------------------------


def test_every_text_in_a_value_is_redacted_keys_included():
    value = {"a": [KEY, 1, None, True, (KEY,)], f"x {KEY}": {"b": 1.5}}
    assert redact.deep(value) == {"a": [HIDDEN, 1, None, True, [HIDDEN]], f"x {HIDDEN}": {"b": 1.5}}


def test_a_text_under_a_key_that_says_so_is_secret():
    said = {"password": "correct horse", "API_KEY": "abcdef-123", "db": {"clientSecret": "abcdef-123"}}
    assert redact.deep(said) == {"password": HIDDEN, "API_KEY": HIDDEN, "db": {"clientSecret": HIDDEN}}


def test_a_reference_a_schema_and_a_page_under_such_a_key_are_none():
    plain = {
        "password": "{{ask.output}}",
        "api_key": {"type": "string"},
        "nextPageToken": "CAEQAA-0123456789",
        "api_key_env": "OPENAI_API_KEY",
    }
    assert redact.deep(plain) == plain


# --- time ------------------------------------------------------------------------------------------------------------

HOSTILE = [
    "an ordinary sentence. ",
    "sk-",
    "eyJaaaaaaaaaa-",
    "eyJaaaaaaaaaa.",
    "eyJaaaaaaaaaa.eyJaaaaaaaaaa-",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY----- -----END AAAA ",
    "A",
    "-",
    "://a:",
    "authorization: bearer ",
    'password: \\"',
    "secret_access_",
    "AIza",
    "sk-eyJ.ghp_AKIA://password=",
    "ü€ \U0001f600",
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_the_time_grows_with_the_length_alone(unit):
    """Twice the text may not take four times as long; the least of a few runs, since others want the processor too."""
    known = Redaction([KEY, STRANGE])

    def least(size: int) -> float:
        text = (unit * (size // len(unit) + 1))[:size]
        found = []
        for _ in range(5):
            began = time.process_time()
            known(text)
            found.append(time.process_time() - began)
        return min(found)

    small, large = least(20_000), least(160_000)
    assert large < 8 * small * 2.5 + 0.005, (small, large)
    assert large < 0.1
