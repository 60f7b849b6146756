"""Gauges of chains: what a model states, what it announces, what it does, and what comes of it, measured on records.

* matrices: ``matrix_collapse`` (do they depend on the prompt?), ``payoff_calibration`` (do they come true?);
* moves: announced against made, announced against what the stated matrix leads to, over- and under-clarification;
* costs and failures: tokens by block, violations, failures by kind.

``gauges(episodes)`` measures all of it, ``gauges_by_player`` each assistant alone; ``chain_turns`` and ``read_published`` read
records. Pure functions; no model is asked.
"""

from __future__ import annotations

from gtalign_env.gauges.calibration import PayoffCalibration, ReliabilityBin, payoff_calibration, rank_correlation
from gtalign_env.gauges.collapse import MatrixCollapse, matrix_collapse, matrix_key
from gtalign_env.gauges.meter import Agreement, BlockTokens, Clarification, GaugeMeter, Gauges, gauges, matching_move
from gtalign_env.gauges.players import PlayerMeters, gauges_by_player
from gtalign_env.gauges.published import published_turns, read_published
from gtalign_env.gauges.turns import ChainTurn, chain_turns, read_matrix

__all__ = [
    "Agreement",
    "BlockTokens",
    "ChainTurn",
    "Clarification",
    "GaugeMeter",
    "Gauges",
    "MatrixCollapse",
    "PayoffCalibration",
    "PlayerMeters",
    "ReliabilityBin",
    "chain_turns",
    "gauges",
    "gauges_by_player",
    "matching_move",
    "matrix_collapse",
    "matrix_key",
    "payoff_calibration",
    "published_turns",
    "rank_correlation",
    "read_matrix",
    "read_published",
]
