"""Signalling games: the user knows its type and sends a message, the assistant sees the message and acts.

Cheap talk (Crawford & Sobel 1982) is the case in which messages cost nothing; Spence's (1973) signals cost, and cost some types
less than others. Solved for all pure perfect Bayesian equilibria by enumeration in ``gtalign_env.games.signalling_equilibria``.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtalign_env.errors import UsageError
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.inputs import different_names, finite, floats
from gtalign_env.metrics.information import as_belief, entropy, mutual_information

if TYPE_CHECKING:
    from gtalign_env.games.signalling_equilibria import SignallingEquilibrium

__all__ = ["MOST_PROFILES", "Pooling", "SignallingGame", "as_prior", "game_array", "pooling_kind"]

Floats = NDArray[np.float64]
Pooling = Literal["pooling", "partial", "separating"]

MOST_PROFILES = 1_000_000
"""Pairs of pure strategies that are enumerated at most."""
_SLACK = 1e-9


@dataclasses.dataclass(frozen=True, eq=False)
class SignallingGame:
    """A game in which the informed user speaks first and the uninformed assistant answers.

    Shapes: T types, M messages, A actions.

    Args:
        prior: How likely each type is, shape (T,), all > 0.
        user: The sender's payoffs, shape (T, M, A), finite.
        assistant: The receiver's payoffs, the same shape.
        types: Names of the types; numbered when empty.
        messages: Names of the messages; numbered when empty.
        actions: Names of the assistant's actions; numbered when empty.

    Raises:
        UsageError: The prior is none, the payoffs are not finite or have other shapes, or the names do not fit.

    Example:
        >>> game = SignallingGame.cheap_talk([0.5, 0.5], [[1, 0], [0, 1]], [[1, 0], [0, 1]], ("a", "b"))
        >>> sorted({found.kind for found in game.pure_equilibria()})
        ['pooling', 'separating']
    """

    prior: Floats
    """(T,): how likely each type is. Read-only."""
    user: Floats
    """(T, M, A): the sender's payoffs, utils. Read-only."""
    assistant: Floats
    """(T, M, A): the receiver's payoffs, utils. Read-only."""
    types: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the arrays and name what has no name."""
        prior = as_prior(self.prior)
        user = game_array("signalling game", "user", self.user, dimensions=3)
        assistant = game_array("signalling game", "assistant", self.assistant, dimensions=3)
        if user.shape != assistant.shape or len(user) != len(prior):
            raise UsageError(
                f"signalling game: expected payoffs of one shape ({len(prior)} types, messages, actions), got {user.shape} "
                f"for the user and {assistant.shape} for the assistant"
            )
        for name, array in (("prior", prior), ("user", user), ("assistant", assistant)):
            object.__setattr__(self, name, array)
        for axis, field in enumerate(("types", "messages", "actions")):
            object.__setattr__(self, field, different_names(getattr(self, field), user.shape[axis], field))

    @classmethod
    def cheap_talk(
        cls,
        prior: ArrayLike,
        user: ArrayLike,
        assistant: ArrayLike,
        types: Sequence[str] = (),
        actions: Sequence[str] = (),
        *,
        messages: Sequence[str] | None = None,
    ) -> SignallingGame:
        """Return the game in which messages cost nothing.

        Args:
            prior: How likely each type is, shape (T,).
            user: The sender's payoffs by type and action, shape (T, A).
            assistant: The receiver's payoffs, the same shape.
            types: Names of the types.
            actions: Names of the actions.
            messages: Names of the messages; one for each type, under its name, when ``None``.

        Example:
            >>> game = SignallingGame.cheap_talk([0.5, 0.5], np.eye(2), np.eye(2), ("plain", "fussy"))
            >>> game.messages, game.is_cheap_talk
            (('plain', 'fussy'), True)
        """
        worth = [
            game_array("cheap talk", side, array, dimensions=2)
            for side, array in (("user", user), ("assistant", assistant))
        ]
        names = different_names(types, len(worth[0]), "types") if messages is None else tuple(messages)
        spoken = [np.repeat(array[:, None, :], len(names), axis=1) for array in worth]
        return cls(np.asarray(prior), spoken[0], spoken[1], tuple(types), names, tuple(actions))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of types, of messages and of actions."""
        return len(self.types), len(self.messages), len(self.actions)

    @property
    def is_cheap_talk(self) -> bool:
        """Whether no payoff depends on the message."""
        return bool((self.user == self.user[:, :1]).all() and (self.assistant == self.assistant[:, :1]).all())

    def __repr__(self) -> str:
        """Return the names and the prior; the arrays are long."""
        return (
            f"SignallingGame(types={self.types}, messages={self.messages}, actions={self.actions}, prior={self.prior})"
        )

    def pure_equilibria(self) -> tuple[SignallingEquilibrium, ...]:
        """Return all pure perfect Bayesian equilibria, see ``signalling_equilibria.pure_equilibria``.

        Raises:
            UsageError: There are more than ``MOST_PROFILES`` pairs of pure strategies.
        """
        from gtalign_env.games.signalling_equilibria import pure_equilibria

        return pure_equilibria(self)

    def single_crossing(self) -> bool:
        """Return whether the Spence–Mirrlees condition holds in the order in which types and messages are named.

        It does when a type that is willing to go from one message and action to a later message and some action makes every
        later type strictly willing. Then higher types send higher messages in every equilibrium.

        Example:
            Three for a degree that costs the second type 0.75, the first 2.25:

            >>> pay, cost = np.array([1.0, 2.0, 3.0]), np.array([[0.0, 2.25], [0.0, 0.75]])
            >>> user = pay - cost[:, :, None]
            >>> SignallingGame([0.5, 0.5], user, np.zeros_like(user)).single_crossing()
            True
        """
        count, messages, _ = self.shape
        for low, high in itertools.combinations(range(messages), 2):
            gain = self.user[:, high, None, :] - self.user[:, low, :, None]  # (T, A before, A after)
            for t, later in itertools.combinations(range(count), 2):
                if ((gain[t] >= -_SLACK) & (gain[later] <= _SLACK)).any():
                    return False
        return True

    def informativeness(self, strategy: ArrayLike) -> float:
        """Return which share of the uncertainty about the type the messages remove: ``I(Θ; M) / H(Θ)``, in [0, 1].

        Args:
            strategy: How often each type sends each message, shape (T, M), rows that sum to 1; e.g. counted from play.

        Raises:
            UsageError: The strategy is none of this game.

        Example:
            >>> game = SignallingGame.cheap_talk([0.5, 0.5], np.eye(2), np.eye(2))
            >>> game.informativeness(np.eye(2)), game.informativeness([[0.5, 0.5], [0.5, 0.5]])
            (1.0, 0.0)
        """
        before = entropy(self.prior)
        told = mutual_information(self.prior, self._strategy(strategy))
        return min(told / before, 1.0) if before > 0.0 else 0.0

    def truthfulness(self, strategy: ArrayLike) -> float | None:
        """Return how often the message is the name of the true type; ``None`` where no message is named after a type.

        What is missing to 1 is deception: a reported type that is not the true one, or no report.

        Args:
            strategy: How often each type sends each message, shape (T, M), rows that sum to 1.

        Raises:
            UsageError: The strategy is none of this game.

        Example:
            >>> game = SignallingGame.cheap_talk([0.75, 0.25], np.eye(2), np.eye(2), ("plain", "fussy"))
            >>> game.truthfulness([[1, 0], [1, 0]])
            0.75
        """
        sent = self._strategy(strategy)
        if not set(self.types) & set(self.messages):
            return None
        own = np.array([[message == name for message in self.messages] for name in self.types])
        return float((self.prior[:, None] * sent * own).sum())

    def normal_form(self) -> Bimatrix:
        """Return the game before types are drawn: plans against plans, with expected payoffs.

        A row says what every type sends, a column what every message is answered with. Every perfect Bayesian equilibrium
        is a Nash equilibrium of it, not the other way round.

        Raises:
            UsageError: It would have more than ``MOST_PROFILES`` cells.

        Example:
            >>> SignallingGame.cheap_talk([0.5, 0.5], np.eye(2), np.eye(2)).normal_form().shape
            (4, 4)
        """
        self.check_size()
        count, messages, actions = self.shape
        sent = np.array(list(itertools.product(range(messages), repeat=count)))  # (rows, T)
        done = np.array(list(itertools.product(range(actions), repeat=messages)))  # (columns, M)
        taken = done[:, sent].transpose(1, 0, 2)  # (rows, columns, T): what each type meets
        sides = [
            (array[np.arange(count), sent[:, None, :], taken] * self.prior).sum(axis=-1)
            for array in (self.user, self.assistant)
        ]
        rows = ["|".join(self.messages[m] for m in plan) for plan in sent]
        columns = ["|".join(self.actions[a] for a in plan) for plan in done]
        return Bimatrix(sides[0], sides[1], tuple(rows), tuple(columns))

    def check_size(self) -> None:
        """Refuse to enumerate a game that is too large.

        Raises:
            UsageError: There are more than ``MOST_PROFILES`` pairs of pure strategies.
        """
        count, messages, actions = self.shape
        profiles = messages**count * actions**messages
        if profiles > MOST_PROFILES:
            raise UsageError(
                f"signalling game: {messages} messages for {count} types and {actions} actions make {profiles:,} pairs of pure "
                f"strategies, at most {MOST_PROFILES:,} are enumerated: leave out messages or actions"
            )

    def _strategy(self, strategy: ArrayLike) -> Floats:
        sent = as_belief(strategy, label="strategy")
        if sent.shape != self.shape[:2]:
            raise UsageError(f"strategy: expected shape {self.shape[:2]} (types, messages), got {sent.shape}")
        return sent


