"""Matrix games: one table of payoffs, played once or again and again."""

from __future__ import annotations

from gtalign_env.scenarios.matrix.repeated import matrix_scenario, repeated_matrix

__all__ = ["matrix_scenario", "repeated_matrix"]
