"""Reads the demo's closing JSON line from standard input and fails unless every message was answered once and nothing differs."""

import json
import sys

MUST_BE_ZERO = ("unanswered", "doubled", "schedule_differences", "check_differences")

line = sys.stdin.read().strip()
summary = json.loads(line)
print(line)
wrong = {name: summary.get(name, "missing") for name in MUST_BE_ZERO if summary.get(name) != 0}
if wrong:
    sys.exit(f"the demo left differences: {wrong}")
