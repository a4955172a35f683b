"""One JSON request on stdin, one JSON reply on stdout: lines, words, bytes and the longest line of a file."""

import json
import sys
import time

request = json.load(sys.stdin)
params = request["input"]["params"]
path = params["path"]
try:
    with open(request["context"]["workspace"] + "/" + path, "rb") as file:
        content = file.read()
except OSError as error:
    print(json.dumps({"type": "error", "message": f"{path}: {error.strerror}", "code": "bad_input"}))
    sys.exit(65)

print("::progress", json.dumps({"done": 1, "total": 2, "message": path}), file=sys.stderr, flush=True)
time.sleep(params.get("pause_ms", 0) / 1000)
lines = content.splitlines()
exports = {
    "path": path,
    "lines": len(lines),
    "words": len(content.split()),
    "bytes": len(content),
    "longest": max(map(len, lines), default=0),
}
print(json.dumps({"type": "success", "exports": exports}))
