"""Run molecular dynamics: one start, one seed, one trajectory.

The same arguments give the same bits in every process: one thread, deterministic forces, no clock, no other randomness
than the seed. Never reads or writes a file, apart from the number of the core it is on (`affinity`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from affinity import one_core

Float32 = npt.NDArray[np.float32]


def simulate(
    start: Float32,
    seed: int,
    *,
    system: str,
    temperature: float,
    friction: float,
    time_step: float,
    steps_per_frame: int,
    frames: int,
    platform: str = "CPU",
) -> Float32:
    """Simulate Langevin dynamics from `start` with fresh velocities.

    Parameters
    ----------
    start : Float32[n_atoms, 3]
        First coordinates, nm.
    seed : int
        Not negative; of the velocities and of the random force.
    system : str
        OpenMM system as XML.
    temperature : float
        K.
    friction : float
        1/ps.
    time_step : float
        fs.
    steps_per_frame : int
        Steps from one frame to the next.
    frames : int
        Number of frames after the first one.
    platform : str
        OpenMM platform.

    Returns
    -------
    Float32[frames + 1, n_atoms, 3]
        Coordinates in nm; the first frame is `start`.

    Notes
    -----
    Source: Z. Zhang, X. Liu, K. Yan, M. E. Tuckerman, J. Liu, "Unified efficient thermostat scheme for the canonical
    ensemble with holonomic or isokinetic constraints via molecular dynamics", J. Phys. Chem. A 123 (2019) 6056 (the
    "middle" scheme).
    """
    trajectory = np.empty((frames + 1, *start.shape), dtype=np.float32)
    trajectory[0] = start
    of_force, of_velocities = seed_pair(seed)
    with one_core():
        context, integrator = _prepare(system, platform, temperature, friction, time_step, of_force)
        context.setPositions(start)
        context.setVelocitiesToTemperature(temperature, of_velocities)
        for frame in trajectory[1:]:
            integrator.step(steps_per_frame)
            frame[:] = context.getState(getPositions=True).getPositions(asNumpy=True)._value
        del context, integrator
    return trajectory


def seed_pair(seed: int) -> tuple[int, int]:
    """Return two independent positive seeds: of the random force and of the velocities.

    Two, because OpenMM draws both with the same generator: with one seed, the first random force would not be independent
    of the velocities. OpenMM takes a seed of 0 as "choose one".
    """
    force, velocities = np.random.SeedSequence(seed).generate_state(2).astype(np.int64) % (2**31 - 2) + 1
    return int(force), int(velocities)


def _prepare(
    system: str, platform: str, temperature: float, friction: float, time_step: float, seed: int
) -> tuple[Any, Any]:
    """Return an OpenMM context and its integrator."""
    import openmm
    from openmm import unit

    integrator = openmm.LangevinMiddleIntegrator(
        temperature * unit.kelvin, friction / unit.picosecond, time_step * unit.femtosecond
    )
    integrator.setRandomNumberSeed(seed)
    deterministic = {"Threads": "1", "DeterministicForces": "true"} if platform == "CPU" else {}
    context = openmm.Context(
        openmm.XmlSerializer.deserialize(system),
        integrator,
        openmm.Platform.getPlatformByName(platform),
        deterministic,
    )
    return context, integrator
