"""What is the result? One small calculation an action, as the manifest says."""

import datetime
import json
import sys

METRES = {"m": 1, "km": 1000, "mile": 1609.344}
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

request = json.load(sys.stdin)
action, given = request["action"]["name"], request["input"]["params"]

try:
    result = {
        "add": lambda: given["a"] + given["b"],
        "multiply": lambda: given["a"] * given["b"],
        "upper": lambda: str.upper(given["text"]),
        "reverse": lambda: given["text"][::-1],
        "count_words": lambda: len(given["text"].split()),
        "greet": lambda: f"Hello, {given['name']}!",
        "weekday": lambda: DAYS[datetime.date.fromisoformat(given["date"]).weekday()],
        "convert": lambda: given["value"] * METRES[given["from"]] / METRES[given["to"]],
        "sort": lambda: sorted(given["words"]),
        "average": lambda: sum(given["numbers"]) / len(given["numbers"]),
    }[action]()
except (ValueError, OverflowError) as error:
    print(json.dumps({"type": "error", "code": "bad_value", "message": str(error)}))
else:
    print(json.dumps({"type": "success", "exports": {"result": result}}))
