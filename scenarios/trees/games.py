"""The trees as data.

Payoffs and shapes are those of the sequential games in Hua et al. 2024 (arXiv 2411.05990) and of its public code; the user moves
first everywhere (their Alice). Names of moves are ours.
"""

from __future__ import annotations

from typing import NamedTuple

from gtalign_env.games import Decision, GameTree, Leaf
from gtalign_env.types import Role

__all__ = ["TREES", "TreeGame"]


class TreeGame(NamedTuple):
    """One game of the catalogue."""

    description: str
    """One sentence for lists: who decides what, and what makes it hard."""
    tree: GameTree


def _fork(player: Role, left: Leaf | Decision, right: Leaf | Decision) -> Decision:
    return Decision(player, {"left": left, "right": right})


_ESCALATION = Decision(
    "user",
    {
        "keep_peace": Leaf(0, 0),
        "threaten": Decision(
            "assistant",
            {
                "give_way": Leaf(1, -2),
                "escalate": Decision("user", {"back_down": Leaf(-2, 1), "fight": Leaf(-1, -1)}),
            },
        ),
    },
)
_MONOPOLY = Decision(
    "user", {"stay_out": Leaf(0, 2), "enter": Decision("assistant", {"share": Leaf(2, 1), "fight": Leaf(-1, -1)})}
)
_HOT_COLD = Decision(
    "user",
    {
        "hot": Decision("assistant", {"hot": Leaf(3, 2), "cold": Leaf(2, 3)}),
        "cold": Decision("assistant", {"hot": Leaf(1, 4), "cold": Leaf(4, 1)}),
    },
)
_DRACO = _fork(
    "user",
    _fork("assistant", Leaf(5, 5), _fork("user", Leaf(2, 2), Leaf(3, 4))),
    _fork("assistant", Leaf(4, 5), _fork("user", Leaf(5, 3), Leaf(2, 2))),
)
_TRIGAME = _fork(
    "user",
    _fork("assistant", _fork("user", Leaf(20, 3), Leaf(0, 4)), _fork("user", Leaf(2, 5), Leaf(3, 4))),
    _fork("assistant", _fork("user", Leaf(1, 5), Leaf(4, 10)), _fork("user", Leaf(2, 1), Leaf(3, 2))),
)

TREES: dict[str, TreeGame] = {
    "escalation": TreeGame(
        "Threaten and be met with escalation: whoever foresees the fight at the end keeps the peace at the beginning.",
        GameTree(_ESCALATION),
    ),
    "monopoly": TreeGame(
        "Enter a market against a monopolist whose threat to fight costs itself more than sharing.",
        GameTree(_MONOPOLY),
    ),
    "hot_cold": TreeGame("Every end shares out five: what one side gains, the other has lost.", GameTree(_HOT_COLD)),
    "draco": TreeGame(
        "The best end for both lies two moves in: it takes two players who stop there.",
        GameTree(_DRACO),
    ),
    "trigame": TreeGame(
        "Three plies: the largest total lies behind a move by which the assistant would give up a util of its own.",
        GameTree(_TRIGAME),
    ),
}
"""The games by name."""
