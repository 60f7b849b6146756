"""How good one policy is against people and prices that it has never met, as a share of *their* exact optimum.

    python benchmarks/heldout.py [--seeds 3] [--out FILE.json] [--policy policy.pt]

It trains on made-up people (``training.strategic.people``: cards drawn at random, none of them shipped) who pay prices of a grid,
and is then measured against shipped personas and at two prices that are not on the grid. Every optimum is that of an assistant
who knows which persona, or which mix of them, it serves; the policy is told nothing but what it hears and the price that an
observation shows.

The column *knowing the mix* is what the exact Bayes-optimal assistant for a mix gets from each persona in it: the mix of
balanced, drifting and expert, and the default population for its other three. It is the price of information: what it costs even
the best assistant, which knows everybody who may come, to find out who has come. The Bayes-optimal assistant for the made-up
people themselves cannot be computed: there are hundreds of kinds.

Settings were chosen on other made-up people (``--validate``), never on what is held out.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gtalign_env.agents.users import population_kernels
from gtalign_env.optimal import optimum
from gtalign_env.play import versions
from gtalign_env.registration import make_scenario
from gtalign_env.training.measure import measure
from gtalign_env.training.objectives import make_objective
from gtalign_env.training.strategic import Config, Run
from gtalign_env.training.strategic.evaluate import evaluate, sessions
from gtalign_env.training.strategic.people import MadeUp
from gtalign_env.training.strategic.yardstick import yardstick

PRICES = (
    "subscription",
    "subscription:fee=0.5",
    "subscription:fee=1.1",
    "per_token",
    "per_token:rate_out=0.0006",
    "per_token:rate_out=0.0009",
    "per_token:rate_out=0.002",
    "per_character",
    "per_request",
    "per_request:fee=0.08",
    "per_request:fee=0.25",
    "two_part",
    "two_part:fee=0.2,rate_out=0.0009",
    "outcome_based",
    "outcome_based:bonus=0.25",
)
"""What made-up people pay."""
TRIO = "balanced,drifting,expert"
HELD_OUT = (
    *((name, "subscription") for name in TRIO.split(",")),
    (TRIO, "subscription"),
    ("default", "per_token:rate_out=0.0015"),
    ("default", "freemium"),
)
"""Users and price; each has to get 90 % of its own optimum."""
_OTHERS = ("default", "concise", "detailed", "hurried", "chatty", "thrifty", "over_vague")
FURTHER = tuple((name, "subscription") for name in _OTHERS)
"""Shown as well: no shipped persona has been trained on."""
VALIDATION = ("subscription", "per_token:rate_out=0.0011", "two_part:rate_out=0.0005")
REQUIRED = 0.90
PEOPLE = 30
SETTINGS: dict[str, Any] = {
    "input": "history",
    "games": 1024,
    "horizon": 8,
    "steps": 3_000_000,
    "learning_rate": 4e-3,
    "width": 96,
    "gae": 0.95,
    "minibatches": 8,
    "evaluate_every": 0,
}
SESSIONS = 40_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One who was held out."""

    users: str
    pricing: str
    optimum: float
    shares: tuple[float, ...]
    """Share of the optimum, by seed of training."""
    errors: tuple[float, ...]
    """Its standard error in sessions played, by seed."""
    knowing_the_mix: float | None
    """The share of it that the Bayes-optimal assistant for a mix with them gets; ``None`` where there is no such mix here."""
    violations: int

    @property
    def share(self) -> float:
        """The mean over seeds."""
        return float(np.mean(self.shares))

    @property
    def half(self) -> float:
        """Half of the 95 % interval: over seeds (Student's) where there are several, else over sessions."""
        count = len(self.shares)
        if count == 1:
            return 1.96 * self.errors[0]
        from scipy.stats import t

        return float(t.ppf(0.975, count - 1) * np.std(self.shares, ddof=1) / math.sqrt(count))


def train(seed: int) -> Run:
    """Return a run, finished, on people made up from this seed."""
    people = MadeUp(prices=PRICES, people=PEOPLE, seed=seed)
    run = Run(Config(seed=seed, **SETTINGS), make_env=people)
    while run.update < run.config.updates:
        run.advance()
    return run


