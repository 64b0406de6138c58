"""Run trials of one kind and print what they found as JSON. Usage: run_trials.py KIND POINTS SEED."""

from __future__ import annotations

import json
import random
import sys

from kill import kill
from refuse import refuse
from trials import Trials, import_all

KINDS = {"kill": kill, "refuse": refuse}

if __name__ == "__main__":
    kind, points, seed = sys.argv[1:]
    trials = Trials()
    try:
        import_all(trials)
        print(json.dumps(KINDS[kind](trials, int(points), random.Random(f"holdfast {kind} {seed}")).to_json()))
    finally:
        trials.close()
