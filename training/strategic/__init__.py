"""Learning in the strategic view: PPO over the batched engine; the two sides' payoffs stay apart until an objective joins them.

``Run(Config(...)).train()`` is all; ``gtalign train strategic`` is the same from the command line.
"""

from gtalign_env.training.strategic.config import Config
from gtalign_env.training.strategic.evaluate import Evaluation, evaluate
from gtalign_env.training.strategic.run import Run

__all__ = ["Config", "Evaluation", "Run", "evaluate"]