def pooling_kind(share: float) -> Pooling:
    """Return what a strategy is called that removes this share of the uncertainty about the type.

    Example:
        >>> pooling_kind(0.0), pooling_kind(0.4), pooling_kind(1.0)
        ('pooling', 'partial', 'separating')
    """
    if share <= _SLACK:
        return "pooling"
    return "separating" if share >= 1.0 - _SLACK else "partial"


def as_prior(prior: ArrayLike) -> Floats:
    """Return the shares of types, a read-only array of shape (T,).

    Raises:
        UsageError: They are no distribution, or a type has no chance.

    Example:
        >>> as_prior([0.5, 0.5]).tolist()
        [0.5, 0.5]
    """
    array = np.array(as_belief(prior, label="prior"))
    if array.ndim != 1 or not (array > 0.0).all():
        raise UsageError(
            f"prior: expected a chance > 0 for each type, got {array.tolist()!r}: leave out types without one"
        )
    array.setflags(write=False)
    return array


def game_array(game: str, side: str, payoffs: Any, *, dimensions: int) -> Floats:
    """Return payoffs as a fresh, read-only array with so many dimensions.

    Raises:
        UsageError: They are ragged, empty, not finite, or have other dimensions.

    Example:
        >>> game_array("screening", "user", [[1, 2]], dimensions=2).shape
        (1, 2)
    """
    array = floats(payoffs, f"{game}: expected the {side}'s payoffs as numbers in rows of one length")
    if array.ndim != dimensions or not array.size:
        raise UsageError(f"{game}: expected the {side}'s payoffs in {dimensions} dimensions, got shape {array.shape}")
    finite(array, f"{game}: expected finite payoffs of the {side}").setflags(write=False)
    return array
