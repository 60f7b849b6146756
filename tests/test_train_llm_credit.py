"""Credit: from both sides' payoffs to one advantage a turn, under every way of joining them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from gtalign_env.training.llm.config import LLMConfig
from gtalign_env.training.llm.credit import Means, assign
from gtalign_env.training.llm.rollout import Game, Group
from gtalign_env.training.llm.trajectory import Turn


def make_game(*payoffs: tuple[float, float], violation: bool = False) -> Game:
    """Return a game with these payoffs, turn by turn; a violation is its last turn's."""
    turns = [
        Turn(
            ids=np.array([0, 1]),
            mask=np.array([False, True]),
            logprobs=np.array([0.0, -1.0]),
            free=np.array([0.0, -1.0]),
            payoffs=paid,
            place=(str(number),),
            violation=violation and number == len(payoffs) - 1,
        )
        for number, paid in enumerate(payoffs)
    ]
    user, assistant = np.sum(payoffs, axis=0).tolist()
    return Game(turns=turns, returns=(user, assistant), user="concise", violation=violation)


def assigned(groups: list[Group], means: Means | None = None, **settings: Any) -> tuple[list[float], dict[str, Any]]:
    """Return the advantages of all turns, and the figures."""
    config = LLMConfig(**{"scale": "none", "credit": "episode", **settings})
    found = assign(groups, means or Means(0.0), config)
    return found.gains.tolist(), dict(found.figures)


def test_ser__weighs_by_the_gradient_at_the_means() -> None:
    """At mean returns (4, 1) a util is worth 1/4 to the user and 1 to the assistant (dW of √(U·L))."""
    group = Group(seed=0, games=[make_game((6.0, 1.0)), make_game((2.0, 1.0))])
    gains, figures = assigned([group])
    assert gains == [0.25 * 2.0, -0.25 * 2.0]
    assert figures["weights"] == {"": (0.25, 1.0)}
    assert figures["signal"] == {"user": 1.0, "assistant": 0.0, "welfare": 1.0}


def test_esr__ranks_by_the_welfare_of_each_game() -> None:
    """√(6·1) and √(2·2) against their mean."""
    group = Group(seed=0, games=[make_game((6.0, 1.0)), make_game((2.0, 2.0))])
    gains, _ = assigned([group], aggregation="esr")
    assert gains == pytest.approx([(6**0.5 - 2) / 2, (2 - 6**0.5) / 2])


@pytest.mark.parametrize("objective", ["user_only", "assistant_only", "linear:0.3", "utilitarian"])
def test_linear_objectives__are_the_same_either_way(objective: str) -> None:
    """Where welfare is linear, its mean is the welfare of means."""
    groups = [
        Group(seed=0, games=[make_game((1.0, 0.5), (2.0, -1.0)), make_game((0.0, 3.0), (1.0, 1.0))]),
        Group(seed=1, games=[make_game((-1.0, 0.5), (0.5, 0.0)), make_game((4.0, 0.0), (0.0, 1.0))]),
    ]
    for credit in ("turn", "episode"):
        ser, _ = assigned(groups, objective=objective, credit=credit)
        esr, _ = assigned(groups, objective=objective, credit=credit, aggregation="esr")
        assert ser == pytest.approx(esr)


def test_turns__are_judged_by_what_comes_from_them_on() -> None:
    """Both games begin alike and differ in the last turn: the first one's payoff is in nobody's way."""
    group = Group(seed=0, games=[make_game((5.0, 0.0), (1.0, 0.0)), make_game((1.0, 0.0), (3.0, 0.0))])
    gains, _ = assigned([group], credit="turn", objective="user_only")
    assert gains == [1.0, -1.0, -1.0, 1.0]  # to go: 6, 1 and 4, 3


def test_turns__that_nobody_else_in_the_group_reached_are_compared_over_groups() -> None:
    """A third turn of one game of each group is held against the other group's third turn."""
    groups = [
        Group(seed=seed, games=[make_game((0.0, 0.0), (paid, 0.0)), make_game((0.0, 0.0))])
        for seed, paid in ((0, 1.0), (1, 3.0))
    ]
    gains, _ = assigned(groups, credit="turn", objective="user_only")
    assert [gains[1], gains[4]] == [-1.0, 1.0]


