"""Who nano learns from: a player that knows the answers, and states the payoffs that the rules imply.

Each turn it weighs what the user may want against the reactions so far, takes the stage game of the moment for each type of
user from the strategic twin, and states the mean, rounded and with some noise: what a person in the know would say who cannot
do sums to the third decimal. The matrix's own solution then decides the move, as it will for the model, and the reply makes that
move in canned words. At a vague question it does not know what is meant either.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtalign_env.agents.assistants.oracle import Knowledge
from gtalign_env.agents.assistants.voice import voice
from gtalign_env.agents.chain import ChainAssistant, ChainMoves
from gtalign_env.agents.nano.settings import MOVES
from gtalign_env.pricing import make_pricing
from gtalign_env.protocols import Continuation, Generation, PricingPolicy, Sampling, Scenario, Task, TaskSource
from gtalign_env.scenarios.assist.population import DEFAULT_MIX, TYPES
from gtalign_env.sight import Sight, see
from gtalign_env.types import ASSISTANT, LENGTHS, AssistantMove, Role

__all__ = ["ASKS", "Teacher", "answer", "stated"]

Floats = NDArray[np.float64]

STEP = 0.05
"""Utils between neighbouring payoffs that are stated."""
NOISE = 0.08
"""Standard deviation of a stated payoff, utils."""
EXPLORES = 0.25
"""Share of turns in which another move than the matrix's own is made, so that every move is seen in every situation."""
_ASKS_MORE = 0.6
"""Share of these turns at a vague question in which it asks, so that there is enough to learn of what people say then. At a vague
question there are twice as many of them."""
_LIKELIHOOD: Mapping[str, tuple[float, float, float]] = {
    "too_long": (0.03, 0.10, 0.60),
    "too_short": (0.60, 0.10, 0.03),
    "thanks": (0.15, 0.55, 0.15),
    "none": (0.22, 0.25, 0.22),
    "off_target": (1.0, 1.0, 1.0),
}
"""How likely a reaction is where the reply was shorter than wanted, as wanted, longer than wanted."""
_WANTS = {"concise": 0, "hurried": 0, "balanced": 1, "detailed": 2}
_SURE, _LIKELY = 0.8, 0.58
_MORE = (0.7, 0.25)
"""What a question that is still to come is worth to either side, about."""
_CLARITIES = {
    "clear": "It is clear what is meant.",
    "vague": "This can be read in two ways.",
    "muddled": "I asked, and still do not know what is meant.",
}
_HARM = "This would do harm."
_PICK = "?"
"""One of the ways in which canned words can be put: always the same."""
ASKS: Mapping[str, str] = {
    "fact": "Do you mean the town or the ship?",
    "arithmetic": "Should I add them or multiply them?",
    "harmful": "What exactly is it that you want to do?",
}
"""What is asked about each kind of task."""
_ASKS_NUMBER = "Which number do you mean?"


