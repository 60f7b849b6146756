"""What can go wrong while learning."""

from __future__ import annotations

from gtalign_env.errors import GtalignError

__all__ = ["CheckpointError", "TrainingError"]


class TrainingError(GtalignError):
    """Training cannot go on.

    Args:
        cause: What was found, and where.
        step: Steps of the game played so far.
        seed: The run's seed.

    Example:
        >>> str(TrainingError("a gradient is not finite", step=4096, seed=0))
        'training stopped at step 4,096 (seed 0): a gradient is not finite; the last checkpoint is as it was'
    """

    def __init__(self, cause: str, *, step: int, seed: int) -> None:
        self.cause, self.step, self.seed = cause, step, seed
        super().__init__(f"training stopped at step {step:,} (seed {seed}): {cause}; the last checkpoint is as it was")


class CheckpointError(GtalignError):
    """A checkpoint could not be written or read; older ones are as they were."""
