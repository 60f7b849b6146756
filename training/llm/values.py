"""What is expected of a turn for each party: a linear reading of the model's own last layer at the end of the prompt.

The reading is a ridge regression on the turns of earlier iterations, older ones counting less; the model itself is not bent for
it. Expectations of an iteration come from before it, so they depend on nothing that was done in it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Reading"]

Floats = NDArray[np.float64]

_WIDEST = 256
"""Wider layers are projected to so many random directions."""


class Reading:
    """A linear reading of features.

    Args:
        forget: How much of what was learned stays after an iteration.
        ridge: Weight of the penalty, for each row.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> seen = rng.choice([-1.0, 1.0], size=(200, 3))
        >>> reading = Reading()
        >>> reading.fit(seen, seen @ np.array([[1.0], [0.0], [2.0]]) + 5.0)
        >>> abs(reading.of(np.array([[1.0, 1.0, 1.0]])).item() - 8.0) < 0.2
        True
    """

    def __init__(self, *, forget: float = 0.8, ridge: float = 1e-2) -> None:
        self.forget, self.ridge = forget, ridge
        self._squares: Floats | None = None
        self._products: Floats | None = None
        self._rows = 0.0

    @property
    def known(self) -> bool:
        """Whether anything was learned yet."""
        return self._squares is not None

    def fit(self, features: Floats, targets: Floats) -> None:
        """Learn from rows (n, D) and what came of them (n, P)."""
        seen = self._seen(features)
        squares, products = seen.T @ seen, seen.T @ targets
        if self._squares is None or self._products is None:
            self._squares, self._products, self._rows = squares, products, float(len(seen))
            return
        self._squares = self.forget * self._squares + squares
        self._products = self.forget * self._products + products
        self._rows = self.forget * self._rows + len(seen)

    def of(self, features: Floats) -> Floats:
        """Return what is expected of rows, (n, P)."""
        assert self._squares is not None
        assert self._products is not None
        penalty = self.ridge * self._rows * np.eye(len(self._squares))
        penalty[-1, -1] = 1e-9  # the mean is not held back
        found: Floats = self._seen(features) @ np.linalg.solve(self._squares + penalty, self._products)
        return found

    def state(self) -> dict[str, Any]:
        """Return what was learned."""
        return {"squares": self._squares, "products": self._products, "rows": self._rows}

    def restore(self, state: dict[str, Any]) -> None:
        """Put back what ``state`` returned."""
        self._squares, self._products, self._rows = state["squares"], state["products"], state["rows"]

    def _seen(self, features: Floats) -> Floats:
        """Return features of about unit size, and a constant."""
        if features.shape[1] > _WIDEST:
            directions = np.random.default_rng(0).normal(size=(features.shape[1], _WIDEST))
            features = features @ directions / np.sqrt(features.shape[1])
        size = np.sqrt(np.square(features).mean(axis=1, keepdims=True)) + 1e-9
        return np.hstack([features / size, np.ones((len(features), 1))])