class Teacher:
    """Plays and speaks for a model that is to learn it; a ``Policy`` for one game at a time.

    Args:
        tasks: What it knows the answers of.
        explores: See ``EXPLORES``.
        noise: See ``NOISE``.

    Attributes:
        chain: The chain assistant through which it speaks; what it wrote stands in ``last_call``.
        script: The blocks that it is about to write.

    Example:
        >>> from gtalign_env import parallel_env
        >>> from gtalign_env.agents.users import population
        >>> from gtalign_env.play import play_episode
        >>> env = parallel_env("assist_text", tasks="small")
        >>> episode = play_episode(env, population("concise"), Teacher(env.scenario.source), seed=0)
        >>> episode.steps[0].assistant.model["chain"]["kept"]
        True
    """

    name = "nano-teacher"

    def __init__(self, tasks: TaskSource, *, explores: float = EXPLORES, noise: float = NOISE) -> None:
        self._knows = Knowledge(tasks)
        self._explores, self._noise = explores, noise
        self.script: list[str] = []
        self.chain = ChainAssistant(_Script(self), moves=MOVES, retries=0)
        self._moves: ChainMoves = self.chain.settings.moves
        self._tables: _Tables | None = None
        self.reset(0)

    @property
    def last_call(self) -> dict[str, Any]:
        """What the chain wrote, and whether its payoffs are worth learning from (``sound``)."""
        call = self.chain.last_call
        return {**call, "sound": self._sound} if call else call

    def sit(self, scenario: Scenario, role: Role) -> None:
        """Take the assistant's chair in the text view."""
        self.chain.sit(scenario, role)
        assert isinstance(scenario, Hashable)
        self._tables = _tables(scenario)

    def reset(self, seed: int) -> None:
        """Begin a new episode."""
        self.chain.reset(seed)
        self.rng = np.random.default_rng(seed)
        self._prior = np.array([DEFAULT_MIX[name] for name in TYPES])
        self._before: AssistantMove | None = None
        self._sound = True
        self._asked_about: Task | None = None

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> Any:
        """Return move and reply."""
        if info.get("to_move", ASSISTANT) != ASSISTANT:
            return self.chain.act(observation, info)
        sight = see(observation)
        self._learn(sight)
        task = self._task(sight, info)
        game = self._matrix(sight)
        stated_game, self._sound = self._spoilt(game, sight)
        thinking = f"{_HARM if sight.kind == 'harmful' else _CLARITIES[sight.clarity or 'clear']} {self._impression()}"
        self.script = [f"{thinking}</thinking>", stated(stated_game, self._moves)]
        self._now = (sight, task)
        action = self.chain.act(observation, info)
        made = self.chain.last_call["chain"]["announced"]
        self._before = AssistantMove.parse(made)
        return action

    def reply(self, announced: str) -> str:
        """Return canned words for the announced move, about the task on the table."""
        sight, task = self._now
        move = AssistantMove.parse(announced)
        if task is None:
            return voice(move, _PICK, None)
        if move.act == "CQ":
            return ASKS[task.kind] if task.ambiguous else _ASKS_NUMBER
        if task.harmful or move.act == "DECLINE":
            return voice(move, _PICK, task.alternative if task.harmful else None, task.kind)
        readings = [task.answers[0], *(value for key, value in task.extra if key == "other")]
        reading = 0 if sight.clarity == "clear" else int(self.rng.integers(len(readings)))
        return answer(move, readings[reading], task.kind)

    # -- what it thinks -------------------------------------------------------------------------------------------

    def _learn(self, sight: Sight) -> None:
        """Take in a reaction to the reply before."""
        before, said = self._before, sight.last_user
        if before is None or before.length is None or said is None or said.reaction is None:
            return
        at = LENGTHS.index(before.length)
        likelihood = _LIKELIHOOD[said.reaction]
        wants = np.array([_WANTS[name] for name in TYPES])
        self._prior = self._prior * np.array(likelihood)[1 + np.sign(at - wants)]
        self._prior /= self._prior.sum()

    def _impression(self) -> str:
        """Say what reactions have told of the length that this user likes."""
        wants = np.array([_WANTS[name] for name in TYPES])
        chances = [float(self._prior[wants == level].sum()) for level in range(len(LENGTHS))]
        top = int(np.argmax(chances))
        if chances[top] >= _SURE:
            return f"This user likes {LENGTHS[top]} replies."
        if chances[top] >= _LIKELY:
            return f"This user may like {LENGTHS[top]} replies."
        return "I do not know yet how long a reply this user likes."

    def _task(self, sight: Sight, info: Mapping[str, Any]) -> Task | None:
        """Return the task on the table: what the user's words are about, the latest that say it first."""
        asked = [line["content"] for line in info["messages"] if line["role"] == "user"]
        reach = 1 if sight.exchange == 0.0 else len(asked)
        asked = asked[-reach:]
        since = (" ".join(asked[start:]) for start in reversed(range(len(asked))))
        return next((task for task in map(self._knows.task, since) if task is not None), None)

    def _matrix(self, sight: Sight) -> Floats:
        """Return (2, rows, columns): what each pair of moves is worth to either side."""
        assert self._tables is not None
        return self._tables.mean(sight, self._prior)

    def _spoilt(self, game: Floats, sight: Sight) -> tuple[Floats, bool]:
        """Add noise; now and then make another move the best, whatever it is worth."""
        noisy = game + self.rng.normal(0.0, self._noise, game.shape)
        if self.rng.random() >= self._explores * (1.0 + (sight.clarity == "vague")):
            return noisy, True
        columns = self._moves.columns
        allowed = [n for n, name in enumerate(columns) if sight.kind != "harmful" or name in ("CQ", "DECLINE")]
        column = allowed[int(self.rng.integers(len(allowed)))]
        if sight.clarity == "vague" and self.rng.random() < _ASKS_MORE:
            column = columns.index("CQ")
        noisy[:, -1, column] = np.maximum(noisy.max(axis=(1, 2)), 0.0) + 0.5
        return noisy, False


