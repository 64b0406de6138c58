"""Run trials of one kind and print what they found as JSON. Usage: run_trials.py kill|refuse|cut|turn POINTS SEED."""

from __future__ import annotations

import json
import random
import sys

from cut import cut
from kill import kill
from refuse import refuse
from trials import Trials, import_all
from turn import Clock, turn

KINDS = {"kill": kill, "refuse": refuse, "cut": cut, "turn": turn}

if __name__ == "__main__":
    kind, points, seed = sys.argv[1:]
    if kind == "turn":
        Clock()  # it begins this program anew
    trials = Trials()
    try:
        import_all(trials)
        print(json.dumps(KINDS[kind](trials, int(points), random.Random(f"holdfast {kind} {seed}")).to_json()))
    finally:
        trials.close()
