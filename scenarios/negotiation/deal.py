"""The registered scenario ``deal_or_no_deal``: who gets which books, hats and balls?

The rules. A few books, hats and balls are to be divided. Each side knows what one of each is worth to itself; all together
are worth 10 to either. The sides speak in turn. Whoever is to move proposes what to keep (``KEEP_1_0_2``: one book and two
balls; the rest goes to the other side), accepts the proposal just made (``ACCEPT``), or walks away (``HALT``). A deal pays each
side the worth of its share. Without a deal, because somebody walked away or the rounds are over, both get 0. Values are
whole numbers and never told.

An illegal move says nothing: the turn passes, and nothing lies on the table to be accepted.

The space of games is that of Lewis et al. (2017, arXiv 1706.05125), see ``gtalign_env.games.division_space``. It is too large to
be compiled with its offers, so this is a scenario of its own: immutable states, a pure transition, and no chance but the draw of
the game.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.games.division import ITEMS, Division, offer_name, share_words
from gtalign_env.games.division_space import TOTAL, is_regular, valuations
from gtalign_env.mix import resolve_type
from gtalign_env.protocols import Step
from gtalign_env.scenarios.negotiation.contexts import load_contexts, read_context
from gtalign_env.scenarios.negotiation.state import (
    LAYOUT,
    MOST_OF_A_KIND,
    DealState,
    TalkSight,
    observation,
    other_role,
    read_observation,
)
from gtalign_env.types import ASSISTANT, USER, Payoffs, Role, UserType, View

__all__ = ["TASTES", "DealOrNoDeal", "deal_or_no_deal"]

ACCEPT, HALT, WAIT = "ACCEPT", "HALT", "WAIT"
_OFFERS = tuple(itertools.product(range(MOST_OF_A_KIND + 1), repeat=len(ITEMS)))
_MOVES = (*map(offer_name, _OFFERS), ACCEPT, HALT, WAIT)
_ACCEPT, _HALT, _WAIT = range(len(_OFFERS), len(_MOVES))
_AGENT_OF: dict[Role, str] = {"user": USER, "assistant": ASSISTANT}
_MOST_ROUNDS = 1000

TASTES: dict[str, UserType] = {f"{item}s": UserType(name=f"{item}s") for item in ITEMS}
"""Types of users that may be pinned: whose values are those that make the most of one kind of item."""


def deal_or_no_deal(*, contexts: Any = "all", rounds: int = 20, first_speaker: Role = "user") -> DealOrNoDeal:
    """Make the scenario.

    Args:
        contexts: Which games are drawn: "all", "selected" (hard ones), "fair" (hard ones with an envy-free allocation), or a
            list of dicts with counts, user_values and assistant_values.
        rounds: How often each side may speak (1 to 1,000).
        first_speaker: Who makes the first offer: "user" or "assistant".

    Raises:
        UsageError: An option is out of range.

    Example:
        >>> len(deal_or_no_deal().moves("user")), len(deal_or_no_deal(contexts="fair").contexts)
        (128, 788)
    """
    if isinstance(rounds, bool) or not isinstance(rounds, int) or not 1 <= rounds <= _MOST_ROUNDS:
        raise UsageError(f"rounds: expected an integer from 1 to {_MOST_ROUNDS}, got {rounds!r}")
    if first_speaker not in _AGENT_OF:
        raise UsageError(f"first_speaker: expected 'user' or 'assistant', got {first_speaker!r}")
    return DealOrNoDeal(contexts=contexts, rounds=rounds, first_speaker=first_speaker)


class DealOrNoDeal:
    """A ``Scenario`` of offers. Immutable; all that changes is in ``DealState``.

    Made by ``deal_or_no_deal``, which checks the options.
    """

    view: View = "strategic"
    name = "deal_or_no_deal"
    description = "Books, hats and balls are divided by offers; what they are worth is each side's secret."
    layout = LAYOUT
    has_types = False
    known_types = TASTES
    own_types = True

    def __init__(self, *, contexts: Any, rounds: int, first_speaker: Role) -> None:
        self.contexts: tuple[Division, ...] = load_contexts(contexts)
        self.rounds = rounds
        self.first_speaker = first_speaker
        shown = contexts if isinstance(contexts, str) else [dataclasses.asdict(game) for game in self.contexts]
        self.config: dict[str, Any] = {"contexts": shown, "rounds": rounds, "first_speaker": first_speaker}
        self.recipe: tuple[Callable[..., DealOrNoDeal], Mapping[str, Any]] = (deal_or_no_deal, self.config)

    def __deepcopy__(self, memo: dict[int, Any]) -> DealOrNoDeal:
        """Scenarios do not change, so a copy of an environment shares them."""
        return self

    def __reduce__(self) -> Any:
        """Pickle the options instead of thousands of games."""
        return _rebuild, (self.config,)

    # -- the Scenario protocol ------------------------------------------------------------------------------------

    def moves(self, role: Role) -> tuple[str, ...]:
        """Return the names of the moves, the same for both: 125 offers, ``ACCEPT``, ``HALT``, ``WAIT``."""
        return _MOVES

    def reset(self, rng: Any, options: Mapping[str, Any]) -> DealState:
        """Draw a game; ``options`` may pin ``task`` (see ``division_of``) and ``user_type`` (a name in ``TASTES``).

        A taste gives the user those values, among all that fit the items and the assistant's values, that make the most of one
        kind. Types of other games mean nothing here and leave the values as they are.
        """
        # Options are checked before anything is drawn: a refused reset leaves the generator as it was.
        taste = None if options.get("user_type") is None else self.resolve_type(options["user_type"]).name
        pinned = None if options.get("task") is None else self.division_of(options["task"])
        drawn = self.contexts[int(rng.integers(len(self.contexts)))]
        division = pinned or drawn
        if taste in TASTES:
            division = _with_taste(division, list(TASTES).index(taste))
        return DealState(division=division, first=self.first_speaker, rounds=self.rounds)

    def observation_size(self) -> int:
        """Return the length of the observation vector."""
        return LAYOUT.size

    def observe(self, state: DealState, role: Role) -> NDArray[np.float32]:
        """Return the role's vector in ``LAYOUT``: counts, own values, both last offers; nothing of the other side's values."""
        return observation(state, role)

    def action_mask(self, state: DealState, role: Role) -> NDArray[np.int8]:
        """Return which moves are legal; ``WAIT`` alone for whoever is not to move."""
        mask = np.zeros(len(_MOVES), dtype=np.int8)
        if state.over or state.mover != role:
            mask[_WAIT] = 1
            return mask
        offers = mask[: len(_OFFERS)].reshape((MOST_OF_A_KIND + 1,) * len(ITEMS))
        offers[tuple(slice(count + 1) for count in state.division.counts)] = 1
        mask[_HALT] = 1
        mask[_ACCEPT] = state.on_table
        return mask

    def step(self, state: DealState, user_action: int | None, assistant_action: int | None, rng: Any) -> Step:
        """Resolve one turn of whoever is to move."""
        move = user_action if state.mover == "user" else assistant_action
        if move == _ACCEPT:
            return self._deal(state)
        after = dataclasses.replace(state, turn=state.turn + 1, on_table=False)
        if move == _HALT:
            return _ended(dataclasses.replace(after, ending="halted"))
        if move is not None and move < len(_OFFERS):
            offer = _OFFERS[move]
            user, assistant = (offer, after.assistant_offer) if state.mover == "user" else (after.user_offer, offer)
            after = dataclasses.replace(after, on_table=True, user_offer=user, assistant_offer=assistant)
        if after.turn == 2 * self.rounds:
            return _ended(dataclasses.replace(after, on_table=False, ending="out_of_rounds"))
        return Step(after, Payoffs({"deal": 0.0}, {"deal": 0.0}), None, False, {})

    def info(self, state: DealState, role: Role) -> dict[str, Any]:
        """Return whose turn it is; all else is in the observation."""
        return {} if state.over else {"to_move": _AGENT_OF[state.mover]}

    def hidden(self, state: DealState) -> dict[str, Any]:
        """Return both sides' values by item."""
        return {f"{role}_values": dict(zip(ITEMS, state.division.values(role), strict=True)) for role in _AGENT_OF}

    def describe(self, state: DealState) -> str:
        """Return what both sides know, in words."""
        lines = [f"to be divided: {share_words(state.division.counts)} · round {self._round(state)} of {self.rounds}"]
        lines += [f"{role}: {_offer_words(state.offer(role))}" for role in _AGENT_OF]
        if state.over:
            ends = {"deal": "the deal is made", "halted": "no deal: somebody walked away"}
            lines.append(ends.get(state.ending, "no deal: the rounds are over"))
        else:
            lines.append(f"the {state.mover} is to move" + (", and may accept" if state.on_table else ""))
        return "\n".join(lines)

    # -- beside the protocol --------------------------------------------------------------------------------------

    def division(self, state: DealState) -> Division:
        """Return the game that a state belongs to, with both sides' values: for analysis, never for players."""
        return state.division

    def division_of(self, task: Any) -> Division:
        """Return the game that the reset option ``task`` means.

        Args:
            task: The index of one of ``contexts``, a ``Division``, or a dict with ``counts``, ``user_values`` and
                ``assistant_values``.

        Raises:
            UsageError: It is none of these, or there is no such context.

        Example:
            >>> deal_or_no_deal().division_of(0)
            Division(counts=(1, 1, 3), user_values=(0, 1, 3), assistant_values=(1, 0, 3))
        """
        if isinstance(task, (int, np.integer)) and not isinstance(task, bool):
            if not 0 <= task < len(self.contexts):
                raise UsageError(f"option 'task': expected a context from 0 to {len(self.contexts) - 1}, got {task}")
            return self.contexts[int(task)]
        return read_context(task)

    def resolve_type(self, user_type: Any) -> UserType:
        """Return the type that a reset option means: a name in ``TASTES``, a dict of θ's fields, or a type."""
        return resolve_type(user_type, TASTES)

    def sight(self, vector: NDArray[Any]) -> TalkSight:
        """Return an observation vector in words and whole numbers.

        Raises:
            UsageError: It is no observation of this game.
        """
        return read_observation(vector)

    def private_words(self, state: DealState, role: Role) -> str:
        """Return what only this role knows, in words.

        Example:
            >>> scenario = deal_or_no_deal()
            >>> scenario.private_words(scenario.reset(np.random.default_rng(0), {"task": 0}), "user")
            'Worth to you: a book 0, a hat 1, a ball 3.'
        """
        worth = zip(ITEMS, state.division.values(role), strict=True)
        return f"Worth to you: {', '.join(f'a {item} {value}' for item, value in worth)}."

    def briefing(self, role: Role) -> str:
        """Return the rules for whoever plays, in plain words."""
        who = "You make" if role == self.first_speaker else "The other side makes"
        return (
            f"A few {', '.join(f'{item}s' for item in ITEMS[:-1])} and {ITEMS[-1]}s are to be divided between you and one "
            f"other. You know what one of each is worth to you, in whole numbers; all together are worth {TOTAL} to either of "
            f"you. {who} the first offer, then you take turns, for at most {self.rounds} rounds. In your turn you propose what "
            f"to keep ({offer_name((1, 0, 2))} keeps {share_words((1, 0, 2))} and leaves the rest), {ACCEPT} the offer just "
            f"made, or {HALT} and walk away. A deal pays you what your share is worth to you. Without one both get nothing."
        )

    def public(self, state: DealState) -> dict[str, str]:
        """Return what both players know of the state, by name."""
        offer = state.offer(other_role(state.mover))
        return {
            "round": str(state.turn // 2),
            "items": share_words(state.division.counts),
            "on_table": _offer_words(offer) if state.on_table else "nothing",
        }

    # -- inside ---------------------------------------------------------------------------------------------------

    def _round(self, state: DealState) -> int:
        """Return the round that is played, counted from 1."""
        return min(state.turn // 2 + 1, self.rounds)

    def _deal(self, state: DealState) -> Step:
        """Divide as the offer on the table says."""
        speaker = other_role(state.mover)
        kept = state.offer(speaker)
        assert kept is not None
        game = state.division
        at = game.index(kept if speaker == "user" else game.rest(kept))
        user, assistant = (float(utils) for utils in game.utilities[at])
        after = dataclasses.replace(state, turn=state.turn + 1, ending="deal")
        return _ended(after, Payoffs({"deal": user}, {"deal": assistant}))


def _ended(state: DealState, payoffs: Payoffs | None = None) -> Step:
    """Return the last step; no deal pays nothing to anybody."""
    return Step(state, payoffs or Payoffs({"deal": 0.0}, {"deal": 0.0}), None, True, {"ending": state.ending})


def _with_taste(division: Division, kind: int) -> Division:
    """Return the game with the user's values that make the most of one kind, the first of several."""
    games = (
        Division(division.counts, tuple(values), division.assistant_values)
        for values in valuations(division.counts).tolist()
    )
    return max(filter(is_regular, games), key=lambda game: game.user_values[kind], default=division)


def _offer_words(offer: tuple[int, ...] | None) -> str:
    return "—" if offer is None else f"keeps {share_words(offer)}"


def _rebuild(options: dict[str, Any]) -> DealOrNoDeal:
    return deal_or_no_deal(**options)
