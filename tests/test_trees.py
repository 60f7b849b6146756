"""The trees: payoffs and solutions as published (arXiv 2411.05990 and its code; figures typed again), and trees of one's own."""

from __future__ import annotations

import functools
import itertools
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gtalign_env
from gtalign_env.errors import UsageError
from gtalign_env.games import Decision, GameTree, Leaf
from gtalign_env.payoffs import on_grid
from gtalign_env.registration import SCENARIOS, make_scenario, origin_of
from gtalign_env.scenarios.talk import Talk
from gtalign_env.scenarios.trees import catalogue, tree_scenario
from gtalign_env.testing import check_env

LEAVES = {
    "escalation": {
        "keep_peace": (0, 0),
        "threaten/give_way": (1, -2),
        "threaten/escalate/back_down": (-2, 1),
        "threaten/escalate/fight": (-1, -1),
    },
    "monopoly": {"stay_out": (0, 2), "enter/share": (2, 1), "enter/fight": (-1, -1)},
    "hot_cold": {"hot/hot": (3, 2), "hot/cold": (2, 3), "cold/hot": (1, 4), "cold/cold": (4, 1)},
    "draco": {
        "left/left": (5, 5),
        "left/right/left": (2, 2),
        "left/right/right": (3, 4),
        "right/left": (4, 5),
        "right/right/left": (5, 3),
        "right/right/right": (2, 2),
    },
    "trigame": {
        "left/left/left": (20, 3),
        "left/left/right": (0, 4),
        "left/right/left": (2, 5),
        "left/right/right": (3, 4),
        "right/left/left": (1, 5),
        "right/left/right": (4, 10),
        "right/right/left": (2, 1),
        "right/right/right": (3, 2),
    },
}
SOLUTIONS = {
    "escalation": ("keep_peace", (4, 2), ["keep_peace"]),
    "monopoly": ("enter/share", (2, 2), ["stay_out", "enter/share"]),
    "hot_cold": ("hot/cold", (2, 4), ["hot/cold"]),
    "draco": ("left/left", (8, 4), ["left/left", "right/left"]),
    "trigame": ("right/left/right", (32, 4), ["left/right/right", "right/left/right"]),
}


def walk(env: Any, path: list[str]) -> list[tuple[float, float, bool]]:
    """Play a path of moves from the root; return payoffs and whether the game was over, step by step."""
    _, infos = env.reset(seed=0)
    scenario, played = env.scenario, []
    for move in path:
        mover = infos["user_0"]["to_move"]
        assert infos["assistant_0"]["to_move"] == mover
        actions = {
            agent: scenario.moves(role).index(move if agent == mover else "WAIT")
            for agent, role in (("user_0", "user"), ("assistant_0", "assistant"))
        }
        _, rewards, ended, _, infos = env.step(actions)
        assert not infos["user_0"]["illegal_move"]
        assert not infos["assistant_0"]["illegal_move"]
        played.append((rewards["user_0"], rewards["assistant_0"], ended["user_0"]))
    return played


@pytest.mark.parametrize("name", LEAVES)
def test_trees__pay_what_is_published(name: str) -> None:
    """Every path, played: nothing before its end, the leaf's payoffs at the end, and then the game is over."""
    env = gtalign_env.parallel_env(name)
    assert list(env.scenario.game.leaves()) == list(LEAVES[name])  # type: ignore[attr-defined]
    for path, payoffs in LEAVES[name].items():
        *before, last = walk(env, path.split("/"))
        assert last == (*payoffs, True)
        assert all(step == (0.0, 0.0, False) for step in before)


@pytest.mark.parametrize("name", SOLUTIONS)
def test_trees__are_solved_as_published(name: str) -> None:
    """One subgame-perfect path each, the size of the normal form, and the outcomes of pure Nash equilibria."""
    tree = make_scenario(name).game  # type: ignore[attr-defined]
    path, shape, outcomes = SOLUTIONS[name]
    assert [found.name for found in tree.subgame_perfect()] == [path]
    assert tree.normal_form().shape == shape
    assert [found.name for found in tree.nash_outcomes()] == outcomes


