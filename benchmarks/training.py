"""Time to learn: the strategic trainer against Stable-Baselines3's PPO, in one process, on the same games and inputs.

Ours learns mutual welfare √(E[U]·E[L]) to 97 % of the exact optimum, SB3's PPO to 90 %. SB3 learns on the same batched games with
the same history features; it gets both rewards that it can have (``training_sb3``), and the quicker one counts. Both are judged
by the same play of whole sessions with the likeliest moves. Seconds are those of the processor, on one thread; making the games
and judging are left out.

*SB3's defaults* are all its own; with 512 games at once it plays 4 steps of each, so that an update is made of the 2,048 steps
that it has by default. *SB3 with our settings* has ours, found for our trainer: shown for honesty, with nothing required.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAME = "training"
DESCRIPTION = "seconds of the processor to a share of the exact optimum, against Stable-Baselines3's PPO"
OURS, THEIRS = 0.97, 0.90
"""Shares of the optimum: what ours has to reach, and what SB3 has to reach meanwhile."""
SEEDS = 5
JUDGED = 10_000
"""Sessions per judgement."""
STEPS = 400_000
_SB3 = Path(__file__).with_name("training_sb3.py")

Say = Callable[[str], None]


def measure(*, quick: bool, say: Say) -> list[dict[str, Any]]:
    """Return seconds by seed, and how they compare."""
    try:
        from gtalign_env.training.strategic import Config
        from gtalign_env.training.strategic.yardstick import optimum
    except ImportError:
        return [_missing("PyTorch: pip install 'gtalign-env[train]'")]
    import torch

    torch.set_num_threads(1)
    best = optimum(Config())
    assert best is not None
    seeds = range(1 if quick else SEEDS)
    configs = [Config(steps=STEPS, seed=seed) for seed in seeds]
    found: dict[str, list[float | None]] = {"ours": []}
    try:
        rivals = _rivals(configs[0])
    except ImportError:
        rivals = {}
    for config in configs:
        found["ours"].append(_ours(config, best))
        say(f"training: seed {config.seed}, ours {_seconds(found['ours'][-1])}")
        for name, (reward, settings) in rivals.items():
            found.setdefault(name, []).append(_theirs(config, best, reward, settings))
            say(f"training: seed {config.seed}, {name} {_seconds(found[name][-1])}")
    return _rows(found, bool(rivals))


def _rivals(config: Any) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return SB3's runs: name to reward and settings.

    Raises:
        ImportError: SB3 is not installed.
    """
    if importlib.util.find_spec("stable_baselines3") is None:
        raise ImportError("stable_baselines3")
    defaults = {"n_steps": 2048 // config.games}
    ours = {
        "n_steps": config.horizon,
        "batch_size": config.games * config.horizon // config.minibatches,
        "n_epochs": config.epochs,
        "learning_rate": lambda left: config.learning_rate * left,
        "gamma": 1.0,
        "gae_lambda": config.gae,
        "ent_coef": config.entropy,
        "vf_coef": config.value_weight,
        "clip_range": config.clip,
        "max_grad_norm": config.max_gradient,
        "policy_kwargs": {"net_arch": {"pi": [config.width] * 2, "vf": [config.width] * 2}},
    }
    return {
        f"SB3's {label}, {reward}": (reward, settings)
        for label, settings in (("defaults", defaults), ("PPO with our settings", ours))
        for reward in ("linear", "esr")
    }


class _Judge:
    """Notes when a share of the optimum is first reached."""

    def __init__(self, config: Any, best: float, wanted: float) -> None:
        self.config, self.wanted = config, best * wanted
        self.reached: float | None = None

    def __call__(self, net: Any, seconds: float) -> bool:
        """Judge a network; return whether there is more to reach."""
        from gtalign_env.training.strategic import evaluate
        from gtalign_env.types import ASSISTANT

        if evaluate(self.config, {ASSISTANT: net}, episodes=JUDGED).welfare >= self.wanted:
            self.reached = seconds
        return self.reached is None


def _ours(config: Any, best: float) -> float | None:
    """Return the seconds that ours takes, or ``None`` where it does not get there."""
    from gtalign_env.training.strategic import Run
    from gtalign_env.types import ASSISTANT

    run, judge, spent = Run(config), _Judge(config, best, OURS), 0.0
    while run.update < config.updates and judge.reached is None:
        began = time.process_time()
        run.advance()
        spent += time.process_time() - began
        judge(run.nets[ASSISTANT], spent)
    return judge.reached


def _theirs(config: Any, best: float, reward: str, settings: dict[str, Any]) -> float | None:
    spec = importlib.util.spec_from_file_location("gtalign_training_sb3", _SB3)
    assert spec is not None
    assert spec.loader is not None
    sb3 = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sb3)
    judge = _Judge(config, best, THEIRS)
    sb3.train(config, reward, settings, judge)
    return judge.reached


def _rows(found: dict[str, list[float | None]], measured: bool) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    ours = found.pop("ours")
    for seed, value in enumerate(ours):
        row = {"name": f"ours to {OURS:.0%}, seed {seed}", "value": value, "unit": "s"}
        rows.append({**row, "required": f"gets there in {STEPS:,} steps", "ok": value is not None})
    for name, times in found.items():
        for seed, value in enumerate(times):
            row = {"name": f"{name}, to {THEIRS:.0%}, seed {seed}", "value": value, "unit": "s"}
            rows.append(row if value is not None else {**row, "note": f"not within {STEPS:,} steps"})
    if not measured:
        return [*rows, _missing("Stable-Baselines3: pip install 'gtalign-env[sb3]'")]
    slowest = max((value if value is not None else float("inf")) for value in ours)
    for label, required in (("defaults", True), ("PPO with our settings", False)):
        times = [value for name, column in found.items() if label in name for value in column if value is not None]
        ratio = min(times) / slowest if times else None
        row = {"name": f"SB3's {label}, its quickest run / our slowest", "value": ratio, "unit": "x"}
        if required:
            row |= {"required": "> 1", "ok": slowest < float("inf") and (ratio is None or ratio > 1.0)}
        rows.append(row)
    return rows


def _missing(what: str) -> dict[str, Any]:
    return {"name": "against SB3", "value": None, "unit": "s", "note": f"not measured: needs {what}"}


def _seconds(value: float | None) -> str:
    return "did not get there" if value is None else f"{value:.2f} s"
