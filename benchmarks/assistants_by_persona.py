"""How the scripted assistants fare with the default population and with every persona, in the strategic view.

    python benchmarks/assistants_by_persona.py                    about three minutes
    python benchmarks/assistants_by_persona.py --episodes 200 --by-persona 40

Mean payoffs per session in utils, and mutual welfare √(mean U · mean L), 0 where one side does not gain. Every assistant
meets the same users with the same questions.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from gtalign_env import parallel_env
from gtalign_env.agents.assistants import make_assistant
from gtalign_env.agents.users import population
from gtalign_env.play import play_many
from gtalign_env.registration import PERSONAS
from gtalign_env.types import ASSISTANT_MOVES

SPECS = ["heuristic", "random", *(f"fixed:{move.name}" for move in ASSISTANT_MOVES)]


class Score(NamedTuple):
    """Means over sessions."""

    user: float
    assistant: float
    error: float
    """Standard error of the larger of the two means."""
    left: float
    """Share of sessions in which the user left."""

    @property
    def welfare(self) -> float:
        """√(U·L), 0 where one side does not gain."""
        return math.sqrt(self.user * self.assistant) if min(self.user, self.assistant) > 0 else 0.0


def score(users: Callable[[np.random.Generator], Any], spec: str, *, episodes: int, seed: int, pricing: str) -> Score:
    """Play and average."""
    env = parallel_env("assist", pricing=pricing)
    totals, left = [], 0
    for episode in play_many(env, users, make_assistant(spec), episodes=episodes, seed=seed):
        assert episode.ended != "error", episode.error
        totals.append([sum(s.user.payoff for s in episode.steps), sum(s.assistant.payoff for s in episode.steps)])
        left += episode.steps[-1].user.move == "LEAVE"
    array = np.array(totals)  # (episodes, 2)
    user, assistant = array.mean(axis=0)
    return Score(float(user), float(assistant), float(array.std(axis=0).max() / len(array) ** 0.5), left / len(array))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=2000, help="sessions with the default population")
    parser.add_argument("--by-persona", type=int, default=200, help="sessions with each persona")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pricing", default="subscription")
    args = parser.parse_args()
    console = Console(width=140)
    settings = {"seed": args.seed, "pricing": args.pricing}
    table = Table(
        "assistant", "mean U", "mean L", "± s.e.", "welfare", title=f"default population, {args.episodes} sessions"
    )
    for spec in SPECS:
        found = score(population("default"), spec, episodes=args.episodes, **settings)
        table.add_row(
            spec, f"{found.user:+.3f}", f"{found.assistant:+.3f}", f"{found.error:.3f}", f"{found.welfare:.3f}"
        )
    console.print(table)
    title = f"by persona, {args.by_persona} sessions: mean U / mean L / welfare (share of sessions left)"
    by_persona = Table("persona", *SPECS[:5], "best fixed", title=title)
    for name in PERSONAS:
        users = population(name)
        scores = {spec: score(users, spec, episodes=args.by_persona, **settings) for spec in SPECS}
        best = max((s for s in scores if s.startswith("fixed")), key=lambda s: (scores[s].welfare, scores[s].user))
        cells = [_cell(scores[spec]) for spec in SPECS[:5]]
        by_persona.add_row(name, *cells, f"{best.removeprefix('fixed:')} {_cell(scores[best])}")
    console.print(by_persona)


def _cell(found: Score) -> str:
    return f"{found.user:+.2f} / {found.assistant:+.2f} / {found.welfare:.2f} ({found.left:.0%})"


if __name__ == "__main__":
    main()
