"""Games in normal and extensive form, and everything that is known about them.

``Bimatrix`` and ``GameTree`` hold a game; their methods ask the questions of game theory and answer them exactly where that is
possible. Each question lives in a module of its own as a function of arrays, so that it can be used without the classes.
"""

from __future__ import annotations

from gtalign_env.games.bargaining import Bargain
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.games.correlated import Correlated
from gtalign_env.games.division import Division
from gtalign_env.games.dominance import Dominance, Removal
from gtalign_env.games.efficiency import Efficiency
from gtalign_env.games.equilibrium import Equilibrium
from gtalign_env.games.maximin import Security
from gtalign_env.games.quantal import Quantal
from gtalign_env.games.quantal_fit import RationalityFit
from gtalign_env.games.regret import Regret
from gtalign_env.games.stackelberg import Stackelberg
from gtalign_env.games.taxonomy import Class2x2
from gtalign_env.games.tree import BackwardInduction, Decision, GameTree, Leaf, Path

__all__ = [
    "BackwardInduction",
    "Bargain",
    "Bimatrix",
    "Class2x2",
    "Correlated",
    "Decision",
    "Division",
    "Dominance",
    "Efficiency",
    "Equilibrium",
    "GameTree",
    "Leaf",
    "Path",
    "Quantal",
    "RationalityFit",
    "Regret",
    "Removal",
    "Security",
    "Stackelberg",
]
