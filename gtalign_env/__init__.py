"""GTAlign-Env: a person and a language-model assistant play a game with two payoffs.

Importing the package registers its ids with PettingZoo and Gymnasium; nothing heavy is imported until it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gtalign_env._ids import register_all
from gtalign_env.env import env, parallel_env, raw_env
from gtalign_env.errors import GtalignError
from gtalign_env.registration import make_scenario, register_scenario

if TYPE_CHECKING:
    from gtalign_env.vector import vector_env

__version__ = "0.1.0"

__all__ = [
    "GtalignError",
    "__version__",
    "env",
    "make_scenario",
    "parallel_env",
    "raw_env",
    "register_scenario",
    "vector_env",
]

register_all()


def __getattr__(name: str) -> Any:
    """Import the batched engine when it is first asked for."""
    if name == "vector_env":
        from gtalign_env.vector import vector_env

        return vector_env
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
