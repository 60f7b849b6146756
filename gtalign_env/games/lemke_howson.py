"""Lemke and Howson's path to one equilibrium, exact and lexicographic.

The tableaux hold integers over one common denominator (Edmonds 1967; von Stengel 2002, section 3); ties in the ratio test are
broken lexicographically, so that no basis comes twice and the path ends in degenerate games too.
"""

from __future__ import annotations

import math

import numpy as np

from gtalign_env.games.simplex import Exact, leaving_line, pivoted

__all__ = ["complementary_pair"]


def complementary_pair(user: Exact, assistant: Exact) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the weights of one equilibrium: where the path that begins by dropping the first row's label ends.

    Args:
        user: The row player's payoffs, shape (m, n), Python integers in an object array.
        assistant: The column player's payoffs, the same.

    Returns:
        The row player's and the column player's strategy, whole numbers ≥ 0 that are not normalised.

    Example:
        >>> pennies = np.array([[1, -1], [-1, 1]], dtype=object)
        >>> complementary_pair(pennies, -pennies)
        ((1, 1), (1, 1))
    """
    m, n = user.shape
    # Labels: 0 … m−1 the rows, m … m+n−1 the columns. Each tableau has a variable for every label.
    rows = _Tableau(assistant.T, own=range(m), slack=range(m, m + n))
    columns = _Tableau(user, own=range(m, m + n), slack=range(m))
    tableaux = rows, columns
    label, turn = 0, 0
    while True:
        label = tableaux[turn].pivot(label)
        if label == 0:
            return rows.weights(range(m)), columns.weights(range(m, m + n))
        turn = 1 - turn


class _Tableau:
    """The system payoffs · strategy + slack = 1 of one player's strategy, solved for the basic variables.

    Columns are the labels in order, then the right-hand side. ``table / denominator`` is the tableau of the textbooks.
    """

    def __init__(self, payoffs: Exact, *, own: range, slack: range) -> None:
        count = payoffs.shape[0]
        self.basis = list(slack)
        self.denominator: int = 1
        self.slack = slack
        self.table: Exact = np.zeros((count, len(own) + count + 1), dtype=object)
        self.table[:, own.start : own.stop] = payoffs - (payoffs.min() - 1)  # positive, which changes no equilibrium
        self.table[range(count), list(slack)] = 1
        self.table[:, -1] = 1

    def pivot(self, entering: int) -> int:
        """Let a variable enter the basis and return the one that leaves."""
        line = leaving_line(self.table, entering, (-1, *self.slack))
        self.table, self.denominator = pivoted(self.table, self.denominator, line, entering), self.table[line, entering]
        leaving, self.basis[line] = self.basis[line], entering
        return leaving

    def weights(self, labels: range) -> tuple[int, ...]:
        """Return the strategy, in lowest terms."""
        held = dict(zip(self.basis, self.table[:, -1].tolist(), strict=True))
        numbers = [held.get(label, 0) for label in labels]
        divisor = math.gcd(*numbers)
        return tuple(number // divisor for number in numbers)
