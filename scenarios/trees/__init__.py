"""Games of turns: a tree of decisions that both players know, compiled into a scenario."""

from __future__ import annotations

from gtalign_env.scenarios.trees.compiled import tree_scenario

__all__ = ["tree_scenario"]
