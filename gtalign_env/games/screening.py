"""Screening: the assistant posts a menu of contracts, and the user, who knows its type, picks one or walks away.

The other way round from signalling: here the uninformed side moves first. A menu works when every type prefers its own contract
to the others' (incentive compatibility, IC) and to nothing (individual rationality, IR).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.errors import UsageError
from gtalign_env.games.signalling import Floats, as_prior, game_array
from gtalign_env.inputs import different_names

__all__ = ["MOST_ASSIGNMENTS", "MenuAudit", "MenuOutcome", "ScreeningGame", "audit_menu"]

MOST_ASSIGNMENTS = 1_000_000
"""Assignments of contracts to types that are enumerated at most."""
_GAIN = 1e-9


@dataclasses.dataclass(frozen=True, kw_only=True)
class MenuAudit:
    """Whether a menu does what it is meant to do, type by type."""

    envy: tuple[tuple[float, ...], ...]
    """(T, T): what type i (row) would gain by the contract that is meant for type j, utils; IC needs all ≤ 0."""
    rent: tuple[float, ...]
    """(T,): each type's gain over walking away, its information rent, utils; IR needs all ≥ 0."""

    @property
    def ic_violation(self) -> float:
        """The most that a type gains by another's contract; 0 where the menu is incentive compatible."""
        return max(0.0, *itertools.chain.from_iterable(self.envy))

    @property
    def ir_violation(self) -> float:
        """The most that a type loses by taking part; 0 where all want to."""
        return max(0.0, -min(self.rent))

    @property
    def works(self) -> bool:
        """Whether IC and IR hold, to 1e-9."""
        return self.ic_violation <= _GAIN and self.ir_violation <= _GAIN


