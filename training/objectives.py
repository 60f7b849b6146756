"""What a learner is to maximise: named functions of both sides' returns, with their gradients.

Payoffs of the two sides stay apart until an objective joins them, in one of two ways:

* ``ser`` (welfare of the expected returns): W(E[U], E[L]) over episodes. Its gradient is that of a weighted sum of both returns,
  the weights being dW/dU and dW/dL at the running means, so advantages are combined as ``W_U·A_U + W_L·A_L``;
* ``esr`` (expected welfare of the returns): E[W(U, L)]. W is paid as one number at the end of the episode.

Both are the same where W is linear. Nothing here trades safety: that is a constraint of the trainer.
"""

from __future__ import annotations

import abc
import dataclasses
import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gtalign_env.errors import UsageError
from gtalign_env.specs import from_spec
from gtalign_env.welfare import WELFARE, Criterion, criteria

__all__ = [
    "AGGREGATIONS",
    "FLOOR",
    "OBJECTIVES",
    "AssistantOnly",
    "Ces",
    "CobbDouglas",
    "Egalitarian",
    "Linear",
    "NashBargaining",
    "Objective",
    "UserOnly",
    "Utilitarian",
    "make_objective",
]

AGGREGATIONS: tuple[str, str] = ("ser", "esr")
FLOOR = 0.05
"""Utils. Gradients are taken at gains of at least this much: finite at 0, and the side that loses still weighs most.
``egalitarian`` goes from one side to the other over as much."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(abc.ABC):
    """A function W of both returns, and when it is applied.

    Subclasses define ``criterion`` and ``weights``, and ``slope`` where the two differ.
    """

    aggregation: str = "ser"
    """``"ser"``: W(E[U], E[L]); ``"esr"``: E[W(U, L)]."""

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        if self.aggregation not in AGGREGATIONS:
            raise UsageError(f"objective: aggregation must be ser or esr, got {self.aggregation!r}")
        self.criterion()

    @abc.abstractmethod
    def criterion(self) -> Criterion:
        """Return the welfare criterion that gives W its value."""

    @abc.abstractmethod
    def weights(self, user: float, assistant: float) -> tuple[float, float]:
        """Return (dW/dU, dW/dL) at a pair of returns: finite and >= 0 everywhere, and not both 0."""

    def slope(self, user: float, assistant: float) -> tuple[float, float]:
        """Return (dW/dU, dW/dL) of ``value`` itself: what errors go by, where ``weights`` is what learning goes by."""
        return self.weights(user, assistant)

    def value(self, user: ArrayLike, assistant: ArrayLike) -> Any:
        """Return W of both returns: a float, or an array of their shape. Where a side loses it is as ``welfare`` has it."""
        return self.criterion()(user, assistant)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Linear(Objective):
    """A weighted mean: w·U + (1 − w)·L.

    Example:
        >>> Linear(w=0.75).value(4, 0), Linear(w=0.75).weights(4, 0)
        (3.0, (0.75, 0.25))
    """

    w: float = 0.5
    """The user's weight, from 0 to 1."""
    name: str = "linear"

    def criterion(self) -> Criterion:
        """Return the weighted mean."""
        return criteria.Linear(weight=self.w)

    def weights(self, user: float, assistant: float) -> tuple[float, float]:
        """Return the weights."""
        return self.w, 1.0 - self.w


