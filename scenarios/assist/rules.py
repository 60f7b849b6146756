"""The rules of ``assist``, compiled into tables.

The public state is (question, kind, clarity, exchange): which question of the session is on the table, what sort it is,
how clearly it stands there, and how many exchanges it has taken. One step is one exchange (``docs/game.md`` §2).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gtalign_env.scenarios.assist.config import CLARITIES, KINDS, AssistConfig
from gtalign_env.tables import GameTables
from gtalign_env.types import (
    ASSISTANT_MOVES,
    CHARACTERS_PER_TOKEN,
    LENGTH_TOKENS,
    LENGTHS,
    USER_MOVES,
    AssistantMove,
    Outcome,
)

__all__ = ["USER_ACTS", "closing_replies", "compile_assist"]

USER_ACTS: tuple[str, ...] = ("VQ", "DQ", "LEAVE")
"""What of the user's move matters to the rules. An illegal move counts as ``VQ`` without a reaction."""
_VAGUE, _MUDDLED, _CLEAR = range(3)
_HARMFUL = KINDS.index("harmful")
_SILENCE = len(ASSISTANT_MOVES)


class _Public(NamedTuple):
    question: int
    kind: int
    clarity: int
    exchange: int


class _Branch(NamedTuple):
    probability: float
    following: _Public | None  # None: the session is over
    outcome: Outcome


@functools.lru_cache(maxsize=16)
def compile_assist(config: AssistConfig) -> GameTables:
    """Compile the rules into arrays (cached per configuration).

    Example:
        >>> tables = compile_assist(AssistConfig())
        >>> tables.next_state.shape, tables.coordinates(0)["clarity"]
        ((109, 3, 9, 6), 'vague')
    """
    sizes = _sizes(config)
    publics = [_Public(*(int(i) for i in np.unravel_index(s, sizes))) for s in range(int(np.prod(sizes)))]
    terminal = len(publics)
    shape = (terminal + 1, len(USER_ACTS), len(ASSISTANT_MOVES) + 1, 2 * len(KINDS))
    next_state = np.full(shape, terminal, dtype=np.int32)
    probability = np.zeros(shape)
    probability[..., 0] = 1.0  # wherever no branch is written below, nothing happens and the session is over
    names = [field.name for field in dataclasses.fields(Outcome)]
    fields = {name: np.zeros(shape) for name in names}
    for s, public in enumerate(publics):
        for u, act in enumerate(USER_ACTS):
            for a in range(shape[2]):
                probability[s, u, a] = 0.0
                for b, branch in enumerate(_branches(config, public, act, a)):
                    probability[s, u, a, b] = branch.probability
                    if branch.following is not None:
                        next_state[s, u, a, b] = np.ravel_multi_index(branch.following, sizes)
                    for name in names:
                        fields[name][s, u, a, b] = getattr(branch.outcome, name)
    return GameTables(
        user_moves=tuple(move.name for move in USER_MOVES),
        assistant_moves=tuple(move.name for move in ASSISTANT_MOVES),
        user_act=np.array([USER_ACTS.index(move.form) for move in (*USER_MOVES, USER_MOVES[0])], dtype=np.int32),
        assistant_act=np.arange(shape[2], dtype=np.int32),
        next_state=next_state,
        probability=probability,
        outcome=Outcome(**fields),
        user_mask=_user_mask(config, shape[0]),
        assistant_mask=np.ones((shape[0], len(ASSISTANT_MOVES)), dtype=np.int8),
        features=_features(config, publics),
        initial=_initial(config, publics),
        axes={
            "question": tuple(str(i) for i in range(config.questions)),
            "kind": KINDS,
            "clarity": CLARITIES,
            "exchange": tuple(str(i) for i in range(config.max_exchanges)),
        },
    )


def closing_replies(config: AssistConfig) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
    """Return the reply that closes off a stage game, by state and by the assistant's act in the exchange before.

    A harmful request is declined. Anything else gets a direct answer: of the length just used, medium where none was.

    Example:
        >>> closing_replies(AssistConfig()).shape
        (109, 9)
    """
    kinds = [np.unravel_index(s, _sizes(config))[1] for s in range(int(np.prod(_sizes(config))))]
    replies = np.empty((len(kinds) + 1, _SILENCE + 1), dtype=np.int32)
    for a in range(_SILENCE + 1):
        length = ASSISTANT_MOVES[a].length if a < _SILENCE else None
        replies[:, a] = ASSISTANT_MOVES.index(AssistantMove("DA", length or "medium"))
    replies[:-1][np.array(kinds) == _HARMFUL] = ASSISTANT_MOVES.index(AssistantMove("DECLINE", None))
    return replies


def _sizes(config: AssistConfig) -> tuple[int, int, int, int]:
    return config.questions, len(KINDS), len(CLARITIES), config.max_exchanges


def _kind_shares(config: AssistConfig) -> tuple[float, float, float]:
    return config.p_simple, max(0.0, 1.0 - config.p_simple - config.p_harmful), config.p_harmful


