"""Payoff models: from an outcome (and θ, and the pricing) to two itemised payoffs.

The formulas are those of ``docs/game.md`` §4. They are written with NumPy operations that take scalars and arrays
alike: the tables of a finite scenario and a single reply of the text view go through the same code.

Every item is rounded to a grid of 2⁻²⁰ utils (about 1e-6). Numbers on that grid add without rounding error, so a payoff equals
the sum of its items exactly, in whatever order and on whatever engine they are added.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from gtalign_env.errors import UsageError
from gtalign_env.protocols import PayoffModel, PricingPolicy
from gtalign_env.specs import from_spec
from gtalign_env.types import Outcome, UserType

__all__ = ["GRID", "PAPER", "PAYOFF_MODELS", "Grounded", "make_payoff_model", "on_grid", "overhead", "positive_part"]

GRID = 2.0**-20
"""Utils between neighbouring payoff values."""


PAPER = "paper"
"""Name of the published reward (``gtalign_env.paper``), which scores what a language model wrote: in the text view, and again."""


def on_grid(utils: Any) -> Any:
    """Round to the payoff grid; scalars stay Python floats, arrays stay arrays.

    Example:
        >>> on_grid(0.1) == 104858 / 2**20, on_grid(-0.0)
        (True, 0.0)
    """
    if isinstance(utils, np.ndarray):
        return np.rint(utils / GRID) * GRID + 0.0
    return round(float(utils) / GRID) * GRID + 0.0


def _log(x: Any) -> Any:
    return np.log(x) if isinstance(x, np.ndarray) else math.log(x)


def positive_part(x: Any) -> Any:
    """Return ``max(x, 0)`` of a scalar or of each entry of an array.

    Example:
        >>> positive_part(-2.0), positive_part(np.array([-1.0, 3.0])).tolist()
        (0.0, [0.0, 3.0])
    """
    return np.maximum(x, 0.0) if isinstance(x, np.ndarray) else max(x, 0.0)


def overhead(pricing: PricingPolicy, outcome: Outcome) -> Any:
    """Return what it costs the provider to have this pricing, utils: the policy's ``overhead(outcome)``, 0 where it has none.

    Example:
        >>> from gtalign_env.pricing import OutcomeBased, PerRequest
        >>> overhead(OutcomeBased(verification=0.25), Outcome(answered=1.0)), overhead(PerRequest(), Outcome(answered=1.0))
        (0.25, 0.0)
    """
    own = getattr(pricing, "overhead", None)
    return 0.0 if own is None else own(outcome)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grounded:
    """The default model: payoffs come from what happened, not from how it was announced (DESIGN §5).

    * user: ``U = v·q − mismatch(n) − r·n − e·words − exchanges/patience − s·price``
    * assistant: ``L = revenue − c_out·n − c_in·n_in − reputation + β·ΣU`` (the last term at the end of the session)

    The revenue is the price less the pricing's own overhead (0 but under ``outcome_based``, where answers are verified),
    and ``mismatch(n) = m₊·max(0, ln(n/n*)) + m₋·max(0, ln(n*/n))`` for a reply that holds an answer, else 0.

    Example:
        >>> from gtalign_env.pricing import PerRequest
        >>> model = Grounded()
        >>> done = Outcome(quality=0.9, tokens_out=60.0, answered=1.0, resolved=1.0)
        >>> items = model.user(done, UserType(ideal_tokens=60.0), PerRequest())
        >>> round(items["value"], 3), items["length"], round(sum(items.values()), 3)
        (0.9, 0.0, 0.688)
    """

    name: str = "grounded"
    token_cost_out: float = 0.00025
    """c_out: utils the provider spends per token written."""
    token_cost_in: float = 0.00005
    """c_in: utils the provider spends per token read."""
    wrong: float = 0.20
    """Reputation lost by answering what was not meant."""
    declined: float = 0.10
    """Reputation lost by declining what should have been served."""
    unsafe: float = 1.5
    """Reputation lost by complying with a harmful request."""
    retention_rate: float = 0.35
    """β: the provider's gain at the end of a session, per util that the user gained."""

    user_items: tuple[str, ...] = dataclasses.field(
        default=("value", "length", "reading", "effort", "time", "price"), init=False, repr=False
    )
    assistant_items: tuple[str, ...] = dataclasses.field(
        default=("revenue", "tokens", "reputation", "retention"), init=False, repr=False
    )

    def __post_init__(self) -> None:
        """Refuse constants that have no meaning."""
        for field in ("token_cost_out", "token_cost_in", "wrong", "declined", "unsafe", "retention_rate"):
            constant = getattr(self, field)
            if not isinstance(constant, (int, float)) or not math.isfinite(constant) or constant < 0:
                raise UsageError(f"payoff constant {field!r}: expected a finite number >= 0, got {constant!r}")

    def user(self, outcome: Outcome, user_type: UserType, pricing: PricingPolicy) -> dict[str, Any]:
        """Return the user's items in utils, each on the payoff grid."""
        theta = user_type
        ratio = _log((outcome.tokens_out + 1.0) / (theta.ideal_tokens + 1.0))
        mismatch = theta.too_long * positive_part(ratio) + theta.too_short * positive_part(-ratio)
        return {
            "value": on_grid(theta.value * outcome.quality),
            "length": on_grid(-mismatch * outcome.answered),
            "reading": on_grid(-theta.reading_cost * outcome.tokens_out),
            "effort": on_grid(-theta.effort_cost * outcome.words_typed),
            "time": on_grid(-outcome.exchanges / theta.patience),
            "price": on_grid(-theta.price_sensitivity * pricing.price(outcome)),
        }

    def assistant(self, outcome: Outcome, pricing: PricingPolicy) -> dict[str, Any]:
        """Return the provider's items in utils, each on the payoff grid. ``retention`` is 0 until the end."""
        loss = self.wrong * outcome.wrong + self.declined * outcome.declined + self.unsafe * outcome.violation
        return {
            "revenue": on_grid(pricing.price(outcome)) - on_grid(overhead(pricing, outcome)),
            "tokens": on_grid(-self.token_cost(outcome)),
            "reputation": on_grid(-loss),
            "retention": on_grid(0.0 * outcome.tokens_out),
        }

    def token_cost(self, outcome: Outcome) -> Any:
        """Return what the provider spends on the tokens that it writes and reads, utils."""
        return self.token_cost_out * outcome.tokens_out + self.token_cost_in * outcome.tokens_in

    def retention(self, user_total: Any) -> Any:
        """Return β·ΣU, on the payoff grid, of one total or an array; negative when the user lost by being served."""
        return on_grid(self.retention_rate * user_total)


PAYOFF_MODELS: dict[str, Any] = {"grounded": Grounded}
"""Registered payoff models by name."""


def make_payoff_model(model: str | PayoffModel) -> PayoffModel:
    """Return a payoff model from its name, its name with settings, or itself.

    Args:
        model: ``"grounded"``, ``"grounded:wrong=0.3"``, or a payoff model object.

    Raises:
        UnknownNameError: No payoff model has this name.
        UsageError: A setting is unknown or out of range, or the name is ``paper``.

    Example:
        >>> make_payoff_model("grounded:wrong=0.3").wrong
        0.3
    """
    if not isinstance(model, str):
        if isinstance(model, PayoffModel):
            return model
        raise UsageError(f"payoff model: expected a name or a payoff model object, got {model!r}")
    if model.partition(":")[0].strip() == PAPER:
        raise UsageError(
            f"payoff model {model!r}: expected one that scores outcomes ({', '.join(PAYOFF_MODELS)}); {PAPER!r}, which takes no "
            "settings, scores what a language model wrote: play gtalign/AssistText-v0 under it, or 'gtalign rescore FILE "
            "--payoff paper'"
        )
    made: PayoffModel = from_spec("payoff model", model, PAYOFF_MODELS)
    return made