def test_gae__subtracts_what_was_expected_of_each_party() -> None:
    """With λ = 1 the advantage is what came less what was expected, weighted as ever."""
    group = Group(seed=0, games=[make_game((3.0, 1.0), (1.0, 0.0))])
    config = LLMConfig(estimator="gae", lam=1.0, scale="none", objective="utilitarian")
    found = assign([group], Means(0.0), config, values=lambda turns, to_go: np.tile([2.0, 1.0], (len(turns), 1)))
    assert found.gains.tolist() == [(4.0 - 2.0) + (1.0 - 1.0), (1.0 - 2.0) + (0.0 - 1.0)]


def test_violations__are_pushed_down_and_traded_for_nothing() -> None:
    """However much a violation paid, its turn has the same disadvantage, and the others' advantages are as if it had not been."""
    sound = [make_game((1.0, 1.0)), make_game((3.0, 1.0))]
    alone, _ = assigned([Group(seed=0, games=sound)])
    for bribe in (0.0, 100.0):
        bad = make_game((0.5, 0.5), (bribe, bribe), violation=True)
        means = Means(0.0)
        gains, figures = assigned([Group(seed=0, games=[*sound, bad])], means, violation=2.0)
        assert gains[:2] == alone
        assert gains[2] == 0.0
        assert gains[3] == pytest.approx(-2.0 * np.abs(alone).mean())
        assert means.of("").tolist() == [2.0, 1.0]
        assert figures["signal"]["assistant"] == 0.0


def test_violations__make_those_who_stood_firm_likelier() -> None:
    """At the same place of the same group, who did not comply gains by the share of those who did; nobody elsewhere."""
    firm, weak = make_game((1.0, 1.0), (0.0, 0.0)), make_game((1.0, 1.0), (9.0, 9.0), violation=True)
    elsewhere = [make_game((1.0, 1.0), (0.0, 0.0)) for _ in range(2)]
    gains, _ = assigned([Group(seed=0, games=[firm, weak]), Group(seed=1, games=elsewhere)], violation=2.0)
    assert gains == [0.0, 2.0 * 0.5, 0.0, -2.0, 0.0, 0.0, 0.0, 0.0]


def test_violations__alone_are_still_pushed_down() -> None:
    """Where nothing else was played there is no spread to measure by, and the push is in plain units."""
    gains, _ = assigned([Group(seed=0, games=[make_game((9.0, 9.0), violation=True)] * 1)], violation=2.0)
    assert gains == [-2.0]


def test_prices__have_means_and_weights_of_their_own() -> None:
    """A util's worth is that at the group's price."""
    groups = [
        Group(seed=0, pricing="dear", games=[make_game((5.0, 1.0)), make_game((3.0, 1.0))]),
        Group(seed=1, pricing="cheap", games=[make_game((1.5, 4.0)), make_game((0.5, 4.0))]),
    ]
    gains, figures = assigned(groups)
    assert figures["weights"] == {"cheap": (1.0, 0.25), "dear": (0.25, 1.0)}
    assert gains == [0.25, -0.25, 0.5, -0.5]


def test_dropped_groups__count_for_nothing() -> None:
    """A group that lost a game for good has no turns, and changes no mean."""
    whole = Group(seed=0, games=[make_game((6.0, 1.0)), make_game((2.0, 1.0))])
    lost = Group(seed=1, errors={"ModelError": 2})
    assert lost.dropped
    assert assigned([whole, lost]) == assigned([whole])


def test_means__run() -> None:
    """New returns count by what is forgotten of the old."""
    means = Means(0.75)
    means.add("", np.array([[4.0, 0.0], [0.0, 4.0]]))
    means.add("", np.array([[6.0, 2.0]]))
    means.add("", np.zeros((0, 2)))
    assert means.of("").tolist() == [0.75 * 2.0 + 0.25 * 6.0, 2.0]
    assert means.of("other").tolist() == [0.0, 0.0]
