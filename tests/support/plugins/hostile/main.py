"""How bad can a plugin be? As bad as its parameters say."""

import base64
import json
import os
import sys
import time

request = json.loads(sys.stdin.buffer.read())
params, context = request["input"]["params"], request["context"]


def given(name):
    return base64.b64decode(params.get(name, ""))


if "again" in params and (context["answers"] is not None or context["approval"] is not None):
    sys.stdout.buffer.write(given("again"))
    sys.exit(0)
if "result" in params:
    with open(os.environ["ORCHESTRAL_RESULT"], "wb") as file:
        file.write(given("result"))
sys.stderr.buffer.write(given("stderr"))
sys.stderr.flush()
for _ in range(params["times"]):
    sys.stdout.buffer.write(given("stdout"))
sys.stdout.flush()
time.sleep(params["hang_s"])
if params["signal"]:
    os.kill(os.getpid(), params["signal"])
sys.exit(params["status"])
