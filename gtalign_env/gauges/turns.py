"""What the gauges read: one turn of an assistant that states a matrix before it speaks, taken from a record.

``Episode.steps[…].assistant.model["chain"]`` holds what a chain left behind. Everything in it is optional: what is missing is
unknown, and a gauge that needs it leaves the turn out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gtalign_env.episode import Episode, SideRecord, StepRecord, digest
from gtalign_env.errors import UsageError
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.payoffs import make_payoff_model
from gtalign_env.types import ASSISTANT, USER

__all__ = ["ChainTurn", "chain_turns", "read_matrix"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ChainTurn:
    """One turn: what was stated, what was chosen and announced, what was done, and what it came to.

    Example:
        >>> ChainTurn(prompt="7f", announced="DA", made="AQ_long").failures
        ()
    """

    prompt: str
    """Equal for equal prompts (a digest)."""
    mode: str = ""
    """``"solver"`` or ``"self"``: who chose; ``"none"``: a plain reply of a model; empty where the record does not say."""
    criterion: str = ""
    """What the matrix was solved by."""
    matrix: Bimatrix | None = None
    """The matrix as the model stated it, payoffs in its own units; ``None`` where none could be read."""
    steered: Bimatrix | None = None
    """The matrix that was solved, where prices had edited the stated one."""
    held: str = ""
    """The move that ``steered`` holds on to by a switching cost (hysteresis), where there is one."""
    margin: float = 0.0
    """That cost: what both sides were given in the held move's column, in stated units."""
    chosen: tuple[str, str] | None = None
    """The cell that was chosen (user's move, assistant's), where one was."""
    announced: str = ""
    """The assistant's move that was announced."""
    made: str = ""
    """The assistant's move that was made, as the environment read it."""
    answered_by: str = ""
    """The user's move of the same exchange; empty where the session ended first."""
    realised: tuple[float, float] | None = None
    """Both payoffs of the exchange (user, assistant), utils; the assistant's with its share of what the user gained."""
    clarity: str = ""
    """How clear the question on the table was: ``"vague"``, ``"muddled"``, ``"clear"``, or unknown."""
    harmful: bool = False
    """Whether the request had to be declined."""
    outcome: Mapping[str, float] | None = None
    """What the reply led to."""
    violation: bool = False
    tokens: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Tokens that the model wrote, by block."""
    failures: tuple[str, ...] = ()
    """Everything that went wrong with the chain, by kind."""
    conversation: tuple[Mapping[str, str], ...] = ()
    """The messages that the model was given."""
    thinking: str = ""
    """What it wrote before the matrix."""
    pricing: str = ""
    """What the user paid, as a spec."""
    told: str = ""
    """What the model was told that the user pays, where that was something else: it was steered while it played."""
    payoff: str = ""
    """The payoff model, as a spec."""
    sensitivity: float | None = None
    """θ's price sensitivity, where the record reveals it."""

    @property
    def priced(self) -> Bimatrix | None:
        """The model's payoffs at the price that the user paid: the steered matrix without a switching cost, else the stated one.

        Example:
            >>> solved = Bimatrix([[1.5, 0]], [[0.5, 1]], ["VQ"], ["DA", "CQ"])
            >>> ChainTurn(prompt="", steered=solved, held="DA", margin=0.5).priced.user.tolist()
            [[1.0, 0.0]]
        """
        if self.steered is None:
            return self.matrix
        if not self.margin or self.held not in self.steered.assistant_moves:
            return self.steered
        bonus = self.margin * np.array([float(move == self.held) for move in self.steered.assistant_moves])
        moves = self.steered.user_moves, self.steered.assistant_moves
        return Bimatrix(self.steered.user - bonus, self.steered.assistant - bonus, *moves)


def chain_turns(episode: Episode) -> Iterator[ChainTurn]:
    """Yield the turns of an episode in which a model with a chain replied, those that failed and those without one included.

    Example:
        >>> list(chain_turns(Episode(scenario="s", view="text", seed=0)))
        []
    """
    last = ""
    for place, step in enumerate(episode.steps):
        if isinstance(step.assistant.model.get("chain"), Mapping):
            after = episode.steps[place + 1] if place + 1 < len(episode.steps) else None
            yield _turn(episode, step, after, last)
            if not step.assistant.model["chain"].get("fallback"):
                last = _text(step.assistant.model["chain"].get("announced")) or last
    call = episode.failed_call.get(ASSISTANT, episode.failed_call)
    if isinstance(call, Mapping) and isinstance(call.get("chain"), Mapping):
        yield _turn(episode, StepRecord(user=SideRecord(digest=""), assistant=SideRecord(digest="", model=dict(call))))


