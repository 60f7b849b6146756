"""Criteria: rules that pick how a game should be, or will be, played, and say why.

A criterion is named by a string, ``"NAME"`` or ``"NAME:ARGUMENT"``, as ``gtalign solve --criterion`` takes it. Some look at the
outcomes alone (``welfare``, ``bargaining``) and apply to any game; the others need the moves of a bimatrix.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast, get_args

import numpy as np
from numpy.typing import NDArray

from gtalign_env.comparing import undominated
from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.games.bargaining import Bargain, Solution
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.games.correlated import Objective
from gtalign_env.types import Role
from gtalign_env.welfare import make_welfare, optimal_cells
from gtalign_env.welfare.names import in_full

__all__ = [
    "CRITERIA",
    "DEFAULT_WELFARE",
    "Choice",
    "Play",
    "agreement",
    "agreements",
    "cell_label",
    "cell_name",
    "choose",
    "of_outcomes",
    "play_dicts",
    "welfare_best",
    "welfare_of",
]

DEFAULT_WELFARE = "cobb_douglas"
"""Mutual welfare √(U·L) of the gains: the welfare where nothing else is asked for."""
Play: TypeAlias = tuple[str, str, float]
"""The user's move, the assistant's move, and the chance of both."""
_TOLERANCE = 1e-9
_USUAL = {
    "bargaining": "nash",
    "correlated": "utilitarian",
    "quantal": "1",
    "stackelberg": "assistant",  # a provider's policy is fixed before its users come
    "welfare": DEFAULT_WELFARE,
}
"""What a criterion's argument is where none is given."""
_OF_GAINS = ("alpha_fair", "atkinson", "ces", "cobb_douglas", "gini", "jain", "nash_product")
"""Welfare functions that mean something only where nobody loses (see ``welfare.gains``)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """What a criterion picks: one outcome, or chances over several.

    Example:
        >>> choose(Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]], "CD", "CD"), "nash").cell
        ('D', 'D')
    """

    criterion: str
    play: tuple[Play, ...]
    """All that may happen; the chances sum to 1. Nothing where there is no agreement."""
    user: float
    """The user's expected payoff, utils."""
    assistant: float
    """The assistant's expected payoff, utils."""
    why: str
    """The reason, as a sentence."""

    @property
    def cell(self) -> tuple[str, str] | None:
        """The (user's, assistant's) move, where nothing is left to chance."""
        return self.play[0][:2] if len(self.play) == 1 else None

    def as_dict(self) -> dict[str, Any]:
        """Return the choice as JSON has it."""
        return {
            "name": self.criterion,
            "cell": None if self.cell is None else cell_name(self.cell),
            "play": play_dicts(self.play),
            "payoffs": {"user": self.user, "assistant": self.assistant},
            "why": self.why,
        }


def cell_name(cell: tuple[str, str]) -> list[str] | str:
    """Return a cell as JSON has it: both moves, or the name of an outcome where outcomes are the cells of one column.

    Example:
        >>> cell_name(("DQ", "AQ")), cell_name(("A1/B2", ""))
        (['DQ', 'AQ'], 'A1/B2')
    """
    return list(cell) if cell[1] else cell[0]


def cell_label(cell: tuple[str, str]) -> str:
    """Return what a cell is called: plans, whose names have joints of their own, are kept apart.

    Example:
        >>> cell_label(("DQ", "AQ")), cell_label(("A1/B2", "")), cell_label(("a|b", "1|2"))
        ('DQ_AQ', 'A1/B2', 'a|b · 1|2')
    """
    plans = cell[1] and set("/|") & set("".join(cell))
    return (" · " if plans else "_").join(filter(None, cell))


def play_dicts(play: Iterable[Play]) -> list[dict[str, Any]]:
    """Return cells with their chances as JSON has them.

    Example:
        >>> play_dicts([("DQ", "AQ", 1.0)])
        [{'cell': ['DQ', 'AQ'], 'chance': 1.0}]
    """
    return [{"cell": cell_name((user, assistant)), "chance": chance} for user, assistant, chance in play]


def choose(game: Bimatrix, criterion: str) -> Choice:
    """Apply a criterion to a bimatrix game.

    Args:
        game: The game.
        criterion: A name of ``CRITERIA``, with its argument after a colon where it takes one. A bare number is the main setting
            of a welfare function: ``"welfare:ces:-1"`` is ``"welfare:ces:rho=-1"``.

    Raises:
        UnknownNameError: There is no such criterion, or no such welfare function, leader or bargaining solution.
        UsageError: The argument does not fit.

    Example:
        >>> game = Bimatrix([[1, 4, 1], [0, 3, 2]], [[1, 0, 0], [1, 3, 1]], ("VQ", "DQ"), ("DA", "AQ", "CQ"))
        >>> choose(game, "welfare").cell, choose(game, "nash").cell
        (('DQ', 'AQ'), ('VQ', 'DA'))
    """
    name, argument = _split(criterion)
    return dataclasses.replace(CRITERIA[name](game, argument), criterion=":".join(filter(None, (name, argument))))


