"""The reasoning chain: a model states the payoffs it believes in, the matrix is solved, and the reply follows.

Four blocks: ``<thinking>``, ``<payoff>`` (a cell ``"USER|ASSISTANT": {"user": x, "assistant": y}`` for each pair of moves,
payoffs from -5 to 5), ``<analyze>``, ``<response>``. ``parse_chain`` reads a whole one; ``ChainAssistant`` plays with one.
"""

from __future__ import annotations

from gtalign_env.agents.chain.context import ChainContext, Steer
from gtalign_env.agents.chain.failures import FAILURES, ChainFailure
from gtalign_env.agents.chain.moves import ChainMoves, make_moves
from gtalign_env.agents.chain.parse import Chain, parse_chain
from gtalign_env.agents.chain.player import ChainAssistant, make_chain_assistant
from gtalign_env.agents.chain.prompt import instructions
from gtalign_env.agents.chain.settings import ChainSettings
from gtalign_env.agents.chain.tokens import TokenStatistics
from gtalign_env.agents.chain.writer import ChainBudget

__all__ = [
    "FAILURES",
    "Chain",
    "ChainAssistant",
    "ChainBudget",
    "ChainContext",
    "ChainFailure",
    "ChainMoves",
    "ChainSettings",
    "Steer",
    "TokenStatistics",
    "instructions",
    "make_chain_assistant",
    "make_moves",
    "parse_chain",
]