def _turn(episode: Episode, step: StepRecord, after: StepRecord | None = None, last: str = "") -> ChainTurn:
    """Return one step's turn; in games with turns the user's next step belongs to the same exchange.

    ``last`` is the move that the chain before it announced.
    """
    side = step.assistant
    chain: Mapping[str, Any] = side.model["chain"]
    answer = after if step.to_move == ASSISTANT and after is not None and after.to_move == USER else None
    solution = chain.get("solution")
    blocks = chain.get("blocks")
    theta = episode.hidden.get("user_type")
    steering: Mapping[str, Any] = chain["steering"] if isinstance(chain.get("steering"), Mapping) else {}
    margin = steering.get("margin")
    return ChainTurn(
        prompt=_prompt(side),
        mode=_text(chain.get("mode")),
        criterion=_text(chain.get("criterion")),
        matrix=read_matrix(chain.get("matrix")),
        steered=read_matrix(chain.get("steered")),
        held=last,
        margin=float(margin) if isinstance(margin, (int, float)) else 0.0,
        chosen=_cell(solution.get("drawn") or solution.get("cell")) if isinstance(solution, Mapping) else None,
        announced=side.announced if chain.get("fallback") else _text(chain.get("announced")) or side.announced,
        made=side.move,
        answered_by=_row(step, answer),
        realised=_realised(episode, [step, *([answer] if answer else [])]) if side.move else None,
        clarity=_text(step.public.get("clarity")),
        harmful=step.public.get("kind") == "harmful",
        outcome=step.outcome,
        violation=bool(step.events.get("violation", False)),
        tokens=_counts(chain.get("tokens")),
        failures=tuple(_kinds(chain)),
        conversation=tuple(m for m in side.model.get("conversation") or () if isinstance(m, Mapping)),
        thinking=_text(blocks.get("thinking") if isinstance(blocks, Mapping) else None),
        pricing=_text(episode.reset_options.get("pricing") or episode.config.get("pricing")),
        told=_text(steering.get("pricing_from")),
        payoff=_text(episode.config.get("payoff")),
        sensitivity=theta.get("price_sensitivity") if isinstance(theta, Mapping) else None,
    )


def read_matrix(recorded: Any) -> Bimatrix | None:
    """Return a matrix as records hold it: cells by name (``"VQ|DA"``), or both sides' rows with the names of the moves.

    Returns:
        The matrix; ``None`` where there is none, or cells are missing or no numbers.

    Example:
        >>> read_matrix({"VQ|DA": {"user": 1, "assistant": 2}, "VQ|CQ": {"user": 0, "assistant": 3}}).assistant.tolist()
        [[2.0, 3.0]]
        >>> read_matrix({"user": [[1]], "assistant": [[2]], "user_moves": ["VQ"], "assistant_moves": ["DA"]}).user_moves
        ('VQ',)
    """
    if not isinstance(recorded, Mapping) or not recorded:
        return None
    try:
        if {"user", "assistant"} <= set(recorded):
            moves = (recorded.get("user_moves") or (), recorded.get("assistant_moves") or ())
            return Bimatrix(recorded["user"], recorded["assistant"], *moves)
        named = {_names(key): cell for key, cell in recorded.items()}
        rows, columns = (tuple(dict.fromkeys(names[side] for names in named)) for side in (0, 1))
        user, assistant = (
            [[float(_side(named[row, column], side)) for column in columns] for row in rows]
            for side in ("user", "assistant")
        )
        return Bimatrix(user, assistant, rows, columns)
    except (KeyError, TypeError, ValueError):  # a UsageError is a ValueError
        return None


# -- parts of a record ----------------------------------------------------------------------------------------------------


def _prompt(side: SideRecord) -> str:
    given = side.model.get("conversation") or side.model.get("prompt")
    return digest(given) if given else side.digest


def _row(step: StepRecord, answer: StepRecord | None) -> str:
    if step.to_move == ASSISTANT:
        return "" if answer is None else answer.user.move
    return step.user.move


def _realised(episode: Episode, steps: Sequence[StepRecord]) -> tuple[float, float]:
    """Return what an exchange came to, in the terms of the stage game: retention by this exchange's share of it."""
    user = sum(step.user.payoff for step in steps)
    assistant = sum(step.assistant.payoff - step.assistant.items.get("retention", 0.0) for step in steps)
    if any("retention" in step.assistant.items for step in steps):
        try:
            assistant += make_payoff_model(episode.config.get("payoff", "grounded")).retention(user)
        except UsageError:  # a model of somebody's own, which is not known here
            assistant += sum(step.assistant.items.get("retention", 0.0) for step in steps)
    return float(user), float(assistant)


def _kinds(chain: Mapping[str, Any]) -> Iterator[str]:
    failures = chain.get("failures") or ([chain["failure"]] if chain.get("failure") else [])
    for failure in failures if isinstance(failures, (list, tuple)) else [failures]:
        kind = failure.get("kind") if isinstance(failure, Mapping) else failure
        yield str(kind or "unknown")


def _cell(cell: Any) -> tuple[str, str] | None:
    return (str(cell[0]), str(cell[1])) if isinstance(cell, (list, tuple)) and len(cell) == 2 else None


def _names(key: str) -> tuple[str, str]:
    row, _, column = key.partition("|" if "|" in key else "_")
    if not column:
        raise KeyError(key)
    return row, column


def _side(cell: Any, side: str) -> Any:
    return cell[side] if isinstance(cell, Mapping) else cell[0 if side == "user" else 1]


def _counts(counts: Any) -> dict[str, int]:
    given = counts if isinstance(counts, Mapping) else {}
    return {str(block): count for block, count in given.items() if isinstance(count, int) and count > 0}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
