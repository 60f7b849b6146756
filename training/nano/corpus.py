"""What nano reads: games that the teacher plays with all kinds of people, turn by turn, as a chain assistant writes them.

A turn is a prompt and alternating pieces, put in by us or written by the model. It comes from the record of a game that was
really played through ``ChainAssistant``, so nothing here has a form of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from gtalign_env import parallel_env
from gtalign_env.agents.assistants.llm import SYSTEM_PROMPT
from gtalign_env.agents.users import population
from gtalign_env.agents.users.shipped import shipped
from gtalign_env.agents.users.speech import Speaker
from gtalign_env.play import episode_seeds, play_episode
from gtalign_env.protocols import Task
from gtalign_env.scenarios.tasks import load_tasks
from gtalign_env.training.nano.teacher import ASKS, Teacher, answer
from gtalign_env.types import LENGTHS, AssistantMove, UserMove

__all__ = ["PEOPLE", "PRICES", "Piece", "Turn", "make_drills", "make_turns"]

PEOPLE: Mapping[str, float] = {
    "concise": 4.0,
    "detailed": 4.0,
    "balanced": 2.0,
    "hurried": 2.0,
    "chatty": 1.0,
    "expert": 1.0,
    "over_vague": 1.0,
    "thrifty": 1.0,
    "drifting": 1.0,
}
"""Personas by weight; one session with each is not alike another."""
PRICES: Mapping[str, float] = {
    "subscription": 5.0,
    "subscription:fee=1.5": 1.0,
    "per_token": 1.0,
    "per_token:rate_out=0.0008": 1.0,
    "per_request": 1.0,
    "freemium": 0.5,
    "two_part": 0.5,
}
"""Pricing policies by weight."""
_WAYS: Mapping[str, float] = {"clear": 0.35, "asked": 0.5, "vague": 0.15}
"""How questions with two readings come in drills: clear, vague and then clear because it was asked, or vague."""
_PLAIN = 0.15
"""Share of the turns that are also told as a plain reply, without a chain."""


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the assistant's message."""

    text: str
    block: str = ""
    """Which block the model wrote here; empty where it is put in."""


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the assistant."""

    conversation: tuple[Mapping[str, str], ...]
    """What was said, the system message first."""
    pieces: tuple[Piece, ...]
    sound: bool = True
    """Whether the payoffs that are stated are to be learned; some are made up so that another move is seen."""


def make_turns(
    count: int, *, seed: int = 0, tasks: str = "small", progress: Callable[[int], None] = lambda _: None
) -> list[Turn]:
    """Play games until there are so many turns.

    Args:
        count: Turns.
        seed: Everything random follows from it.
        tasks: The task source.
        progress: Told the turns so far.

    Example:
        >>> turns = make_turns(3)
        >>> len(turns), [piece.block for piece in turns[0].pieces if piece.block]
        (3, ['thinking', 'payoff', 'response'])
    """
    rng = np.random.default_rng(seed)
    turns: list[Turn] = []
    for turn in _play(rng, tasks):
        turns.append(turn)
        progress(len(turns))
        if len(turns) == count:
            break
    return turns


def make_drills(count: int, *, seed: int = 0, tasks: str = "small") -> list[Turn]:
    """Return short exchanges that hold nothing but questions and right answers: what is known is learned from these.

    Args:
        count: Exchanges.
        seed: Everything random follows from it.
        tasks: The task source.

    Example:
        >>> drill = make_drills(1)[0]
        >>> drill.conversation[-1]["role"], drill.pieces[0].block
        ('user', 'plain')
    """
    rng = np.random.default_rng([seed, 2])
    known = [task for task in load_tasks(tasks) if not task.harmful]
    drills = []
    for _ in range(count):
        said: list[dict[str, str]] = []
        for _ in range(1 + int(rng.choice(3, p=(0.6, 0.25, 0.15)))):
            task = known[int(rng.integers(len(known)))]
            asked, reply = _exchange(task, rng)
            said += [*asked, {"role": "assistant", "content": reply}]
        drills.append(Turn(tuple(said[:-1]), (Piece(said[-1]["content"], "plain"),)))
    return drills


def _exchange(task: Task, rng: np.random.Generator) -> tuple[list[dict[str, str]], str]:
    """Return what is said by both until the answer, and the answer; at a vague question one reading is as good."""
    way = str(rng.choice(list(_WAYS), p=list(_WAYS.values()))) if task.ambiguous else "clear"
    right = task.answers[0]
    speaker = Speaker(shipped(str(rng.choice(list(PEOPLE)))).wording, rng)
    speaker.lines = 1  # nobody greets in mid-conversation
    card = dataclasses.asdict(task)
    vague, detailed = UserMove("VQ", "none"), UserMove("DQ", "none")
    if way == "clear":
        said = [speaker.say(detailed, card, "next_question", "")]
    elif way == "vague":
        said = [speaker.say(vague, card, "next_question", "")]
        right = (right, dict(task.extra)["other"])[int(rng.integers(2))]
    else:
        asked = ASKS[task.kind]
        first = speaker.say(vague, card, "next_question", "")
        said = [first, asked, speaker.say(detailed, card, "answer_question", asked)]
    lines = [{"role": ("user", "assistant")[n % 2], "content": words} for n, words in enumerate(said)]
    return lines, answer(AssistantMove("DA", LENGTHS[int(rng.integers(3))]), right, task.kind)


def _play(rng: np.random.Generator, tasks: str) -> Iterator[Turn]:
    people = population(dict(PEOPLE))
    tables = [(parallel_env("assist_text", tasks=tasks, pricing=price), weight) for price, weight in PRICES.items()]
    known = load_tasks(tasks)
    teachers = {id(env): Teacher(known) for env, _ in tables}
    shares = np.array([weight for _, weight in tables])
    while True:
        for seed in episode_seeds(int(rng.integers(2**31)), 64):
            env = tables[int(rng.choice(len(tables), p=shares / shares.sum()))][0]
            episode = play_episode(env, people, teachers[id(env)], seed=seed)
            if episode.error:
                raise RuntimeError(f"the teacher failed: {episode.error}")
            for step in episode.steps:
                if step.assistant.model:
                    turn = _turn(step.assistant.model)
                    yield turn
                    if rng.random() < _PLAIN:
                        yield _plainly(turn)


def _turn(call: Mapping[str, Any]) -> Turn:
    """Return a recorded turn; the places where the model went on are those where each block begins."""
    text, pieces = call["text"], []
    for block in ("thinking", "payoff", "response"):
        before, tag, rest = text.partition(f"<{block}>")
        written, closing, text = rest.partition(f"</{block}>")
        own_end = "" if block == "payoff" else closing  # the grammar ends the payoffs, and we close the block
        text = text if own_end else closing + text
        pieces += [Piece(before + tag), Piece(written + own_end, block)]
    return Turn(tuple(call["conversation"]), tuple(pieces), bool(call["sound"]))


def _plainly(turn: Turn) -> Turn:
    """Return the same turn without a chain."""
    reply = turn.pieces[-1].text.removesuffix("</response>")
    return Turn(({"role": "system", "content": SYSTEM_PROMPT}, *turn.conversation[1:]), (Piece(reply, "plain"),))
