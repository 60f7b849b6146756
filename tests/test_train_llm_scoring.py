"""Scoring: the learner gives the tokens what the sampler drew them with, grammar and all."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("llguidance")

from llm_run import CHAIN, make_loaded, tiny_config  # noqa: E402

from gtalign_env.episode import Episode  # noqa: E402
from gtalign_env.errors import ModelError, UsageError  # noqa: E402
from gtalign_env.training.llm.rollout import Game  # noqa: E402
from gtalign_env.training.llm.trainer import Run  # noqa: E402
from gtalign_env.training.llm.trajectory import Turn, bunches, turns_of  # noqa: E402


@pytest.fixture(scope="module")
def run() -> Run:
    """A run of chains."""
    return Run(tiny_config(**CHAIN), loaded=make_loaded())


@pytest.fixture(scope="module")
def games(run: Run) -> list[Game]:
    """What it plays first."""
    return [game for group in run.play() for game in group.games]


@pytest.fixture(scope="module")
def turns(games: list[Game]) -> list[Turn]:
    """All turns of it."""
    return [turn for game in games for turn in game.turns]


def test_score__is_what_the_tokens_were_drawn_with(run: Run, turns: list[Turn]) -> None:
    """With the same weights, learner and sampler agree on every token, held to a grammar or free, in any bunch."""
    with torch.no_grad():
        scored = run.learner.scorer.score(turns, free=True)
    assert scored.logprobs.numpy() == pytest.approx(
        np.concatenate([turn.logprobs[turn.mask] for turn in turns]), abs=1e-3
    )
    assert scored.free.numpy() == pytest.approx(np.concatenate([turn.free[turn.mask] for turn in turns]), abs=1e-3)
    alone = [run.learner.scorer.score([turn]).logprobs.detach().numpy() for turn in turns]
    assert np.concatenate(alone) == pytest.approx(scored.logprobs.numpy(), abs=1e-3)


def test_score__of_what_the_grammar_forced_is_certain(run: Run, turns: list[Turn]) -> None:
    """A token without an alternative has probability 1, whatever the free model thinks, and no gradient."""
    turn = turns[0]
    (held,) = turn.held
    places = np.flatnonzero(turn.mask)
    inside = (places >= held.start) & (places < held.end)
    opening = int(np.flatnonzero(inside)[0])  # a payoff block begins with a brace
    scored = run.learner.scorer.score([turn], free=True)
    assert float(scored.logprobs[opening].detach()) == pytest.approx(0.0, abs=1e-5)
    assert float(scored.free[opening]) < -0.5
    run.model.zero_grad()
    scored.logprobs[opening].backward()
    assert max(float(weight.grad.abs().max()) for weight in run.model.parameters() if weight.grad is not None) < 1e-5
    run.model.zero_grad()


def test_score__refuses_what_does_not_fit_its_form(run: Run, turns: list[Turn]) -> None:
    """A record whose payoffs another grammar wrote is no evidence of this one."""
    turn = turns[0]
    ids = turn.ids.copy()
    ids[turn.held[0].start] = ids[turn.held[0].start] + 1
    with pytest.raises(ModelError, match="does not fit the form"):
        run.learner.scorer.score([dataclasses.replace(turn, ids=ids)])


def test_turns__hold_all_that_was_paid(games: list[Game]) -> None:
    """The assistant moves first, so its turns' payoffs are all there are."""
    for game in games:
        assert np.sum([turn.payoffs for turn in game.turns], axis=0) == pytest.approx(np.array(game.returns))
        assert [turn.place for turn in game.turns] == sorted(turn.place for turn in game.turns)


def test_turns__of_a_failed_episode_are_refused() -> None:
    """A failure is no return of 0."""
    with pytest.raises(UsageError, match="ended as 'error'"):
        turns_of(Episode(scenario="s", view="text", seed=0, ended="error"))


def test_learn__asks_the_model_where_the_engine_does_not_tell(run: Run, turns: list[Turn]) -> None:
    """Turns whose log-probabilities under the grammar are unknown get them from the model before its update."""
    blind = [dataclasses.replace(turn, known=False, logprobs=turn.free) for turn in turns]
    told = run.learner._known(blind)
    for one, other in zip(told, turns, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-3)
        assert one.known


def test_bunches__keep_to_the_limit() -> None:
    """Every row is in one bunch, and a bunch of several rows has at most so many tokens, padded."""
    lengths = [5, 1, 7, 7, 3, 20]
    made = bunches(lengths, most=16)
    assert sorted(row for bunch in made for row in bunch) == list(range(6))
    assert all(len(bunch) == 1 or len(bunch) * max(lengths[row] for row in bunch) <= 16 for bunch in made)
