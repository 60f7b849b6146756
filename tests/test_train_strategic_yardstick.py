"""What learners are measured by: an optimum per price, a ceiling that is called one, and a reason where there is neither."""

# ruff: noqa: E402 - without PyTorch there is nothing to import

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gtalign_env.agents.users import population_kernels
from gtalign_env.cli import main
from gtalign_env.errors import UnknownNameError
from gtalign_env.optimal import optimum as solve
from gtalign_env.registration import make_scenario
from gtalign_env.training import yardstick as module
from gtalign_env.training.measure import Evaluation, mean_of_prices, measure, share
from gtalign_env.training.objectives import make_objective
from gtalign_env.training.strategic import Config, Run
from gtalign_env.training.strategic.evaluate import evaluate, sessions
from gtalign_env.training.strategic.yardstick import Unknown, Yardstick, yardstick

PRICES = ("per_token", "per_token:rate_out=0.002")


def config(**changes: Any) -> Config:
    """Return settings of a small game."""
    settings: dict[str, Any] = {"options": {"questions": 1}, "users": "concise,detailed", "games": 64, "horizon": 4}
    return Config(**{**settings, "steps": 256, "evaluate_episodes": 128, **changes})


def figures(welfare: float, **changes: Any) -> Evaluation:
    """Return an evaluation with this welfare."""
    plain: dict[str, Any] = dict.fromkeys(("episodes", "user", "user_error", "assistant", "assistant_error"), 0)
    return Evaluation(**{**plain, "welfare": welfare, "error": 0.1, "violations": 0, **changes})


class Nobody:
    """A persona that does not tell what it will do."""

    name = "nobody"
    description = "silent"

    def __repr__(self) -> str:
        """Be called the same in every process."""
        return "Nobody()"

    def sample_type(self, rng: Any) -> None:
        """Leave θ to the scenario."""

    def policy(self, user_type: Any) -> Any:
        """Return nobody."""
        return None


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"learn": "user"}, Unknown.LEARNING_USER, "the user learns"),
        ({"learn": "both", "opponent": "self"}, Unknown.LEARNING_USER, "the user learns"),
        ({"safety": "penalty"}, Unknown.PENALTY, "--safety penalty"),
        ({"options": {"questions": 1, "max_cycles": 2}}, Unknown.MAX_CYCLES, "max_cycles"),
        ({"users": Nobody()}, Unknown.NOT_SOLVED, "nobody"),
        ({"scenario": "gtalign/AssistText-v0", "options": {}}, Unknown.NOT_SOLVED, "cannot be solved"),
    ],
    ids=str,
)
def test_yardstick__says_why_it_is_unknown(changes: dict[str, Any], reason: Unknown, words: str) -> None:
    """A typed reason, and the same in words."""
    found = yardstick(config(**changes))
    assert (found.value, found.unknown) == (None, reason)
    assert words in str(found)
    assert Yardstick.from_dict(found.as_dict()) == found


def test_yardstick__an_unknown_name_is_wrong_usage() -> None:
    """It is no reason for an optimum to be unknown."""
    with pytest.raises(UnknownNameError, match="concise"):
        yardstick(config(users="concize"))


def test_yardstick__of_several_prices_is_the_mean_of_their_optima() -> None:
    """Each price is a problem of its own."""
    scenario: Any = make_scenario("assist", questions=1)
    wanted = [
        solve(scenario, population_kernels("concise,detailed", scenario, price), pricing=price).value
        for price in PRICES
    ]
    found = yardstick(config(pricings=PRICES))
    assert found.value == pytest.approx(np.mean(wanted))
    assert [one.value for one in found.by_price.values()] == pytest.approx(wanted)
    assert wanted[0] != pytest.approx(wanted[1], abs=1e-3)
    assert Yardstick.from_dict(found.as_dict()) == found


def test_evaluate__of_several_prices_is_the_mean_of_their_welfare() -> None:
    """W of the means at every price, and not W of the means over all sessions."""
    settings = config(pricings=PRICES)
    run = Run(settings)
    found = run.evaluate(episodes=400)
    judge = make_objective("cobb_douglas")
    first = sessions(dataclasses.replace(settings, pricings=PRICES[:1]), run.nets, episodes=200)
    assert found.by_price[PRICES[0]].welfare == measure(first.returns, 0, judge).welfare
    assert found.episodes == sum(one.episodes for one in found.by_price.values()) == 400
    assert found.welfare == pytest.approx(np.mean([one.welfare for one in found.by_price.values()]))