def of_outcomes(criterion: str) -> bool:
    """Return whether a criterion looks at outcomes alone, so that it applies to games of any form.

    Raises:
        UnknownNameError: There is no such criterion.

    Example:
        >>> of_outcomes("welfare:utilitarian"), of_outcomes("nash")
        (True, False)
    """
    return _split(criterion)[0] in ("welfare", "bargaining")


def welfare_of(criterion: str) -> str:
    """Return the welfare function by which the optimum is reported beside a criterion.

    Example:
        >>> welfare_of("welfare:ces:-1"), welfare_of("maximin")
        ('ces:rho=-1', 'cobb_douglas')
    """
    name, argument = _split(criterion)
    return argument if name == "welfare" else DEFAULT_WELFARE


def welfare_best(game: Bimatrix, welfare: str) -> list[tuple[str, str]]:
    """Return the cells of highest welfare, those with the highest sum of payoffs first, then row by row.

    Example:
        >>> welfare_best(Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]], "CD", "CD"), "cobb_douglas")
        [('C', 'C')]
    """
    found = np.argwhere(optimal_cells(game.user, game.assistant, welfare)).tolist()
    cells = [(game.user_moves[i], game.assistant_moves[j]) for i, j in found]
    return sorted(cells, key=lambda cell: -sum(_payoffs(game, cell)))


def agreement(game: Bimatrix, found: Bargain) -> list[Play]:
    """Return what a bargaining solution agrees on; nothing where there is no agreement.

    Example:
        >>> game = Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]], "CD", "CD")
        >>> agreement(game, game.bargaining("nash"))
        [('C', 'C', 1.0)]
    """
    return [(game.user_moves[i], game.assistant_moves[j], chance) for (i, j), chance in found.mixture]


def agreements(game: Bimatrix, *, hull: bool = False) -> dict[str, Bargain]:
    """Return what each bargaining solution picks with the outside option (0, 0), by its name.

    Args:
        game: The game, or its outcomes as cells.
        hull: Whether agreements may be left to chance.

    Example:
        >>> list(agreements(Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]])))
        ['nash', 'kalai_smorodinsky', 'egalitarian', 'utilitarian']
    """
    names: tuple[Solution, ...] = get_args(Solution)
    return {name: game.bargaining(name, hull=hull) for name in names}


def _split(criterion: str) -> tuple[str, str]:
    """Return a criterion's name and its argument, the usual one where none is given."""
    name, _, argument = criterion.partition(":")
    if name not in CRITERIA:
        raise UnknownNameError("criterion", name, CRITERIA)
    return name, in_full(argument) if name == "welfare" and argument else argument or _USUAL.get(name, "")


# -- what each criterion does -----------------------------------------------------------------------------------------------


def _welfare(game: Bimatrix, argument: str) -> Choice:
    cells = welfare_best(game, argument)
    why = f"no cell has a higher {argument} welfare"
    welfare = make_welfare(argument)
    if welfare.name in _OF_GAINS and welfare(*_payoffs(game, cells[0])) < 0:  # the smaller gain, where a side loses
        why += "; somebody loses in every cell, so the smallest loss of the worse-off side counts"
    return _at(game, cells[0], why + _ties(cells))


def _nash(game: Bimatrix, argument: str) -> Choice:
    _no_argument("nash", argument)
    pure = game.pure_nash()
    if len(pure) == 1:
        return _at(game, pure[0], "it is the only pure equilibrium: alone, nobody gains by doing otherwise")
    if pure:
        best = undominated(*np.transpose([_payoffs(game, cell) for cell in pure]))
        cells = [cell for cell, stays in zip(pure, best, strict=True) if stays]
        cells = sorted(cells, key=lambda cell: -sum(_payoffs(game, cell)))
        return _at(game, cells[0], f"of {len(pure)} pure equilibria it is undominated, with the highest sum of payoffs")
    found = game.find_nash()
    return _mixed(game, found.user, found.assistant, "no pair of pure moves is an equilibrium; this mixture is one")


