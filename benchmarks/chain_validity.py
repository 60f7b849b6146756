"""How often a model states a valid matrix in the text view: held to the form, and left to itself.

    python benchmarks/chain_validity.py --assistant transformers:PATH --option dtype=bfloat16
    python benchmarks/chain_validity.py --assistant vllm:PATH --option dtype=bfloat16 --json vllm.json --records runs/

Whole sessions of ``gtalign/AssistText-v0`` with the default users and the authored tasks. Every condition (who solves, held or
free) plays the same seeds. There are no retries, so a turn counts by its first attempt; where there is no chain to be used the
session goes on with a plain reply, and the turn counts as one without a matrix. A matrix is *valid* when it has every cell that
was asked for and no other, with finite payoffs in the range that was asked for. Exit code 1 when held matrices are valid in less
than 95 % of turns.

``matrix`` is the share of turns with a valid matrix, with Wilson's interval at 95 % (a guide: turns of one session are not quite
independent), and ``chain`` that of turns whose whole chain could be used, announced move and reply included.
"""

from __future__ import annotations

import argparse
import copy
import functools
import json
import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

import gtalign_env
from gtalign_env.agents.backends import make_backend
from gtalign_env.agents.chain import ChainAssistant, ChainBudget, make_moves
from gtalign_env.agents.chain.matrix import HIGH, LOW
from gtalign_env.agents.chain.moves import ChainMoves
from gtalign_env.agents.users import population
from gtalign_env.cli.common import read_options
from gtalign_env.episode import Episode, EpisodeWriter
from gtalign_env.games import Bimatrix
from gtalign_env.gauges import chain_turns
from gtalign_env.play import episode_seeds, versions
from gtalign_env.play_batch import play_batch
from gtalign_env.protocols import Backend, Sampling

REQUIRED = 0.95
_Z = 1.959963984540054
"""The 97.5 % point of the normal distribution."""


class Condition(NamedTuple):
    """What differs between two rows of the table."""

    mode: str
    """``"solver"`` or ``"self"``."""
    held: bool
    """Whether the payoff block is held to its form."""

    def __str__(self) -> str:
        """Return a name that can stand in a file's name."""
        return f"{self.mode}-{'held' if self.held else 'free'}"


class Measured(NamedTuple):
    """One condition, played."""

    condition: Condition
    episodes: int
    finished: int
    """Sessions that came to their end; the others ended in an error."""
    turns: int
    valid: int
    used: int
    """Turns whose whole chain could be used."""
    failures: Counter[str]
    tokens: int
    """All tokens that the model wrote, plain replies included."""
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the row as JSON has it."""
        return {
            **self._asdict(),
            "condition": str(self.condition),
            "failures": dict(self.failures.most_common()),
            "rate": self.valid / self.turns if self.turns else None,
            "wilson": wilson(self.valid, self.turns),
            "wilson_used": wilson(self.used, self.turns),
            "tokens_per_second": self.tokens / self.seconds,
        }


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return Wilson's score interval for a share, at 95 %; (0, 1) where nothing was seen.

    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22.
    """
    if not n:
        return 0.0, 1.0
    share, z2 = hits / n, _Z * _Z
    middle = share + z2 / (2 * n)
    half = _Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    low, high = (middle - half) / (1 + z2 / n), (middle + half) / (1 + z2 / n)
    return (0.0 if hits == 0 else low), (1.0 if hits == n else high)


def is_valid(matrix: Bimatrix | None, moves: ChainMoves) -> bool:
    """Return whether a matrix is what was asked for; looked at here once more, whatever the reader let pass."""
    if matrix is None or (matrix.user_moves, matrix.assistant_moves) != (moves.rows, moves.columns):
        return False
    both = np.stack([matrix.user, matrix.assistant])
    return bool((np.isfinite(both) & (both >= LOW) & (both <= HIGH)).all())


def measure(backend: Backend, condition: Condition, args: argparse.Namespace) -> Measured:
    """Play all sessions of one condition."""
    assistant = ChainAssistant(
        backend,
        sampling=Sampling(temperature=args.temperature),
        mode=condition.mode,
        constrained=condition.held,
        moves=args.moves,
        budget=ChainBudget(thinking=args.thinking, analyze=args.analyze, response=args.response),
        retries=0,
        on_failure="plain",
    )
    env = gtalign_env.parallel_env("gtalign/AssistText-v0", questions=args.questions)
    make_env = functools.partial(copy.deepcopy, env)
    seeds = episode_seeds(args.seed, args.episodes)
    started = time.perf_counter()
    played = play_batch(make_env, population(), assistant, seeds, games=args.games, patience=args.patience)
    episodes = list(_kept(played, args.records and Path(args.records) / f"{condition}.jsonl"))
    return summed(condition, episodes, make_moves(args.moves), time.perf_counter() - started)


