"""``gtalign run --steer``: a model plays on while the price has changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gtalign_env
from gtalign_env.agents.chain.player import ChainAssistant
from gtalign_env.agents.chain.steering import PriceSteering
from gtalign_env.cli import main
from gtalign_env.episode import Episode, load_episodes
from gtalign_env.gauges import chain_turns
from gtalign_env.pricing import make_pricing

DEAR = "per_token:rate_out=0.01"


def run(*arguments: str, spec: str = "assist_text") -> int:
    """Run two short games with a model that states its payoffs."""
    options = ["--option", "questions=1"] if spec == "assist_text" else []
    return main(["run", spec, *options, "--episodes", "2", "--assistant", "fake:chain", *arguments])


def calls(episode: Episode) -> list[dict[str, Any]]:
    """Return what the model did, turn by turn."""
    return [step.assistant.model for step in episode.steps if step.assistant.model]


def told(episode: Episode) -> set[str]:
    """Return the sentences on prices in the model's instructions."""
    return {
        line
        for call in calls(episode)
        for line in call["conversation"][0]["content"].splitlines()
        if line.startswith("The user pays you")
    }


def test_run__steers_while_it_plays(tmp_path: Path) -> None:
    """The user pays the new price, the model is told the old one, and the steered matrix is the stated one plus arithmetic."""
    out = tmp_path / "run.jsonl"
    settings = ["--steer-option", "sensitivity=0.5", "--steer-option", "scale=2"]
    assert run("--chain", "solver", "--moves", "paper", "--steer", DEAR, *settings, "--out", str(out)) == 0
    for episode in load_episodes(out):
        assert episode.config["pricing"] == episode.env_options["pricing"] == DEAR
        assert episode.players["assistant_0"] == f"fake:chain+solver+steer:{DEAR}"
        first = calls(episode)[0]["chain"]
        assert first["steering"] == {
            "pricing_from": "subscription",
            "pricing_to": DEAR,
            "sensitivity": 0.5,
            "scale": 2.0,
            "margin": 0.0,
        }
        fee = make_pricing("subscription").fee  # type: ignore[attr-defined]
        rate_in = make_pricing(DEAR).rate_in  # type: ignore[attr-defined]
        asked = 25.0  # the prior of CQ; ten tokens of a question are read, and the session's fee is due no more
        change = 0.01 * asked + rate_in * 10.0 - fee
        column = first["matrix"]["assistant_moves"].index("CQ")
        for stated, steered in zip(first["matrix"]["user"], first["steered"]["user"], strict=True):
            assert steered[column] - stated[column] == pytest.approx(-2.0 * 0.5 * change, abs=1e-9)
        for stated, steered in zip(first["matrix"]["assistant"], first["steered"]["assistant"], strict=True):
            assert steered[column] - stated[column] == pytest.approx(2.0 * change, abs=1e-9)
        paid = sum(step.user.items["price"] for step in episode.steps)
        written = sum(step.outcome["tokens_out"] for step in episode.steps if step.outcome)
        assert -paid >= 0.01 * written * episode.hidden["user_type"]["price_sensitivity"] - 1e-4


def test_run__tells_a_steered_model_the_price_before(tmp_path: Path) -> None:
    """The prompt is that of the game before the change: the game's own price, or that of --pricing."""
    plain, steered, dearer = (tmp_path / f"{name}.jsonl" for name in ("plain", "steered", "dearer"))
    assert run("--chain", "solver", "--pricing", "per_request", "--out", str(plain)) == 0
    assert run("--chain", "solver", "--pricing", "per_request", "--steer", DEAR, "--out", str(steered)) == 0
    assert run("--chain", "solver", "--steer", DEAR, "--out", str(dearer)) == 0
    before, after = load_episodes(plain)[0], load_episodes(steered)[0]
    assert told(before) == told(after) == {"The user pays you 0.15 credits for every request that you settle."}
    assert after.config["pricing"] == DEAR
    assert told(load_episodes(dearer)[0]) == {"The user pays you 0.8 credits for the session."}
    turn = next(chain_turns(after))
    assert (turn.told, turn.pricing) == ("per_request", DEAR)
    assert next(chain_turns(before)).told == ""


