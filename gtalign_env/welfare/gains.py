"""What a welfare function is computed from: gains over the disagreement point, and the rule for losses.

A product or a power of payoffs means something only where both sides gain. The product of two losses is positive, so a rule
that multiplies blindly prefers the cell that is worst for both. Every function of this package that needs gains measures them
from a disagreement point and says, by ``below``, what a loss is worth:

* ``"error"``: a ``UsageError`` that names the first cell with a loss (the default);
* ``"nan"``: NaN, "undefined";
* ``"negative"``: the smaller of the two gains, a negative number. So a cell with a loss is worse than every cell without
  one, and among cells with a loss the one whose worse-off side loses least is best, as in the egalitarian rule.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.errors import UsageError
from gtalign_env.inputs import finite, floats

__all__ = ["Below", "Gains", "check_below", "check_weight", "gains", "plain", "with_losses"]

Below = Literal["error", "nan", "negative"]
Floats = NDArray[np.float64]

MOST = 2.0**1022
"""The largest gain or loss, utils, about 4e307: sums and differences of two still fit into a float."""


class Gains(NamedTuple):
    """Both sides' gains over the disagreement point, arrays of one shape."""

    user: Floats
    assistant: Floats

    @property
    def least(self) -> Floats:
        """The smaller gain of each cell."""
        return np.minimum(self.user, self.assistant)


def gains(user: ArrayLike, assistant: ArrayLike, disagreement: tuple[float, float] = (0.0, 0.0)) -> Gains:
    """Return what both sides gain over the disagreement point.

    Args:
        user: The user's payoffs, any shape, finite.
        assistant: The assistant's payoffs, of a shape that broadcasts with the user's.
        disagreement: What (user, assistant) get without each other; (0, 0) here by construction (DESIGN §5).

    Raises:
        UsageError: Payoffs are not finite numbers, a gain is beyond ``MOST``, or the shapes do not fit.

    Example:
        >>> gains([3, 5], 1, disagreement=(2, 0)).user.tolist()
        [1.0, 3.0]
    """
    both = [_finite(side, payoffs) for side, payoffs in (("user", user), ("assistant", assistant))]
    point = _finite("disagreement", disagreement)
    if point.shape != (2,):
        raise UsageError(f"welfare: expected a disagreement point (user, assistant), got {disagreement!r}")
    try:
        rows, columns = np.broadcast_arrays(*both)
    except ValueError:
        raise UsageError(
            f"welfare: expected payoffs of one shape, got {both[0].shape} for the user and {both[1].shape} for the assistant"
        ) from None
    with np.errstate(over="ignore"):
        found = Gains(rows - point[0], columns - point[1])
    if not all((np.abs(gain) <= MOST).all() for gain in found):
        raise UsageError(f"welfare: expected gains of at most {MOST:.1g} utils, got larger ones: use a larger unit")
    return found


def _finite(label: str, numbers: Any) -> Floats:
    array = floats(numbers, f"welfare: expected numbers for {label!r}")
    return finite(array, f"welfare: expected finite numbers for {label!r}")


def with_losses(found: Gains, value: Floats, below: Below, *, defined: NDArray[np.bool_], who: str) -> Any:
    """Return ``value`` where it is defined, and what ``below`` says elsewhere.

    Args:
        found: The gains.
        value: The function's value; not read where it is not defined.
        below: The rule for the rest.
        defined: Where the function has a value.
        who: The function's name, for messages.

    Raises:
        UsageError: It is undefined somewhere and ``below`` is ``"error"``.
    """
    check_below(below)
    if below == "error" and not defined.all():
        at = tuple(int(i) for i in np.argwhere(~defined)[0])
        raise UsageError(
            f"{who}: not defined for gains over the disagreement point of ({float(found.user[at]):g}, "
            f"{float(found.assistant[at]):g}){f' at {at}' if at else ''}: give another disagreement point, or say by "
            f"'below' what it is worth there"
        )
    return plain(np.where(defined, value, np.nan if below == "nan" else found.least))


def check_below(below: object) -> None:
    """Refuse a rule for losses that does not exist.

    Raises:
        UsageError: It is none of the three.
    """
    if below not in ("error", "nan", "negative"):
        raise UsageError(f"below: expected 'error', 'nan' or 'negative', got {below!r}")


def check_weight(weight: float, *, inside: bool = False) -> None:
    """Refuse a user's weight outside [0, 1], or outside (0, 1) where ``inside`` is set.

    Raises:
        UsageError: It is out of range.
    """
    number = isinstance(weight, (int, float)) and not isinstance(weight, bool) and math.isfinite(weight)
    if not number or not 0.0 <= weight <= 1.0 or (inside and weight in (0.0, 1.0)):
        expected = "a number between 0 and 1, both excluded" if inside else "a number from 0 to 1"
        raise UsageError(f"weight of the user: expected {expected}, got {weight!r}")


def plain(array: Floats) -> Any:
    """Return a float for a single number, else the array."""
    return array.item() if array.ndim == 0 else array