@dataclasses.dataclass(frozen=True, kw_only=True)
class UserOnly(Objective):
    """The user's return alone.

    Example:
        >>> UserOnly().value(4, 1), UserOnly().weights(4, 1)
        (4.0, (1.0, 0.0))
    """

    name: str = "user_only"

    def criterion(self) -> Criterion:
        """Return the user's payoff."""
        return criteria.Linear(weight=1.0)

    def weights(self, user: float, assistant: float) -> tuple[float, float]:
        """Return all weight for the user."""
        return 1.0, 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class AssistantOnly(Objective):
    """The assistant's return alone.

    Example:
        >>> AssistantOnly().value(4, 1), AssistantOnly().weights(4, 1)
        (1.0, (0.0, 1.0))
    """

    name: str = "assistant_only"

    def criterion(self) -> Criterion:
        """Return the assistant's payoff."""
        return criteria.Linear(weight=0.0)

    def weights(self, user: float, assistant: float) -> tuple[float, float]:
        """Return all weight for the assistant."""
        return 0.0, 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Utilitarian(Objective):
    """The sum of both returns.

    Example:
        >>> Utilitarian().value(4, 1), Utilitarian().weights(4, 1)
        (5.0, (1.0, 1.0))
    """

    name: str = "utilitarian"

    def criterion(self) -> Criterion:
        """Return the sum."""
        return criteria.Utilitarian()

    def weights(self, user: float, assistant: float) -> tuple[float, float]:
        """Return equal weights."""
        return 1.0, 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class _OnGains(Objective):
    """What objectives over gains share: the point that gains are measured from, and what they do where a side loses.

    Subclasses define ``_gradient``, for gains above 0.
    """

    d_user: float = 0.0
    """What the user gets without the assistant, utils."""
    d_assistant: float = 0.0
    """What the assistant gets without the user, utils."""

    def _point(self) -> dict[str, Any]:
        return {"d_user": self.d_user, "d_assistant": self.d_assistant}

    @abc.abstractmethod
    def _gradient(self, user: float, assistant: float) -> tuple[float, float]:
        """Return (dW/dU, dW/dL) at gains above 0."""

    def weights(self, user: float, assistant: float) -> tuple[float, float]:
        """Return the gradient at gains of at least ``FLOOR``."""
        return self._gradient(max(user - self.d_user, FLOOR), max(assistant - self.d_assistant, FLOOR))

    def slope(self, user: float, assistant: float) -> tuple[float, float]:
        """Return the gradient; where a side does not gain, W is the smaller gain, and so (1, 0) or (0, 1)."""
        gains = user - self.d_user, assistant - self.d_assistant
        return self._gradient(*gains) if min(gains) > 0.0 else _smaller(*gains)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CobbDouglas(_OnGains):
    """``U^w · L^(1 − w)``: mutual welfare √(U·L) by default.

    Example:
        >>> CobbDouglas().value(4, 1), CobbDouglas().weights(4, 1)
        (2.0, (0.25, 1.0))
    """

    w: float = 0.5
    """The user's weight, strictly between 0 and 1."""
    name: str = "cobb_douglas"

    def criterion(self) -> Criterion:
        """Return the weighted geometric mean."""
        return criteria.CobbDouglas(weight=self.w, **self._point())

    def _gradient(self, user: float, assistant: float) -> tuple[float, float]:
        value = user**self.w * assistant ** (1.0 - self.w)
        return self.w * value / user, (1.0 - self.w) * value / assistant


