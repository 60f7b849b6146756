"""All pure perfect Bayesian equilibria of a signalling game.

A pair of pure strategies is one when

* the assistant's answer to every message is a best reply to some belief about the type. Where a type sends the message, the
  belief is the prior by Bayes' rule; where none does ("off the path"), any belief that supports the answer will do;
* no type gains by sending another message, given those answers.

The off-path rule is the weakest there is, so the list is the longest. ``intuitive`` marks the equilibria that survive the
intuitive criterion (Cho & Kreps 1987): no type could gain by a message that only types like it could ever gain by.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
from numpy.typing import NDArray

from gtalign_env.games.linear import best_mixture, unit_spread
from gtalign_env.games.signalling import Floats, Pooling, SignallingGame, pooling_kind

__all__ = ["SignallingEquilibrium", "pure_equilibria"]

_GAIN = 1e-9
"""Gain that does not count, utils."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SignallingEquilibrium:
    """A pure perfect Bayesian equilibrium."""

    sender: tuple[str, ...]
    """The message of each type, in the order of the types."""
    receiver: tuple[str, ...]
    """The action after each message, in the order of the messages."""
    beliefs: tuple[tuple[float, ...], ...]
    """After each message, how likely each type is: by Bayes' rule on the path; off it, a belief that supports the action (the
    prior where it does, else a single type where one does)."""
    on_path: tuple[bool, ...]
    """Whether some type sends the message."""
    user_payoff: float
    """The sender's expected payoff before it knows its type, utils."""
    assistant_payoff: float
    """The receiver's expected payoff, utils."""
    user_by_type: tuple[float, ...]
    """The sender's payoff by type, utils."""
    informativeness: float
    """I(Θ; M) / H(Θ): the share of the uncertainty about the type that messages remove."""
    truthfulness: float | None
    """How often the message names the true type; ``None`` where no message is named after a type."""
    intuitive: bool
    """Whether it survives the intuitive criterion."""

    @property
    def kind(self) -> Pooling:
        """``"pooling"`` (messages tell nothing), ``"separating"`` (they tell the type) or ``"partial"``."""
        return pooling_kind(self.informativeness)


def pure_equilibria(game: SignallingGame) -> tuple[SignallingEquilibrium, ...]:
    """Return all pure perfect Bayesian equilibria, in the order of the sender's, then of the receiver's strategies.

    There may be none, and equilibria that differ off the path only are listed one by one.

    Args:
        game: The game.

    Raises:
        UsageError: It has more pairs of pure strategies than are enumerated.

    Example:
        Spence's market: types worth 1 and 3, a degree that costs them 2.25 and 0.75, and pay of 1, 2 or 3.

        >>> pay, worth, cost = np.array([1.0, 2, 3]), np.array([1.0, 3]), np.array([[0, 2.25], [0, 0.75]])
        >>> game = SignallingGame([0.5, 0.5], pay - cost[:, :, None], np.stack([-((pay - worth[:, None]) ** 2)] * 2, axis=1),
        ...                       ("low", "high"), ("none", "degree"), ("1", "2", "3"))
        >>> [(found.kind, found.sender, found.receiver, found.intuitive) for found in pure_equilibria(game)]
        [('pooling', ('none', 'none'), ('2', '1'), False), ('pooling', ('none', 'none'), ('2', '2'), False),
         ('separating', ('none', 'degree'), ('1', '3'), True)]
    """
    game.check_size()
    count, messages, _ = game.shape
    everyone = np.ones(count, dtype=np.bool_)
    off_path = [_supported(game, message, everyone) for message in range(messages)]
    found = []
    for sent in itertools.product(range(messages), repeat=count):
        plan = np.array(sent)
        beliefs = [_posterior(game, plan, message) for message in range(messages)]
        answers = [
            list(off_path[message]) if belief is None else _best_actions(game, message, belief)
            for message, belief in enumerate(beliefs)
        ]
        done = np.array(list(itertools.product(*answers)), dtype=np.intp)  # (answers, M)
        worth = game.user[:, np.arange(messages), done]  # (T, answers, M): what each message would bring
        own = worth[np.arange(count), :, plan]  # (T, answers)
        stable = (worth.max(axis=2) <= own + _GAIN).all(axis=0)
        found += [_equilibrium(game, plan, row, beliefs, off_path) for row in done[stable]]
    return tuple(found)


def _posterior(game: SignallingGame, plan: NDArray[np.intp], message: int) -> Floats | None:
    """Return the belief after a message by Bayes' rule; ``None`` off the path."""
    chance: Floats = game.prior * (plan == message)
    return chance / chance.sum() if chance.any() else None


def _best_actions(game: SignallingGame, message: int, belief: Floats) -> list[int]:
    worth = belief @ game.assistant[:, message]  # (A,)
    return [int(action) for action in np.flatnonzero(worth >= worth.max() - _GAIN)]


def _supported(game: SignallingGame, message: int, allowed: NDArray[np.bool_]) -> dict[int, Floats]:
    """Return the actions that are best replies to some belief over the allowed types, each with such a belief."""
    weights = game.prior * allowed
    plain = [weights / weights.sum(), *np.eye(len(allowed))[allowed]]  # beliefs that are easy to tell, first
    found: dict[int, Floats] = {}
    for belief in plain:
        for action in _best_actions(game, message, belief):
            found.setdefault(action, belief)
    worth = unit_spread(game.assistant[allowed, message])  # (allowed types, A)
    for action in range(worth.shape[1]):
        if action not in found:
            gains = (worth - worth[:, [action]]).T  # (A, types): what another action would bring under each type
            mixture = best_mixture(np.zeros(len(worth)), gains, len(worth))
            if mixture is not None:
                found[action] = np.zeros(len(allowed))
                found[action][allowed] = mixture
    return dict(sorted(found.items()))


def _equilibrium(
    game: SignallingGame,
    plan: NDArray[np.intp],
    done: NDArray[np.intp],
    beliefs: list[Floats | None],
    off_path: list[dict[int, Floats]],
) -> SignallingEquilibrium:
    types = np.arange(len(plan))
    by_type = game.user[types, plan, done[plan]]
    strategy = np.eye(len(done))[plan]
    held = [off_path[m][int(done[m])] if belief is None else belief for m, belief in enumerate(beliefs)]
    return SignallingEquilibrium(
        sender=tuple(game.messages[m] for m in plan),
        receiver=tuple(game.actions[a] for a in done),
        beliefs=tuple(tuple(belief.tolist()) for belief in held),
        on_path=tuple(belief is not None for belief in beliefs),
        user_payoff=float(game.prior @ by_type),
        assistant_payoff=float(game.prior @ game.assistant[types, plan, done[plan]]),
        user_by_type=tuple(by_type.tolist()),
        informativeness=game.informativeness(strategy),
        truthfulness=game.truthfulness(strategy),
        intuitive=all(_is_intuitive(game, m, by_type) for m, belief in enumerate(beliefs) if belief is None),
    )


def _is_intuitive(game: SignallingGame, message: int, by_type: Floats) -> bool:
    """Return whether no type is sure to gain by an unsent message once those who cannot gain by it are ruled out."""
    everyone = np.ones(len(by_type), dtype=np.bool_)
    hoped = game.user[:, message, list(_supported(game, message, everyone))].max(axis=1)  # (T,)
    could_gain = hoped >= by_type - _GAIN
    if not could_gain.any():
        return True
    sure = game.user[:, message, list(_supported(game, message, could_gain))].min(axis=1)
    return not bool((could_gain & (sure > by_type + _GAIN)).any())