def held_out(runs: Sequence[Run]) -> list[Row]:
    """Measure the runs against everybody who was held out."""
    rows, informed = [], _knowing_the_mix()
    for users, pricing in (*HELD_OUT, *FURTHER):
        configs = [dataclasses.replace(run.config, users=users, pricings=(pricing,)) for run in runs]
        best = yardstick(configs[0]).value
        assert best is not None
        pairs = zip(configs, runs, strict=True)
        found = [evaluate(config, run.nets, episodes=SESSIONS) for config, run in pairs]
        rows.append(
            Row(
                users=users,
                pricing=pricing,
                optimum=best,
                shares=tuple(one.welfare / best for one in found),
                errors=tuple(one.error / best for one in found),
                knowing_the_mix=informed[users] / best if pricing == "subscription" and users in informed else None,
                violations=sum(one.violations for one in found),
            )
        )
    return rows


def _knowing_the_mix() -> dict[str, float]:
    """Return the welfare of each persona when the assistant is the best one for a mix with it."""
    scenario, welfare = make_scenario("gtalign/Assist-v0"), make_objective("cobb_douglas")
    found: dict[str, float] = {}
    for mix in (TRIO, "default"):
        kernels = population_kernels(mix, scenario, "subscription")
        best = optimum(scenario, kernels, pricing="subscription")
        by_kind: Any = sum(share * strategy.by_kind for share, strategy in best.policies)  # (K, 2)
        whose = np.array([kernel.name.split()[0] for kernel in kernels])
        for persona in np.unique(whose).tolist():
            shares = np.array([kernel.share for kernel in kernels]) * (whose == persona)
            found.setdefault(persona, float(welfare.value(*(shares @ by_kind / shares.sum()))))
    return found


def validate(run: Run, count: int = 20) -> dict[str, float]:
    """Measure a run against other made-up people, whose own optimum is at least half a util."""
    people = MadeUp(prices=VALIDATION, people=count, seed=1000)
    kinds = [(kernel, price) for price, group in zip(people.pricings, people.kernels, strict=True) for kernel in group]
    best = np.array(
        [
            optimum(people.scenario, [dataclasses.replace(kernel, share=1.0)], pricing=price).value
            for kernel, price in kinds
        ]
    )
    played = sessions(run.config, run.nets, episodes=2_000 * len(kinds), make_env=people)
    welfare = make_objective("cobb_douglas")
    reached = np.array(
        [measure(played.returns[played.kinds == kind], 0, welfare).welfare for kind in range(len(kinds))]
    )
    some = best >= 0.5
    shares = reached[some] / best[some]
    return {
        "people": int(some.sum()),
        "pooled": float(reached[some].sum() / best[some].sum()),
        "median": float(np.median(shares)),
        "at_least_90": float((shares >= REQUIRED).mean()),
    }


def show(rows: Sequence[Row]) -> str:
    """Return the table as Markdown."""
    lines = [
        "| users | price | optimum | share of it, 95 % | knowing the mix | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for number, row in enumerate(rows):
        told = "" if row.knowing_the_mix is None else f"{row.knowing_the_mix:.1%}"
        verdict = "shown" if number >= len(HELD_OUT) else "ok" if row.share >= REQUIRED else "BELOW 90 %"
        shares = f"{row.share:.1%} ± {row.half:.1%}"
        lines.append(f"| {row.users} | {row.pricing} | {row.optimum:.4f} | {shares} | {told} | {verdict} |")
    return "\n".join(lines)


def main() -> int:
    """Train, measure, print; 1 where somebody gets less than 90 %."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write the figures to this file, as JSON")
    parser.add_argument("--policy", type=Path, help="write the last policy to this file, for --assistant trained:FILE")
    parser.add_argument("--validate", action="store_true", help="measure on other made-up people only")
    args = parser.parse_args()
    torch.set_num_threads(1)
    runs = []
    for seed in range(args.seeds):
        began = time.perf_counter()
        runs.append(train(seed))
        whole = time.perf_counter() - began
        print(
            f"seed {seed}: {runs[-1].seconds:.0f} s of play and learning, {whole:.0f} s with making people", flush=True
        )
        if args.validate:
            print(json.dumps(validate(runs[-1])), flush=True)
    if args.validate:
        return 0
    if args.policy:
        torch.save(runs[-1].policy(), args.policy)
    rows = held_out(runs)
    print(show(rows))
    if args.out:
        made = {
            "settings": {**SETTINGS, "people": PEOPLE, "prices": PRICES},
            "seeds": args.seeds,
            "seconds": [run.seconds for run in runs],
            "versions": versions(),
            "rows": [{**dataclasses.asdict(row), "share": row.share, "half": row.half} for row in rows],
        }
        args.out.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    return int(any(row.share < REQUIRED for row in rows[: len(HELD_OUT)]))


if __name__ == "__main__":
    raise SystemExit(main())
