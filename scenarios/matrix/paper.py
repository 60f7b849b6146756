"""The 2x3 example of the GTAlign paper (arXiv 2510.08872, Table 1 and Fig. 1), repeated."""

from __future__ import annotations

from gtalign_env.finite import FiniteScenario
from gtalign_env.scenarios.matrix.repeated import repeated_matrix

__all__ = ["paper_matrix"]


def paper_matrix(*, rounds: int = 10) -> FiniteScenario:
    """Make the scenario: the user asks vaguely or in detail, the assistant answers, answers and asks, or asks.

    ``VQ_DA`` is the only pure Nash equilibrium; ``DQ_AQ`` is the joint optimum.

    Args:
        rounds: How often the game is played.

    Example:
        >>> paper_matrix().moves("assistant")
        ('DA', 'AQ', 'CQ')
    """
    return repeated_matrix(
        name="matrix",
        description="The paper's 2x3 example: vague or detailed questions against answers and clarifying questions.",
        user_moves=("VQ", "DQ"),
        assistant_moves=("DA", "AQ", "CQ"),
        user=[[1, 4, 1], [0, 3, 2]],
        assistant=[[1, 0, 0], [1, 3, 1]],
        rounds=rounds,
        recipe=(paper_matrix, {"rounds": rounds}),
    )
