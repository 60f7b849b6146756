"""Learning from many: made-up people, prices apart, and values that are told who the user is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from gtalign_env.agents.users import population_kernels
from gtalign_env.errors import UsageError
from gtalign_env.registration import make_scenario
from gtalign_env.training.strategic import Config, Run, evaluate
from gtalign_env.training.strategic.evaluate import sessions
from gtalign_env.training.strategic.people import MadeUp, made_up
from gtalign_env.training.strategic.rollout import Arena
from gtalign_env.types import ASSISTANT
from gtalign_env.vector_tables import compiled

PRICES = ("subscription", "per_token")


def tiny(**changes: Any) -> Config:
    """Return the settings of a run of two updates."""
    settings: dict[str, Any] = {
        "options": {"questions": 1},
        "games": 64,
        "horizon": 4,
        "minibatches": 2,
        "epochs": 1,
        "width": 16,
        "steps": 64 * 4 * 2,
        "evaluate_episodes": 64,
        "evaluate_every": 0,
    }
    return Config(**{**settings, **changes})


@pytest.fixture(scope="module")
def people() -> MadeUp:
    """Return four people for each of two prices."""
    return MadeUp(options={"questions": 1}, prices=PRICES, people=4, seed=3)


def test_made_up__people_differ_and_are_cards_that_can_be_compiled(people: MadeUp) -> None:
    """Every one is a person of its own within the ranges of a card, with a kernel; more people leave the first as they are."""
    few, many = made_up(3, seed=5), made_up(6, seed=5)
    assert [one.user_type for one in few] == [one.user_type for one in many[:3]]
    assert [one.character for one in few] == [one.character for one in many[:3]]
    assert len({one.user_type for one in many}) == 6
    everybody = made_up(200, seed=0)
    wanted = [one.user_type.ideal_tokens for one in everybody]
    assert 40 <= min(wanted) < 60
    assert 400 < max(wanted) <= 500
    drifting = [one for one in everybody if one.character.drift.ideal_tokens != 1.0]
    assert 0.2 < len(drifting) / 200 < 0.4
    assert [len(group) for group in people.kernels] == [4, 4]
    assert len({kernel.user_type for group in people.kernels for kernel in group}) == 8


def test_made_up__wants_a_compiled_game() -> None:
    """The text view is none."""
    with pytest.raises(UsageError, match="compiled"):
        MadeUp("gtalign/AssistText-v0")


def test_run__trains_on_made_up_people(people: MadeUp) -> None:
    """A run takes games of its own in place of the population's name, and its policy is then played against others."""
    run = Run(tiny(), make_env=people)
    run.advance()
    run.advance()
    played = sessions(run.config, run.nets, episodes=128, make_env=people)
    assert played.returns.shape == (128, 2)
    assert set(played.kinds.tolist()) <= set(range(8))
    assert np.array_equal(played.prices, played.kinds // 4)
    assert not played.violations.any()
    assert np.isfinite(evaluate(run.config, run.nets, episodes=64).welfare)


def test_run__is_evaluated_in_its_own_games(people: MadeUp) -> None:
    """The figures are those of its own people, at each of their prices, and not of the settings' population."""
    run = Run(tiny(users="expert"), make_env=people)
    found = run.evaluate(episodes=128)
    played = sessions(run.config, run.nets, episodes=128, make_env=people)
    means = {price: played.returns[played.prices == number].mean(axis=0) for number, price in enumerate(PRICES)}
    assert set(found.by_price) == set(PRICES)
    for price, one in found.by_price.items():
        assert (one.user, one.assistant) == pytest.approx(tuple(means[price]))
    assert found.user == pytest.approx(np.mean([mean[0] for mean in means.values()]))


def test_arena__kinds_are_those_of_the_episode_that_was_played(people: MadeUp) -> None:
    """A return belongs to the one who has just left, not to who sits down in the same step."""
    arena = Arena(tiny(), make_env=people)
    arena.reset(0)
    assert arena.price_of.tolist() == [0] * 4 + [1] * 4
    decline = arena.scenario.moves("assistant").index("DECLINE")
    playing = arena.env.crowd.kind.copy()
    for _ in range(12):
        arena.step({ASSISTANT: np.full(64, decline)})
        assert np.array_equal(arena.kinds, playing)
        playing = np.where(arena.ended, arena.env.crowd.kind, playing)
        assert np.array_equal(arena.env.crowd.kind, playing)


def test_learner__every_price_has_means_and_weights_of_its_own(people: MadeUp) -> None:
    """The gradient of √(UL) is taken at the returns under each price: (½√(L/U), ½√(U/L)), over what they sum to on average."""
    run = Run(tiny(), make_env=people)
    learner = run.learners[ASSISTANT]
    run.advance()
    assert learner.known.all()
    assert learner.returns.shape == (2, 2)
    learner.returns[:] = [[1.0, 1.0], [3.0, 1.0]]
    slopes = np.array([[0.5, 0.5], [0.5 / 3**0.5, 0.5 * 3**0.5]])
    assert learner.stream_weights() == pytest.approx(slopes / slopes.sum(axis=1).mean())


def test_learner__running_means_are_those_of_finished_episodes() -> None:
    """After the first block: the plain mean of the episodes that ended in it."""
    run = Run(tiny())
    arena, learner = run.arena, run.learners[ASSISTANT]
    ended: list[np.ndarray[Any, Any]] = []
    step = arena.step

    def watched(moves: Any) -> None:
        step(moves)
        ended.append(arena.totals[arena.ended])

    arena.step = watched  # type: ignore[method-assign]
    run.advance()
    assert learner.returns[0] == pytest.approx(np.concatenate(ended).mean(axis=0))


def test_arena__only_values_are_told_who_the_user_is() -> None:
    """θ as the user itself sees it, and the kind's number; what the policy is fed stays the same."""
    informed, blind = (Arena(tiny(users="concise,detailed", critic=critic)) for critic in ("informed", "blind"))
    for arena in (informed, blind):
        arena.reset(0)
    assert np.array_equal(informed.seen(ASSISTANT)[0], blind.seen(ASSISTANT)[0])
    assert blind.hidden(ASSISTANT).shape == (64, 0)
    hidden, kind = informed.hidden(ASSISTANT), informed.env.crowd.kind
    scenario = compiled(make_scenario("assist", questions=1))
    kernels = population_kernels("concise,detailed", scenario)
    for game in range(8):
        state = scenario.reset(np.random.default_rng(0), {"user_type": kernels[kind[game]].user_type})
        assert np.array_equal(hidden[game, :8], scenario.observe(state, "user")[scenario.layout["theta"]])
        assert hidden[game, 8:].tolist() == [float(number == kind[game]) for number in range(2)]


def test_arena__hidden_numbers_are_for_crowds() -> None:
    """Where nobody knows the kinds, or both learn, values see what the policy sees."""
    assert Arena(tiny(learn="both", opponent="self")).hidden_size(ASSISTANT) == 0
    assert Arena(tiny(learn="user", assistant="fixed:DA_short")).hidden_size("user_0") == 0