def test_trees__hot_cold_always_sums_to_five() -> None:
    """What one gains, the other has lost."""
    leaves = make_scenario("hot_cold").game.leaves().values()  # type: ignore[attr-defined]
    assert {leaf.user + leaf.assistant for leaf in leaves} == {5}


@pytest.mark.parametrize("name", catalogue.__all__)
def test_trees__factories_travel_and_say_where_they_come_from(name: str) -> None:
    """A pickled scenario is made anew by its own factory, and an environment knows its id and options."""
    scenario = getattr(catalogue, name)(talk=1, personality="witty")
    twin = pickle.loads(pickle.dumps(scenario))
    assert (twin.name, twin.config) == (name, scenario.config)
    id, made_with = origin_of(scenario)
    assert SCENARIOS[id].short == name
    assert make_scenario(id, **made_with).config == scenario.config  # type: ignore[attr-defined]


def trees(depth: int) -> st.SearchStrategy[Any]:
    """Return random nodes of at most so many decisions in a row."""
    leaves = st.builds(Leaf, st.integers(-9, 9), st.integers(-9, 9))
    if depth == 0:
        return leaves
    moves = st.dictionaries(st.sampled_from(["a", "b", "c d"]), trees(depth - 1), min_size=1, max_size=3)
    return st.one_of(leaves, st.builds(Decision, st.sampled_from(["user", "assistant"]), moves))


games = trees(3).filter(lambda node: isinstance(node, Decision)).map(GameTree)


def below(tree: GameTree, name: str) -> list[Leaf]:
    """Return the leaves that can still be reached from a decision."""
    return [leaf for path, leaf in tree.leaves().items() if not name or path.startswith(f"{name}/")]


@given(games)
def test_tree_scenario__plays_any_tree(tree: GameTree) -> None:
    """Legal moves are the decision's own, the other waits, and every path ends at its leaf with its payoffs."""
    scenario = tree_scenario(tree, name="any")
    assert scenario.tables.axes["node"] == tuple(tree.decisions())
    for state, (name, decision) in enumerate(tree.decisions().items()):
        tables, legal = scenario.tables, {}
        for role, moves, mask in (
            ("user", tables.user_moves, tables.user_mask),
            ("assistant", tables.assistant_moves, tables.assistant_mask),
        ):
            legal[role] = [move for move, allowed in zip(moves, mask[state], strict=True) if allowed]
        assert sorted(legal.pop(decision.player)) == sorted(decision.moves)
        assert list(legal.values()) == [["WAIT"]]
        assert scenario.tables.coordinates(state) == {"node": name}
    env = gtalign_env.parallel_env(scenario)
    for path, leaf in tree.leaves().items():
        *before, last = walk(env, path.split("/"))
        assert last == (leaf.user, leaf.assistant, True)
        assert all(step == (0.0, 0.0, False) for step in before)


@given(games, st.data())
def test_tree_scenario__illegal_moves_never_pay(tree: GameTree, data: st.DataObject) -> None:
    """Whoever makes one gets the worst, the other the best, of what could still be reached; an illegal wait is nothing."""
    scenario = tree_scenario(tree, name="any")
    state, (name, decision) = data.draw(st.sampled_from(list(enumerate(tree.decisions().items()))))
    rng = np.random.default_rng(0)
    start = scenario.reset(rng, {"task": {"node": name}})
    assert start.public == state
    ends = below(tree, name)
    worst = {role: min(getattr(leaf, role) for leaf in ends) for role in ("user", "assistant")}
    best = {role: max(getattr(leaf, role) for leaf in ends) for role in ("user", "assistant")}
    wait = scenario.moves("user").index("WAIT"), scenario.moves("assistant").index("WAIT")
    move = data.draw(st.sampled_from(sorted(decision.moves)))
    if decision.player == "user":
        done, expected = scenario.step(start, None, wait[1], rng), (worst["user"], best["assistant"])
        same = [scenario.step(start, scenario.moves("user").index(move), other, rng) for other in (wait[1], None)]
    else:
        done, expected = scenario.step(start, wait[0], None, rng), (best["user"], worst["assistant"])
        same = [scenario.step(start, other, scenario.moves("assistant").index(move), rng) for other in (wait[0], None)]
    assert done.ended
    assert done.payoffs.totals == expected
    assert same[0].payoffs == same[1].payoffs
    assert same[0].state.public == same[1].state.public