def _stackelberg(game: Bimatrix, argument: str) -> Choice:
    leader, _, kind = argument.partition(":")
    if leader not in get_args(Role) or kind not in ("", "mixed"):
        raise UsageError(
            f"criterion 'stackelberg': expected stackelberg:user or stackelberg:assistant, with :mixed after it for a leader "
            f"who may commit to chances; got {argument!r}"
        )
    role: Role = "user" if leader == "user" else "assistant"
    found = game.stackelberg(role, mixed=bool(kind))
    follower = np.eye(len(game.assistant_moves if role == "user" else game.user_moves))[found.response]
    user, assistant = (found.commitment, follower) if role == "user" else (follower, found.commitment)
    return _mixed(game, user, assistant, f"the {leader} commits to it first, and the other answers with its best")


def _bargaining(game: Bimatrix, argument: str) -> Choice:
    found = game.bargaining(cast(Solution, argument))
    why = f"it is the {argument.replace('_', '–')} bargaining solution with the outside option (0, 0)"
    if not found.agreed:
        why = "there is no agreement: every cell leaves somebody worse off than the outside option (0, 0)"
    return _over(agreement(game, found), why, user=found.user_payoff, assistant=found.assistant_payoff)


def _maximin(game: Bimatrix, argument: str) -> Choice:
    _no_argument("maximin", argument)
    user, assistant = (game.maximin(role, mixed=True) for role in get_args(Role))
    return _mixed(game, user.strategy, assistant.strategy, "both play safe: each maximises what it gets at worst")


def _correlated(game: Bimatrix, argument: str) -> Choice:
    found = game.correlated(cast(Objective, argument))
    cells = _cells(game, np.asarray(found.distribution, dtype=np.float64))
    why = f"of all correlated equilibria it has the best {argument} value"
    return _over(cells, why, user=float(found.user_payoff), assistant=float(found.assistant_payoff))


def _quantal(game: Bimatrix, argument: str) -> Choice:
    try:
        rationality = float(argument)
    except ValueError:
        rationality = math.nan
    if not 0 <= rationality < math.inf:
        raise UsageError(f"criterion 'quantal': expected quantal:RATIONALITY with a number >= 0, got {argument!r}")
    found = game.quantal_response(rationality)
    why = f"both choose better moves more often: the logit response at rationality {rationality:g}"
    return _mixed(game, found.user, found.assistant, why)


def _dominance(game: Bimatrix, argument: str) -> Choice:
    _no_argument("dominance", argument)
    left = game.dominance(mixed=True)
    if len(left.user_moves) * len(left.assistant_moves) > 1:
        kept = f"{', '.join(left.user_moves)} against {', '.join(left.assistant_moves)}"
        raise UsageError(f"criterion 'dominance': strict dominance leaves more than one cell: {kept}")
    cell = (left.user_moves[0], left.assistant_moves[0])
    return _at(game, cell, "nothing else survives the removal of strictly dominated moves")


CRITERIA: Mapping[str, Callable[[Bimatrix, str], Choice]] = {
    "bargaining": _bargaining,
    "correlated": _correlated,
    "dominance": _dominance,
    "maximin": _maximin,
    "nash": _nash,
    "quantal": _quantal,
    "stackelberg": _stackelberg,
    "welfare": _welfare,
}
"""The criteria by name."""


# -- helpers ------------------------------------------------------------------------------------------------------------------


def _no_argument(name: str, argument: str) -> None:
    if argument:
        raise UsageError(f"criterion {name!r} takes no argument, got {argument!r}")


def _ties(cells: Sequence[tuple[str, str]]) -> str:
    return f"; {len(cells) - 1} more {'has' if len(cells) == 2 else 'have'} the same" if len(cells) > 1 else ""


def _payoffs(game: Bimatrix, cell: tuple[str, str]) -> tuple[float, float]:
    place = game.user_moves.index(cell[0]), game.assistant_moves.index(cell[1])
    return float(game.user[place]), float(game.assistant[place])


def _at(game: Bimatrix, cell: tuple[str, str], why: str) -> Choice:
    user, assistant = _payoffs(game, cell)
    return _over([(*cell, 1.0)], why, user=user, assistant=assistant)


def _mixed(game: Bimatrix, user: Sequence[Any], assistant: Sequence[Any], why: str) -> Choice:
    chances = np.outer([float(weight) for weight in user], [float(weight) for weight in assistant])
    payoffs = [float((chances * matrix).sum()) for matrix in (game.user, game.assistant)]
    return _over(_cells(game, chances), why, user=payoffs[0], assistant=payoffs[1])


def _cells(game: Bimatrix, chances: NDArray[np.float64]) -> list[Play]:
    """Return the cells that may happen; chances of rounding size are none."""
    found = np.argwhere(chances > _TOLERANCE).tolist()
    return [(game.user_moves[i], game.assistant_moves[j], float(chances[i, j])) for i, j in found]


def _over(cells: Iterable[Play], why: str, *, user: float, assistant: float) -> Choice:
    return Choice(criterion="", play=tuple(cells), user=user, assistant=assistant, why=why)
