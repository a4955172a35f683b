"""What can a plugin say, or not say, to bring the daemon down? These speak to the daemon directly, and end."""

import base64
import os
import sys
import time

from attempts import attempt, verdict

CHUNK = b"x" * 4096


@attempt
def say(raw):
    """These very bytes instead of an answer."""
    sys.stdout.buffer.write(base64.b64decode(raw))
    sys.stdout.flush()
    os._exit(0)


@attempt
def nest(depth):
    sys.stdout.write('{"exports":{"x":' + "[" * depth + "]" * depth + "}}")
    sys.stdout.flush()
    os._exit(0)


@attempt
def flood(stream, kib, newline=False):
    """At most so much, far beyond the limit. A stream that is closed to us ends it."""
    line = CHUNK[:-1] + b"\n" if newline else CHUNK
    for _ in range(kib // 4):
        os.write(stream, line)
    return verdict("written", False, f"{kib} KiB")


@attempt
def drip(seconds):
    """An answer that is never finished, and never silent."""
    deadline = time.monotonic() + seconds
    os.write(1, b'{"exports":{"x":"')
    while time.monotonic() < deadline:
        os.write(1, b".")
        time.sleep(0.02)
    os.write(1, b'"}}')
    os._exit(0)


def answer(exports):
    import json

    print(json.dumps({"exports": exports}), flush=True)
    os._exit(0)


@attempt
def result_file(link="", fifo=False):
    """$ORCHESTRAL_RESULT as something else than a file."""
    path = os.environ["ORCHESTRAL_RESULT"]
    if fifo:
        os.mkfifo(path)
    else:
        os.symlink(link, path)
    os._exit(0)


@attempt
def artifact(name, link="", fifo=False):
    path = os.environ["ORCHESTRAL_SCRATCH"] + "/" + name
    if fifo:
        os.mkfifo(path)
    elif link:
        os.symlink(link, path)
    return answer({"escaped": True, "file": {"$artifact": name}})


@attempt
def artifacts(count, size_mib):
    """One file, handed over many times: each costs the daemon a reading of it all."""
    with open(os.environ["ORCHESTRAL_SCRATCH"] + "/a", "wb") as file:
        file.truncate(size_mib << 20)
    return answer({"escaped": False, "files": [{"$artifact": "a"}] * count})
