"""The scenarios of signalling: a user of a private type sends a message, the assistant sees it and acts.

``signalling`` is Spence's (1973) market: a user of low or high worth may take a degree, which costs it ``cost / worth`` and shows
nothing but that it could afford to; the assistant, who would like to pay what the user is worth, chooses the pay.

* user: ``U = pay − [degree]·cost / worth``
* assistant: ``L = match − (pay − worth)²``, so that its best pay is what it believes the user to be worth

Worth is θ's ``value``. With the defaults (worth 1 or 3 with equal chances, cost 2.25) there are three pure perfect Bayesian
equilibria: one in which only the high type takes the degree, and two in which nobody does, because it would not be believed;
those two do not survive the intuitive criterion. ``signalling_scenario`` plays any other ``SignallingGame``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.games.signalling import SignallingGame
from gtalign_env.scenarios.signalling.two_moves import Items, TwoMoves, two_move_scenario
from gtalign_env.types import UserType

__all__ = ["check_number", "check_types", "signalling", "signalling_scenario"]

_DESCRIPTION = (
    "A user of private worth may buy a costly degree to show it; the assistant sees the degree and sets the pay."
)
_MESSAGES = ("no_degree", "degree")
_ACTIONS = ("pay_low", "pay_mean", "pay_high")


def signalling(
    *, low: float = 1.0, high: float = 3.0, share: float = 0.5, cost: float = 2.25, match: float = 4.0
) -> FiniteScenario:
    """Make Spence's market.

    The assistant may pay the low worth, the mean worth or the high worth. An illegal message counts as no degree, an illegal
    answer as the low pay.

    Args:
        low: Worth of the low type, utils (0.001 to 1,000).
        high: Worth of the high type, above ``low``, utils.
        share: Chance of the high type, strictly between 0 and 1.
        cost: A degree costs a user ``cost / worth``, utils (0 to 1,000). The high type alone takes it in an equilibrium when
            ``low·(high − low) ≤ cost ≤ high·(high − low)``.
        match: What filling the post at exactly the right pay is worth to the assistant, utils.

    Raises:
        UsageError: A setting is out of range.

    Example:
        >>> game = signalling().game
        >>> [(found.kind, found.sender, found.intuitive) for found in game.pure_equilibria()]
        [('pooling', ('no_degree', 'no_degree'), False), ('pooling', ('no_degree', 'no_degree'), False),
         ('separating', ('no_degree', 'degree'), True)]
    """
    settings = {"low": low, "high": high, "share": share, "cost": cost, "match": match}
    check_types("signalling", {"low": low, "high": high}, share)
    check_number("signalling", "cost", cost, 0.0, 1000.0)
    check_number("signalling", "match", match, -1000.0, 1000.0)
    pay = np.array([low, low + share * (high - low), high])
    degree = np.array([[0.0], [1.0]])  # (messages, 1)

    def items(theta: UserType) -> tuple[Items, Items]:
        user = {"pay": np.tile(pay, (2, 1)), "degree": np.tile(-degree * cost / theta.value, (1, 3))}
        return user, {"match": np.tile(match - (pay - theta.value) ** 2, (2, 1))}

    types = (UserType(name="low", value=low), UserType(name="high", value=high))
    return _scenario(
        name="signalling",
        description=_DESCRIPTION,
        game=_game_of(items, types, (1.0 - share, share)),
        types=types,
        items=items,
        type_words=lambda theta: f"worth {theta.value:g} to the assistant, and a degree costs {cost / theta.value:.4g}",
        rules=(
            f"The user is worth {low:g} or {high:g} to the assistant, and may take a degree for {cost:g} divided by its worth. "
            f"The assistant then pays {', '.join(f'{amount:g}' for amount in pay)}. The user gets the pay less what the degree "
            f"cost; the assistant gets {match:g} less the squared difference between pay and worth."
        ),
        config=settings,
        recipe=(signalling, settings),
    )


def signalling_scenario(
    game: SignallingGame, *, name: str = "signals", description: str = "The user, who knows its type, sends a signal."
) -> FiniteScenario:
    """Make a scenario of any signalling game.

    The types are numbered from 1 in θ's ``value``, which is how the user sees its own; a type that is pinned otherwise plays as
    the one with the nearest number. An illegal message counts as the first, an illegal answer as the first action.

    Args:
        game: The game.
        name: The scenario's name.
        description: One sentence for lists.

    Raises:
        UsageError: A move is called ``WAIT``, or the tables would not fit.

    Example:
        >>> talk = SignallingGame.cheap_talk([0.5, 0.5], np.eye(2), np.eye(2), ("a", "b"), ("left", "right"))
        >>> signalling_scenario(talk).moves("user")
        ('a', 'b', 'WAIT')
    """
    types = tuple(UserType(name=type_name, value=i + 1.0) for i, type_name in enumerate(game.types))

    def items(theta: UserType) -> tuple[Items, Items]:
        nearest = min(range(len(types)), key=lambda i: abs(types[i].value - theta.value))
        return {"payoff": game.user[nearest]}, {"payoff": game.assistant[nearest]}

    return _scenario(
        name=name,
        description=description,
        game=game,
        types=types,
        items=items,
        type_words=lambda theta: f"type {theta.value:g} of {len(types)}",
        rules=f"The user's type is one of {', '.join(game.types)}. It sends a message, and the assistant answers with an action.",
        config={
            "prior": game.prior.tolist(),
            "user": game.user.tolist(),
            "assistant": game.assistant.tolist(),
        },
        recipe=(signalling_scenario, {"game": game, "name": name, "description": description}),
    )


def _scenario(
    *,
    game: SignallingGame,
    types: tuple[UserType, ...],
    recipe: tuple[Callable[..., FiniteScenario], Mapping[str, Any]],
    **rest: Any,
) -> FiniteScenario:
    _, messages, actions = game.shape
    frame = TwoMoves(
        first="user",
        axis="message",
        first_moves=game.messages,
        second_moves=game.actions,
        legal=np.ones((messages, actions), dtype=np.int8),
        fallback=0,
    )
    shares = dict(zip(types, game.prior.tolist(), strict=True))
    return two_move_scenario(frame, game=game, shares=shares, recipe=recipe, **rest)


def _game_of(
    items: Callable[[UserType], tuple[Items, Items]], types: tuple[UserType, ...], prior: tuple[float, ...]
) -> SignallingGame:
    sides = zip(*(items(theta) for theta in types), strict=True)
    user, assistant = (np.stack([_total(paid) for paid in side]) for side in sides)
    return SignallingGame(np.array(prior), user, assistant, tuple(t.name for t in types), _MESSAGES, _ACTIONS)


def _total(paid: Items) -> NDArray[np.float64]:
    return np.asarray(sum(paid.values()))


def check_number(scenario: str, option: str, value: object, least: float, most: float) -> None:
    """Refuse an option that is no number in its range.

    Raises:
        UsageError: It is not.

    Example:
        >>> check_number("signalling", "cost", 2.25, 0.0, 1000.0)
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not least <= value <= most:  # type: ignore[operator]
        raise UsageError(f"{scenario} option {option!r}: expected a number from {least:g} to {most:g}, got {value!r}")


def check_types(scenario: str, values: Mapping[str, float], share: float) -> None:
    """Refuse two types that do not make a population.

    Args:
        scenario: The scenario's name.
        values: θ's ``value`` of the lower and of the higher type, by the name of the option.
        share: Chance of the higher type.

    Raises:
        UsageError: A value or the share is out of range, or the lower is not below the higher.

    Example:
        >>> check_types("signalling", {"low": 1.0, "high": 3.0}, 0.5)
    """
    for name, value in values.items():
        check_number(scenario, name, value, 0.001, 1000.0)
    check_number(scenario, "share", share, 0.0, 1.0)
    (low, less), (high, more) = values.items()
    if not less < more:
        raise UsageError(f"{scenario}: expected {low} < {high}, got {low}={less!r} and {high}={more!r}")
    if share in (0.0, 1.0):
        raise UsageError(f"{scenario} option 'share': expected a chance strictly between 0 and 1, got {share!r}")