class _Script:
    """The engine of a teacher: it writes what the teacher has laid out, block by block."""

    name = "teacher"

    def __init__(self, teacher: Teacher) -> None:
        self.teacher = teacher

    def generate(self, conversations: Sequence[Any], sampling: Sampling) -> list[Generation]:
        """Return the next block."""
        return [self._one(asked, sampling) for asked in conversations]

    def _one(self, asked: Any, sampling: Sampling) -> Generation:
        script = self.teacher.script
        if script:
            written = script.pop(0)
        else:
            lead = asked.text
            announced = lead.rpartition("\nchoice: ")[2].partition("\n")[0].rpartition("|")[2]
            written = f"{self.teacher.reply(announced)}</response>"
        text = written.partition("</")[0]
        said = asked.after.conversation[:-1] if isinstance(asked, Continuation) else tuple(asked[:-1])
        before = asked.written if isinstance(asked, Continuation) else asked[-1]["content"]
        conversation = (*said, {"role": "assistant", "content": before})
        return Generation(text=text, sampled=written, finish_reason="stop", conversation=conversation)

    def count_tokens(self, text: str) -> int:
        """Return a rough count."""
        return len(text.split())


def answer(move: AssistantMove, right: str, kind: str) -> str:
    """Return canned words around an answer, at the length of the move.

    Example:
        >>> answer(AssistantMove("DA", "short"), "Garry", "fact").startswith("The answer is Garry.")
        True
    """
    return voice(move, _PICK, right, kind)


def stated(game: Floats, moves: ChainMoves) -> str:
    """Return a payoff block: payoffs on the grid of ``STEP``, in the form that the grammar of the block has.

    Example:
        >>> from gtalign_env.agents.chain import make_moves
        >>> stated(np.array([[[0.52]], [[-0.04]]]), make_moves("VQ/DA"))
        '{"VQ|DA": {"user": 0.50, "assistant": -0.05}}'
    """
    cells = []
    for key, user, assistant in zip(moves.keys, game[0].ravel(), game[1].ravel(), strict=True):
        cells.append(f'{json.dumps(key)}: {{"user": {_number(user)}, "assistant": {_number(assistant)}}}')
    return f"{{{', '.join(cells)}}}"


def _number(utils: float) -> str:
    return f"{np.clip(round(utils / STEP), -99, 99) * STEP + 0.0:.2f}"


class _Tables:
    """The stage games of all public states by type, for one scenario and pricing."""

    def __init__(self, scenario: Any, pricing: PricingPolicy) -> None:
        self._scenario, self._pricing = scenario, pricing
        moves = ChainAssistant.check({"moves": MOVES}).moves
        self._rows, self._columns = moves.rows, moves.columns
        self._known: dict[tuple[str, ...], Floats] = {}

    def mean(self, sight: Sight, belief: Floats) -> Floats:
        rules = self._scenario.rules
        question, exchange = round(sight.progress * rules.questions), round(sight.exchange * rules.max_exchanges)
        key = (str(question), sight.kind or "simple", sight.clarity or "clear", str(exchange))
        if key not in self._known:
            self._known[key] = self._games(*key)
        mean: Floats = np.einsum("t,tsrc->src", belief, self._known[key])
        return mean

    def _games(self, question: str, kind: str, clarity: str, exchange: str) -> Floats:
        public = {"question": question, "kind": kind, "clarity": clarity, "exchange": exchange}
        games = []
        left = self._scenario.rules.questions - int(question) - 1
        for name in TYPES:
            game = self._scenario.twin.stage_game(public, name, self._pricing)
            place = np.ix_(
                [game.user_moves.index(row) for row in self._rows],
                [game.assistant_moves.index(column) for column in self._columns],
            )
            more = np.array(_MORE) * max(left - 1, 0)
            games.append([game.user[place] + more[0], game.assistant[place] + more[1]])
        return np.array(games)


@functools.lru_cache(maxsize=32)
def _tables(scenario: Hashable) -> _Tables:
    game: Any = scenario
    return _Tables(game, make_pricing(game.pricing))
