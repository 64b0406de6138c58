"""Decide whether the loop may stop. Pure; the thresholds are arguments.

A small change from one round to the next is no sign of convergence: as long as a basin has not been found, nothing
changes. So the rule asks for rounds, for entries into the basin and exits, and for a small statistical error.
"""

from __future__ import annotations


def is_converged(
    rounds: int,
    entries: int,
    exits: int,
    relative_error: float,
    *,
    minimum_rounds: int,
    minimum_crossings: int,
    maximum_relative_error: float,
) -> bool:
    """Tell whether the estimate rests on enough rounds, enough crossings and has a small enough error.

    Parameters
    ----------
    rounds : int
        Rounds done.
    entries, exits : int
        Entries into the basin at phi > 0 and exits from it so far.
    relative_error : float
        Bootstrap standard error of the slowest time scale, divided by that time scale.
    minimum_rounds : int
        Rounds needed.
    minimum_crossings : int
        Entries, and exits, needed.
    maximum_relative_error : float
        The relative error must be below this.

    Examples
    --------
    >>> is_converged(4, 12, 30, 0.1, minimum_rounds=4, minimum_crossings=10, maximum_relative_error=0.15)
    True
    >>> is_converged(4, 2, 30, 0.1, minimum_rounds=4, minimum_crossings=10, maximum_relative_error=0.15)
    False
    """
    enough_seen = rounds >= minimum_rounds and min(entries, exits) >= minimum_crossings
    return enough_seen and relative_error < maximum_relative_error