def test_run__steered_episodes_replay_and_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was steered while it was played is replayed step by step, and can be swept from what the model was told."""
    out = tmp_path / "run.jsonl"
    assert run("--chain", "solver", "--steer", DEAR, "--steer-option", "margin=0.3", "--out", str(out)) == 0
    assert main(["replay", str(out), "--verify"]) == 0
    capsys.readouterr()
    assert main(["steer", str(out), "--criterion", "stackelberg:assistant", "--rate", "0,0.01"]) == 0
    assert "never fewer tokens" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["--steer", DEAR, "--steer-option", "margin=0.5"], "--steer-option margin unset there and 0.5 here"),
        (["--steer", DEAR, "--pricing", "per_request"], "--pricing unset there and per_request here"),
    ],
)
def test_run__resume_knows_the_steering(
    changed: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Settings of steering and what the model was told are part of what is gone on with; the price is in the name."""
    out = tmp_path / "run.jsonl"
    assert run("--chain", "solver", "--steer", DEAR, "--out", str(out)) == 0
    assert run("--chain", "solver", *changed, "--out", str(out), "--resume") == 2
    assert said in capsys.readouterr().err
    assert run("--chain", "solver", "--steer", DEAR, "--out", str(out), "--resume") == 0
    assert "nothing left to play" in capsys.readouterr().out
    assert run("--chain", "solver", "--pricing", DEAR, "--out", str(out), "--resume") == 0
    names = [episode.players["assistant_0"] for episode in load_episodes(out)]
    assert names == [f"fake:chain+solver+steer:{DEAR}"] * 2 + ["fake:chain+solver"] * 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--steer", DEAR], "expected --chain solver alone, got no chain"),
        (["--chain", "self", "--steer", DEAR], "expected --chain solver alone, got --chain self"),
        (["--chain", "solver", "--chain", "none", "--steer", DEAR], "got --chain solver, none"),
        (["--chain", "solver", "--steer", "barter"], "unknown pricing 'barter'"),
        (["--chain", "solver", "--steer", DEAR, "--steer-option", "pull=1"], "expected some of margin, scale, sensi"),
        (["--chain", "solver", "--steer", DEAR, "--steer-option", "pricing_from=per_token"], "is --pricing"),
        (["--chain", "solver", "--steer", DEAR, "--steer-option", "scale=0"], "scale: expected a finite number > 0"),
        (["--chain", "solver", "--steer", DEAR, "--steer-option", "margin=x"], "margin: expected a finite number >= 0"),
        (["--chain", "solver", "--steer-option", "margin=1"], "--steer-option goes with --steer"),
        (["--chain", "solver", "--steer", DEAR, "--payoff", "paper"], "in which the user pays a price"),
    ],
)
def test_run__refuses_steering_that_means_nothing(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each in a sentence, before anything is played."""
    assert run(*arguments) == 2
    assert said in capsys.readouterr().err


def test_run__refuses_to_steer_a_game_of_moves(capsys: pytest.CaptureFixture[str]) -> None:
    """A matrix game has no price: its payoffs are its rules."""
    assert run("--chain", "solver", "--steer", DEAR, spec="matrix") == 2
    assert "in which the user pays a price" in capsys.readouterr().err


def test_chain_assistant__that_is_steered_says_so_in_name_and_record() -> None:
    """Also from Python; a hook of one's own changes neither."""
    steering = PriceSteering(pricing_from="per_request", pricing_to="per_token")
    assistant = ChainAssistant("fake:chain", steer=steering)
    assert assistant.name == "fake:chain+solver+steer:per_token"
    assert ChainAssistant("fake:chain", steer=lambda matrix, _context: matrix).name == "fake:chain+solver"
    env = gtalign_env.parallel_env("assist_text", pricing="per_token")
    observations, infos = env.reset(seed=0)
    assistant.sit(env.scenario, "assistant")
    assistant.act(observations["assistant_0"], infos["assistant_0"])
    call = assistant.last_call
    assert steering.told in call["conversation"][0]["content"]
    assert call["chain"]["steering"]["pricing_from"] == "per_request"
