"""What a finite game looks like for one θ and one pricing policy: payoffs by table entry, observations by state.

A ledger is made once and never changed; states hold on to theirs, so a scenario may forget ledgers that nobody plays with.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.protocols import PricingPolicy
from gtalign_env.sight import squashed_pricing, squashed_type
from gtalign_env.tables import PayoffTables
from gtalign_env.types import Role, UserType

if TYPE_CHECKING:
    from gtalign_env.finite import FiniteScenario

__all__ = ["Ledger"]


class Ledger:
    """Payoffs and observation rows of a finite game for one type and one pricing policy.

    Two ledgers are equal when the game's rules, the type and the pricing are. Copies share the arrays; a pickle holds none.

    Args:
        scenario: The game.
        payoffs: Its payoff tables for this type and pricing.
        user_type: θ.
        pricing: The pricing policy.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> scenario = make_scenario("assist")
        >>> scenario.ledger(scenario.known_types["concise"], scenario.pricing).user_type.name
        'concise'
    """

    __slots__ = ("flat", "payoffs", "pricing", "rows", "scenario", "user_type")

    def __init__(
        self, scenario: FiniteScenario, payoffs: PayoffTables, user_type: UserType, pricing: PricingPolicy
    ) -> None:
        both = np.concatenate([payoffs.user, payoffs.assistant], axis=-1)  # (S, U, A, B, items): one row to read a step
        count = len(payoffs.user_items)
        self.scenario = scenario
        self.user_type = user_type
        self.pricing = pricing
        self.payoffs = dataclasses.replace(payoffs, user=both[..., :count], assistant=both[..., count:])
        self.flat: NDArray[np.float64] = both.reshape(-1, both.shape[-1])
        self.rows = self._observation_rows()

    def _observation_rows(self) -> dict[Role, list[NDArray[np.float32]]]:
        """Return for each role what its observation holds in each public state, whatever has happened so far."""
        features, layout = self.scenario.tables.features, self.scenario.layout
        assistant = np.zeros((features.shape[0], layout.size), dtype=np.float32)  # (S, size)
        assistant[:, layout["public"]] = features
        assistant[:, layout["pricing"]] = squashed_pricing(self.pricing)
        user = assistant.copy()
        assistant[:, layout["role"]] = 1.0
        if self.scenario.has_types:
            user[:, layout["theta"]] = squashed_type(self.user_type)
        return {"user": list(user), "assistant": list(assistant)}

    def __eq__(self, other: object) -> bool:
        """Equal when the game's rules, the type and the pricing are."""
        return isinstance(other, Ledger) and self._identity() == other._identity()

    def _identity(self) -> tuple[Any, ...]:
        rules = {name: value for name, value in self.scenario.config.items() if name != "pricing"}
        return self.scenario.name, rules, self.user_type, self.pricing

    def __hash__(self) -> int:
        """Hash by type and pricing."""
        return hash((self.user_type, self.pricing))

    def __repr__(self) -> str:
        """Return the type and the pricing."""
        return f"Ledger({self.user_type.name!r}, {self.pricing!r})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Ledger:
        """Ledgers do not change, so copies share them."""
        return self

    def __reduce__(self) -> Any:
        """Pickle what it is made from."""
        return _made_anew, (self.scenario, self.user_type, self.pricing)


def _made_anew(scenario: FiniteScenario, user_type: UserType, pricing: PricingPolicy) -> Ledger:
    return scenario.ledger(user_type, pricing)
