"""Estimate a Markov state model and, by bootstrap over trajectories, how uncertain it is.

Deterministic: the seed of the resampling is an argument, and linear algebra runs on one thread, because the order of a
sum over threads would change its last bits.
"""

from __future__ import annotations

from typing import TypedDict

import grid
import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


class Estimate(TypedDict):
    """What the model says, and how sure it is."""

    timescale: float
    """Slowest implied time scale, ps."""
    timescale_error: float
    """Its bootstrap standard error, ps."""
    basin_population: float
    """Equilibrium probability of the basin at phi > 0, from 0 to 1."""
    basin_population_error: float
    """Its bootstrap standard error."""
    populations: Float64
    """Equilibrium probability of every state, Float64[bins**2]; 0 where not connected."""


def estimate(
    dihedrals: Float64,
    seed: int,
    *,
    bins: int,
    lag: int,
    frame_interval: float,
    basin: tuple[float, float],
    resamples: int,
) -> Estimate:
    """Estimate the slowest time scale and the population of the basin at phi > 0.

    Parameters
    ----------
    dihedrals : Float64[n_trajectories, n_frames, 2]
        phi and psi, degrees.
    seed : int
        Of the bootstrap.
    bins : int
        Bins per dihedral.
    lag : int
        Lag of the model, in frames.
    frame_interval : float
        ps between frames.
    basin : (float, float)
        Degrees of phi that make up the basin.
    resamples : int
        Number of bootstrap samples; each draws as many trajectories as there are, with replacement.

    Returns
    -------
    Estimate
        Time scales in ps; errors are standard deviations over the bootstrap samples.

    Notes
    -----
    Source: J.-H. Prinz et al., "Markov models of molecular kinetics: generation and validation", J. Chem. Phys. 134
    (2011) 174105, section III (reversible estimate by maximum likelihood, implied time scales -lag / ln(eigenvalue)).
    B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 6.
    """
    from threadpoolctl import threadpool_limits

    inside = grid.within(basin, bins)
    with threadpool_limits(limits=1):
        counts = count_transitions(grid.assign(dihedrals, bins), lag, bins**2)
        step = lag * frame_interval
        timescale, populations = solve(counts.sum(axis=0), step)
        samples = [solve(sample, step) for sample in _resample(counts, resamples, seed)]
    return {
        "timescale": timescale,
        "timescale_error": _spread([slowest for slowest, _ in samples]),
        "basin_population": float(populations[inside].sum()),
        "basin_population_error": _spread([float(weights[inside].sum()) for _, weights in samples]),
        "populations": populations,
    }


def count_transitions(states: npt.NDArray[np.int64], lag: int, size: int) -> Float64:
    """Count the transitions of each trajectory, with a sliding window.

    Parameters
    ----------
    states : Int64[n_trajectories, n_frames]
        State of every frame.
    lag : int
        Frames from the first to the second state of a transition.
    size : int
        Number of states.

    Returns
    -------
    Float64[n_trajectories, size, size]
        Counts from a state (second axis) to a state (third axis).
    """
    counts = np.zeros((len(states), size, size))
    for own, trajectory in zip(counts, states, strict=True):
        np.add.at(own, (trajectory[:-lag], trajectory[lag:]), 1.0)
    return counts


def solve(counts: Float64, step: float) -> tuple[float, Float64]:
    """Fit a reversible Markov state model to the largest connected set of states.

    Parameters
    ----------
    counts : Float64[size, size]
        Counts of transitions.
    step : float
        Time of one transition, ps.

    Returns
    -------
    timescale : float
        Slowest implied time scale, ps.
    populations : Float64[size]
        Stationary probabilities; 0 for states that are not connected.
    """
    from deeptime.markov import TransitionCountModel
    from deeptime.markov.msm import MaximumLikelihoodMSM

    connected = TransitionCountModel(counts).submodel_largest()
    model = MaximumLikelihoodMSM(reversible=True).fit_fetch(connected)
    populations = np.zeros(len(counts))
    populations[connected.state_symbols] = model.stationary_distribution
    return float(model.timescales(1)[0]) * step, populations


def _resample(counts: Float64, resamples: int, seed: int) -> Float64:
    """Return the summed counts, Float64[resamples, size, size], of trajectories drawn with replacement."""
    number = len(counts)
    drawn = np.random.default_rng(seed).multinomial(number, np.full(number, 1.0 / number), size=resamples)
    return np.tensordot(drawn.astype(np.float64), counts, axes=1)


def _spread(samples: list[float]) -> float:
    """Return the standard deviation."""
    return float(np.std(samples, ddof=1))
