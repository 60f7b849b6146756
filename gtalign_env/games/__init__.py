"""Games in normal and extensive form, and everything that is known about them.

``Bimatrix`` and ``GameTree`` hold a game; their methods ask the questions of game theory and answer them exactly where that is
possible. Each question lives in a module of its own as a function of arrays, so that it can be used without the classes.
"""

from __future__ import annotations

from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.games.tree import Decision, GameTree, Leaf

__all__ = ["Bimatrix", "Decision", "GameTree", "Leaf"]