@given(games)
def test_tree_scenario__observations_tell_the_node(tree: GameTree) -> None:
    """``locate`` finds every state from what either player sees."""
    scenario = tree_scenario(tree, name="any")
    rng = np.random.default_rng(0)
    for name, role in itertools.product(tree.decisions(), ("user", "assistant")):
        state = scenario.reset(rng, {"task": {"node": name}})
        assert scenario.locate(scenario.observe(state, role)) == state.public  # type: ignore[arg-type]


def test_tree_scenario__of_ones_own_keeps_the_contract() -> None:
    """With and without talk, also when it travels; payoffs land on the grid."""
    tree = GameTree(
        Decision("assistant", {"ask": Decision("user", {"yes": Leaf(1 / 3, 0.1), "no": Leaf(0, 0)}), "go": Leaf(0, 1)})
    )
    for talk in (None, Talk(rounds=1, first_speaker="assistant")):
        scenario = tree_scenario(tree, name="mine", talk=talk)
        check_env(functools.partial(gtalign_env.parallel_env, scenario))
        twin = pickle.loads(pickle.dumps(scenario))
        assert twin.tables.user_moves == scenario.tables.user_moves
    assert walk(gtalign_env.parallel_env(tree_scenario(tree, name="mine")), ["ask", "yes"])[-1] == (
        on_grid(1 / 3),
        on_grid(0.1),
        True,
    )


def test_tree_scenario__shared_subtrees_are_places_of_their_own() -> None:
    """A subtree that two moves lead to stands twice among the states: the path is part of what both have seen."""
    shared = Decision("assistant", {"x": Leaf(1, 0), "y": Leaf(0, 1)})
    scenario = tree_scenario(GameTree(Decision("user", {"a": shared, "b": shared})), name="shared")
    assert scenario.tables.axes["node"] == ("", "a", "b")


def test_tree_scenario__refuses_a_move_called_wait() -> None:
    """The name means something."""
    tree = GameTree(Decision("user", {"WAIT": Leaf(0, 0)}))
    with pytest.raises(UsageError, match="a move of the user is called 'WAIT'"):
        tree_scenario(tree, name="x")


def test_tree_scenario__refuses_what_would_not_fit() -> None:
    """Many decisions with many moves each."""
    tree = GameTree(
        Decision(
            "user", {f"u{i}": Decision("assistant", {f"{i}-{j}": Leaf(0, 0) for j in range(9)}) for i in range(99)}
        )
    )
    with pytest.raises(
        UsageError, match=r"'wide': its tables would have [\d,]+ entries \(101 states x 100 x 892 acts\)"
    ):
        tree_scenario(tree, name="wide")


def test_tree_scenario__has_no_stage_game() -> None:
    """Where one player is to move there is no bimatrix of an exchange; the message says where the game is."""
    scenario: Any = make_scenario("monopoly")
    with pytest.raises(UsageError, match=r"'monopoly': only user_0 is to move.*scenario.game"):
        scenario.stage_game({"node": ""})


def test_tree_scenario__says_where_it_stands() -> None:
    """In words, from the first move to the end."""
    env = gtalign_env.parallel_env("escalation", render_mode="ansi")
    env.reset(seed=0)
    assert "at the start, the user moves" in str(env.render())
    walk(env, ["threaten"])
    assert "after threaten, the assistant moves" in str(env.render())
    walk(env, ["threaten", "escalate"])
    assert "after threaten, escalate, the user moves" in str(env.render())
    walk(env, ["keep_peace"])
    assert "the session is over" in str(env.render())
