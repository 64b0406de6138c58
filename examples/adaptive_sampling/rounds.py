"""Keep the books of the rounds: seeds going in, data and a line of figures coming out. Pure.

The number of a round is the length of the history so far, so nothing has to be counted separately.
"""

from __future__ import annotations

from typing import TypedDict, TypeVar

import convergence
import crossings
import numpy as np
import numpy.typing as npt
from markov import Estimate

Data = TypeVar("Data", bound=np.generic)


class Seeds(TypedDict):
    """The seeds of one round."""

    trajectories: npt.NDArray[np.int64]
    """One per trajectory, positive, Int64[number]."""
    bootstrap: int
    """Of the resampling of trajectories."""
    choice: int
    """Of the choice of the next starts."""


class Round(TypedDict):
    """The figures after one round."""

    trajectories: int
    """Trajectories so far."""
    length: float
    """Their total length, ns."""
    timescale: float
    """Slowest implied time scale, ps."""
    timescale_error: float
    """Its bootstrap standard error, ps."""
    basin_population: float
    """Equilibrium probability of phi > 0."""
    basin_population_error: float
    """Its bootstrap standard error."""
    entries: int
    """Entries into the basin so far."""
    exits: int
    """Exits from it so far."""
    converged: bool
    """Whether the loop may stop."""


def draw_seeds(history: list[Round], *, seed: int, number: int) -> Seeds:
    """Draw the seeds of the next round, the same ones whenever it is asked.

    Parameters
    ----------
    history : list of Round
        The rounds done.
    seed : int
        Seed of the whole study.
    number : int
        Trajectories per round.
    """
    words = np.random.SeedSequence([seed, len(history)]).generate_state(number + 2)
    positive = words.astype(np.int64) % (2**31 - 2) + 1
    return {"trajectories": positive[:number], "bootstrap": int(positive[-2]), "choice": int(positive[-1])}


def extend(earlier: npt.NDArray[Data], new: npt.NDArray[Data]) -> npt.NDArray[Data]:
    """Append the trajectories of a round, along the first axis, to those of the rounds before."""
    return np.concatenate([earlier, new])


def record(
    history: list[Round],
    dihedrals: npt.NDArray[np.float64],
    estimate: Estimate,
    *,
    frame_interval: float,
    core: tuple[float, float],
    outer: tuple[float, float],
    minimum_rounds: int,
    minimum_crossings: int,
    maximum_relative_error: float,
) -> list[Round]:
    """Append the figures of a round, and whether the loop may stop, to the history.

    Parameters
    ----------
    history : list of Round
        The rounds before.
    dihedrals : Float64[n_trajectories, n_frames, 2]
        phi and psi so far, degrees.
    estimate : Estimate
        The model from these.
    frame_interval : float
        ps between frames.
    core, outer : (float, float)
        Degrees of phi, see `crossings.count`.
    minimum_rounds, minimum_crossings, maximum_relative_error
        The stopping rule, see `convergence.is_converged`.
    """
    entries, exits = crossings.count(dihedrals[..., 0], core=core, outer=outer)
    converged = convergence.is_converged(
        len(history) + 1,
        entries,
        exits,
        estimate["timescale_error"] / estimate["timescale"],
        minimum_rounds=minimum_rounds,
        minimum_crossings=minimum_crossings,
        maximum_relative_error=maximum_relative_error,
    )
    number, frames = dihedrals.shape[:2]
    latest: Round = {
        "trajectories": number,
        "length": number * (frames - 1) * frame_interval / 1000.0,
        "timescale": estimate["timescale"],
        "timescale_error": estimate["timescale_error"],
        "basin_population": estimate["basin_population"],
        "basin_population_error": estimate["basin_population_error"],
        "entries": entries,
        "exits": exits,
        "converged": converged,
    }
    return [*history, latest]


def is_unfinished(history: list[Round]) -> bool:
    """Tell whether another round is needed."""
    return not history or not history[-1]["converged"]