@dataclasses.dataclass(frozen=True, kw_only=True)
class NashBargaining(_OnGains):
    """The product of both gains over a disagreement point.

    Example:
        >>> NashBargaining(d_user=1.0).value(4, 1), NashBargaining(d_user=1.0).weights(4, 1)
        (3.0, (1.0, 3.0))
    """

    name: str = "nash_bargaining"

    def criterion(self) -> Criterion:
        """Return the product."""
        return criteria.NashProduct(**self._point())

    def _gradient(self, user: float, assistant: float) -> tuple[float, float]:
        return assistant, user


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ces(_OnGains):
    """The CES mean ``(w·U^ρ + (1 − w)·L^ρ)^(1/ρ)``.

    Example:
        >>> round(Ces(rho=-1.0).value(4, 1), 4), [round(weight, 4) for weight in Ces(rho=-1.0).weights(4, 1)]
        (1.6, [0.08, 1.28])
    """

    rho: float = -1.0
    """ρ ≤ 1: 1 is the mean, 0 Cobb–Douglas, −1 the harmonic mean, −∞ the smaller gain."""
    w: float = 0.5
    """The user's weight, strictly between 0 and 1."""
    name: str = "ces"

    def criterion(self) -> Criterion:
        """Return the CES mean."""
        return criteria.Ces(rho=self.rho, weight=self.w, **self._point())

    def weights(self, user: float, assistant: float) -> tuple[float, float]:
        """Return the gradient at gains of at least ``FLOOR``; at ρ = −∞ as ``Egalitarian`` does."""
        if self.rho == -math.inf:
            return _leaning(max(user - self.d_user, FLOOR), max(assistant - self.d_assistant, FLOOR))
        return super().weights(user, assistant)

    def _gradient(self, user: float, assistant: float) -> tuple[float, float]:
        if self.rho == -math.inf:
            return _smaller(user, assistant)
        value = float(criteria.Ces(rho=self.rho, weight=self.w)(user, assistant))
        power = 1.0 - self.rho  # (W/u)^(1 − ρ): by logarithms, as powers of steep means overflow
        steep = [math.exp(min(power * math.log(value / gain), 60.0)) for gain in (user, assistant)]
        return self.w * steep[0], (1.0 - self.w) * steep[1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Egalitarian(_OnGains):
    """The smaller of both gains.

    Example:
        >>> Egalitarian().value(4, 1), [round(weight, 6) for weight in Egalitarian().weights(4, 1)]
        (1.0, [0.0, 1.0])
    """

    name: str = "egalitarian"

    def criterion(self) -> Criterion:
        """Return the smaller gain."""
        return criteria.Egalitarian(**self._point())

    def weights(self, user: float, assistant: float) -> tuple[float, float]:
        """Return all weight for the worse-off side; where both are about equal (``FLOOR``), some for either."""
        return _leaning(user - self.d_user, assistant - self.d_assistant)

    def _gradient(self, user: float, assistant: float) -> tuple[float, float]:
        return _smaller(user, assistant)


def _smaller(user: float, assistant: float) -> tuple[float, float]:
    """Return the gradient of the smaller number."""
    return (1.0, 0.0) if user <= assistant else (0.0, 1.0)


def _leaning(user: float, assistant: float) -> tuple[float, float]:
    """Return weights that lean to the smaller number, smoothly over ``FLOOR``."""
    share = 1.0 / (1.0 + math.exp(float(np.clip((user - assistant) / FLOOR, -60.0, 60.0))))
    return share, 1.0 - share


OBJECTIVES: Mapping[str, Any] = MappingProxyType(
    {
        "assistant_only": AssistantOnly,
        "ces": Ces,
        "cobb_douglas": CobbDouglas,
        "egalitarian": Egalitarian,
        "linear": Linear,
        "nash_bargaining": NashBargaining,
        "user_only": UserOnly,
        "utilitarian": Utilitarian,
    }
)
"""The shipped objectives by name."""


def make_objective(objective: str | Objective, aggregation: str | None = None) -> Objective:
    """Return an objective from its name and settings, or itself.

    Args:
        objective: ``"cobb_douglas"``, ``"linear:w=0.7"``, ``"linear:0.7"``, ``"ces:rho=-1,aggregation=esr"``, or an objective.
        aggregation: ``"ser"`` or ``"esr"``, in place of the objective's own.

    Raises:
        UnknownNameError: No objective has this name.
        UsageError: A setting is unknown or out of range, or it is no objective.

    Example:
        >>> make_objective("linear:0.7").weights(1, 1)[0], make_objective("cobb_douglas", "esr").aggregation
        (0.7, 'esr')
    """
    if isinstance(objective, str):
        name, colon, settings = objective.partition(":")
        _refuse_untrained(name.strip())
        settings = ",".join(re.sub(r"^\s*weight\s*=", "w=", part) for part in settings.split(","))
        objective = f"{name}{colon}{settings}"
        first = {"linear": "w", "ces": "rho"}.get(name.strip())
        if first is not None and settings and "=" not in settings.partition(",")[0]:
            objective = f"{name}{colon}{first}={settings}"
        made: Any = from_spec("objective", objective, OBJECTIVES)
    else:
        made = objective
    if not isinstance(made, Objective):
        raise UsageError(f"objective: expected a name as in 'ces:rho=-1' or an Objective, got {objective!r}")
    return made if aggregation is None else dataclasses.replace(made, aggregation=aggregation)


def _refuse_untrained(name: str) -> None:
    """Refuse welfare that there is no gradient for, and say what is meant where it goes by another name."""
    if name in OBJECTIVES or name not in WELFARE:
        return
    others = {"nash_product": "nash_bargaining", "alpha_fair": "ces:rho=1-alpha", "atkinson": "ces:rho=1-epsilon"}
    if name in others:
        raise UsageError(
            f"objective {name!r}: take {others[name]}, which is the same welfare; known: {', '.join(OBJECTIVES)}"
        )
    raise UsageError(
        f"objective {name!r}: a welfare to look at (gtalign solve --criterion welfare:{name}), not one to train; expected one of "
        f"{', '.join(OBJECTIVES)}"
    )
