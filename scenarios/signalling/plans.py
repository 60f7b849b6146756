"""The scenario of screening: the assistant posts a menu of plans, the user takes one or walks away.

A plan has a quality and a price. A keen user values quality more than a casual one; which of the two it is, it keeps to itself.

* user: ``U = v·quality − s·price``, with θ's ``value`` v and ``price_sensitivity`` s
* assistant: ``L = price − quality²/2``, which depends on θ through the user's choice only

With the defaults (v = 1, or 2 for a third of all users) the most profitable menu is the textbook's: ``lite+pro`` gives the keen
user the efficient quality 2 and a rent of 1/2, and the casual one half of its efficient quality 1 and no rent at all. Better for
both sides together would be ``basic+pro_sale``.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.games.screening import ScreeningGame
from gtalign_env.scenarios.signalling.spence import check_number, check_types
from gtalign_env.scenarios.signalling.two_moves import Items, TwoMoves, two_move_scenario
from gtalign_env.types import UserType

__all__ = ["LEAVE", "PLANS", "screening"]

LEAVE = "LEAVE"
"""The user's move that takes no plan."""
PLANS: Mapping[str, tuple[float, float]] = {
    "lite": (0.5, 0.5),
    "basic": (1.0, 1.0),
    "pro_sale": (2.0, 3.0),
    "pro": (2.0, 3.5),
    "pro_max": (2.0, 4.0),
}
"""The default plans: quality and price."""
_DESCRIPTION = "The assistant posts a menu of plans; a user, casual or keen in secret, takes one or leaves."


def screening(
    *,
    casual: float = 1.0,
    keen: float = 2.0,
    share: float = 1.0 / 3.0,
    plans: Mapping[str, Sequence[float]] | None = None,
    menu_size: int = 2,
) -> FiniteScenario:
    """Make the scenario.

    The assistant's moves are all menus of one to ``menu_size`` plans, named by their plans (``lite+pro``); the user's are the
    plans and ``LEAVE``. An illegal menu counts as the first, an illegal choice as leaving.

    Args:
        casual: What a unit of quality is worth to the casual type, utils (0.001 to 1,000).
        keen: The same for the keen type, above ``casual``.
        share: Chance of the keen type, strictly between 0 and 1.
        plans: Quality and price by name, ``PLANS`` when ``None``.
        menu_size: How many plans a menu holds at most, 1 to 3.

    Raises:
        UsageError: A setting is out of range, or a plan has no two numbers.

    Example:
        >>> scenario = screening()
        >>> scenario.game.optimal_menu().menu, scenario.moves("user")
        (('lite', 'pro'), ('lite', 'basic', 'pro_sale', 'pro', 'pro_max', 'LEAVE', 'WAIT'))
    """
    check_types("screening", {"casual": casual, "keen": keen}, share)
    if isinstance(menu_size, bool) or menu_size not in (1, 2, 3):
        raise UsageError(f"screening option 'menu_size': expected 1, 2 or 3, got {menu_size!r}")
    offered = _plans(PLANS if plans is None else plans)
    quality, price = np.array(list(offered.values())).T  # (plans,) each
    types = (UserType(name="casual", value=casual), UserType(name="keen", value=keen))
    frame = _frame(tuple(offered), menu_size)

    def items(theta: UserType) -> tuple[Items, Items]:
        user = {"quality": theta.value * quality, "price": -theta.price_sensitivity * price}
        assistant = {"revenue": price, "cost": -(quality**2) / 2}
        return _by_menu(user, len(frame.first_moves)), _by_menu(assistant, len(frame.first_moves))

    settings = {
        "casual": casual,
        "keen": keen,
        "share": share,
        "plans": {name: list(plan) for name, plan in offered.items()},
        "menu_size": menu_size,
    }
    listed = "; ".join(f"{name}: quality {q:g}, price {p:g}" for name, (q, p) in offered.items())
    return two_move_scenario(
        frame,
        name="screening",
        description=_DESCRIPTION,
        items=items,
        shares={types[0]: 1.0 - share, types[1]: share},
        game=ScreeningGame(
            np.array([1.0 - share, share]),
            np.outer([casual, keen], quality) - price,
            np.tile(price - quality**2 / 2, (2, 1)),
            tuple(theta.name for theta in types),
            tuple(offered),
        ),
        rules=(
            f"Plans are {listed}. A unit of quality is worth {casual:g} to a casual user and {keen:g} to a keen one, less "
            f"the price; the assistant gets the price less half the square of the quality. After {LEAVE} both get 0."
        ),
        type_words=lambda theta: f"a unit of quality is worth {theta.value:g}",
        config=settings,
        recipe=(screening, settings),
    )


def _frame(plans: tuple[str, ...], menu_size: int) -> TwoMoves:
    """Return the moves: every menu of at most so many plans, and what may be taken from each."""
    menus = [menu for size in range(1, menu_size + 1) for menu in itertools.combinations(range(len(plans)), size)]
    posted = np.zeros((len(menus), len(plans) + 1), dtype=np.int8)
    posted[:, -1] = 1
    for row, menu in enumerate(menus):
        posted[row, list(menu)] = 1
    return TwoMoves(
        first="assistant",
        axis="menu",
        first_moves=tuple("+".join(plans[plan] for plan in menu) for menu in menus),
        second_moves=(*plans, LEAVE),
        legal=posted,
        fallback=len(plans),
    )


def _by_menu(items: Items, menus: int) -> Items:
    """Return items by plan as items by (menu, move): a plan pays the same on every menu, and leaving pays nothing."""
    return {name: np.tile(np.append(item, 0.0), (menus, 1)) for name, item in items.items()}


def _plans(plans: Any) -> dict[str, tuple[float, float]]:
    if not isinstance(plans, Mapping) or not 1 <= len(plans) <= 12:
        raise UsageError(f"screening option 'plans': expected 1 to 12 plans, (quality, price) by name, got {plans!r}")
    found: dict[str, tuple[float, float]] = {}
    for name, plan in plans.items():
        if not isinstance(name, str) or not name or "+" in name or name == LEAVE:
            raise UsageError(
                f"screening: the name of a plan: expected a word without '+' that is not {LEAVE!r}, got {name!r}"
            )
        if isinstance(plan, str) or not isinstance(plan, Sequence) or len(plan) != 2:
            raise UsageError(f"screening: plan {name!r}: expected (quality, price), got {plan!r}")
        for label, value in zip(("quality", "price"), plan, strict=True):
            check_number("screening", f"{label} of plan {name}", value, 0.0, 1000.0)
        found[name] = (float(plan[0]), float(plan[1]))
    return found
