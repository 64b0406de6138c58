"""Make the molecule ready to be simulated: its force field and a relaxed structure.

Takes the texts of the input files, not their names, so that the identity of the work follows their contents.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt

ATOMS = 22
"""Atoms of alanine dipeptide with its caps."""

HYDROGEN_MASS = 3.0
"""Atomic mass units; what a hydrogen gains its heavy atom loses."""

RELAXATION_STEPS = 100
"""Most iterations of the energy minimiser."""


class Molecule(TypedDict):
    """A molecule ready to be simulated."""

    system: str
    """OpenMM system as XML."""
    positions: npt.NDArray[np.float32]
    """Relaxed coordinates in nm, Float32[n_atoms, 3]."""


def build(topology: str, coordinates: str) -> Molecule:
    """Build the OpenMM system of an AMBER molecule in implicit solvent, and relax its structure.

    Implicit solvent is the generalised Born model OBC2; bonds with hydrogen are rigid; hydrogens are made heavy so that
    a time step of 4 fs is stable.

    Parameters
    ----------
    topology : str
        Text of an AMBER `.prmtop` file.
    coordinates : str
        Text of an AMBER `.crd` file.

    Returns
    -------
    Molecule
        The system as XML and the relaxed coordinates, Float32[n_atoms, 3], nm.

    Notes
    -----
    Source: A. Onufriev, D. Bashford, D. A. Case, "Exploring protein native states and large-scale conformational
    changes with a modified generalized Born model", Proteins 55 (2004) 383, model II (OBC2). C. W. Hopkins,
    S. Le Grand, R. C. Walker, A. E. Roitberg, "Long-time-step molecular dynamics through hydrogen mass repartitioning",
    J. Chem. Theory Comput. 11 (2015) 1864.
    """
    import openmm
    from openmm import app, unit

    with tempfile.TemporaryDirectory() as folder:  # OpenMM's readers want files
        Path(folder, "molecule.prmtop").write_text(topology)
        Path(folder, "molecule.crd").write_text(coordinates)
        parameters = app.AmberPrmtopFile(f"{folder}/molecule.prmtop")
        positions = app.AmberInpcrdFile(f"{folder}/molecule.crd").positions
    system = parameters.createSystem(
        implicitSolvent=app.OBC2, constraints=app.HBonds, hydrogenMass=HYDROGEN_MASS * unit.amu
    )
    xml: str = openmm.XmlSerializer.serialize(system)
    return {"system": xml, "positions": _relax(system, positions.value_in_unit(unit.nanometer))}


def _relax(system: object, positions: object) -> npt.NDArray[np.float32]:
    """Return the coordinates, nm, of the nearest minimum of the energy."""
    import openmm
    from openmm import unit

    platform = openmm.Platform.getPlatformByName("Reference")  # one thread, double precision: the same everywhere
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(positions)
    openmm.LocalEnergyMinimizer.minimize(context, maxIterations=RELAXATION_STEPS)
    relaxed = context.getState(getPositions=True).getPositions(asNumpy=True)
    return np.asarray(relaxed.value_in_unit(unit.nanometer), dtype=np.float32)
