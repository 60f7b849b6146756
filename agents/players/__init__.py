"""Players that need no model: solutions of the game, learners, strategies for repeated dilemmas, in either chair.

They are told the rules (``protocols.Sitter``) and nothing hidden: a game that both know is in ``scenario.game``, and what has
been done is in their observations. ``make_player("tit_for_tat")`` makes one; ``make_assistant`` and ``population`` know the same
names.
"""

from gtalign_env.agents.players.base import MatrixPlayer, Player
from gtalign_env.agents.players.dilemma import Dilemma, DilemmaPlayer, find_dilemma
from gtalign_env.agents.players.making import PlayerPersona, is_player, make_player, split_specs
from gtalign_env.agents.players.solution import SolutionPlayer

__all__ = [
    "Dilemma",
    "DilemmaPlayer",
    "MatrixPlayer",
    "Player",
    "PlayerPersona",
    "SolutionPlayer",
    "find_dilemma",
    "is_player",
    "make_player",
    "split_specs",
]