def _branches(config: AssistConfig, public: _Public, act: str, assistant: int) -> Iterator[_Branch]:
    """Yield what may follow an exchange: whether an answer meets the reading that was meant, and what comes next."""
    move = ASSISTANT_MOVES[assistant] if assistant < _SILENCE else None
    if move is not None and move.answers and public.kind == _HARMFUL:
        yield _Branch(1.0, None, _reply(config, public, move, violation=1.0))
        return
    answers = move is not None and move.answers
    hit = (config.hit_vague, config.hit_muddled, config.hit_clear)[public.clarity] if answers else 0.0
    for met, chance in ((True, hit), (False, 1.0 - hit)):
        if chance == 0.0:
            continue
        closes = (met and answers) or (move is not None and move.act == "DECLINE")
        closes = closes or public.exchange + 1 >= config.max_exchanges
        outcome = _reply(config, public, move, met=met)
        for share, following in _next_utterance(config, public, act, move, closes):
            yield _Branch(chance * share, following, _typed(config, outcome, act, move, closes, following))


def _reply(
    config: AssistConfig, public: _Public, move: AssistantMove | None, *, met: bool = False, violation: float = 0.0
) -> Outcome:
    """Return what the reply alone amounts to, before the user types on."""
    tokens_in = config.tokens_per_word * (config.words_vague, config.words_vague, config.words_detailed)[public.clarity]
    first = 1.0 if public.question == 0 and public.exchange == 0 else 0.0
    said = Outcome(tokens_in=tokens_in, opens_session=first)
    if move is None:
        return dataclasses.replace(said, requests=0.0)
    if move.act == "CQ":
        return dataclasses.replace(said, **_written(config.question_tokens))
    harmful = public.kind == _HARMFUL
    if move.act == "DECLINE":
        quality = config.quality_safe_alternative if harmful else 0.0
        written = _written(config.decline_tokens)
        return dataclasses.replace(
            said, **written, quality=quality, declined=float(not harmful), resolved=float(harmful)
        )
    assert move.length is not None
    written = _written(LENGTH_TOKENS[move.length] + (config.follow_up_tokens if move.act == "AQ" else 0))
    if violation:
        return dataclasses.replace(said, **written, answered=1.0, violation=1.0)
    by_length = config.quality_simple if KINDS[public.kind] == "simple" else config.quality_complex
    quality = by_length[LENGTHS.index(move.length)] if met else 0.0
    return dataclasses.replace(
        said,
        **written,
        answered=1.0,
        quality=quality,
        wrong=float(not met),
        resolved=float(met),
    )


def _written(tokens: float) -> dict[str, float]:
    return {"tokens_out": float(tokens), "characters": CHARACTERS_PER_TOKEN * tokens}


def _next_utterance(
    config: AssistConfig, public: _Public, act: str, move: AssistantMove | None, closes: bool
) -> Iterator[tuple[float, _Public | None]]:
    """Yield (share, public state) of what the user says next; ``None`` when nothing follows."""
    if act == "LEAVE" or (closes and public.question + 1 >= config.questions):
        yield 1.0, None
        return
    asked = (
        move is not None and move.asks and not closes
    )  # a follow-up on a settled question leaves the next one as it is
    clarity = _CLEAR if act == "DQ" else (_MUDDLED if asked else _VAGUE)
    if not closes:
        yield 1.0, _Public(public.question, public.kind, clarity, public.exchange + 1)
        return
    for kind, share in enumerate(_kind_shares(config)):
        if share > 0.0:
            yield share, _Public(public.question + 1, kind, clarity, 0)


def _typed(
    config: AssistConfig,
    outcome: Outcome,
    act: str,
    move: AssistantMove | None,
    closes: bool,
    following: _Public | None,
) -> Outcome:
    """Add the words of the user's next utterance: an answer, a rephrasing, the next question."""
    if following is None or act == "LEAVE":
        return outcome
    detailed = act == "DQ"
    asked = move is not None and move.asks
    words = config.words_detailed if detailed else config.words_vague
    reply = config.words_detailed_reply if detailed else config.words_vague_reply
    if asked and closes:
        words += config.words_aside  # an answer to the follow-up, and then the next question
    elif asked:
        words = reply
    return dataclasses.replace(outcome, words_typed=float(words), clarified=float(asked))


def _user_mask(config: AssistConfig, states: int) -> np.ndarray[tuple[int, int], np.dtype[np.int8]]:
    mask = np.ones((states, len(USER_MOVES)), dtype=np.int8)
    if not config.can_leave:
        mask[:, -1] = 0
    return mask


def _features(config: AssistConfig, publics: list[_Public]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return (S, F): progress, exchanges so far, one-hot kind, one-hot clarity; zeros in the absorbing state."""
    rows = np.zeros((len(publics) + 1, 2 + len(KINDS) + len(CLARITIES)), dtype=np.float32)
    for s, public in enumerate(publics):
        rows[s, 0] = public.question / config.questions
        rows[s, 1] = public.exchange / config.max_exchanges
        rows[s, 2 + public.kind] = 1.0
        rows[s, 2 + len(KINDS) + public.clarity] = 1.0
    rows[-1, 0] = 1.0
    return rows


def _initial(config: AssistConfig, publics: list[_Public]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    shares = _kind_shares(config)
    forms = {_VAGUE: config.p_vague_opening, _CLEAR: 1.0 - config.p_vague_opening}
    start = np.zeros(len(publics) + 1)
    for s, public in enumerate(publics):
        if public.question == 0 and public.exchange == 0:
            start[s] = shares[public.kind] * forms.get(public.clarity, 0.0)
    return start
