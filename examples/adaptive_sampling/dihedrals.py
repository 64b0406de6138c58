"""Measure the backbone dihedrals phi and psi of alanine dipeptide. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

PHI = (4, 6, 8, 14)
"""Atoms C, N, CA, C, counted from 0."""

PSI = (6, 8, 14, 16)
"""Atoms N, CA, C, N, counted from 0."""


def measure(positions: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Measure phi and psi of every frame.

    Parameters
    ----------
    positions : Float32[..., n_atoms, 3]
        Coordinates, any unit of length.

    Returns
    -------
    Float64[..., 2]
        phi and psi in degrees, from -180 to 180.
    """
    return np.stack([torsion(positions, PHI), torsion(positions, PSI)], axis=-1)


def torsion(positions: npt.NDArray[np.float32], atoms: tuple[int, int, int, int]) -> npt.NDArray[np.float64]:
    """Measure one torsion angle, in degrees, Float64[...], of coordinates Float32[..., n_atoms, 3].

    Notes
    -----
    Source: A. Blondel, M. Karplus, "New formulation for derivatives of torsion angles and improper torsion angles in
    molecular mechanics", J. Comput. Chem. 17 (1996) 1132, equation 9 (signs after IUPAC).
    """
    first, second, third, fourth = (positions[..., atom, :].astype(np.float64) for atom in atoms)
    axis = third - second
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    before = _across(first - second, axis)
    after = _across(fourth - third, axis)
    sine = np.sum(np.cross(axis, before) * after, axis=-1)
    cosine = np.sum(before * after, axis=-1)
    angle: npt.NDArray[np.float64] = np.degrees(np.arctan2(sine, cosine))
    return angle


def _across(vector: npt.NDArray[np.float64], axis: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the part of `vector` at right angles to the unit vector `axis`."""
    across: npt.NDArray[np.float64] = vector - np.sum(vector * axis, axis=-1, keepdims=True) * axis
    return across
