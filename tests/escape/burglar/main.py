"""Which attempt is wanted, and how does its outcome reach the daemon?"""

import json
import os
import sys
import time

DEAF_S = 1.5
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import consumption  # noqa: E402, F401  each registers its attempts
import files  # noqa: E402, F401
import kernel  # noqa: E402, F401
import network  # noqa: E402, F401
import processes  # noqa: E402, F401
import sight  # noqa: E402, F401
import talk  # noqa: E402, F401
from attempts import ATTEMPTS  # noqa: E402


def answer():
    if os.environ["ORCHESTRAL_ACTION"] == "deaf":
        # The request is left where it is: more than a pipe holds must not make the daemon wait for us.
        time.sleep(DEAF_S)
        return {"exports": {"escaped": False, "evidence": "the request was not read"}}
    request = json.load(sys.stdin)
    params, context = request["input"]["params"], request["context"]
    args = dict(params.get("args", {}))
    if context.get("workspace"):
        os.chdir(context["workspace"])
    try:
        outcome = ATTEMPTS[params["attempt"]](**args)
    except Exception as error:  # noqa: BLE001  whatever it was, it is told
        return {"type": "error", "code": "inconclusive", "message": f"{type(error).__name__}: {error}"}
    return {"exports": outcome.exports()}


if __name__ == "__main__":
    print(json.dumps(answer()), flush=True)
