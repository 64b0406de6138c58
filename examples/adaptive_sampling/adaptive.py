"""Sample alanine dipeptide adaptively: simulate, model, judge, start where little was seen, until known well enough.

    python adaptive.py --work work     # runs, prints a summary, writes ramachandran.png
    holdfast run adaptive.py:final --work work --engine processes --workers 2     # the same work, the same results

Only composes: every operation is a plain function of a neighbouring file, every number is in `conditions.py`. Nothing
runs when this file is imported. Killed at any moment and started again, it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import conditions
import dihedrals
import landscape
import markov
import molecule
import numpy as np
import rounds
import starts
import summary
import trajectory

import holdfast as hf

HERE = Path(__file__).resolve().parent

build = hf.operation(molecule.build)
replicate = hf.operation(starts.replicate)
draw_seeds = hf.operation(rounds.draw_seeds)
simulate = hf.operation(trajectory.simulate)
measure = hf.operation(dihedrals.measure)
extend = hf.operation(rounds.extend)
estimate = hf.operation(markov.estimate)
record = hf.operation(rounds.record)
choose = hf.operation(starts.choose)
is_unfinished = hf.operation(rounds.is_unfinished)
draw = hf.operation(landscape.draw)


@hf.graph
def one_round(state: Any) -> Any:
    """Simulate from the chosen starts, model everything seen so far, judge it, and choose the next starts."""
    seeds = draw_seeds(state["history"], seed=conditions.SEED, number=conditions.TRAJECTORIES)
    new = run_trajectories(state["system"], state["starts"], seeds["trajectories"])
    positions = extend(state["positions"], new)
    angles = extend(state["dihedrals"], measure(new))
    model = estimate(
        angles,
        seeds["bootstrap"],
        bins=conditions.BINS,
        lag=conditions.LAG,
        frame_interval=conditions.FRAME_INTERVAL,
        basin=conditions.BASIN,
        resamples=conditions.RESAMPLES,
    )
    return {
        "system": state["system"],
        "starts": choose(positions, angles, seeds["choice"], number=conditions.TRAJECTORIES, bins=conditions.BINS),
        "positions": positions,
        "dihedrals": angles,
        "populations": model["populations"],
        "history": judge(state["history"], angles, model),
    }


def run_trajectories(system: Any, first: Any, seeds: Any) -> Any:
    """Run one trajectory per start and seed, in parallel; Float32[n_trajectories, n_frames, n_atoms, 3], nm."""
    return hf.map(
        lambda start, seed: simulate(
            start,
            seed,
            system=system,
            temperature=conditions.TEMPERATURE,
            friction=conditions.FRICTION,
            time_step=conditions.TIME_STEP,
            steps_per_frame=conditions.STEPS_PER_FRAME,
            frames=conditions.FRAMES,
            platform=conditions.PLATFORM,
        ),
        start=first,
        seed=seeds,
    )


def judge(history: Any, angles: Any, model: Any) -> Any:
    """Add this round to the history, and whether it may be the last."""
    return record(
        history,
        angles,
        model,
        frame_interval=conditions.FRAME_INTERVAL,
        core=conditions.BASIN_CORE,
        outer=conditions.OUTER_CORE,
        minimum_rounds=conditions.MINIMUM_ROUNDS,
        minimum_crossings=conditions.MINIMUM_CROSSINGS,
        maximum_relative_error=conditions.MAXIMUM_RELATIVE_ERROR,
    )


@hf.graph
def unfinished(state: Any) -> Any:
    """Ask whether another round is needed."""
    return is_unfinished(state["history"])


def study(maximum_rounds: int = conditions.MAXIMUM_ROUNDS) -> dict[str, Any]:
    """Compose the whole study; its targets are the history of the rounds and the picture."""
    texts = [(HERE / "data" / f"alanine-dipeptide.{kind}").read_text() for kind in ("prmtop", "crd")]
    ready = build(*texts)
    frames = conditions.FRAMES + 1
    before = {
        "system": ready["system"],
        "starts": replicate(ready["positions"], number=conditions.TRAJECTORIES),
        "positions": np.empty((0, frames, molecule.ATOMS, 3), dtype=np.float32),
        "dihedrals": np.empty((0, frames, 2)),
        "populations": np.zeros(conditions.BINS**2),
        "history": [],
    }
    loop = hf.while_loop(unfinished, one_round, before, max_iterations=maximum_rounds)
    picture = draw(
        loop["dihedrals"],
        loop["populations"],
        bins=conditions.BINS,
        temperature=conditions.TEMPERATURE,
        basin=conditions.BASIN,
        per_round=conditions.TRAJECTORIES,
    )
    return {"history": loop["history"], "picture": picture}


final = study()


def main() -> None:
    """Run the study, print its summary, write the picture."""
    parser = argparse.ArgumentParser(description="Adaptive sampling of alanine dipeptide.")
    parser.add_argument("--work", default="work", help="working directory (default: %(default)s)")
    parser.add_argument("--engine", default="processes", help="where operations run (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="operations at a time (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=conditions.MAXIMUM_ROUNDS, help="most rounds (default: %(default)s)"
    )
    parser.add_argument("--picture", type=Path, default=Path("ramachandran.png"), help="default: %(default)s")
    arguments = parser.parse_args()
    targets = study(arguments.rounds)
    with hf.Session(arguments.work, engine=arguments.engine, workers=arguments.workers) as session, hf.watch(session):
        session.name_target("study", targets)
        history, picture = session.result(targets["history"]), session.result(targets["picture"])
    print(summary.describe(history, json.loads((HERE / "reference.json").read_text())))
    arguments.picture.write_bytes(picture)


if __name__ == "__main__":
    main()
