"""What the solver's tests know by themselves: the games of the literature, and all extreme equilibria by brute force."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Profile = tuple[tuple[Fraction, ...], tuple[Fraction, ...]]


class Known(NamedTuple):
    """A game with its solution: cells are (user, assistant) payoffs, equilibria are written as text."""

    cells: str
    nash: tuple[str, ...]
    """Extreme equilibria, e.g. ``"2/3 1/3 | 1/3 2/3"``, the pure ones first, row by row."""
    payoffs: tuple[str, ...]
    """The payoffs in them."""


KNOWN = {
    "prisoner_dilemma": Known("3,3 0,5 / 5,0 1,1", ("0 1 | 0 1",), ("1 1",)),
    "stag_hunt": Known("3,3 0,1 / 1,0 1,1", ("1 0 | 1 0", "0 1 | 0 1", "1/3 2/3 | 1/3 2/3"), ("3 3", "1 1", "1 1")),
    "stag_hunt_hare": Known(
        "4,4 0,3 / 3,0 3,3", ("1 0 | 1 0", "0 1 | 0 1", "3/4 1/4 | 3/4 1/4"), ("4 4", "3 3", "3 3")
    ),
    "battle_of_sexes": Known(
        "2,1 0,0 / 0,0 1,2", ("1 0 | 1 0", "0 1 | 0 1", "2/3 1/3 | 1/3 2/3"), ("2 1", "1 2", "2/3 2/3")
    ),
    "wait_go": Known("0,0 0,2 / 2,0 -4,-4", ("1 0 | 0 1", "0 1 | 1 0", "2/3 1/3 | 2/3 1/3"), ("0 2", "2 0", "0 0")),
    "duopoly": Known(
        "0,0 0,9 0,14 0,15 0,12 0,5 / 9,0 7,7 5,10 3,9 1,4 -1,-5 / 14,0 10,5 6,6 2,3 -2,-4 -2,-5"
        " / 15,0 9,3 3,2 -3,-3 -3,-4 -3,-5 / 12,0 4,1 -4,-2 -4,-3 -4,-4 -4,-5 / 5,0 -5,-1 -5,-2 -5,-3 -5,-4 -5,-5",
        ("0 0 1 0 0 0 | 0 0 1 0 0 0",),
        ("6 6",),
    ),
    "prisoner_dilemma_large": Known("300,300 0,301 / 301,0 1,1", ("0 1 | 0 1",), ("1 1",)),
    "prisoner_dilemma_very_large": Known("1000,1000 0,1001 / 1001,0 1,1", ("0 1 | 0 1",), ("1 1",)),
    "prisoner_dilemma_small": Known("3,3 -300,5 / 5,-300 -299,-299", ("0 1 | 0 1",), ("-299 -299",)),
    "prisoner_dilemma_very_small": Known("3,3 -1000,5 / 5,-1000 -999,-999", ("0 1 | 0 1",), ("-999 -999",)),
    "stag_hunt_large": Known(
        "300,300 0,1 / 1,0 1,1", ("1 0 | 1 0", "0 1 | 0 1", "1/300 299/300 | 1/300 299/300"), ("300 300", "1 1", "1 1")
    ),
    "stag_hunt_very_large": Known(
        "1000,1000 0,1 / 1,0 1,1",
        ("1 0 | 1 0", "0 1 | 0 1", "1/1000 999/1000 | 1/1000 999/1000"),
        ("1000 1000", "1 1", "1 1"),
    ),
    "stag_hunt_small": Known(
        "3,3 -100,-99 / -99,-100 -99,-99",
        ("1 0 | 1 0", "0 1 | 0 1", "1/103 102/103 | 1/103 102/103"),
        ("3 3", "-99 -99", "-99 -99"),
    ),
    "stag_hunt_very_small": Known(
        "3,3 -1000,-999 / -999,-1000 -999,-999",
        ("1 0 | 1 0", "0 1 | 0 1", "1/1003 1002/1003 | 1/1003 1002/1003"),
        ("3 3", "-999 -999", "-999 -999"),
    ),
    "rock_paper_scissors": Known(
        "0,0 -1,1 1,-1 / 1,-1 0,0 -1,1 / -1,1 1,-1 0,0", ("1/3 1/3 1/3 | 1/3 1/3 1/3",), ("0 0",)
    ),
    "iesds": Known("13,3 1,4 7,3 / 4,1 3,3 6,2 / -1,9 2,8 8,-1", ("0 1 0 | 0 1 0",), ("3 3",)),
    "imbalanced_actions": Known("1,1 -1,2 5,0 1,1 / 2,3 1,2 3,0 5,1 / 1,1 0,5 1,7 0,1", ("0 1 0 | 1 0 0 0",), ("2 3",)),
    "weakly_dominated": Known("5,1 4,0 / 6,0 3,1 / 6,4 4,4", ("0 0 1 | 1 0", "0 0 1 | 0 1"), ("6 4", "4 4")),
    "radio_station": Known(
        "25,25 50,30 50,20 / 30,50 15,15 30,20 / 20,50 20,30 10,10",
        ("1 0 0 | 0 1 0", "0 1 0 | 1 0 0", "7/8 1/8 0 | 7/8 1/8 0"),
        ("50 30", "30 50", "225/8 225/8"),
    ),
    "chicken": Known(
        "-10,-10 1,-1 / -1,1 0,0",
        ("1 0 | 0 1", "0 1 | 1 0", "1/10 9/10 | 1/10 9/10"),
        ("1 -1", "-1 1", "-1/10 -1/10"),
    ),
    "odd_even": Known("-2,2 3,-3 / 3,-3 -4,4", ("7/12 5/12 | 7/12 5/12",), ("1/12 -1/12",)),
    "golden_balls": Known("4,4 0,8 / 8,0 0,0", ("1 0 | 0 1", "0 1 | 1 0", "0 1 | 0 1"), ("0 8", "8 0", "0 0")),
}
"""The matrices of arXiv 2411.05990 and its code, with the hare-risk-dominant stag hunt and Golden Balls."""


def matrices(name: str) -> tuple[Any, Any]:
    """Return the user's and the assistant's payoffs of a known game, as lists of integers."""
    rows = [[cell.split(",") for cell in row.split()] for row in KNOWN[name].cells.split("/")]
    user, assistant = ([[int(cell[side]) for cell in row] for row in rows] for side in (0, 1))
    return user, assistant


def written(profile: Sequence[Sequence[Any]]) -> str:
    """Return a profile of strategies as text."""
    return " | ".join(" ".join(map(str, strategy)) for strategy in profile)


def is_nash(
    user: Sequence[Sequence[Any]], assistant: Sequence[Sequence[Any]], x: Sequence[Any], y: Sequence[Any]
) -> bool:
    """Say by the definition whether each move that is played is a best response."""
    rows = [sum(a * b for a, b in zip(row, y, strict=True)) for row in user]
    columns = [sum(a * b for a, b in zip(column, x, strict=True)) for column in zip(*assistant, strict=True)]
    pairs = (zip(x, rows, strict=True), max(rows)), (zip(y, columns, strict=True), max(columns))
    return all(share == 0 or value == best for moves, best in pairs for share, value in moves)


def brute_force(users: NDArray[np.int64], assistants: NDArray[np.int64]) -> list[tuple[set[Profile], bool]]:
    """Return, for many games of one shape, the extreme equilibria and whether the game is degenerate.

    Every basis of each best-response polyhedron is solved by Cramer's rule with whole determinants; every pair of feasible
    points is held against the definition of an equilibrium.

    Args:
        users: The row player's payoffs, small integers, shape (games, m, n).
        assistants: The column player's, the same shape.
    """
    rows, columns = _corners(assistants.transpose(0, 2, 1)), _corners(users)
    found = []
    for user, assistant, (xs, simple_x), (ys, simple_y) in zip(users, assistants, rows, columns, strict=True):
        a, b = user.tolist(), assistant.tolist()
        profiles = {(_shares(x), _shares(y)) for x in xs for y in ys if is_nash(a, b, x, y)}
        found.append((profiles, not (simple_x and simple_y)))
    return found


def _corners(payoffs: NDArray[np.int64]) -> list[tuple[set[tuple[int, ...]], bool]]:
    """Return the vertices of v ≥ payoffs · x over mixed strategies x, and whether each lies on as few facets as can be."""
    games, others, own = payoffs.shape
    found: list[set[tuple[int, ...]]] = [set() for _ in range(games)]
    facets = np.concatenate([np.tile(np.eye(own, dtype=np.int64), (games, 1, 1)), payoffs], axis=1)
    column = np.array([0] * own + [-1] * others)  # the coefficient of v
    for basis in itertools.combinations(range(own + others), own):
        system = np.zeros((games, own + 1, own + 1))
        system[:, :own, :own] = facets[:, basis]
        system[:, :own, own] = column[list(basis)]
        system[:, own, :own] = 1
        bottom = np.zeros(own + 1)
        bottom[own] = 1
        whole = np.rint(np.linalg.det(system)).astype(np.int64)
        point = np.empty((games, own + 1), dtype=np.int64)
        for k in range(own + 1):
            replaced = system.copy()
            replaced[:, :, k] = bottom
            point[:, k] = np.rint(np.linalg.det(replaced))
        point *= np.sign(whole)[:, None]
        slack = np.concatenate(
            [point[:, :own], point[:, own:] - np.einsum("gji,gi->gj", payoffs, point[:, :own])], axis=1
        )
        feasible = (whole != 0) & (slack >= 0).all(axis=1)
        for game in np.flatnonzero(feasible):
            ints = point[game, :own].tolist()
            divisor = math.gcd(*ints)
            found[game].add(tuple(number // divisor for number in ints))
    return [(points, all(_facets_met(x, payoffs[g]) == own for x in points)) for g, points in enumerate(found)]


def _facets_met(x: tuple[int, ...], payoffs: NDArray[np.int64]) -> int:
    values = payoffs @ np.array(x)
    return sum(share == 0 for share in x) + int((values == values.max()).sum())


def _shares(x: tuple[int, ...]) -> tuple[Fraction, ...]:
    return tuple(Fraction(number, sum(x)) for number in x)
