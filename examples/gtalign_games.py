"""Our games as an environment of verifiers: a module that it finds by its name.

pip install verifiers gtalign-env
PYTHONPATH=examples eval gtalign-games --model MODEL --num-tasks 10
"""

import sys

from gtalign_env.training.adapters import verifiers as _adapter

try:
    GtalignEnv = _adapter.GtalignEnv
    GtalignTaskset = _adapter.GtalignTaskset
except ImportError as error:
    if __name__ != "__main__":
        raise
    sys.exit(f"this example needs verifiers: {error}")

__all__ = ["GtalignEnv", "GtalignTaskset"]
