"""Our games as an environment of verifiers: a module that it finds by its name.

pip install verifiers gtalign-env
PYTHONPATH=examples eval gtalign-games --model MODEL --num-tasks 10
"""

from gtalign_env.training.adapters import verifiers as _adapter

GtalignEnv = _adapter.GtalignEnv
GtalignTaskset = _adapter.GtalignTaskset

__all__ = ["GtalignEnv", "GtalignTaskset"]
