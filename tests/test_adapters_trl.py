"""The adapter for TRL: what GRPOTrainer is handed, with a stand-in for the trainer and with TRL itself where it is installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tiny_llama import make_model, make_tokenizer  # noqa: E402

from gtalign_env.errors import UsageError  # noqa: E402
from gtalign_env.training.adapters.trl import TrlGames, assistant_reward, user_reward, welfare_reward  # noqa: E402

ROOT = Path(__file__).parents[1]
SETTINGS: dict[str, Any] = {"tasks": "authored:facts", "chain": "none", "budget": {"response": 8}, "games": 8}


def trainer(**args: Any) -> Any:
    """Return what the adapter sees of a trainer."""
    tokenizer = make_tokenizer()
    given = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": None, **args}
    return SimpleNamespace(
        args=SimpleNamespace(**given),
        use_vllm=False,
        model=make_model(tokenizer, max_position_embeddings=4096),
        processing_class=tokenizer,
        accelerator=SimpleNamespace(unwrap_model=lambda model: model),
        state=SimpleNamespace(global_step=0),
    )


def test_trl_games__hands_over_what_was_sampled() -> None:
    """One row per prompt with TRL's keys; equal prompts are the same game with other draws, and payoffs are those of the game."""
    games, ours = TrlGames(**SETTINGS), trainer()
    prompts = [prompt for prompt in games.prompts(2, seed=1) for _ in range(2)]
    found = games(prompts, ours)
    assert {"prompt_ids", "completion_ids", "logprobs", "env_mask"} <= found.keys()
    assert {len(column) for column in found.values()} == {4}
    for ids, mask, logprobs in zip(found["completion_ids"], found["env_mask"], found["logprobs"], strict=True):
        assert len(ids) == len(mask) == len(logprobs)
        assert any(mask)
    one, other, *_ = games.episodes
    assert (one.opening, one.players) == (other.opening, other.players)
    assert one.steps[0].assistant.text != other.steps[0].assistant.text
    assert games.episodes[2].seed != one.seed
    honest = [place for place, episode in enumerate(games.episodes) if not episode.violation]
    assert all(found["user_payoff"][place] == games.episodes[place].totals()[0] for place in honest)


def test_trl_games__log_probabilities_are_the_model_s() -> None:
    """A pass over prompt and completion gives the sampled tokens the log-probabilities that were handed over."""
    games, ours = TrlGames(**SETTINGS), trainer()
    found = games(games.prompts(1, seed=1), ours)
    whole = [*found["prompt_ids"][0], *found["completion_ids"][0]]
    with torch.no_grad():
        logits = torch.log_softmax(ours.model(torch.tensor([whole])).logits[0], dim=-1)
    start = len(found["prompt_ids"][0])
    for place, (mask, logprob) in enumerate(zip(found["env_mask"][0], found["logprobs"][0], strict=True), start=start):
        expected = float(logits[place - 1, whole[place]]) if mask else 0.0
        assert logprob == pytest.approx(expected, abs=1e-4)


def test_trl_games__a_failed_game_has_no_reward() -> None:
    """Where the model fails, the row is empty and its payoffs are None: TRL leaves it out of baselines."""
    games, ours = TrlGames(**SETTINGS), trainer()
    with torch.no_grad():
        ours.model.lm_head.weight.fill_(float("nan"))
    found = games(games.prompts(1), ours)
    assert games.episodes[0].ended == "error"
    assert (found["user_payoff"], found["assistant_payoff"], found["env_mask"]) == ([None], [None], [[0]])
    assert user_reward(**found) == assistant_reward(**found) == welfare_reward()(**found) == [None]


@pytest.mark.parametrize("args", [{"temperature": 0.7}, {"top_p": 0.9}, {"top_k": 50}])
def test_trl_games__refuses_another_distribution(args: dict[str, Any]) -> None:
    """Learning from draws as if they were the model's own would be wrong."""
    games = TrlGames(**SETTINGS)
    with pytest.raises(UsageError, match=r"temperature=1\.0, top_p=1\.0, top_k=0"):
        games(games.prompts(1), trainer(**args))


def test_trl_games__refuses_prompts_of_others() -> None:
    """A prompt that is no game of ours is named."""
    with pytest.raises(UsageError, match=r"such as 'game 123'.*'Hello'"):
        TrlGames(**SETTINGS)(["Hello"], trainer())


def test_rewards__are_both_sides_and_their_welfare() -> None:
    """Each side's payoff as it is, and √(U·L) of each game."""
    found: dict[str, Any] = {"user_payoff": [4.0, 9.0, None], "assistant_payoff": [1.0, 4.0, None], "completions": []}
    assert user_reward(**found) == [4.0, 9.0, None]
    assert assistant_reward(**found) == [1.0, 4.0, None]
    assert welfare_reward("cobb_douglas")(**found) == [2.0, 6.0, None]
    assert welfare_reward("cobb_douglas").__name__ == "welfare_cobb_douglas"


@pytest.mark.plugs
def test_trl__trains_in_our_games() -> None:
    """The example: two steps of GRPOTrainer, both payoffs logged, and their welfare as the reward."""
    if importlib.util.find_spec("trl") is None:
        pytest.skip("trl is not installed: pip install 'gtalign-env[trl]'")
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "examples" / "trl_rollout.py"), "--steps", "2"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line for line in done.stdout.splitlines() if line.startswith("rewards/user_reward/mean")]
    assert len(lines) == 2
