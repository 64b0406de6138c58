"""Say in words what came out, with the reference figures beside it. Pure: returns text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rounds import Round

STANDARD_ERRORS = 2.0
"""Two figures agree if they differ by at most this many combined standard errors (95 % for a normal distribution)."""


def agrees(found: float, error: float, expected: float, expected_error: float) -> bool:
    """Tell whether two figures agree within their standard errors.

    Examples
    --------
    >>> agrees(4.0, 0.3, 4.5, 0.1), agrees(4.0, 0.1, 4.5, 0.1)
    (True, False)
    """
    return abs(found - expected) <= STANDARD_ERRORS * math.hypot(error, expected_error)


def describe(history: list[Round], reference: Mapping[str, Any]) -> str:
    """Describe the rounds and compare the last one with the reference.

    Parameters
    ----------
    history : list of Round
        At least one round.
    reference : mapping
        The content of `reference.json`.
    """
    last = history[-1]
    end = "converged" if last["converged"] else "NOT converged: the greatest number of rounds was reached"
    return "\n".join(
        [
            _table(history),
            "",
            f"{len(history)} rounds, {last['trajectories']} trajectories, {last['length']:.2f} ns in all; {end}.",
            f"The reference is one run of {reference['conditions']['length_ns']:g} ns.",
            _compare("slowest time scale", "ps", 1.0, last, "timescale", reference, "slowest_timescale", "_ps"),
            _compare("population of phi > 0", "%", 100.0, last, "basin_population", reference, "basin_population", ""),
        ]
    )


def _table(history: list[Round]) -> str:
    """Return one line per round."""
    head = "round    ns  slowest time scale (ps)  phi > 0 (%)   entries  exits"
    lines = [
        f"{number:5d} {row['length']:5.2f}      {row['timescale']:6.2f} +- {row['timescale_error']:5.2f}"
        f"       {100 * row['basin_population']:5.2f} +- {100 * row['basin_population_error']:4.2f}"
        f"  {row['entries']:5d}  {row['exits']:5d}"
        for number, row in enumerate(history, start=1)
    ]
    return "\n".join([head, *lines])


def _compare(
    name: str,
    unit: str,
    factor: float,
    last: Round,
    label: str,
    reference: Mapping[str, Any],
    reference_label: str,
    suffix: str,
) -> str:
    """Return one line: figure, reference, verdict."""
    figures: Mapping[str, Any] = last
    found, error = figures[label], figures[f"{label}_error"]
    expected, expected_error = reference[f"{reference_label}{suffix}"], reference[f"{reference_label}_error{suffix}"]
    verdict = "agrees" if agrees(found, error, expected, expected_error) else "DISAGREES"
    return (
        f"{name}: {factor * found:.2f} +- {factor * error:.2f} {unit}, "
        f"reference {factor * expected:.2f} +- {factor * expected_error:.2f} {unit}: {verdict}"
    )