def summed(condition: Condition, episodes: Sequence[Episode], moves: ChainMoves, seconds: float) -> Measured:
    """Count what is in the records."""
    turns = [turn for episode in episodes for turn in chain_turns(episode)]
    return Measured(
        condition=condition,
        episodes=len(episodes),
        finished=sum(episode.ended == "terminated" for episode in episodes),
        turns=len(turns),
        valid=sum(is_valid(turn.matrix, moves) for turn in turns),
        used=sum(not turn.failures for turn in turns),
        failures=Counter(kind for turn in turns for kind in turn.failures),
        tokens=sum(_tokens(step.assistant.model) for episode in episodes for step in episode.steps),
        seconds=seconds,
    )


def _tokens(call: Any) -> int:
    """Return the tokens of a turn: the chain's, and those of the plain reply that stood in for it."""
    return int(call.get("tokens") or 0) + int((call.get("plain") or {}).get("tokens") or 0)


def _kept(episodes: Iterable[Episode], file: Path | None) -> Iterator[Episode]:
    """Pass episodes on; write them to a file where there is one."""
    if not file:
        yield from episodes
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with EpisodeWriter(file) as writer:
        for episode in episodes:
            writer.write(episode)
            yield episode


# -- showing -----------------------------------------------------------------------------------------------------------


def table(rows: Sequence[Measured], title: str) -> Table:
    """Return the table that is printed."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False)
    made.add_column("mode")
    made.add_column("form")
    for head in ("sessions", "turns", "matrix", "95 %", "chain", "tokens/s", "s"):
        made.add_column(head, justify="right")
    made.add_column("failures")
    for row in rows:
        low, high = wilson(row.valid, row.turns)
        made.add_row(
            row.condition.mode,
            "held" if row.condition.held else "free",
            f"{row.finished}/{row.episodes}",
            str(row.turns),
            f"{row.valid / row.turns:.1%}" if row.turns else "—",
            f"{low:.1%}–{high:.1%}",
            f"{row.used / row.turns:.1%}" if row.turns else "—",
            f"{row.tokens / row.seconds:.0f}",
            f"{row.seconds:.0f}",
            ", ".join(f"{kind} {count}" for kind, count in row.failures.most_common()) or "none",
        )
    return made


def read_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assistant", required=True, metavar="SPEC", help="transformers:PATH, vllm:PATH, …")
    parser.add_argument(
        "--option", action="append", default=[], metavar="K=V", help="of the engine, e.g. dtype=bfloat16"
    )
    parser.add_argument("--episodes", type=int, default=16, metavar="N", help="sessions for each condition (16)")
    parser.add_argument("--games", type=int, default=16, metavar="N", help="sessions at once (16)")
    parser.add_argument("--questions", type=int, default=3, metavar="N", help="questions in a session (3)")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--mode", action="append", choices=("solver", "self"), help="who solves (both)")
    parser.add_argument("--form", action="append", choices=("held", "free"), help="held to the form, or free (both)")
    parser.add_argument("--moves", default="paper", help="rows and columns of the matrix (paper)")
    parser.add_argument("--temperature", type=float, default=0.7, metavar="T", help="0.7")
    parser.add_argument("--thinking", type=int, default=48, metavar="N", help="most tokens of the block (48)")
    parser.add_argument("--analyze", type=int, default=64, metavar="N", help="the same (64)")
    parser.add_argument("--response", type=int, default=48, metavar="N", help="the same (48)")
    parser.add_argument(
        "--patience", type=float, default=0.25, metavar="S", help="seconds waited for late games (0.25)"
    )
    parser.add_argument("--records", metavar="FOLDER", help="keep the records there, one file for each condition")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Play, print, and say whether the requirement holds."""
    args = read_args(argv)
    backend = make_backend(args.assistant, **read_options(args.option, flag="--option"))
    conditions = [
        Condition(mode, form == "held")
        for mode in dict.fromkeys(args.mode or ("solver", "self"))
        for form in dict.fromkeys(args.form or ("held", "free"))
    ]
    rows = []
    console = Console(width=max(Console().width, 130))
    for condition in conditions:
        rows.append(measure(backend, condition, args))
        console.print(f"{condition}: {rows[-1].valid} of {rows[-1].turns} turns with a valid matrix")
    console.print(table(rows, f"{backend.name}, {args.moves}, temperature {args.temperature:g}"))
    if args.json:
        report = {"args": vars(args), "backend": backend.name, "rows": [row.as_dict() for row in rows]}
        Path(args.json).write_text(json.dumps({**report, "versions": versions()}, indent=1) + "\n", encoding="utf-8")
    held = [row for row in rows if row.condition.held]
    return int(any(row.valid < REQUIRED * row.turns or not row.turns for row in held))


if __name__ == "__main__":
    raise SystemExit(main())
