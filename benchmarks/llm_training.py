"""Learning in the text view: our loop against TRL's GRPOTrainer with ``rollout_func``, in one process, on the same games.

Both train one tiny model of random weights (a Llama of a hundred thousand weights, a token for each byte) from the same start on
the same games, 32 in a step in groups of 8, one update of AdamW a step, on one thread. TRL plays through our own adapter
(``training.adapters.trl``), so play costs both the same, and what differs is the loop around it. Its logs, checkpoints and bars
are off; ours compares engine and learner on the probe after every step.

*One reply* is a game of one question and one exchange: both learn from the very same tokens, and episodes per second are
compared. *A session* has several turns. TRL learns from one sequence of each game, ours from every turn, so there the turns that
are learned from are counted. Seconds are those of the processor, over steps after the first; the median of several rounds.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAME = "llm"
DESCRIPTION = "learning of a language model in the text view, against TRL's GRPOTrainer with rollout_func"
REQUIRED = 1.5
GROUPS, SIZE = 4, 8
STEPS, ROUNDS = 4, 3
GAMES: dict[str, dict[str, Any]] = {
    "one reply": {"questions": 1, "max_exchanges": 1},
    "a session": {"questions": 1},
}
SETTINGS: dict[str, Any] = {"tasks": "authored:facts", "chain": "none", "budget": {"response": 16}}
_EXAMPLE = Path(__file__).parents[1] / "examples" / "trl_rollout.py"

Say = Callable[[str], None]


def measure(*, quick: bool, say: Say) -> list[dict[str, Any]]:
    """Return episodes and turns per second, and how they compare."""
    missing = [name for name in ("torch", "transformers", "trl") if importlib.util.find_spec(name) is None]
    if "torch" in missing or "transformers" in missing:
        return [_missing("PyTorch and transformers: pip install 'gtalign-env[llm]'")]
    import torch

    torch.set_num_threads(1)
    steps, rounds = (1, 1) if quick else (STEPS, ROUNDS)
    rows: list[dict[str, Any]] = []
    for label, options in GAMES.items():
        found: dict[str, list[tuple[float, float]]] = {"ours": [], "TRL": []}
        for number in range(rounds):
            found["ours"].append(_ours(options, steps))
            say(f"llm: {label}, round {number + 1}, ours {found['ours'][-1][0]:.1f} episodes/s")
            if not missing:
                found["TRL"].append(_theirs(options, steps))
                say(f"llm: {label}, round {number + 1}, TRL {found['TRL'][-1][0]:.1f} episodes/s")
        rows += _rows(label, found)
    return rows if not missing else [*rows, _missing("TRL: pip install 'gtalign-env[trl]'")]


def _rows(label: str, found: dict[str, list[tuple[float, float]]]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for who, pairs in found.items():
        for place, unit in enumerate(("episodes/s", "turns/s")):
            if pairs:
                value = statistics.median(pair[place] for pair in pairs)
                rows.append(
                    {"name": f"{label}, {who}: {unit.partition('/')[0]} learned from", "value": value, "unit": unit}
                )
    if found["TRL"]:
        place = 0 if label == "one reply" else 1
        ratios = [ours[place] / theirs[place] for ours, theirs in zip(found["ours"], found["TRL"], strict=True)]
        ratio = statistics.median(ratios)
        what = ("episodes", "turns")[place]
        row = {"name": f"{label}, ours / TRL: {what} learned from per second", "value": ratio, "unit": "x"}
        rows.append({**row, "required": f"≥ {REQUIRED}", "ok": ratio >= REQUIRED})
    return rows


def _ours(options: dict[str, Any], steps: int) -> tuple[float, float]:
    """Return episodes and turns per second."""
    from gtalign_env.agents.backends.loading import Loaded
    from gtalign_env.training.llm.config import LLMConfig
    from gtalign_env.training.llm.trainer import Run

    model, tokenizer = _example().tiny_model()
    config = LLMConfig(
        model="tiny",
        options=options,
        groups=GROUPS,
        group_size=SIZE,
        iterations=steps + 1,
        minibatches=1,
        eval_episodes=0,
        checkpoint_every=0,
        samples_every=0,
        learning_rate=1e-3,
        **SETTINGS,
    )
    run = Run(config, loaded=Loaded(model, tokenizer, "tiny", bos=False))
    run.advance()
    began, turns = time.process_time(), 0.0
    for _ in range(steps):
        turns += run.advance()["learning"]["rows"]
    spent = time.process_time() - began
    return GROUPS * SIZE * steps / spent, turns / spent


def _theirs(options: dict[str, Any], steps: int) -> tuple[float, float]:
    """Return episodes and turns per second."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    from gtalign_env.training.adapters.trl import TrlGames, welfare_reward

    marks: list[float] = []
    turns: list[int] = []

    class Marks(TrainerCallback):  # type: ignore[misc, unused-ignore]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            marks.append(time.process_time())

    games = TrlGames(options=options, **SETTINGS)

    def rollout(prompts: list[Any], trainer: Any) -> dict[str, list[Any]]:
        found = games(prompts, trainer)
        turns.append(sum(found["turns"]))
        return found

    model, tokenizer = _example().tiny_model()
    with tempfile.TemporaryDirectory() as folder:
        trainer = GRPOTrainer(
            model=model,
            processing_class=tokenizer,
            train_dataset=games.dataset(GROUPS * (steps + 2)),
            reward_funcs=[welfare_reward()],
            rollout_func=rollout,
            args=GRPOConfig(
                output_dir=folder,
                max_steps=steps + 1,
                per_device_train_batch_size=GROUPS * SIZE,
                num_generations=SIZE,
                learning_rate=1e-3,
                temperature=1.0,
                top_k=0,
                logging_strategy="no",
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
                use_cpu=True,
            ),
            callbacks=[Marks()],
        )
        trainer.train()
    spent = marks[-1] - marks[0]
    return GROUPS * SIZE * steps / spent, sum(turns[1:]) / spent


def _example() -> Any:
    spec = importlib.util.spec_from_file_location("gtalign_trl_example", _EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _missing(what: str) -> dict[str, Any]:
    return {"name": "ours / TRL", "value": None, "unit": "x", "note": f"not measured: needs {what}"}
