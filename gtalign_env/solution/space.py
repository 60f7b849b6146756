"""A solved game in payoff space: outcomes as points, and the points that matter among them."""

from __future__ import annotations

import dataclasses

__all__ = ["PayoffSpace", "Point", "merged"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """One point of the payoff space.

    Example:
        >>> Point(name="DQ_AQ", user=3.0, assistant=3.0).marks
        ()
    """

    name: str
    """What it is called in the figure."""
    user: float
    """The user's payoff, utils."""
    assistant: float
    """The assistant's payoff, utils."""
    marks: tuple[str, ...] = ()
    """What it is: ``"pareto"``, ``"nash"``, ``"optimum"``, ``"bargaining: …"``, ``"choice"``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PayoffSpace:
    """What a payoff-space figure shows."""

    cells: tuple[Point, ...]
    """The outcomes that can be reached without chance; their hull can be reached with it."""
    others: tuple[Point, ...] = ()
    """Points that are no single outcome: mixed equilibria, bargaining solutions on the hull."""
    disagreement: tuple[float, float] = (0.0, 0.0)
    """What (user, assistant) get without each other, utils."""
    welfare: str = ""
    """The welfare function whose contour runs through the optimum; none when empty."""
    outcomes: str = "cell"
    """What a point of ``cells`` is, in the singular."""
    nash: str = "Nash equilibrium"
    """What the mark ``"nash"`` means."""


def merged(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """Return the points with those of equal payoffs as one, whose name joins theirs, those with the most marks first.

    Example:
        >>> both = merged((Point(name="a", user=1, assistant=1), Point(name="b", user=1, assistant=1, marks=("nash",))))
        >>> both[0].name, both[0].marks
        ('b, a', ('nash',))
    """
    places: dict[tuple[float, float], list[Point]] = {}
    for point in points:
        places.setdefault((round(point.user, 9), round(point.assistant, 9)), []).append(point)
    return tuple(
        dataclasses.replace(
            same[0],
            name=", ".join(point.name for point in sorted(same, key=lambda point: -len(point.marks))),
            marks=tuple(dict.fromkeys(mark for point in same for mark in point.marks)),
        )
        for same in places.values()
    )
