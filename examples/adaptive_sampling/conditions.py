"""Name every number of the study once, with its unit and its reason.

Only constants: nothing is read here. The loop and the reference run share them, so that both estimate the same
quantity; changing one changes the identity of the nodes that use it, and nothing else is run again.
"""

from __future__ import annotations

TEMPERATURE = 600.0
"""Kelvin. Raised until phi > 0 is entered several times per nanosecond; see README.md."""

FRICTION = 1.0
"""Langevin friction, 1/ps."""

TIME_STEP = 4.0
"""Femtoseconds; hydrogens weigh 3 u and their bonds are rigid, see `molecule.build`."""

STEPS_PER_FRAME = 50
"""Steps between two frames: 0.2 ps."""

FRAME_INTERVAL = STEPS_PER_FRAME * TIME_STEP / 1000.0
"""Picoseconds between two frames."""

FRAMES = 100
"""Frames after the first one: 20 ps per trajectory, about five times the slowest time scale."""

TRAJECTORIES = 12
"""Trajectories per round: 0.24 ns."""

PLATFORM = "CPU"
"""OpenMM platform, run with one thread and deterministic forces."""

BINS = 12
"""Bins per dihedral: 144 states of 30 x 30 degrees. Their edges lie on the barriers at phi = 0 and 120 degrees."""

LAG = 5
"""Lag of the Markov state model, in frames: 1 ps. `reference.json` shows how the time scale depends on it."""

RESAMPLES = 100
"""Bootstrap samples of the trajectories."""

BASIN = (0.0, 120.0)
"""Degrees of phi that make up the basin at phi > 0."""

BASIN_CORE = (30.0, 90.0)
"""Degrees of phi that must be reached for an entry into the basin to count."""

OUTER_CORE = (-160.0, -40.0)
"""Degrees of phi that must be reached for an exit from the basin to count."""

MINIMUM_ROUNDS = 6
"""Rounds before the estimate may be called converged. Over fewer, the bootstrap itself is too often too sure."""

MAXIMUM_ROUNDS = 16
"""Rounds after which the loop gives up."""

MAXIMUM_RELATIVE_ERROR = 0.15
"""Bootstrap standard error of the slowest time scale, relative to it, below which it has converged."""

MINIMUM_CROSSINGS = 10
"""Entries into and exits from the basin, each, that must have been seen."""

SEED = 2024
"""From which the seeds of all trajectories, choices and resamples follow."""
