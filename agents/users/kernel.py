"""From a population of personas to user kernels: what the batched engine and the exact solver play against."""

from __future__ import annotations

import dataclasses
from typing import Any

from gtalign_env.agents.users.population import population
from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.kernels import Tabular, UserKernel, normalised
from gtalign_env.pricing import make_pricing
from gtalign_env.protocols import Persona, PricingPolicy

__all__ = ["population_kernels"]


def population_kernels(
    users: Any, scenario: FiniteScenario, pricing: str | PricingPolicy | None = None
) -> tuple[UserKernel, ...]:
    """Return a population as user kernels: exactly what its personas do in a compiled game, with shares that sum to 1.

    Args:
        users: Anything that ``population`` takes.
        scenario: The game.
        pricing: What the user pays; the scenario's own when ``None``.

    Raises:
        UsageError: A persona is no finite automaton (the message says which, why, and what to do), or does not play this game.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> [(kernel.name, kernel.share) for kernel in population_kernels("concise=3,detailed", make_scenario("assist"))]
        [('concise', 0.75), ('detailed', 0.25)]
    """
    if not isinstance(scenario, FiniteScenario):
        raise UsageError(
            f"user kernels: expected a compiled scenario (gtalign list shows them as strategic), got {scenario!r}"
        )
    policy = scenario.pricing if pricing is None else make_pricing(pricing)
    mix = population(users)
    kernels = [
        dataclasses.replace(kernel, share=share * kernel.share)
        for persona, share in zip(mix.personas, mix.shares, strict=True)
        if share > 0.0
        for kernel in normalised(_kernels(persona, scenario, policy))
    ]
    return normalised(kernels)


def _kernels(persona: Persona, scenario: FiniteScenario, pricing: PricingPolicy) -> tuple[UserKernel, ...]:
    """Return one persona's kernels; they must fit the game."""
    if not isinstance(persona, Tabular):
        raise UsageError(
            f"persona {persona.name!r} does not tell what it will do (it has no method kernels(scenario, pricing)), so it is no "
            "user kernel: take personas made from cards, a FinitePersona (docs/personas.md), 'random' or 'fixed:MOVE', or play "
            "against it without solving"
        )
    kernels = tuple(persona.kernels(scenario, pricing))
    tables = scenario.tables
    expected = (*tables.next_state.shape, len(tables.user_moves))
    for kernel in kernels:
        got = (*kernel.follow.shape[1:], kernel.moves.shape[2])
        if got != expected:
            raise UsageError(
                f"user kernel {kernel.name!r} of persona {persona.name!r}: expected (states, user acts, assistant acts, "
                f"branches, moves) {expected} as in {scenario.name!r}, got {got}"
            )
    return kernels
