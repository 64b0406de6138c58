"""Draw the free energy over phi and psi, and where the trajectories of each round started.

Returns the picture as bytes, so that drawing is an operation like any other: kept, and not done twice. Writes no file.
"""

from __future__ import annotations

import io
from typing import Any

import grid
import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

GAS_CONSTANT = 8.31446261815324e-3
"""kJ/(mol K). Source: CODATA 2018."""

PIXELS = 120
"""Cells of the picture per dihedral: 3 degrees."""

SMOOTHING = 6.0
"""Degrees; standard deviation of the Gaussian by which every frame is smeared out, on the torus."""

CEILING = 30.0
"""kJ/mol; higher free energies stay white."""


def draw(
    dihedrals: Float64,
    populations: Float64,
    *,
    bins: int,
    temperature: float,
    basin: tuple[float, float],
    per_round: int,
) -> bytes:
    """Draw the free energy and the starts.

    Parameters
    ----------
    dihedrals : Float64[n_trajectories, n_frames, 2]
        phi and psi, degrees; a trajectory's first frame is its start.
    populations : Float64[bins**2]
        Equilibrium probabilities of the states.
    bins : int
        Bins per dihedral.
    temperature : float
        K.
    basin : (float, float)
        Degrees of phi between which the basin lies.
    per_round : int
        Trajectories per round.

    Returns
    -------
    bytes
        A PNG file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.8, 6.3), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)  # the picture in memory: no window, no global state
    axes = figure.add_subplot()
    _draw_landscape(figure, axes, free_energy(dihedrals, populations, bins=bins, temperature=temperature))
    _draw_starts(axes, dihedrals[:, 0].reshape(-1, per_round, 2))
    _label(axes, temperature, basin)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def free_energy(dihedrals: Float64, populations: Float64, *, bins: int, temperature: float) -> Float64:
    """Compute the free energy from frames that are weighted by the model.

    Adaptive starts make rare states frequent. Each frame therefore counts as the equilibrium probability of its state,
    divided by the number of frames in that state.

    Parameters
    ----------
    dihedrals : Float64[n_trajectories, n_frames, 2]
        phi and psi, degrees.
    populations : Float64[bins**2]
        Equilibrium probabilities of the states.
    bins : int
        Bins per dihedral.
    temperature : float
        K.

    Returns
    -------
    Float64[PIXELS, PIXELS]
        kJ/mol above the minimum, phi along the first axis, psi along the second; infinite where nothing was seen.
    """
    from scipy.ndimage import gaussian_filter

    states = grid.assign(dihedrals, bins).reshape(-1)
    weights = populations[states] / np.bincount(states, minlength=bins**2)[states]
    edges = np.linspace(-180.0, 180.0, PIXELS + 1)
    phi, psi = dihedrals.reshape(-1, 2).T
    density, _, _ = np.histogram2d(phi, psi, bins=(edges, edges), weights=weights)
    density = gaussian_filter(density, SMOOTHING * PIXELS / 360.0, mode="wrap")
    with np.errstate(divide="ignore"):
        energy: Float64 = -GAS_CONSTANT * temperature * np.log(density / density.max())
    return energy


def _draw_landscape(figure: Any, axes: Any, energy: Float64) -> None:
    """Draw filled contours, continued over the seam at 180 degrees, and their colour bar."""
    centres = -180.0 + (np.arange(-1, PIXELS + 1) + 0.5) * 360.0 / PIXELS
    field = np.pad(energy, 1, mode="wrap").T
    levels = np.arange(0.0, CEILING + 0.1, 2.5)
    filled = axes.contourf(centres, centres, np.ma.masked_greater(field, CEILING), levels, cmap="Greys_r")
    bar = figure.colorbar(filled, ax=axes, pad=0.02, ticks=np.arange(0.0, CEILING + 0.1, 5.0))
    bar.set_label("free energy (kJ/mol)")


def _draw_starts(axes: Any, starts: Float64) -> None:
    """Draw the starts, Float64[rounds, per_round, 2], one colour per round."""
    from matplotlib import colormaps

    colours = colormaps["turbo"](np.linspace(0.05, 0.95, len(starts)))
    for number, (points, colour) in enumerate(zip(starts, colours, strict=True), start=1):
        axes.scatter(*points.T, s=38, color=colour, edgecolor="black", linewidth=0.5, label=str(number), zorder=3)


def _label(axes: Any, temperature: float, basin: tuple[float, float]) -> None:
    """Label the axes in degrees, mark the borders of the basin, and explain the colours."""
    ticks = np.arange(-180, 181, 60)
    axes.set(xlim=(-180, 180), ylim=(-180, 180), xticks=ticks, yticks=ticks, aspect="equal")
    axes.set(xlabel=r"$\phi$ (degrees)", ylabel=r"$\psi$ (degrees)")
    axes.set_title(f"Alanine dipeptide, implicit solvent, {temperature:g} K", fontsize=10, loc="left")
    axes.text(sum(basin) / 2.0, 183.0, "basin", color="tab:red", fontsize=9, ha="center", va="bottom")
    for border in basin:
        axes.axvline(border, color="tab:red", linewidth=0.9, linestyle=(0, (4, 3)), zorder=2)
    axes.figure.legend(title="starts of round", loc="outside lower center", ncols=8, frameon=False, columnspacing=1.2)
