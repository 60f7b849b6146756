"""The matrix games as data: moves, payoffs, variants.

Payoffs are those of the games in Hua et al. 2024 (arXiv 2411.05990) and of its public code, where not said otherwise. The user is
the row player (their Alice), the assistant the column player (their Bob). Names of moves are ours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

__all__ = ["CLASSIC", "MATRICES", "MatrixGame", "cells"]

CLASSIC = "classic"
"""The name of a game's own payoffs, among its variants."""

Matrix = tuple[tuple[float, ...], ...]
Pair = tuple[float, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MatrixGame:
    """One game of the catalogue.

    Example:
        >>> MATRICES["stag_hunt"].variants["classic"][0]
        ((3, 0), (1, 1))
    """

    name: str
    """In snake_case: the short name of the scenario."""
    description: str
    """One sentence for lists: who decides what, and what makes it hard."""
    user_moves: tuple[str, ...]
    """Names of the rows."""
    assistant_moves: tuple[str, ...]
    """Names of the columns."""
    variants: Mapping[str, tuple[Matrix, Matrix]]
    """Payoffs (user's, assistant's) by variant, utils, each of shape (rows, columns); ``"classic"`` is the game's own."""


def cells(*rows: Sequence[Pair]) -> tuple[Matrix, Matrix]:
    """Return both payoff matrices from rows of (user, assistant) pairs.

    Example:
        >>> cells([(3, 3), (0, 5)], [(5, 0), (1, 1)])
        (((3, 0), (5, 1)), ((3, 5), (0, 1)))
    """
    user = tuple(tuple(pair[0] for pair in row) for row in rows)
    assistant = tuple(tuple(pair[1] for pair in row) for row in rows)
    return user, assistant


def _dilemma(reward: float, sucker: float, temptation: float, punishment: float) -> tuple[Matrix, Matrix]:
    """Return a symmetric 2x2 game from the row player's payoffs."""
    return cells(
        [(reward, reward), (sucker, temptation)],
        [(temptation, sucker), (punishment, punishment)],
    )


def _duopoly() -> tuple[Matrix, Matrix]:
    """Return the quantity duopoly: the price is max(12 - 2Q, 0) for Q units in all, and a unit costs 1."""
    quantities = range(6)
    user = tuple(tuple(float(q * (max(12 - 2 * (q + r), 0) - 1)) for r in quantities) for q in quantities)
    return user, tuple(zip(*user, strict=True))


_QUANTITIES = tuple(f"q{quantity}" for quantity in range(6))
_ROWS = ("top", "middle", "bottom")

MATRICES: dict[str, MatrixGame] = {
    game.name: game
    for game in (
        MatrixGame(
            name="prisoners_dilemma",
            description=(
                "Cooperate or defect: defecting pays whatever the other does, yet two defectors do worse than two cooperators."
            ),
            user_moves=("cooperate", "defect"),
            assistant_moves=("cooperate", "defect"),
            variants={
                CLASSIC: _dilemma(3, 0, 5, 1),
                "large": _dilemma(300, 0, 301, 1),
                "very_large": _dilemma(1000, 0, 1001, 1),
                "small": _dilemma(3, -300, 5, -299),
                "very_small": _dilemma(3, -1000, 5, -999),
            },
        ),
        MatrixGame(
            name="stag_hunt",
            description="Hunt the stag together or a hare alone: the best outcome takes two, the safe one takes nobody else.",
            user_moves=("stag", "hare"),
            assistant_moves=("stag", "hare"),
            variants={
                CLASSIC: _dilemma(3, 0, 1, 1),
                "large": _dilemma(300, 0, 1, 1),
                "very_large": _dilemma(1000, 0, 1, 1),
                "small": _dilemma(3, -100, -99, -99),
                "very_small": _dilemma(3, -1000, -999, -999),
                "hare_risk_dominant": _dilemma(4, 0, 3, 3),  # our own: in all the others the stag is the safer bet too
            },
        ),
        MatrixGame(
            name="battle_of_sexes",
            description="Opera or football: both would rather go together than alone, but each has a favourite.",
            user_moves=("opera", "football"),
            assistant_moves=("opera", "football"),
            variants={CLASSIC: cells([(2, 1), (0, 0)], [(0, 0), (1, 2)])},
        ),
        MatrixGame(
            name="wait_go",
            description="Two cars at a crossing: one should go and one should wait, and two that go collide.",
            user_moves=("wait", "go"),
            assistant_moves=("wait", "go"),
            variants={CLASSIC: cells([(0, 0), (0, 2)], [(2, 0), (-4, -4)])},
        ),
        MatrixGame(
            name="duopoly",
            description="Two firms choose how much to make (q0 to q5): the price falls with what both bring to market.",
            user_moves=_QUANTITIES,
            assistant_moves=_QUANTITIES,
            variants={CLASSIC: _duopoly()},
        ),
        MatrixGame(
            name="rock_paper_scissors",
            description="Each move beats one and loses to one: what the other can foresee, it beats.",
            user_moves=("rock", "paper", "scissors"),
            assistant_moves=("rock", "paper", "scissors"),
            variants={
                CLASSIC: cells([(0, 0), (-1, 1), (1, -1)], [(1, -1), (0, 0), (-1, 1)], [(-1, 1), (1, -1), (0, 0)])
            },
        ),
        MatrixGame(
            name="iesds",
            description="Three moves a side, and four steps of striking out dominated ones leave a single outcome.",
            user_moves=_ROWS,
            assistant_moves=("left", "centre", "right"),
            variants={CLASSIC: cells([(13, 3), (1, 4), (7, 3)], [(4, 1), (3, 3), (6, 2)], [(-1, 9), (2, 8), (8, -1)])},
        ),
        MatrixGame(
            name="imbalanced_actions",
            description="Three moves against four: the sides differ in what they can do, and dominance still leaves one outcome.",
            user_moves=_ROWS,
            assistant_moves=("left", "centre_left", "centre_right", "right"),
            variants={
                CLASSIC: cells(
                    [(1, 1), (-1, 2), (5, 0), (1, 1)],
                    [(2, 3), (1, 2), (3, 0), (5, 1)],
                    [(1, 1), (0, 5), (1, 7), (0, 1)],
                )
            },
        ),
        MatrixGame(
            name="weakly_dominated",
            description="Nothing is strictly dominated, the bottom row weakly dominates: the assistant is indifferent along it.",
            user_moves=_ROWS,
            assistant_moves=("left", "right"),
            variants={CLASSIC: cells([(5, 1), (4, 0)], [(6, 0), (3, 1)], [(6, 4), (4, 4)])},
        ),
        MatrixGame(
            name="radio_station",
            description="Two stations choose a format: audiences of 50, 30 and 20 percent, halved when both play the same.",
            user_moves=("pop", "news", "jazz"),
            assistant_moves=("pop", "news", "jazz"),
            variants={
                CLASSIC: cells(
                    [(25, 25), (50, 30), (50, 20)], [(30, 50), (15, 15), (30, 20)], [(20, 50), (20, 30), (10, 10)]
                )
            },
        ),
        MatrixGame(
            name="chicken",
            description="Go straight or swerve: swerving first loses face, and nobody swerving loses far more.",
            user_moves=("straight", "swerve"),
            assistant_moves=("straight", "swerve"),
            variants={CLASSIC: cells([(-10, -10), (1, -1)], [(-1, 1), (0, 0)])},
        ),
        MatrixGame(
            name="odd_even",
            description="Show one or two fingers: the sum goes to the user when it is odd, to the assistant when it is even.",
            user_moves=("one", "two"),
            assistant_moves=("one", "two"),
            variants={CLASSIC: cells([(-2, 2), (3, -3)], [(3, -3), (-4, 4)])},
        ),
    )
}
"""The games by name. Golden Balls, whose payoffs are an option, is made by ``catalogue.golden_balls``."""
