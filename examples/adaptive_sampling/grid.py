"""Divide the (phi, psi) torus into equal square states. Pure.

A fixed grid, not clusters: states mean the same in every round and in the reference run, need no seed, and do not
change when data are added. State number = bin of phi * number of bins + bin of psi.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def assign(dihedrals: npt.NDArray[np.float64], bins: int) -> npt.NDArray[np.int64]:
    """Find the state of every frame.

    Parameters
    ----------
    dihedrals : Float64[..., 2]
        phi and psi, degrees.
    bins : int
        Bins per dihedral; the first begins at -180 degrees.

    Returns
    -------
    Int64[...]
        States, from 0 to bins**2 - 1.

    Examples
    --------
    >>> int(assign(np.array([-180.0, -150.0]), bins=12))
    1
    """
    index = np.floor((dihedrals + 180.0) / 360.0 * bins).astype(np.int64) % bins
    return index[..., 0] * bins + index[..., 1]


def within(interval: tuple[float, float], bins: int) -> npt.NDArray[np.bool_]:
    """Tell which states have the centre of their phi bin in `interval` (degrees); Boolean[bins**2]."""
    centres = -180.0 + (np.arange(bins) + 0.5) * 360.0 / bins
    return np.repeat((centres > interval[0]) & (centres < interval[1]), bins)
