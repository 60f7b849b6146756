"""The 2x3 example of the GTAlign paper (arXiv 2510.08872, Table 1 and Fig. 1), repeated."""

from __future__ import annotations

from gtalign_env.finite import FiniteScenario
from gtalign_env.scenarios.matrix.repeated import repeated_matrix
from gtalign_env.scenarios.talk.config import Talk
from gtalign_env.types import Role

__all__ = ["paper_matrix"]


def paper_matrix(
    *,
    rounds: int = 10,
    talk: int = 0,
    first_speaker: Role = "user",
    personality: str = "rational",
    caution: int = 0,
) -> FiniteScenario:
    """Make the scenario: the user asks vaguely or in detail, the assistant answers, answers and asks, or asks.

    ``VQ_DA`` is the only pure Nash equilibrium; ``DQ_AQ`` is the joint optimum.

    Args:
        rounds: How often the game is played, 1 to 1,000.
        talk: Rounds of talk before every move, 0 to 16.
        first_speaker: Who speaks first in every round of talk: user or assistant.
        personality: What players are told about themselves in their briefing; see ``PERSONALITIES``.
        caution: What they are told about trusting words, 0 to 6; see ``CAUTIONS``.

    Raises:
        UsageError: An option is out of range, or the tables would not fit.

    Example:
        >>> paper_matrix().moves("assistant")
        ('DA', 'AQ', 'CQ')
    """
    manner = Talk(rounds=talk, first_speaker=first_speaker, personality=personality, caution=caution)
    options = {"rounds": rounds, **({} if manner == Talk() else manner.options())}
    return repeated_matrix(
        name="matrix",
        description="The paper's 2x3 example: vague or detailed questions against answers and clarifying questions.",
        user_moves=("VQ", "DQ"),
        assistant_moves=("DA", "AQ", "CQ"),
        user=[[1, 4, 1], [0, 3, 2]],
        assistant=[[1, 0, 0], [1, 3, 1]],
        rounds=rounds,
        talk=manner,
        config=options,
        recipe=(paper_matrix, options),
    )
