"""Learned players in either chair, and solved ones opposite a learner: each is made once and shared by all games."""

# ruff: noqa: E402 - without PyTorch there is nothing to import

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import gtalign_env
from gtalign_env.agents.assistants import BayesAssistant
from gtalign_env.agents.assistants.trained import TrainedPlayer
from gtalign_env.agents.users import population
from gtalign_env.cli import main
from gtalign_env.env import parallel_env
from gtalign_env.errors import RenderModeError, UnknownNameError, UsageError
from gtalign_env.optimal import optimum
from gtalign_env.play import play_episode
from gtalign_env.testing import check_persona, check_policy
from gtalign_env.training.strategic import Config, Run
from gtalign_env.types import AGENTS, USER

SMALL: dict[str, Any] = {
    "options": {"questions": 1},
    "games": 32,
    "horizon": 4,
    "minibatches": 1,
    "epochs": 1,
    "width": 8,
    "steps": 32 * 4 * 2,
    "evaluate_episodes": 32,
    "evaluate_every": 0,
}


GAME = functools.partial(parallel_env, "assist", questions=1)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run in which both sides have learned a little."""
    folder = tmp_path_factory.mktemp("runs") / "both"
    Run(Config(**SMALL, learn="both", opponent="self"), folder).train()
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the folders of two runs, by who has learned in it alone."""
    folder = tmp_path_factory.mktemp("alone")
    for learn in ("user", "assistant"):
        Run(Config(**SMALL, learn=learn), folder / learn).train()
    return {learn: folder / learn for learn in ("user", "assistant")}


@pytest.mark.parametrize(("flag", "learn"), [("--users", "assistant"), ("--assistant", "user")])
def test_run__refuses_a_policy_of_the_other_chair_at_once(
    flag: str, learn: str, alone: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the first episode, in a sentence, with the code of wrong usage; nothing is written."""
    out = tmp_path / "run.jsonl"
    game = ["run", "gtalign/Assist-v0", "--option", "questions=1", "--episodes", "2", "--out", str(out)]
    assert main([*game, flag, f"trained:{alone[learn]}"]) == 2
    told = capsys.readouterr()
    other = {"user": "assistant", "assistant": "user"}[learn]
    assert f"was not trained for the {other}'s chair" in told.err
    assert told.out == ""
    assert not out.exists()


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the same with networks that remember."""
    folder = tmp_path_factory.mktemp("runs") / "recurrent"
    Run(Config(**SMALL, learn="both", opponent="self", input="recurrent"), folder).train()
    return folder


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("form", ["history", "recurrent"])
def test_check_policy__passes_learned_players(agent: str, form: str, both: Path, recurrent: Path) -> None:
    """In either chair, with and without memory, whether it takes the likeliest move or draws: it keeps every rule of a player."""
    run = both if form == "history" else recurrent
    for greedy in (True, False):
        report = check_policy(lambda greedy=greedy: TrainedPlayer(run, greedy=greedy), GAME, agent=agent)  # type: ignore[misc]
        assert report.ok
        assert not report.skipped


def test_check_persona__passes_a_learned_user(both: Path) -> None:
    """As a persona, too: it has no type of its own, and keeps what the scenario has drawn to itself."""
    (persona,) = population(f"trained:{both}").personas
    assert check_persona(persona, env_fns=[GAME]).ok


def test_population__seats_a_learned_user(both: Path) -> None:
    """It plays whatever type the scenario draws, beside other personas, and the same again by seed."""
    mix = population({f"trained:{both}": 1})
    assert mix.personas[0].name == f"trained:{both}"
    assert mix.personas[0].sample_type(np.random.default_rng(0)) is None
    env = parallel_env("assist", questions=1)
    first, again = (play_episode(env, mix, TrainedPlayer(both), seed=3) for _ in range(2))
    assert first.ended == "terminated"
    assert [step.user.move for step in first.steps] == [step.user.move for step in again.steps]


def test_run__plays_both_learned_sides(both: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command that a training run ends with works as it stands."""
    words = ["gtalign/Assist-v0", "--option", "questions=1", "--users", f"trained:{both}"]
    assert main(["run", *words, "--assistant", f"trained:{both}", "--episodes", "3"]) == 0
    assert "√(U·L)" in capsys.readouterr().out


def test_population__names_what_a_run_is_called() -> None:
    """An unknown persona's message tells of runs, too."""
    with pytest.raises(UnknownNameError, match="trained:RUN"):
        population("nobody_of_this_name")


def test_trained_player__copies_share_the_network_and_nothing_else(both: Path) -> None:
    """A copy in mid-episode goes on as the first would, and neither disturbs the other."""
    env = parallel_env("assist")
    player = TrainedPlayer(both)
    with pytest.raises(UsageError, match="was trained on"):
        player.sit(parallel_env("matrix").scenario, "assistant")
    env = parallel_env("assist", questions=1)
    player.sit(env.scenario, "assistant")
    observations, infos = env.reset(seed=0)
    player.act(observations["assistant_0"], infos["assistant_0"])
    twin = copy.deepcopy(player)
    assert twin._net is player._net
    seen, *_, told = env.step({USER: 0, "assistant_0": 6})
    assert twin.act(seen["assistant_0"], told["assistant_0"]) == player.act(seen["assistant_0"], told["assistant_0"])


@pytest.mark.parametrize("kind", ["bayes", "trained"])
def test_vector_env__a_solved_or_learned_assistant_sits_down_once(
    kind: str, both: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opposite a learning user all games share one solution."""
    solved: list[str] = []
    if kind == "bayes":

        def counting(*given: Any, **options: Any) -> Any:
            solved.append("once")
            return optimum(*given, **options)

        monkeypatch.setattr("gtalign_env.agents.assistants.bayes.optimum", counting)
    assistant: Any = BayesAssistant("users=concise") if kind == "bayes" else TrainedPlayer(both)
    games = gtalign_env.vector_env("assist", 8, agent=USER, assistant=assistant, questions=1)
    games.reset(seed=0)
    rewards = np.array([games.step(np.zeros(8, dtype=np.int64))[1] for _ in range(4)])
    assert np.isfinite(rewards).all()
    assert rewards.any()
    assert len(solved) == (kind == "bayes")


def test_train__refuses_a_folder_with_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written among what is there."""
    (tmp_path / "mine.txt").write_text("keep me")
    assert main(["train", "strategic", "--out", str(tmp_path), "--steps", "256"]) == 2
    assert "holds files already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_render_mode__is_refused_in_the_way_that_others_expect() -> None:
    """Stable-Baselines3 asks for pictures first, and goes on without them where that is a ``TypeError``."""
    with pytest.raises(RenderModeError, match="expected 'human', 'ansi' or None"):
        parallel_env("assist", render_mode="rgb_array")
    pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.env_util import make_vec_env

    assert make_vec_env("gtalign_env:gtalign/Assistant-v0", n_envs=2).num_envs == 2
