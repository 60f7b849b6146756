"""The registered scenario ``rubinstein``: alternating offers over a pie that shrinks while nobody agrees.

The rules (Rubinstein 1982; Ståhl 1972 with a last round). A pie of equal slices is to be divided. In each round one side
proposes how many slices to keep (``KEEP_6``; the rest goes to the other side), and the other side accepts or rejects. A deal
in round t (from 0) pays each side its share of the pie times its own discount factor to the power of t. After a rejection the
other side proposes. After the last round both get nothing.

An illegal move says nothing: no proposal is made and the round passes, or the proposal on the table is rejected.

With rounds and slices without end, the side that proposes first gets ``limit_share`` of the pie, at once. The tree
(``scenario.game``) holds exact payoffs; the environment pays them on the payoff grid, as everything (``payoffs.on_grid``).
With few slices and much patience the perfect division may lie far from that limit, and who proposes last decides. By default
(12 slices, both factors 0.7) it does not: the first side keeps 7 slices of 12, 0.583 where the limit is 0.588, and no other
division is perfect.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.games import Decision, GameTree, Leaf
from gtalign_env.games.division import offer_name, share_words
from gtalign_env.mix import UserMix
from gtalign_env.payoffs import on_grid
from gtalign_env.pricing import Subscription
from gtalign_env.scenarios.negotiation.state import other_role
from gtalign_env.tables import GameTables, PayoffTables
from gtalign_env.types import Outcome, Role, UserType

__all__ = ["limit_share", "rubinstein", "rubinstein_tree"]

ACCEPT, REJECT, WAIT = "ACCEPT", "REJECT", "WAIT"
_NOBODY = UserType(name="none")
_MOST_ENTRIES = 500_000
"""Of the compiled tables: about 100 MB."""
_MOST_NODES = 1_000_000
"""Of the tree."""


class _Rules(NamedTuple):
    """The checked settings of a game."""

    rounds: int
    slices: int
    deltas: tuple[float, float]
    """Discount factors (user, assistant)."""
    first: Role

    def proposer(self, turn: int) -> Role:
        """Return who proposes in a round, counted from 0."""
        return self.first if turn % 2 == 0 else other_role(self.first)

    def payoffs(self, turn: int) -> NDArray[np.float64]:
        """Return what a deal in a round pays, by the slices that the proposer keeps: (slices + 1, 2), user first."""
        kept = np.arange(self.slices + 1) / self.slices
        shares = (kept, kept[::-1]) if self.proposer(turn) == "user" else (kept[::-1], kept)
        return np.stack([share * delta**turn for share, delta in zip(shares, self.deltas, strict=True)], axis=1)


def limit_share(delta_first: float, delta_second: float) -> float:
    """Return the share of the side that proposes first when neither rounds nor slices have an end.

    (1 − δ₂) / (1 − δ₁δ₂): the only subgame-perfect division (Rubinstein 1982, Econometrica 50:97).

    Args:
        delta_first: Discount factor of the side that proposes first, in (0, 1].
        delta_second: Discount factor of the other side, in (0, 1]. Not both may be 1: then every division is possible.

    Raises:
        UsageError: A factor is out of range, or both are 1.

    Example:
        >>> round(limit_share(0.9, 0.9), 4), limit_share(1.0, 0.5)
        (0.5263, 1.0)
    """
    _check_delta("delta_first", delta_first)
    _check_delta("delta_second", delta_second)
    if delta_first == delta_second == 1.0:
        raise UsageError(
            "limit_share: expected a discount factor below 1, got 1 for both: any division is then perfect"
        )
    return (1.0 - delta_second) / (1.0 - delta_first * delta_second)


def rubinstein_tree(
    *,
    rounds: int = 10,
    slices: int = 12,
    delta_user: float = 0.7,
    delta_assistant: float = 0.7,
    first_speaker: Role = "user",
) -> GameTree:
    """Return the game as a tree; what follows a rejection is one subtree for all proposals of a round.

    Args:
        rounds: How often somebody proposes (>= 1).
        slices: Into how many equal slices the pie is cut (>= 1).
        delta_user: The user's discount factor, in (0, 1].
        delta_assistant: The assistant's, in (0, 1].
        first_speaker: Who proposes first.

    Raises:
        UsageError: A setting is out of range, or the tree is too large.

    Example:
        >>> last = rubinstein_tree(rounds=1, slices=4).backward_induction().path()
        >>> last.moves, last.user, last.assistant
        (('KEEP_4', 'ACCEPT'), 1.0, 0.0)
    """
    rules = _checked(rounds, slices, delta_user, delta_assistant, first_speaker)
    if rounds * (2 * slices + 3) > _MOST_NODES:
        raise UsageError(
            f"rubinstein: expected at most {_MOST_NODES:,} nodes, got {rounds} rounds of {slices} slices: take fewer"
        )
    following: Decision | Leaf = Leaf(0.0, 0.0)
    for turn in reversed(range(rounds)):
        proposer = rules.proposer(turn)
        answers = {
            offer_name([kept]): Decision(
                other_role(proposer), {ACCEPT: Leaf(float(user), float(assistant)), REJECT: following}
            )
            for kept, (user, assistant) in enumerate(rules.payoffs(turn))
        }
        following = Decision(proposer, answers)
    return GameTree(following)


def rubinstein(
    *,
    rounds: int = 10,
    slices: int = 12,
    delta_user: float = 0.7,
    delta_assistant: float = 0.7,
    first_speaker: Role = "user",
) -> FiniteScenario:
    """Make the scenario.

    Args:
        rounds: How often somebody proposes (>= 1).
        slices: Into how many equal slices the pie is cut (>= 1).
        delta_user: The user's discount factor, in (0, 1]: what a round of waiting leaves of its share's worth.
        delta_assistant: The assistant's, in (0, 1].
        first_speaker: Who proposes first: "user" or "assistant".

    Raises:
        UsageError: A setting is out of range, or the tables would not fit.

    Example:
        >>> scenario = rubinstein(rounds=2, slices=2)
        >>> scenario.moves("user"), scenario.game.backward_induction().path().moves
        (('KEEP_0', 'KEEP_1', 'KEEP_2', 'ACCEPT', 'REJECT', 'WAIT'), ('KEEP_0', 'ACCEPT'))
    """
    rules = _checked(rounds, slices, delta_user, delta_assistant, first_speaker)
    entries = (rounds * (slices + 2) + 1) * (slices + 3) ** 2
    if entries > _MOST_ENTRIES:
        raise UsageError(
            f"rubinstein: {rounds} rounds of {slices} slices make tables of {entries:,} entries, more than the "
            f"{_MOST_ENTRIES:,} that fit: take fewer slices, or solve the tree alone (rubinstein_tree)"
        )
    options: dict[str, Any] = {
        "rounds": rounds,
        "slices": slices,
        "delta_user": delta_user,
        "delta_assistant": delta_assistant,
        "first_speaker": first_speaker,
    }
    movers = _movers(rules)
    tables, paid = _compile(rules, movers)
    return FiniteScenario(
        name="rubinstein",
        description="Alternating offers over a pie that shrinks while nobody agrees.",
        tables=tables,
        payoffs=lambda user_type, pricing: paid,
        retention=lambda total: 0.0,
        mix=UserMix(_NOBODY, {}),
        known_types={},
        pricing=Subscription(),
        has_types=False,
        config=options,
        recipe=(rubinstein, options),
        game=rubinstein_tree(**options),
        movers=[*movers, ""],
        state_words=lambda state: _state_words(rules, state),
        briefing=lambda role: _briefing(rules, role),
    )


# -- checking -------------------------------------------------------------------------------------------------------------


def _checked(rounds: Any, slices: Any, delta_user: Any, delta_assistant: Any, first_speaker: Any) -> _Rules:
    for name, count in (("rounds", rounds), ("slices", slices)):
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise UsageError(f"rubinstein option {name!r}: expected an integer >= 1, got {count!r}")
    _check_delta("delta_user", delta_user)
    _check_delta("delta_assistant", delta_assistant)
    if first_speaker not in ("user", "assistant"):
        raise UsageError(f"rubinstein option 'first_speaker': expected 'user' or 'assistant', got {first_speaker!r}")
    return _Rules(rounds, slices, (float(delta_user), float(delta_assistant)), first_speaker)


def _check_delta(name: str, delta: Any) -> None:
    if isinstance(delta, bool) or not isinstance(delta, (int, float)) or not 0.0 < delta <= 1.0:
        raise UsageError(f"rubinstein option {name!r}: expected a discount factor in (0, 1], got {delta!r}")


# -- compiling: state = round x (no proposal, or one of the proposals), then the end ----------------------------------------


def _movers(rules: _Rules) -> list[Role]:
    """Return who is to move in each state but the end."""
    movers: list[Role] = []
    for turn in range(rules.rounds):
        proposer = rules.proposer(turn)
        movers += [proposer] + [other_role(proposer)] * (rules.slices + 1)
    return movers


def _compile(rules: _Rules, movers: Sequence[Role]) -> tuple[GameTables, PayoffTables]:
    """Return the tables. Acts: the proposals, to accept, and to pass (to reject, to wait, to do nothing legal)."""
    proposals, width = rules.slices + 1, rules.slices + 2
    accept, passing, states = proposals, proposals + 1, rules.rounds * width + 1
    following = np.full((states, passing + 1), states - 1, dtype=np.int32)  # (states, acts of the mover)
    paid = np.zeros((states, passing + 1, 2))  # the same, user first: utils
    legal = np.zeros((states, proposals + 3), dtype=np.int8)  # (states, moves of the mover)
    for turn in range(rules.rounds):
        ask, answers = turn * width, slice(turn * width + 1, (turn + 1) * width)
        following[ask : (turn + 1) * width] = min((turn + 1) * width, states - 1)
        following[ask, :proposals] = np.arange(ask + 1, ask + 1 + proposals)
        following[answers, accept] = states - 1
        paid[answers, accept] = on_grid(rules.payoffs(turn))
        legal[ask, :proposals] = 1
        legal[answers, accept : accept + 2] = 1
    users = np.array([mover == "user" for mover in movers] + [False])
    shape = (states, passing + 1, passing + 1, 1)
    names = (*(offer_name([kept]) for kept in range(proposals)), ACCEPT, REJECT, WAIT)
    acts = np.array([*range(passing + 1), passing, passing], dtype=np.int32)  # to wait, and the no-op, are to pass
    nothing = np.broadcast_to(0.0, shape)
    tables = GameTables(
        user_moves=names,
        assistant_moves=names,
        user_act=acts,
        assistant_act=acts,
        next_state=np.ascontiguousarray(_of_mover(following[..., None], users)),
        probability=np.broadcast_to(1.0, shape),
        outcome=Outcome(**{field.name: nothing for field in dataclasses.fields(Outcome)}),
        user_mask=_masks(legal, users),
        assistant_mask=_masks(legal, np.append(~users[:-1], False)),
        features=_features(rules),
        initial=np.eye(1, states)[0],
        axes={"round": tuple(map(str, range(rules.rounds))), "offer": ("none", *names[:proposals])},
    )
    user, assistant = (_of_mover(paid[..., [side]], users)[..., None] for side in (0, 1))
    return tables, PayoffTables(user_items=("deal",), assistant_items=("deal",), user=user, assistant=assistant)


def _of_mover(by_act: NDArray[Any], users: NDArray[np.bool_]) -> NDArray[Any]:
    """Return a table over both players' acts (S, U, A, 1) from one over the acts of whoever moves (S, acts, 1)."""
    return np.where(users[:, None, None, None], by_act[:, :, None], by_act[:, None, :])