def audit_menu(worth: ArrayLike, prices: ArrayLike | None = None, *, outside: float = 0.0) -> MenuAudit:
    """Check a menu of one contract per type for IC and IR.

    ``IC: v_i(q_i) − P_i ≥ v_i(q_j) − P_j`` and ``IR: v_i(q_i) − P_i ≥ ū``.

    Args:
        worth: What the contract of type j (column) is worth to type i (row), shape (T, T), utils.
        prices: What each contract costs, shape (T,), utils; nothing, or already taken off, when ``None``.
        outside: ū, what walking away is worth.

    Raises:
        UsageError: The shapes do not fit, or something is not finite.

    Example:
        >>> audit = audit_menu([[0.5, 2.0], [1.0, 4.0]], [0.5, 3.5])
        >>> audit.works, audit.rent, audit.envy
        (True, (0.0, 0.5), ((0.0, -1.5), (0.0, 0.0)))
    """
    gross = game_array("menu", "user", worth, dimensions=2)
    cost = np.zeros(len(gross)) if prices is None else game_array("menu", "assistant", prices, dimensions=1)
    if gross.shape[0] != gross.shape[1] or cost.shape != (len(gross),):
        raise UsageError(f"menu: expected one contract and one price per type, got {gross.shape} and {cost.shape}")
    net = gross - cost
    own = np.diag(net)
    return MenuAudit(envy=_rows(net - own[:, None]), rent=tuple((own - outside).tolist()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class MenuOutcome:
    """What comes of a menu when every type picks for itself."""

    choices: tuple[str | None, ...]
    """The contract that each type takes; ``None`` walks away."""
    user_by_type: tuple[float, ...]
    """(T,): each type's payoff, its rent over walking away, utils."""
    assistant_by_type: tuple[float, ...]
    """(T,): the provider's payoff from each type, utils."""
    user_payoff: float
    """Expected over types, utils."""
    assistant_payoff: float
    """Expected over types, utils."""

    @property
    def menu(self) -> tuple[str, ...]:
        """The contracts that somebody takes, each once, in the order of the types."""
        return tuple(dict.fromkeys(choice for choice in self.choices if choice is not None))

    @property
    def excluded(self) -> int:
        """How many types walk away."""
        return self.choices.count(None)


@dataclasses.dataclass(frozen=True, eq=False, init=False)
class ScreeningGame:
    """A finite screening game: which contracts exist, and what each brings both sides with each type.

    Whoever walks away, and whoever is walked away from, gets 0.

    Args:
        prior: How likely each type is, shape (T,), all > 0.
        user: What each type gets from each contract, prices taken off, shape (T, C), utils.
        assistant: What the provider gets, the same shape; it may depend on the type (as a risk does).
        types: Names of the types; numbered when empty.
        contracts: Names of the contracts; numbered when empty.

    Raises:
        UsageError: The prior is none, the payoffs are not finite or have other shapes, or the names do not fit.

    Example:
        >>> game = ScreeningGame([0.5, 0.5], [[1, -1], [1, 2]], [[1, 2], [1, 2]], ("low", "high"), ("basic", "pro"))
        >>> game.optimal_menu().choices
        ('basic', 'pro')
    """

    prior: Floats
    """(T,): how likely each type is. Read-only."""
    user: Floats
    """(T, C): what each type gets from each contract, utils. Read-only."""
    assistant: Floats
    """(T, C): what the provider gets, utils. Read-only."""
    types: tuple[str, ...]
    contracts: tuple[str, ...]

    def __init__(
        self,
        prior: ArrayLike,
        user: ArrayLike,
        assistant: ArrayLike,
        types: Sequence[str] = (),
        contracts: Sequence[str] = (),
    ) -> None:
        prior = as_prior(prior)
        user = game_array("screening game", "user", user, dimensions=2)
        assistant = game_array("screening game", "assistant", assistant, dimensions=2)
        if user.shape != assistant.shape or len(user) != len(prior):
            raise UsageError(
                f"screening game: expected payoffs of one shape ({len(prior)} types, contracts), got {user.shape} for the user "
                f"and {assistant.shape} for the assistant"
            )
        for name, array in (("prior", prior), ("user", user), ("assistant", assistant)):
            object.__setattr__(self, name, array)
        object.__setattr__(self, "types", different_names(types, user.shape[0], "types"))
        object.__setattr__(self, "contracts", different_names(contracts, user.shape[1], "contracts"))

    def __repr__(self) -> str:
        """Return the names and the prior; the arrays are long."""
        return f"ScreeningGame(types={self.types}, contracts={self.contracts}, prior={self.prior})"

    def outcome(self, menu: Sequence[str]) -> MenuOutcome:
        """Return what comes of a menu. Types that are indifferent choose what the provider prefers, and sooner take than leave.

        Args:
            menu: Names of the contracts that are posted.

        Raises:
            UsageError: There is no such contract.

        Example:
            >>> game = ScreeningGame([0.5, 0.5], [[1, 0], [1, 2]], [[1, 2], [1, 2]], ("low", "high"), ("basic", "pro"))
            >>> game.outcome(["pro"]).choices
            ('pro', 'pro')
        """
        unknown = [name for name in menu if name not in self.contracts]
        if unknown:
            raise UsageError(
                f"menu: no contract is called {unknown[0]!r}: expected some of {', '.join(self.contracts)}"
            )
        posted = [self.contracts.index(name) for name in menu]
        choices = []
        for own, profit in zip(self.user, self.assistant, strict=True):
            best = max([0.0, *(own[c] for c in posted)])
            liked = [c for c in posted if own[c] >= best - _GAIN]
            choices.append(max(liked, key=lambda c: profit[c], default=None))
        return self._outcome(choices)

    def optimal_menu(self) -> MenuOutcome:
        """Return the menu that brings the provider most, by enumeration of what each type might take.

        It is incentive compatible and individually rational. Among equally profitable ones it is the best for the users,
        then the first.

        Raises:
            UsageError: There are more than ``MOST_ASSIGNMENTS`` assignments of contracts to types.

        Example:
            The provider gains 1 from "basic" and 2 from "pro", which the low type finds not worth its price:

            >>> game = ScreeningGame([0.5, 0.5], [[1, -1], [1, 2]], [[1, 2], [1, 2]], ("low", "high"), ("basic", "pro"))
            >>> best = game.optimal_menu()
            >>> best.choices, best.assistant_payoff, best.user_by_type
            (('basic', 'pro'), 1.5, (1.0, 2.0))
        """
        taken = self._assignments()  # (N, T), the last contract stands for nothing
        user, assistant = (np.pad(array, ((0, 0), (0, 1))) for array in (self.user, self.assistant))
        types = np.arange(len(self.types))
        own = user[types, taken]  # (N, T)
        holds = (own >= -_GAIN).all(axis=1)
        for t in types:
            holds &= (user[t, taken] <= own[:, [t]] + _GAIN).all(axis=1)
        profit = assistant[types, taken] @ self.prior
        rents = own @ self.prior
        profit[~holds] = -np.inf
        rents[profit < profit.max() - _GAIN] = -np.inf
        best = taken[int(np.argmax(rents >= rents.max() - _GAIN))]
        return self._outcome([None if c == len(self.contracts) else int(c) for c in best])

    def audit(self, choices: Sequence[str | None]) -> MenuAudit:
        """Check IC and IR for contracts that are meant for the types, ``None`` for no contract.

        Args:
            choices: A contract for each type, in the order of the types.

        Raises:
            UsageError: There is not one for each type, or no such contract.

        Example:
            >>> game = ScreeningGame([0.5, 0.5], [[1, -1], [1, 2]], [[1, 2], [1, 2]], ("low", "high"), ("basic", "pro"))
            >>> game.audit(["pro", "basic"]).ir_violation, game.audit(["basic", "basic"]).works
            (1.0, True)
        """
        names: list[str | None] = [*self.contracts, None]
        if len(choices) != len(self.types) or any(choice not in names for choice in choices):
            raise UsageError(
                f"audit: expected a contract for each of {', '.join(self.types)}, one of {', '.join(self.contracts)} or None, "
                f"got {list(choices)!r}"
            )
        meant = [names.index(choice) for choice in choices]
        return audit_menu(np.pad(self.user, ((0, 0), (0, 1)))[:, meant])

    def competitive_menu(self) -> MenuOutcome | None:
        """Return the menu that competition leaves: the best contract for each type that does not lose money on it.

        The construction of Rothschild & Stiglitz (1976): types in order, from the one that nobody envies less to the others
        (high risks first); each gets its favourite among the contracts that at least break even on it and that no earlier
        type would rather have; ties go to the provider. ``upset_by`` says whether an entrant could break the result.

        Returns:
            The menu; ``None`` where the construction fails: a type would rather have a contract that was meant for an earlier
            one. That happens where the game lacks single crossing, or where its types are in another order.

        Example:
            >>> game = ScreeningGame([0.5, 0.5], [[3, 1], [2, 4]], [[0, 2], [0, 0]], ("risky", "safe"), ("full", "partial"))
            >>> game.competitive_menu().choices
            ('full', 'partial')
            >>> game = ScreeningGame([0.5, 0.5], [[1, 3, -2], [0, 3, 2]], [[0, 0, 0], [1, -1, 2]])
            >>> game.competitive_menu() is None  # the first gets 3 from "2", and so would the second, instead of 2 from "3"
            True
        """
        user, assistant = (np.pad(array, ((0, 0), (0, 1))) for array in (self.user, self.assistant))
        chosen: list[int] = []
        for t in range(len(self.types)):
            open_to = (assistant[t] >= -_GAIN) & (user[t] >= -_GAIN)  # no contract at all is always open
            for earlier, contract in enumerate(chosen):
                open_to &= user[earlier] <= user[earlier, contract] + _GAIN
            liked = open_to & (user[t] >= user[t, open_to].max() - _GAIN)
            chosen.append(int(np.argmax(np.where(liked, assistant[t], -np.inf))))
        found = self._outcome([None if c == len(self.contracts) else c for c in chosen])
        return found if self.audit(found.choices).works else None

    def upset_by(self, outcome: MenuOutcome) -> str | None:
        """Return a contract with which an entrant would earn money against a menu, by drawing types away; ``None`` if none.

        Under competition a menu that can be upset is no equilibrium: Rothschild & Stiglitz show that there may be none.

        Example:
            >>> game = ScreeningGame([0.5, 0.5], [[3, 1], [2, 4]], [[0, 2], [0, 0]], ("risky", "safe"), ("full", "partial"))
            >>> game.upset_by(game.competitive_menu()) is None
            True
        """
        drawn = self.user > np.array(outcome.user_by_type)[:, None] + _GAIN  # (T, C): who would change
        earned = np.where(drawn, self.assistant * self.prior[:, None], 0.0).sum(axis=0)
        best = int(earned.argmax())
        return self.contracts[best] if earned[best] > _GAIN else None

    def _assignments(self) -> NDArray[np.intp]:
        count, options = len(self.types), len(self.contracts) + 1
        if options**count > MOST_ASSIGNMENTS:
            raise UsageError(
                f"screening game: {count} types and {options - 1} contracts make {options**count:,} assignments, at most "
                f"{MOST_ASSIGNMENTS:,} are enumerated: leave out contracts"
            )
        return np.indices((options,) * count).reshape(count, -1).T

    def _outcome(self, choices: Sequence[int | None]) -> MenuOutcome:
        pairs = list(enumerate(choices))
        user = np.array([0.0 if c is None else self.user[t, c] for t, c in pairs])
        assistant = np.array([0.0 if c is None else self.assistant[t, c] for t, c in pairs])
        return MenuOutcome(
            choices=tuple(None if c is None else self.contracts[c] for c in choices),
            user_by_type=tuple(user.tolist()),
            assistant_by_type=tuple(assistant.tolist()),
            user_payoff=float(self.prior @ user),
            assistant_payoff=float(self.prior @ assistant),
        )


def _rows(array: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in (array + 0.0).tolist())