def test_evaluate__a_learning_user_is_measured_at_every_price() -> None:
    """Where nobody is a crowd, too: the assistant earns more from those who pay more."""
    settings = config(learn="user", assistant="fixed:DA_short", pricings=("subscription:fee=0.5", "subscription:fee=2"))
    run = Run(settings)
    found = evaluate(settings, run.nets, episodes=200).by_price
    low, high = found.values()
    assert high.assistant > low.assistant + 0.1


def test_evaluate__sessions_at_several_prices_are_independent() -> None:
    """The errors of a mean over prices need it: two names for one price are the same game, and other sessions of it."""
    settings = config(pricings=("per_token", "per_token:rate_out=0.0012"), evaluate_episodes=200)
    run = Run(settings)
    one, other = run.evaluate().by_price.values()
    assert (one.user, one.assistant) != (other.user, other.assistant)
    gap = math.hypot(one.user_error, other.user_error)
    assert abs(one.user - other.user) < 5 * gap


def test_mean_of_prices__errors_add_in_squares() -> None:
    """Of two independent means with errors 0.3 and 0.4: (W1 + W2)/2 with √(0.09 + 0.16)/2 = 0.25."""
    found = mean_of_prices({"a": figures(1.0, error=0.3, violations=2), "b": figures(2.0, error=0.4, violations=1)})
    assert (found.welfare, found.error, found.violations) == pytest.approx((1.5, 0.25, 3))


def test_share__is_called_by_what_it_is() -> None:
    """Of an optimum; at least, of a ceiling; and none where the optimum is a loss or unknown."""
    assert share(figures(1.0), Yardstick(value=2.0))["share_of_optimum"] == 0.5
    ceiling = share(figures(1.0), Yardstick(value=2.0, ceiling=True))
    assert ceiling["share_at_least"] == 0.5
    assert "share_of_optimum" not in ceiling
    for nothing in (Yardstick(value=-1.0), Yardstick(unknown=Unknown.OFF)):
        assert not [name for name in share(figures(1.0), nothing) if name.startswith("share")]


def test_share__every_price_has_its_own() -> None:
    """By its own optimum."""
    both = mean_of_prices({"a": figures(1.0), "b": figures(2.0)})
    best = Yardstick(value=3.0, by_price={"a": Yardstick(value=2.0), "b": Yardstick(value=4.0)})
    made = share(both, best)
    assert made["share_of_optimum"] == 0.5
    assert [one["share_of_optimum"] for one in made["by_price"].values()] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("upper", "value", "unknown"),
    [(1.05, 1.0, None), (1.3, 1.0, Unknown.LOOSE_CEILING), (0.1, -0.2, Unknown.LOOSE_CEILING)],
)
def test_yardstick__a_loose_ceiling_measures_nothing(
    upper: float, value: float, unknown: Unknown | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Further above the best policy known than ``LOOSE`` allows, the optimum is unknown, and both figures are told."""
    settings = config(aggregation="esr", pricings=PRICES[:1])
    scenario: Any = make_scenario("assist", questions=1)
    exact = solve(scenario, population_kernels("concise", scenario), cache=False)
    bracket = dataclasses.replace(exact, exact=False, value=value, lower=value, upper=upper, error=0.01)
    monkeypatch.setattr(module, "solve", lambda *_, **__: bracket)
    found = yardstick(settings)
    assert found.unknown is unknown
    if unknown is None:
        assert (found.value, found.ceiling, found.known) == (upper, True, value)
        assert str(found).startswith(f"the optimum is at most {upper:.4f} (proved), and at least {value:.4f}")
    else:
        assert f"{upper:.4f}" in found.why
        assert f"{value:.4f}" in found.why


def test_train__tells_the_reason_once_at_the_start_and_writes_it_down(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """On standard error before the first update, in the results, and in the record."""
    quick = ["--option", "questions=1", "--games", "16", "--steps", "1k", "--set", "evaluate_episodes=16"]
    assert main(["train", "strategic", *quick, "--safety", "penalty", "--out", str(tmp_path / "run")]) == 0
    told = capsys.readouterr()
    before, _, _ = told.err.partition("update ")
    assert before.count("the optimum is unknown: with --safety penalty") == 1
    assert "1,000 steps are played as 1,024: whole updates of 16 games × 8 steps" in before
    assert "the optimum is unknown: with --safety penalty" in told.out
    assert '"unknown": "penalty"' in (tmp_path / "run" / "config.json").read_text()
