"""Compute the figures of `reference.json`: one long unbiased run under the same conditions as the loop.

    python reference.py                    # 100 segments of 1 ns, about half an hour

A plain script without holdfast, so that the comparison does not rest on what it judges. It runs on OpenMM's Reference
platform (double precision), which for 22 atoms is also the fastest. Writes `reference.json` and nothing else.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import conditions
import crossings
import dihedrals
import markov
import molecule
import numpy as np
import numpy.typing as npt
import trajectory

HERE = Path(__file__).resolve().parent

PLATFORM = "Reference"
"""OpenMM platform of the reference run."""

FRAMES_PER_SEGMENT = 5000
"""Frames after the first one: 1 ns. Some 200 times the slowest time scale, so segments count as independent."""

RESAMPLES = 400
"""Bootstrap samples of the segments."""

LAGS = (1, 2, 3, 5, 8, 10, 15)
"""Lags, in frames, for which the slowest time scale is listed."""


def simulate(segments: int) -> npt.NDArray[np.float64]:
    """Simulate segment after segment, each from the last frame of the one before with fresh velocities.

    Parameters
    ----------
    segments : int
        Number of segments.

    Returns
    -------
    Float64[segments, FRAMES_PER_SEGMENT + 1, 2]
        phi and psi, degrees.
    """
    texts = [(HERE / "data" / f"alanine-dipeptide.{kind}").read_text() for kind in ("prmtop", "crd")]
    ready = molecule.build(*texts)
    start, measured = ready["positions"], []
    for segment in range(segments):
        frames = trajectory.simulate(
            start,
            segment + 1,
            system=ready["system"],
            temperature=conditions.TEMPERATURE,
            friction=conditions.FRICTION,
            time_step=conditions.TIME_STEP,
            steps_per_frame=conditions.STEPS_PER_FRAME,
            frames=FRAMES_PER_SEGMENT,
            platform=PLATFORM,
        )
        start = frames[-1]
        measured.append(dihedrals.measure(frames))
        print(f"segment {segment + 1} of {segments}", flush=True)
    return np.array(measured)


def summarise(measured: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Summarise phi and psi, Float64[segments, n_frames, 2], as the content of `reference.json`."""
    by_lag = {lag: _estimate(measured, lag) for lag in LAGS}
    chosen = by_lag[conditions.LAG]
    entries, exits = crossings.count(measured[..., 0], core=conditions.BASIN_CORE, outer=conditions.OUTER_CORE)
    share = np.mean((measured[..., 0] > conditions.BASIN[0]) & (measured[..., 0] < conditions.BASIN[1]), axis=1)
    return {
        "conditions": _conditions(len(measured)),
        "slowest_timescale_ps": chosen["timescale"],
        "slowest_timescale_error_ps": chosen["timescale_error"],
        "basin_population": chosen["basin_population"],
        "basin_population_error": chosen["basin_population_error"],
        "basin_share_of_frames": float(share.mean()),
        "basin_share_of_frames_error": float(share.std(ddof=1) / np.sqrt(len(share))),
        "basin_entries": entries,
        "basin_exits": exits,
        "timescale_by_lag_ps": [
            {
                "lag_ps": round(lag * conditions.FRAME_INTERVAL, 6),
                "timescale_ps": found["timescale"],
                "timescale_error_ps": found["timescale_error"],
            }
            for lag, found in by_lag.items()
        ],
    }


def _estimate(measured: npt.NDArray[np.float64], lag: int) -> markov.Estimate:
    """Return the model's figures at a lag given in frames."""
    return markov.estimate(
        measured,
        conditions.SEED,
        bins=conditions.BINS,
        lag=lag,
        frame_interval=conditions.FRAME_INTERVAL,
        basin=conditions.BASIN,
        resamples=RESAMPLES,
    )


def _conditions(segments: int) -> dict[str, Any]:
    """Return what the figures depend on."""
    import deeptime
    import openmm

    return {
        "temperature_K": conditions.TEMPERATURE,
        "friction_per_ps": conditions.FRICTION,
        "time_step_fs": conditions.TIME_STEP,
        "frame_interval_ps": conditions.FRAME_INTERVAL,
        "segments": segments,
        "length_ns": segments * FRAMES_PER_SEGMENT * conditions.FRAME_INTERVAL / 1000.0,
        "bins_per_dihedral": conditions.BINS,
        "lag_ps": conditions.LAG * conditions.FRAME_INTERVAL,
        "basin_phi_degrees": list(conditions.BASIN),
        "bootstrap_samples": RESAMPLES,
        "platform": PLATFORM,
        "openmm": openmm.__version__,
        "deeptime": deeptime.__version__,
        "numpy": np.__version__,
    }


def main() -> None:
    """Run, summarise, write."""
    parser = argparse.ArgumentParser(description="Compute the reference figures.")
    parser.add_argument("--segments", type=int, default=100, help="segments of 1 ns (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=HERE / "reference.json", help="file to write")
    arguments = parser.parse_args()
    figures = summarise(simulate(arguments.segments))
    arguments.output.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
