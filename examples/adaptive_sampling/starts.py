"""Choose where trajectories start: first from one structure, then in the states seen least.

Deterministic for a given seed.
"""

from __future__ import annotations

import grid
import numpy as np
import numpy.typing as npt


def replicate(structure: npt.NDArray[np.float32], *, number: int) -> npt.NDArray[np.float32]:
    """Repeat one structure, Float32[n_atoms, 3], as the starts of the first round, Float32[number, n_atoms, 3]."""
    return np.repeat(structure[np.newaxis], number, axis=0)


def choose(
    positions: npt.NDArray[np.float32],
    dihedrals: npt.NDArray[np.float64],
    seed: int,
    *,
    number: int,
    bins: int,
) -> npt.NDArray[np.float32]:
    """Choose one fresh frame in each of the `number` states with the least counts.

    A frame that trajectories have started from is not fresh: starting from it again and again would make the model take
    what follows from one point for what follows from a whole state. States with equal counts come in random order, and the
    frame of a state is drawn at random. If fewer than `number` states have fresh frames, they are used again from the first.

    Parameters
    ----------
    positions : Float32[n_trajectories, n_frames, n_atoms, 3]
        All frames so far, nm.
    dihedrals : Float64[n_trajectories, n_frames, 2]
        Their phi and psi, degrees.
    seed : int
        Of the random orders.
    number : int
        Frames to choose.
    bins : int
        Bins per dihedral.

    Returns
    -------
    Float32[number, n_atoms, 3]
        Coordinates, nm.

    Notes
    -----
    Source: J. K. Weber, V. S. Pande, "Characterization and rapid sampling of protein folding Markov state model
    topologies", J. Chem. Theory Comput. 7 (2011) 3405 (sampling by least counts).
    """
    random = np.random.default_rng(seed)
    frames = positions.reshape(-1, *positions.shape[-2:])
    states = grid.assign(dihedrals, bins).reshape(-1)
    counts = np.bincount(states, minlength=bins**2)
    candidates = np.flatnonzero(is_fresh(frames))
    shuffled = random.permutation(np.unique(states[candidates]))
    rarest = shuffled[np.argsort(counts[shuffled], kind="stable")]
    return frames[[random.choice(candidates[states[candidates] == state]) for state in np.resize(rarest, number)]]


def is_fresh(frames: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Tell which frames, Float32[n, n_atoms, 3], no trajectory has started from; Boolean[n].

    A start is the first frame of its trajectory and a copy of an earlier frame, so it occurs more than once.
    """
    _, inverse, occurrences = np.unique(
        frames.reshape(len(frames), -1), axis=0, return_inverse=True, return_counts=True
    )
    fresh: npt.NDArray[np.bool_] = occurrences[inverse.reshape(-1)] == 1
    return fresh