def _masks(legal: NDArray[np.int8], moves: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Return one player's legal moves (S, moves): the mover's where it is its turn, else ``WAIT``."""
    waiting = np.zeros(legal.shape[1], dtype=np.int8)
    waiting[-1] = 1
    return np.where(moves[:, None], legal, waiting)


def _features(rules: _Rules) -> NDArray[np.float32]:
    """Return what both see: share of the rounds that are over, whether a proposal is made, and what it keeps, (S, 3)."""
    turns = np.repeat(np.arange(rules.rounds) / rules.rounds, rules.slices + 2)
    kept = np.tile(np.concatenate([[0.0], np.arange(rules.slices + 1) / rules.slices]), rules.rounds)
    made = np.tile(np.concatenate([[0.0], np.ones(rules.slices + 1)]), rules.rounds)
    shown = np.stack([turns, made, kept], axis=1)
    return np.concatenate([shown, [[1.0, 0.0, 0.0]]]).astype(np.float32)


# -- words ----------------------------------------------------------------------------------------------------------------


def _state_words(rules: _Rules, state: int) -> str:
    turn, offer = divmod(state, rules.slices + 2)
    proposer = rules.proposer(turn)
    where = f"round {turn + 1} of {rules.rounds}, a pie of {share_words([rules.slices], ['slice'])}"
    if offer == 0:
        return f"{where}: the {proposer} proposes"
    return f"{where}: the {proposer} keeps {share_words([offer - 1], ['slice'])}; the {other_role(proposer)} answers"


def _briefing(rules: _Rules, role: Role) -> str:
    own, other = rules.deltas if role == "user" else rules.deltas[::-1]
    who = "you propose" if role == rules.first else "the other side proposes"
    return (
        f"A pie of {share_words([rules.slices], ['slice'])} is to be divided between you and one other. First {who}, then "
        f"you take turns, for at most {share_words([rules.rounds], ['round'])}. A proposal says how many slices the proposer "
        f"keeps (KEEP_1 keeps one and leaves the rest); the other side answers {ACCEPT} or {REJECT}. An accepted proposal pays "
        f"each side its share of the pie. Every rejection shrinks what a share is worth: to {own:g} of it for you, to {other:g} "
        f"for the other side. After the last round both get nothing."
    )
