"""The global random state of NumPy and Python: looked at, never relied on."""

from __future__ import annotations

import contextlib
import random  # noqa: TID251 - its state is compared and put back, never drawn from
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["preserved", "snapshot"]

_UNUSUAL = 709_431  # so that code which seeds with a usual number is seen to change something


def snapshot() -> tuple[Any, ...]:
    """Return both global states, to be compared with ``difference``."""
    return np.random.get_state(), random.getstate()  # noqa: NPY002, TID251


@contextlib.contextmanager
def preserved() -> Iterator[None]:
    """Put both global states back afterwards; inside, they are in a state that nobody else would choose."""
    kept = snapshot()
    np.random.seed(_UNUSUAL)  # noqa: NPY002
    random.seed(_UNUSUAL)
    try:
        yield
    finally:
        np.random.set_state(kept[0])  # noqa: NPY002, TID251
        random.setstate(kept[1])
