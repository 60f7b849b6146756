"""One state under one pricing, solved: the stage game averaged over the population, and what its cells lead to."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.mechanism.asking import Asking, ask_or_answer
from gtalign_env.mix import UserMix
from gtalign_env.pricing import Charge
from gtalign_env.protocols import PricingPolicy
from gtalign_env.stage import mean_game
from gtalign_env.types import UserType

__all__ = ["Cells", "Exchange", "SolvedStage", "solve_stage", "type_names"]

Cells: TypeAlias = NDArray[np.float64]
"""One number for each cell: shape (rows, columns)."""

_QUESTION = "CQ"
_ASKING_ACTS = ("CQ", "AQ")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Exchange:
    """What one exchange leads to, by cell (rows, columns): expected values, before what comes after it."""

    bill: Charge
    """Price, credits, and what the provider spends on tokens and on the pricing itself, utils; each of shape (rows, columns)."""
    tokens: Cells
    """Tokens of the reply."""
    answered: Cells
    """Chance that the reply holds an answer."""
    user_items: Mapping[str, Cells]
    """The user's items, averaged over the population, utils."""
    assistant_items: Mapping[str, Cells]
    """The provider's items, utils."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SolvedStage:
    """A stage game with its equilibria and its optimum."""

    game: Bimatrix
    """The game averaged over the population."""
    user: Mapping[str, Cells]
    """The user's payoffs by type, utils."""
    pure_nash: tuple[tuple[int, int], ...]
    """Cells that are pure equilibria."""
    play: Cells
    """(rows, columns): the chance of each cell in the equilibrium that is looked at, see ``solve_stage``."""
    optimum: tuple[int, int]
    """The cell with the greatest sum of payoffs; the first of equals."""
    best: Cells
    """(rows, columns): 1 there, 0 elsewhere."""
    exchange: Exchange
    asking: Asking | None
    """Whether to ask a clarifying question; ``None`` where the assistant has none to ask."""


def solve_stage(
    scenario: FiniteScenario, where: Mapping[str, str], population: UserMix, pricing: PricingPolicy
) -> SolvedStage:
    """Solve the stage game of a state, as the average over a population makes it.

    Of several pure equilibria the one with the greatest sum of payoffs is looked at, the first of equals; where there is
    none, one in mixed strategies.

    Args:
        scenario: The game.
        where: The state's coordinates.
        population: Who may have come.
        pricing: What the user pays.

    Raises:
        UsageError: Prices do not enter this game's payoffs.

    Example:
        >>> from gtalign_env.pricing import make_pricing
        >>> from gtalign_env.registration import make_scenario
        >>> assist = make_scenario("assist")
        >>> where = {"question": "0", "kind": "simple", "clarity": "vague", "exchange": "0"}
        >>> solve_stage(assist, where, assist.mix, make_pricing("per_request")).game.user_moves
        ('VQ', 'DQ', 'LEAVE')
    """
    games = [scenario.stage_game(where, theta, pricing) for theta in population.types]
    game = mean_game(games, population.shares)
    nash = _pure_cells(game)
    every = [(i, j) for i in range(game.shape[0]) for j in range(game.shape[1])]
    optimum = _greatest(game, every)
    exchange = _exchange(scenario, scenario.tables.index(**where), population, pricing)
    names = type_names(population.types)
    return SolvedStage(
        game=game,
        user={name: own.user for name, own in zip(names, games, strict=True)},
        pure_nash=nash,
        play=_only(game, _greatest(game, nash)) if nash else _mixed(game),
        optimum=optimum,
        best=_only(game, optimum),
        exchange=exchange,
        asking=_asking(game, exchange),
    )


def type_names(types: tuple[UserType, ...]) -> tuple[str, ...]:
    """Return a name for each type; those that share one are numbered.

    Example:
        >>> type_names((UserType(name="a"), UserType(name="b"), UserType(name="a", value=2.0)))
        ('a', 'b', 'a 3')
    """
    names: list[str] = []
    for number, theta in enumerate(types, 1):
        names.append(f"{theta.name} {number}" if theta.name in names else theta.name)
    return tuple(names)


