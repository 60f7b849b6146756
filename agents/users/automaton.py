"""A scripted persona as finite automata: what it remembers of an exchange is how it will react, and how patient it still is.

The persona's own code is asked what every table entry of the game would feel like, so the automaton plays exactly as the persona.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gtalign_env.agents.users.card import SPREAD_LEVELS
from gtalign_env.agents.users.character import Heard, reaction_chances
from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario, FiniteState
from gtalign_env.kernels import UserKernel, minimal
from gtalign_env.protocols import PricingPolicy
from gtalign_env.sight import see
from gtalign_env.spaces import ASSIST_LAYOUT
from gtalign_env.types import ASSISTANT_MOVES, LENGTH_TOKENS, REACTIONS, USER_MOVES, UserMove, UserType

if TYPE_CHECKING:
    from gtalign_env.agents.users.scripted import ScriptedPersona

__all__ = ["TOTAL_SEEN", "check_game", "drawn_types", "persona_kernels"]

TOTAL_SEEN = 8.5
"""Utils below zero that no observation shows (see ``Sight.own_total``): a rule for leaving beyond it never holds."""

_LEAVE = USER_MOVES.index(UserMove("LEAVE", None))
_PLAIN = USER_MOVES.index(UserMove("VQ", "none"))
_VAGUE, _DETAILED = (USER_MOVES.index(UserMove(form, REACTIONS[0])) for form in ("VQ", "DQ"))


def persona_kernels(
    persona: ScriptedPersona, scenario: FiniteScenario, pricing: PricingPolicy
) -> tuple[UserKernel, ...]:
    """Return a scripted persona as user kernels: one per θ that it may draw, with their shares.

    Args:
        persona: The persona; it plays by its card (``choose`` and what it calls are ``ScriptedPersona``'s own).
        scenario: An ``assist`` game.
        pricing: What the user pays.

    Raises:
        UsageError: The game is another one, or the persona leaves by its running total.

    Example:
        >>> from gtalign_env.agents.users import load_persona
        >>> from gtalign_env.registration import make_scenario
        >>> scenario = make_scenario("assist")
        >>> kernels = persona_kernels(load_persona("expert"), scenario, scenario.pricing)
        >>> [kernel.name for kernel in kernels][:2], kernels[0].share
        (['expert ideal_tokens=160', 'expert ideal_tokens=180'], 0.2)
    """
    check_game(persona, scenario)
    _check_memory(persona)
    drawn = drawn_types(persona)
    return tuple(
        dataclasses.replace(_compiled(persona.policy(theta), scenario, pricing), name=name, share=share)
        for theta, (name, share) in drawn.items()
    )


def check_game(persona: ScriptedPersona, scenario: FiniteScenario) -> None:
    """Refuse games that a scripted persona does not play.

    Raises:
        UsageError: It is no ``assist`` game.

    Example:
        >>> from gtalign_env.agents.users import load_persona
        >>> from gtalign_env.registration import make_scenario
        >>> check_game(load_persona("concise"), make_scenario("assist"))
    """
    tables, layout = scenario.tables, scenario.layout
    moves = (tables.user_moves, tables.assistant_moves)
    if layout.slots != ASSIST_LAYOUT.slots or moves != tuple(
        tuple(move.name for move in named) for named in (USER_MOVES, ASSISTANT_MOVES)
    ):
        raise UsageError(
            f"persona {persona.name!r} plays the 'assist' games only, and {scenario.name!r} is none: take the persona 'random' "
            "here (--users random)"
        )


def _check_memory(persona: ScriptedPersona) -> None:
    """Refuse personas that are no finite automaton."""
    total = persona.character.leave.total_below
    if total < TOTAL_SEEN:
        raise UsageError(
            f"persona {persona.name!r} leaves by its running total (character.leave.total_below = {total:g}), which no finite "
            "memory holds, so it is no user kernel: leave the key out, take character.leave.bad_in_a_row instead, or play "
            "against it without solving"
        )


def drawn_types(persona: ScriptedPersona) -> dict[UserType, tuple[str, float]]:
    """Return every θ that a persona may draw, with a name and its share; equal ones count as one.

    Example:
        >>> from gtalign_env.agents.users import load_persona
        >>> [name for name, share in drawn_types(load_persona("chatty")).values()]
        ['chatty', 'chatty/chatty_brief']
    """
    shares: dict[UserType, float] = {}
    spread: dict[UserType, list[str]] = {}
    weights = sum(entry.weight for entry in persona.entries)
    for entry in persona.entries:
        fields = sorted(entry.spread)
        draws = list(itertools.product(SPREAD_LEVELS, repeat=len(fields)))
        for levels in draws:
            theta = entry.moved(dict(zip(fields, levels, strict=True)))
            shares[theta] = shares.get(theta, 0.0) + entry.weight / weights / len(draws)
            spread[theta] = fields
    if len(shares) == 1:
        return {theta: (persona.name, share) for theta, share in shares.items()}
    return {theta: (_named(persona, theta, spread[theta]), share) for theta, share in shares.items()}


def _named(persona: ScriptedPersona, theta: UserType, fields: list[str]) -> str:
    """Return what one of a persona's types is called: ``chatty/chatty_brief``, ``expert ideal_tokens=160``."""
    several = len(persona.entries) > 1 and theta.name != persona.name
    name = f"{persona.name}/{theta.name}" if several else persona.name
    return " ".join([name, *(f"{field}={getattr(theta, field):g}" for field in fields)])


def _compiled(player: ScriptedPersona, scenario: FiniteScenario, pricing: PricingPolicy) -> UserKernel:
    """Return one type's automaton.

    Memory 0 is that of someone who has seen no reply. Beyond it a memory is a class of replies that make the user say the same,
    and the number of exchanges in a row that left it worse off, up to the one at which it leaves.
    """
    felt = _felt(player, scenario, pricing)
    limit = _limit(player, scenario)
    moods = limit + 1  # 0 to limit exchanges in a row
    classes = len(felt.said)
    streak = np.concatenate([[0], np.tile(np.arange(moods), classes)])  # (M,)
    if len(streak) > np.iinfo(np.int16).max:
        raise UsageError(f"persona {player.name!r} has {len(streak):,} memories here, too many for a user kernel")
    later = [1 + felt.classes[0] * moods + felt.bad[0] * min(mood + 1, limit) for mood in range(moods)]
    first = 1 + felt.classes[1] * moods + felt.bad[1] * min(1, limit)
    follow = np.stack([first, *later]).astype(np.int16)[np.concatenate([[0], 1 + streak[1:]])]  # (M, E)
    kernel = UserKernel(
        name=player.name,
        user_type=player.user_type,
        share=1.0,
        moves=_moves(player, scenario, felt, streak, limit),
        follow=follow.reshape(len(streak), *scenario.tables.next_state.shape),
    )
    return minimal(kernel, scenario.tables)


class _Felt(NamedTuple):
    """What exchanges are to one type, in C classes of those that make it say the same. E: the table's entries, flat."""

    said: NDArray[np.float64]
    """(C, reactions): the chance of each reaction."""
    asks: NDArray[np.bool_]
    """(C,): whether the reply asked something."""
    classes: NDArray[np.int64]
    """(2, E): the class of each entry, in the course of a session and as its first exchange."""
    bad: NDArray[np.bool_]
    """(2, E): whether it left the user worse off."""


def _felt(player: ScriptedPersona, scenario: FiniteScenario, pricing: PricingPolicy) -> _Felt:
    """Ask the persona's own rules about every exchange that differs for it."""
    payoffs = scenario.ledger(player.user_type, pricing).payoffs
    keys, inverse = np.unique(_exchanges(scenario, payoffs.user), axis=0, return_inverse=True)
    opening = see({"observation": scenario.observe(FiniteState(0, scenario.ledger(player.user_type, pricing)), "user")})
    fee = player.user_type.price_sensitivity * opening.session_price
    numbers: dict[tuple[tuple[float, ...], bool], int] = {}
    classes = np.zeros((2, len(keys)), dtype=np.int64)
    bad = np.zeros((2, len(keys)), dtype=bool)
    for first, (index, key) in itertools.product((0, 1), enumerate(keys.tolist())):
        reply, questions, quality, *utils = key
        move = ASSISTANT_MOVES[int(reply)] if reply < len(ASSISTANT_MOVES) else None
        heard = Heard(
            move=move,
            tokens=float(LENGTH_TOKENS.get(move.length or "", 0)) if move is not None else 0.0,
            quality=quality,
            items=dict(zip(payoffs.user_items, utils, strict=True)),
            fee=fee if first else 0.0,
        )
        player.questions = int(questions)
        said = reaction_chances(player.character, heard, player.user_type, player.ideal_tokens)
        asks = move is not None and move.asks
        classes[first, index] = numbers.setdefault((said, asks), len(numbers))
        bad[first, index] = heard.gain < 0.0
    return _Felt(
        said=np.array([said for said, _ in numbers]),
        asks=np.array([asks for _, asks in numbers]),
        classes=classes[:, inverse.reshape(-1)],
        bad=bad[:, inverse.reshape(-1)],
    )


def _exchanges(scenario: FiniteScenario, user: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what a user knows of each entry when it speaks next: reply, questions closed, quality as it sees it, its items."""
    tables = scenario.tables
    entries = tables.next_state.size
    reply = np.broadcast_to(np.arange(tables.next_state.shape[2])[:, None], tables.next_state.shape)
    quality = np.asarray(tables.outcome.quality, dtype=np.float32)  # as observations have it
    questions = _coordinate(scenario, "question")[tables.next_state]
    return np.column_stack([reply.reshape(-1), questions.reshape(-1), quality.reshape(-1), user.reshape(entries, -1)])


def _coordinate(scenario: FiniteScenario, name: str) -> NDArray[np.int64]:
    """Return a coordinate of every state as a number, (S,); 0 in the absorbing state."""
    axes = scenario.tables.axes
    shape = tuple(len(values) for values in axes.values())
    grid = np.indices(shape)[list(axes).index(name)].reshape(-1)
    return np.append(grid, 0)


def _limit(player: ScriptedPersona, scenario: FiniteScenario) -> int:
    """Return after how many bad exchanges in a row it leaves; 0 for never, as in games that are over by then."""
    limit = player.character.leave.bad_in_a_row
    axes = scenario.tables.axes
    return limit if limit < len(axes["question"]) * len(axes["exchange"]) else 0


def _moves(
    player: ScriptedPersona, scenario: FiniteScenario, felt: _Felt, streak: NDArray[np.int64], limit: int
) -> NDArray[np.float64]:
    """Return the chance of each move, (M, S, moves)."""
    chances = player.character.p_detailed
    new = _coordinate(scenario, "exchange") == 0  # (S,)
    detailed = np.where(felt.asks[:, None], chances.answer, np.where(new, chances.next, chances.rephrase))  # (C, S)
    spoken = np.zeros((1 + len(felt.said), len(new), len(USER_MOVES)))
    unheard = reaction_chances(player.character, Heard(), player.user_type, player.user_type.ideal_tokens)
    for memory, said, share in (
        (slice(0, 1), np.array([unheard]), np.full((1, len(new)), chances.first)),
        (slice(1, None), felt.said, detailed),
    ):
        for first, form in ((_VAGUE, 1.0 - share), (_DETAILED, share)):
            spoken[memory, :, first : first + len(REACTIONS)] = form[..., None] * said[:, None]
    moves = np.concatenate([spoken[:1], np.repeat(spoken[1:], limit + 1, axis=0)])
    if limit:
        moves[streak == limit] = np.eye(len(USER_MOVES))[_LEAVE]
    illegal = scenario.tables.user_mask == 0
    moves[..., _PLAIN] += (moves * illegal).sum(axis=-1)
    moves[:, illegal] = 0.0
    moves[:, scenario.tables.terminal] = 0.0
    return moves
