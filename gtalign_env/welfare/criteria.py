"""Criteria: welfare functions with their settings, named by a string, that order every pair of payoffs.

``make_welfare("ces:rho=-1")`` returns one. Where a function is defined for gains only, its criterion is worth the smaller gain
wherever a side loses on the disagreement point (``below="negative"``). So every cell with a loss comes after every cell
without one, and in a game where all lose, the cell that spares the worse-off side most is best: never the worst one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.comparing import levelled, undominated
from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.specs import from_spec
from gtalign_env.welfare.functions import (
    Point,
    ces,
    check_aversion,
    cobb_douglas,
    egalitarian,
    linear,
    nash_product,
    utilitarian,
)
from gtalign_env.welfare.gains import check_weight, gains, plain
from gtalign_env.welfare.inequality import gini, jain
from gtalign_env.welfare.names import ALIASES, in_full

__all__ = [
    "WELFARE",
    "AlphaFair",
    "Atkinson",
    "Ces",
    "CobbDouglas",
    "Criterion",
    "Egalitarian",
    "Gini",
    "Jain",
    "Linear",
    "NashProduct",
    "Utilitarian",
    "make_welfare",
    "optimal_cells",
]


_ULPS = 16
"""Units in the last place that computing a criterion may cost."""


@runtime_checkable
class Criterion(Protocol):
    """A named order of payoff pairs: larger is better, and every pair of finite payoffs has a finite value."""

    @property
    def name(self) -> str:
        """The criterion's name."""
        ...

    def __call__(self, user: ArrayLike, assistant: ArrayLike) -> Any:
        """Return the value of both payoffs: a float, or an array of their shape."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Utilitarian:
    """The sum of both payoffs. It needs no disagreement point.

    Example:
        >>> Utilitarian()(5, 1)
        6.0
    """

    name: str = "utilitarian"

    def __call__(self, user: ArrayLike, assistant: ArrayLike) -> Any:
        """Return the sum."""
        return utilitarian(user, assistant)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Linear:
    """The weighted mean of both payoffs: at weight 1 the user's alone, at 0 the assistant's.

    Example:
        >>> Linear(weight=1.0)(5, 1)
        5.0
    """

    weight: float = 0.5
    """The user's weight, from 0 to 1."""
    name: str = "linear"

    def __post_init__(self) -> None:
        """Refuse a weight out of range."""
        check_weight(self.weight)

    def __call__(self, user: ArrayLike, assistant: ArrayLike) -> Any:
        """Return the weighted mean."""
        return linear(user, assistant, weight=self.weight)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _FromDisagreement:
    """What the criteria on gains share: the point that gains are measured from."""

    d_user: float = 0.0
    """What the user gets without the assistant, utils."""
    d_assistant: float = 0.0
    """What the assistant gets without the user, utils."""

    def __post_init__(self) -> None:
        """Refuse a point that is none."""
        gains(0.0, 0.0, self.disagreement)

    @property
    def disagreement(self) -> Point:
        """The disagreement point (user, assistant)."""
        return (self.d_user, self.d_assistant)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Egalitarian(_FromDisagreement):
    """The smaller of both gains.

    Example:
        >>> Egalitarian()(5, 1)
        1.0
    """

    name: str = "egalitarian"

    def __call__(self, user: ArrayLike, assistant: ArrayLike) -> Any:
        """Return the smaller gain."""
        return egalitarian(user, assistant, disagreement=self.disagreement)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NashProduct(_FromDisagreement):
    """The product of both gains; the smaller gain where a side loses.

    Example:
        >>> NashProduct()([2, -3], [3, -3]).tolist()
        [6.0, -3.0]
    """

    name: str = "nash_product"

    def __call__(self, user: ArrayLike, assistant: ArrayLike) -> Any:
        """Return the product."""
        return nash_product(user, assistant, disagreement=self.disagreement, below="negative")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CobbDouglas(_FromDisagreement):
    """``gain_U^weight · gain_L^(1 − weight)``, the mutual welfare √(U·L) by default; the smaller gain where a side loses.

    Example:
        >>> CobbDouglas()(4, 1), CobbDouglas()(-1, -4)
        (2.0, -4.0)
    """

    weight: float = 0.5
    """The user's weight, strictly between 0 and 1."""
    name: str = "cobb_douglas"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        super().__post_init__()
        check_weight(self.weight, inside=True)

    def __call__(self, user: ArrayLike, assistant: ArrayLike) -> Any:
        """Return the weighted geometric mean of both gains."""
        return cobb_douglas(user, assistant, weight=self.weight, disagreement=self.disagreement, below="negative")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ces(_FromDisagreement):
    """The CES mean of both gains; the smaller gain where a side loses.

    Example:
        >>> Ces(rho=float("-inf"))(5, 1)
        1.0
    """

    rho: float = -1.0
    """ρ ≤ 1: 1 is the mean, 0 Cobb–Douglas, −1 the harmonic mean, −∞ the smaller gain."""
    weight: float = 0.5
    """The user's weight, strictly between 0 and 1."""
    name: str = "ces"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        super().__post_init__()
        ces(1.0, 1.0, rho=self.rho, weight=self.weight)

    def __call__(self, user: ArrayLike, assistant: ArrayLike) -> Any:
        """Return the CES mean of both gains."""
        return ces(user, assistant, rho=self.rho, weight=self.weight, disagreement=self.disagreement, below="negative")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlphaFair(_FromDisagreement):
    """α-fairness on the scale of payoffs: the equal gain that has the same α-fair sum; the smaller gain where a side loses.

    That is the CES mean at ρ = 1 − α. It orders as ``alpha_fair`` does, and leaves room below 0 for losses.

    Example:
        >>> round(AlphaFair(alpha=2.0)(5, 1), 4)
        1.6667
    """

    alpha: float = 1.0
    """α ≥ 0: 0 is the mean, 1 proportional fairness; the larger, the nearer to the smaller gain."""
    name: str = "alpha_fair"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        super().__post_init__()
        check_aversion("alpha", self.alpha)

    def __call__(self, user: ArrayLike, assistant: ArrayLike) -> Any:
        """Return the equal gain of the same worth."""
        return ces(user, assistant, rho=1.0 - self.alpha, disagreement=self.disagreement, below="negative")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Atkinson(_FromDisagreement):
    """The mean gain times ``1 − Atkinson's index`` (1970): what equality would need to be as good.

    Example:
        >>> round(Atkinson(epsilon=2.0)(5, 1), 4)
        1.6667
    """

    epsilon: float = 1.0
    """Aversion to inequality ε ≥ 0; 0 is the mean."""
    name: str = "atkinson"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        super().__post_init__()
        check_aversion("epsilon", self.epsilon)

    def __call__(self, user: ArrayLike, assistant: ArrayLike) -> Any:
        """Return the equally distributed equivalent, which is the CES mean at ρ = 1 − ε."""
        return ces(user, assistant, rho=1.0 - self.epsilon, disagreement=self.disagreement, below="negative")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gini(_FromDisagreement):
    """The mean gain times ``1 − Gini`` (Sen 1976); the smaller gain where a side loses.

    Example:
        >>> Gini()(5, 1)
        2.0
    """

    name: str = "gini"

    def __call__(self, user: ArrayLike, assistant: ArrayLike) -> Any:
        """Return the mean gain, less what inequality takes from it."""
        return _discounted(user, assistant, self.disagreement, lambda u, a: 1.0 - gini(u, a, below="nan"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Jain(_FromDisagreement):
    """The mean gain times Jain's index; the smaller gain where a side loses.

    Example:
        >>> round(Jain()(5, 1), 4)
        2.0769
    """

    name: str = "jain"

    def __call__(self, user: ArrayLike, assistant: ArrayLike) -> Any:
        """Return the mean gain, less what inequality takes from it."""
        return _discounted(user, assistant, self.disagreement, lambda u, a: jain(u, a, below="nan"))


def _discounted(user: ArrayLike, assistant: ArrayLike, disagreement: Point, share: Any) -> Any:
    found = gains(user, assistant, disagreement)
    value = (found.user + found.assistant) / 2.0 * np.asarray(share(*found))
    return plain(np.where(np.isnan(value), found.least, value))  # undefined: a loss, or nobody gains


WELFARE: Mapping[str, Any] = MappingProxyType(
    {
        "alpha_fair": AlphaFair,
        "atkinson": Atkinson,
        "ces": Ces,
        "cobb_douglas": CobbDouglas,
        "egalitarian": Egalitarian,
        "gini": Gini,
        "jain": Jain,
        "linear": Linear,
        "nash_product": NashProduct,
        "utilitarian": Utilitarian,
    }
)
"""The shipped criteria by name: frozen dataclasses, made with their settings."""


def make_welfare(welfare: str | Criterion) -> Criterion:
    """Return a criterion from its name and settings, or itself.

    Args:
        welfare: ``"utilitarian"``, ``"ces:rho=-1"`` or ``"ces:-1"``, ``"nash_product:d_user=1,d_assistant=0.5"``, a name that
            training has for one (``ALIASES``), or a criterion.

    Raises:
        UnknownNameError: No criterion has this name.
        UsageError: A setting is unknown or out of range, or it is no criterion.

    Example:
        >>> round(make_welfare("ces:rho=-1")(5, 1), 4)
        1.6667
    """
    if isinstance(welfare, str):
        full = in_full(welfare)
        if full.partition(":")[0] not in WELFARE:
            raise UnknownNameError("welfare", welfare.partition(":")[0], [*WELFARE, *ALIASES])
        made: Criterion = from_spec("welfare", full, WELFARE)
        return made
    if isinstance(welfare, type) or not isinstance(welfare, Criterion):
        raise UsageError(f"welfare: expected a name as in 'ces:rho=-1' or a criterion object, got {welfare!r}")
    return welfare


def optimal_cells(
    user: ArrayLike,
    assistant: ArrayLike,
    welfare: str | Criterion = "cobb_douglas",
    *,
    tolerance: float | None = None,
) -> NDArray[np.bool_]:
    """Return the mask of the cells that a criterion likes best.

    Of cells whose values are as high as the best, only those stay that no other of them is better than for one
    side and not worse for the other: two cells of product 0 may still differ in what one side gets.

    Args:
        user: The user's payoffs, any shape with at least one cell.
        assistant: The assistant's payoffs, the same shape.
        welfare: The criterion, by name or itself.
        tolerance: Difference that does not count, of values and of payoffs; by default rounding alone, as a share of how far
            they differ (``comparing.levelled``), so that the unit of payoffs does not matter.

    Raises:
        UsageError: There is no cell, or the payoffs are no finite numbers of one shape.

    Example:
        >>> optimal_cells([[1, 4, 1], [0, 3, 2]], [[1, 0, 0], [1, 3, 1]]).tolist()
        [[False, False, False], [False, True, False]]
    """
    found = gains(user, assistant)
    if not found.user.size:
        raise UsageError("welfare: expected at least one cell, got none")
    value = np.asarray(make_welfare(welfare)(*found))
    if tolerance is None:
        value = levelled(value, axes=value.ndim, ulps=_ULPS)
    best: NDArray[np.bool_] = value >= value.max() - (tolerance or 0.0)
    best[best] = undominated(found.user[best], found.assistant[best], tolerance=tolerance)
    return best