def _pure_cells(game: Bimatrix) -> tuple[tuple[int, int], ...]:
    return tuple((game.user_moves.index(row), game.assistant_moves.index(column)) for row, column in game.pure_nash())


def _greatest(game: Bimatrix, cells: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return max(cells, key=lambda cell: game.user[cell] + game.assistant[cell])


def _only(game: Bimatrix, cell: tuple[int, int]) -> Cells:
    chance = np.zeros(game.shape)
    chance[cell] = 1.0
    return chance


def _mixed(game: Bimatrix) -> Cells:
    found = game.find_nash()
    return np.outer(np.array(found.user, dtype=np.float64), np.array(found.assistant, dtype=np.float64))


def _exchange(scenario: FiniteScenario, state: int, population: UserMix, pricing: PricingPolicy) -> Exchange:
    tables = scenario.tables
    acts = [np.array(list(acts.values())) for acts in (scenario.user_acts, scenario.assistant_acts)]
    place = np.ix_(np.array([state]), *acts)
    chance = tables.probability[place][0]  # (rows, columns, B)

    def mean(values: Any) -> Cells:
        wide = np.broadcast_to(np.asarray(values, dtype=np.float64), tables.next_state.shape)
        expected: Cells = (chance * wide[place][0]).sum(axis=-1)
        return expected

    by_type = [scenario.payoff_tables(theta, pricing) for theta in population.types]
    if "price" not in by_type[0].user_items or not {"revenue", "tokens"} <= set(by_type[0].assistant_items):
        raise UsageError(
            f"scenario {scenario.name!r}: a pricing report needs payoffs with the items 'price', 'revenue' and 'tokens', got "
            f"{', '.join((*by_type[0].user_items, *by_type[0].assistant_items))}"
        )
    user = np.einsum("k,k...->...", np.array(population.shares), np.stack([own.user for own in by_type]))
    user_items = {name: mean(user[..., i]) for i, name in enumerate(by_type[0].user_items)}
    assistant_items = {name: mean(by_type[0].assistant[..., i]) for i, name in enumerate(by_type[0].assistant_items)}
    price = mean(pricing.price(tables.outcome))
    return Exchange(
        bill=Charge(price, price - assistant_items["revenue"] - assistant_items["tokens"]),
        tokens=mean(tables.outcome.tokens_out),
        answered=mean(tables.outcome.answered),
        user_items=user_items,
        assistant_items=assistant_items,
    )


def _asking(game: Bimatrix, exchange: Exchange) -> Asking | None:
    """Compare the clarifying question with the best that the assistant would do otherwise; each is met by the user's best act.

    What follows the exchange counts as the question's worth, its prices and the provider's retention included; what the exchange
    itself takes is its cost. The question's tokens are a cost of the provider's, so that the social rule counts them.
    """
    others = [j for j, move in enumerate(game.assistant_moves) if move.partition("_")[0] not in _ASKING_ACTS]
    if _QUESTION not in game.assistant_moves or not others:
        return None
    best_row = game.user.argmax(axis=0)  # (columns,)
    question = game.assistant_moves.index(_QUESTION)
    answer = max(others, key=lambda j: float(game.assistant[best_row[j], j]))
    asked, otherwise = (best_row[question], question), (best_row[answer], answer)
    price = float(exchange.bill.price[asked])
    bill = -float(exchange.user_items["price"][asked])
    spent_user = sum(float(items[asked]) for items in exchange.user_items.values())
    spent_assistant = sum(float(items[asked]) for items in exchange.assistant_items.values())
    return ask_or_answer(
        evsi_user=float(game.user[asked] - game.user[otherwise]) - spent_user,
        evsi_assistant=float(game.assistant[asked] - game.assistant[otherwise]) - spent_assistant,
        cost_user=-spent_user - bill,
        cost_assistant=price - spent_assistant,
        tokens=1.0,
        price=price,
        price_sensitivity=bill / price if price > 0.0 else 1.0,
    )
