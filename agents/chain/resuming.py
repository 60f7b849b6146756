"""The published way to steer, measured: the edited matrix goes back into the chain, and the model chooses itself.

A recorded chain is taken up again where its payoff block begins. The thinking stays as it was written, the block holds the
steered payoffs, and the model goes on from there with its analysis; the cell that this announces is its choice.
"""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Sequence

from gtalign_env.agents.backends import make_backend
from gtalign_env.agents.chain.parse import announced_cell
from gtalign_env.errors import UsageError
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.gauges import ChainTurn
from gtalign_env.protocols import Backend, Sampling
from gtalign_env.solution.criteria import Play

__all__ = ["ByModel", "payoff_block"]

_DECIMALS = 2
_TAKE_OVER = (
    "For this message the analyze block is yours to write: name the outcome that is best for both sides by its key, and end the "
    "block with the line\nchoice: MOVE OF THE USER|YOUR MOVE"
)
"""What a model is told besides, whose own instructions leave the choice to a solver."""


class ByModel:
    """Chooses in a steered matrix by letting the model read it and go on: a ``sweep.Decide``.

    A turn whose record holds no conversation, a model that fails, and an analysis that names no cell of the matrix stay
    undecided, and ``problems`` counts why.

    Args:
        backend: The engine, or a spec; it should be the one that stated the matrices.
        sampling: How it samples; greedily, at most 160 tokens by default. It halts at ``</analyze>``.

    Raises:
        UsageError: The sampling is none, or holds a schema: an analysis is no JSON.

    Example:
        >>> from gtalign_env.agents.backends import ScriptedBackend
        >>> stated = Bimatrix([[1, 0]], [[1, 0]], ["VQ"], ["DA", "CQ"])
        >>> turn = ChainTurn(prompt="p", matrix=stated, conversation=({"role": "user", "content": "Who?"},))
        >>> ByModel(ScriptedBackend(["choice: VQ|CQ</analyze>"]))([turn], [stated])
        [(('VQ', 'CQ', 1.0),)]
    """

    def __init__(self, backend: Backend | str, *, sampling: Sampling | None = None) -> None:
        if sampling is not None and (not isinstance(sampling, Sampling) or sampling.json_schema):
            raise UsageError(f"sampling: expected gtalign_env.protocols.Sampling(…) without a schema, got {sampling!r}")
        self.backend = make_backend(backend)
        self.name = f"self: {self.backend.name}"
        self.sampling = dataclasses.replace(sampling or Sampling(max_tokens=160), stop=("</analyze>",))
        self.problems: collections.Counter[str] = collections.Counter()

    def __call__(self, turns: Sequence[ChainTurn], matrices: Sequence[Bimatrix]) -> list[tuple[Play, ...] | None]:
        """Return the announced cell of each turn, all from one call of the backend."""
        choices: list[tuple[Play, ...] | None] = [None] * len(turns)
        asked = [place for place, turn in enumerate(turns) if turn.conversation]
        self.problems.update(["no_conversation"] * (len(turns) - len(asked)))
        if not asked:
            return choices
        resumed = [_resumed(turns[place], matrices[place]) for place in asked]
        for place, made in zip(asked, self.backend.generate(resumed, self.sampling), strict=True):
            matrix = matrices[place]
            cell = announced_cell(made.text, matrix.user_moves, matrix.assistant_moves)
            if made.finish_reason != "error" and cell is not None:
                choices[place] = ((*cell, 1.0),)
            else:
                self.problems["engine" if made.finish_reason == "error" else "unannounced"] += 1
        return choices


def payoff_block(matrix: Bimatrix) -> str:
    """Return a matrix as the payoff block holds it, to two decimals.

    Example:
        >>> payoff_block(Bimatrix([[1.005]], [[-2]], ["VQ"], ["DA"]))
        '{"VQ|DA": {"user": 1.0, "assistant": -2.0}}'
    """
    cells = {
        f"{row}|{column}": {
            side: round(float(payoffs[i, j]), _DECIMALS) + 0.0
            for side, payoffs in (("user", matrix.user), ("assistant", matrix.assistant))
        }
        for i, row in enumerate(matrix.user_moves)
        for j, column in enumerate(matrix.assistant_moves)
    }
    return json.dumps(cells)


def _resumed(turn: ChainTurn, matrix: Bimatrix) -> list[dict[str, str]]:
    """Return the conversation that ends in the chain up to its analysis."""
    messages = [{"role": message["role"], "content": message["content"]} for message in turn.conversation]
    if messages[-1]["role"] == "assistant":  # what the chain itself had begun with
        messages.pop()
    if turn.mode == "solver" and messages and messages[0]["role"] == "system":
        messages[0]["content"] += f"\n\n{_TAKE_OVER}"
    written = f"<thinking>{turn.thinking}</thinking>\n<payoff>{payoff_block(matrix)}</payoff>\n<analyze>"
    return [*messages, {"role": "assistant", "content": written}]
