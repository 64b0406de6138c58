"""Count how often trajectories enter and leave the basin at phi > 0. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def count(phi: npt.NDArray[np.float64], *, core: tuple[float, float], outer: tuple[float, float]) -> tuple[int, int]:
    """Count the entries into a basin and the exits from it.

    Only going from one core to the other counts; wandering on the barrier between does not.

    Parameters
    ----------
    phi : Float64[n_trajectories, n_frames]
        Degrees.
    core : (float, float)
        Degrees of phi that make up the core of the basin.
    outer : (float, float)
        Degrees of phi that make up the core of the world outside.

    Returns
    -------
    entries, exits : int
        Summed over all trajectories.

    Notes
    -----
    Source: C. Schütte, F. Noé, J. Lu, M. Sarich, E. Vanden-Eijnden, "Markov state models based on milestoning",
    J. Chem. Phys. 134 (2011) 204105 (core sets).

    Examples
    --------
    >>> count(np.array([[-80.0, 5.0, 50.0, 100.0, 50.0, -90.0]]), core=(30, 90), outer=(-160, -40))
    (1, 1)
    """
    sides = np.zeros(phi.shape, dtype=np.int64)
    sides[(phi > core[0]) & (phi < core[1])] = 1
    sides[(phi > outer[0]) & (phi < outer[1])] = -1
    changes = [np.diff(trajectory[trajectory != 0]) for trajectory in sides]
    return sum(int((change > 0).sum()) for change in changes), sum(int((change < 0).sum()) for change in changes)
