"""Trees of moves: their form, their solutions, and the other forms they take."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.errors import UsageError
from gtalign_env.games import Decision, GameTree, Leaf
from gtalign_env.games.tree import Node, Path
from gtalign_env.types import Role

U: Role = "user"
A: Role = "assistant"


def turn(player: Role, *after: Node) -> Decision:
    """A decision whose moves are named A1, A2 (the user's) or B1, B2 (the assistant's)."""
    letter = "A" if player == U else "B"
    return Decision(player, {f"{letter}{i}": node for i, node in enumerate(after, start=1)})


# The five trees of the second source system, Alice as the user: (tree, moves of the equilibrium, its payoffs, strategies of
# either player, payoffs of the pure Nash equilibria).
FIVE: dict[str, tuple[Decision, str, tuple[int, int], tuple[int, int], set[tuple[int, int]]]] = {
    "escalation": (
        turn(U, Leaf(0, 0), turn(A, Leaf(1, -2), turn(U, Leaf(-2, 1), Leaf(-1, -1)))),
        "A1",
        (0, 0),
        (4, 2),
        {(0, 0)},
    ),
    "monopoly": (
        turn(U, Leaf(0, 2), turn(A, Leaf(2, 1), Leaf(-1, -1))),
        "A2/B1",
        (2, 1),
        (2, 2),
        {(0, 2), (2, 1)},
    ),
    "hot_cold": (
        turn(U, turn(A, Leaf(3, 2), Leaf(2, 3)), turn(A, Leaf(1, 4), Leaf(4, 1))),
        "A1/B2",
        (2, 3),
        (2, 4),
        {(2, 3)},
    ),
    "draco": (
        turn(
            U,
            turn(A, Leaf(5, 5), turn(U, Leaf(2, 2), Leaf(3, 4))),
            turn(A, Leaf(4, 5), turn(U, Leaf(5, 3), Leaf(2, 2))),
        ),
        "A1/B1",
        (5, 5),
        (8, 4),
        {(5, 5), (4, 5)},
    ),
    "trigame": (
        turn(
            U,
            turn(A, turn(U, Leaf(20, 3), Leaf(0, 4)), turn(U, Leaf(2, 5), Leaf(3, 4))),
            turn(A, turn(U, Leaf(1, 5), Leaf(4, 10)), turn(U, Leaf(2, 1), Leaf(3, 2))),
        ),
        "A2/B1/A2",
        (4, 10),
        (32, 4),
        {(4, 10), (3, 4)},
    ),
}


def ends(paths: tuple[Path, ...]) -> set[tuple[float, float]]:
    """The payoffs that paths end in."""
    return {(path.user, path.assistant) for path in paths}


@pytest.mark.parametrize("name", FIVE)
def test_tree__the_five_games_are_solved(name: str) -> None:
    """Each published tree has one subgame-perfect path, the known one, and it ends in a Pareto-optimal leaf."""
    root, moves, payoffs, _, _ = FIVE[name]
    game = GameTree(root)
    (path,) = game.subgame_perfect()
    assert (path.name, (path.user, path.assistant)) == (moves, payoffs)
    assert path.players == tuple(U if move[0] == "A" else A for move in path.moves)
    assert game.backward_induction().path() == path
    assert game.backward_induction().outcomes == (Leaf(*payoffs),)
    assert path.name in game.pareto()


@pytest.mark.parametrize("name", FIVE)
def test_tree__the_five_games_have_their_normal_forms(name: str) -> None:
    """Sizes and pure-equilibrium outcomes of the normal forms are the known ones, by both routes."""
    root, _, _, shape, outcomes = FIVE[name]
    game = GameTree(root)
    normal = game.normal_form()
    assert normal.shape == shape
    rows, columns = normal.user_moves, normal.assistant_moves
    cells = [(rows.index(row), columns.index(column)) for row, column in normal.pure_nash()]
    assert {(normal.user[cell], normal.assistant[cell]) for cell in cells} == outcomes
    assert ends(game.nash_outcomes()) == outcomes


def test_tree__off_the_path_the_players_stay_rational() -> None:
    """Escalation: had the first player gone on, both would escalate and end at (-1, -1)."""
    solved = GameTree(FIVE["escalation"][0]).backward_induction()
    assert (solved.at("").move, solved.at("A2").move, solved.at("A2/B2").move) == ("A1", "B2", "A2")
    assert solved.at("A2").value == Leaf(-1, -1)
    assert solved.strategy("user") == {"": "A1", "A2/B2": "A2"}
    assert solved.strategy("assistant") == {"A2": "B2"}
    end = solved.at("A1")
    assert (end.player, end.move, end.value, end.outcomes) == (None, None, Leaf(0, 0), (Leaf(0, 0),))


def test_tree__a_hot_cold_game_is_constant_sum() -> None:
    """Every leaf sums to 5, so every leaf is Pareto-optimal."""
    game = GameTree(FIVE["hot_cold"][0])
    assert {leaf.user + leaf.assistant for leaf in game.leaves().values()} == {5}
    assert game.pareto() == game.leaves()


def test_tree__names_are_paths_in_reading_order() -> None:
    """Decisions and leaves are named by the moves that lead there; at() finds them again."""
    game = GameTree(FIVE["escalation"][0])
    assert list(game.decisions()) == ["", "A2", "A2/B2"]
    assert list(game.leaves()) == ["A1", "A2/B1", "A2/B2/A1", "A2/B2/A2"]
    assert game.at("A2/B1") == Leaf(1, -2)
    assert game.at("") is game.root
    assert all(game.at(name) is node for name, node in game.decisions().items())
    assert repr(game) == "GameTree(3 decisions, 4 leaves)"
    assert repr(game.at("A2")) == "Decision('assistant', moves ['B1', 'B2'])"


@pytest.mark.parametrize("name", ["A3", "A1/B1", "A2/", "/"])
def test_tree__a_path_that_leaves_the_tree_is_an_error(name: str) -> None:
    """The message says which move is not there, and which ones are."""
    game = GameTree(FIVE["escalation"][0])
    for ask in (game.at, game.backward_induction().at):
        with pytest.raises(UsageError, match="expected the path of a node, got"):
            ask(name)


# --- ties --------------------------------------------------------------------------------------------------------------


def test_tree__an_indifferent_responder_makes_several_equilibria() -> None:
    """Ultimatum over 0..2: the responder is indifferent at 0, so offering 0 and offering 1 are both equilibria."""
    offers = {f"{give}": turn(A, Leaf(2 - give, give), Leaf(0, 0)) for give in range(3)}
    game = GameTree(Decision("user", offers))
    assert [path.name for path in game.subgame_perfect()] == ["0/B1", "1/B1"]
    solved = game.backward_induction()
    assert solved.at("").moves == ("0", "1")
    assert solved.at("0").outcomes == (Leaf(2, 0), Leaf(0, 0))
    assert solved.at("2").moves == ("B1",)
    assert solved.value == Leaf(2, 0), "ties go to the move listed first"


def test_tree__what_a_tie_promises_may_not_be_believed() -> None:
    """A move is no equilibrium if another one secures more whatever the indifferent player does there."""
    tie = turn(A, Leaf(3, 1), Leaf(0, 1))
    assert [path.name for path in GameTree(turn(U, tie, Leaf(4, 0))).subgame_perfect()] == ["A2"]
    assert [path.name for path in GameTree(turn(U, tie, Leaf(1, 0))).subgame_perfect()] == ["A1/B1", "A2"]
    assert [path.name for path in GameTree(turn(U, tie, Leaf(-1, 0))).subgame_perfect()] == ["A1/B1", "A1/B2"]


def test_tree__differences_below_the_tolerance_are_ties() -> None:
    """A gain of 1e-12 decides nothing, unless the payoffs themselves are that small."""
    game = GameTree(turn(U, Leaf(1.0, 0), Leaf(1.0 + 1e-12, 0)))
    assert len(game.subgame_perfect()) == 2
    assert len(game.subgame_perfect(tolerance=0.0)) == 1
    assert len(GameTree(turn(U, Leaf(1e-12, 0), Leaf(2e-12, 0))).subgame_perfect()) == 1
    assert len(game.nash_outcomes()) == 2
    assert [path.user for path in GameTree(turn(U, Leaf(1e-12, 0), Leaf(2e-12, 0))).nash_outcomes()] == [2e-12]
    assert len(game.pareto()) == 2


def test_tree__too_many_equilibrium_paths_are_refused_before_they_fill_memory() -> None:
    """Sixty rounds in which nothing matters have 2^60 equilibrium paths but one outcome."""
    node: Node = Leaf(1, 1)
    for _ in range(60):
        node = turn(U, node, node)
    game = GameTree(node)
    assert game.backward_induction().outcomes == (Leaf(1, 1),)
    with pytest.raises(UsageError, match="at most 10,000 subgame-perfect paths"):
        game.subgame_perfect()
    for ask in (game.decisions, game.leaves, game.nash_outcomes, game.normal_form, game.to_efg):
        with pytest.raises(UsageError, match=r"at most 100,000 paths to list, got about 10\^18"):
            ask()
    with pytest.raises(UsageError, match="shared=True"):
        game.backward_induction().strategy("user")
    assert len(game.decisions(shared=True)) == 60
    assert list(game.pareto().values()) == [Leaf(1, 1)]


# --- an independent oracle: enumerate strategies and check every subgame ------------------------------------------------


def profiles(game: GameTree) -> Iterator[dict[str, str]]:
    """All pure strategy profiles, as a move per decision."""
    decisions = game.decisions()
    for moves in itertools.product(*(node.moves for node in decisions.values())):
        yield dict(zip(decisions, moves, strict=True))


def played(game: GameTree, profile: dict[str, str], start: str) -> str:
    """The leaf that a profile reaches from a decision."""
    name, node = start, game.at(start)
    while isinstance(node, Decision):
        name, node = f"{name}/{profile[name]}".lstrip("/"), node.moves[profile[name]]
    return name


def is_equilibrium(game: GameTree, profile: dict[str, str], start: str) -> bool:
    """Whether no player gains by any other strategy in the subgame that begins at ``start``."""
    leaves, decisions = game.leaves(), game.decisions()
    reached = leaves[played(game, profile, start)]
    for role in (U, A):
        own = [
            n
            for n, node in decisions.items()
            if node.player == role and (n == start or not start or n.startswith(start + "/"))
        ]
        for moves in itertools.product(*(decisions[name].moves for name in own)):
            other = leaves[played(game, {**profile, **dict(zip(own, moves, strict=True))}, start)]
            if getattr(other, role) > getattr(reached, role):
                return False
    return True


LEAVES = st.builds(Leaf, st.integers(0, 2), st.integers(0, 2))
SMALL_TREES = st.recursive(
    LEAVES,
    lambda below: st.builds(turn, st.sampled_from([U, A]), below, below),
    max_leaves=6,
).filter(lambda node: isinstance(node, Decision))


@given(SMALL_TREES)
def test_tree__agrees_with_brute_force_on_trees_full_of_ties(root: Node) -> None:
    """All subgame-perfect paths, the reference equilibrium and all Nash outcomes equal those of plain enumeration."""
    game = GameTree(root)
    nash: set[str] = set()
    perfect: set[str] = set()
    decisions = game.decisions()
    for profile in profiles(game):
        if is_equilibrium(game, profile, ""):
            nash.add(played(game, profile, ""))
            if all(is_equilibrium(game, profile, start) for start in decisions):
                perfect.add(played(game, profile, ""))
    assert {path.name for path in game.subgame_perfect()} == perfect
    assert {path.name for path in game.nash_outcomes()} == nash
    solved = game.backward_induction()
    reference = {**solved.strategy("user"), **solved.strategy("assistant")}
    assert all(is_equilibrium(game, reference, start) for start in decisions)
    assert solved.path().name == played(game, reference, "")
    assert {(leaf.user, leaf.assistant) for leaf in solved.outcomes} == ends(game.subgame_perfect())


@given(SMALL_TREES)
def test_tree__normal_form_pays_what_the_strategies_lead_to(root: Node) -> None:
    """Every cell of the normal form equals the payoffs of playing the two named strategies."""
    game = GameTree(root)
    normal = game.normal_form()
    decisions = game.decisions()
    own = {role: [name for name, node in decisions.items() if node.player == role] for role in (U, A)}
    seen = set()
    for (i, row), (j, column) in itertools.product(enumerate(normal.user_moves), enumerate(normal.assistant_moves)):
        chosen = zip([*own[U], *own[A]], [*strategy(row, own[U]), *strategy(column, own[A])], strict=True)
        leaf = game.leaves()[played(game, dict(chosen), "")]
        assert (normal.user[i, j], normal.assistant[i, j]) == (leaf.user, leaf.assistant)
        seen.add((row, column))
    assert len(seen) == len(list(profiles(game)))


def strategy(name: str, own: list[str]) -> list[str]:
    """The moves that a strategy's name lists."""
    return name.split("|") if own else []


# --- depth and sharing ---------------------------------------------------------------------------------------------------


def alternating_offers(rounds: int, steps: int, discounts: tuple[float, float]) -> GameTree:
    """Rubinstein's game on a grid; the tree behind a rejection is shared by all offers of the round."""
    node: Node = Leaf(0, 0)
    for t in reversed(range(rounds)):
        proposer, responder = (U, A) if t % 2 == 0 else (A, U)
        offers: dict[str, Node] = {}
        for kept in range(steps + 1):
            shares = (kept / steps, 1 - kept / steps) if proposer == U else (1 - kept / steps, kept / steps)
            paid = Leaf(shares[0] * discounts[0] ** t, shares[1] * discounts[1] ** t)
            offers[f"keep {kept}"] = Decision(responder, {"accept": paid, "reject": node})
        node = Decision(proposer, offers)
    return GameTree(node)


def test_tree__two_hundred_rounds_of_shared_subtrees_are_solved_at_once() -> None:
    """Rubinstein (1982): the proposer's share tends to (1 - d2) / (1 - d1 d2); no depth or sharing hurts."""
    begun = time.perf_counter()
    game = alternating_offers(200, 100, (0.9, 0.8))
    solved = game.backward_induction()
    assert time.perf_counter() - begun < 5.0
    limit = (1 - 0.8) / (1 - 0.9 * 0.8)
    assert all(abs(end.user - limit) < 0.02 for end in solved.outcomes)
    assert all(path.moves[1] == "accept" and len(path.moves) == 2 for path in game.subgame_perfect())
    assert len(game.decisions(shared=True)) == 200 * 102
    with pytest.raises(UsageError, match="paths to list"):
        game.decisions()


def test_tree__exact_ties_in_every_round_do_not_pile_up() -> None:
    """At δ = 1/2 on a grid of 2^10 every responder is indifferent; the share follows s = 1 - s'/2 from s = 1."""
    begun = time.perf_counter()
    solved = alternating_offers(10, 1024, (0.5, 0.5)).backward_induction()
    assert time.perf_counter() - begun < 5.0
    share = 1.0
    for _ in range(9):
        share = 1.0 - share / 2.0
    assert solved.value == Leaf(share, 1.0 - share)
    assert max(len(after.outcomes) for after in solved.continuations) < 10


def test_tree__one_round_of_offers_is_the_ultimatum() -> None:
    """With one round the proposer keeps all, or all but one step of the grid."""
    assert ends(alternating_offers(1, 10, (0.9, 0.9)).subgame_perfect()) == {(1.0, 0.0), (0.9, 1 - 0.9)}


def test_tree__deep_trees_copy_pickle_and_print() -> None:
    """What recursion would break works on a chain of 5,000 decisions."""
    node: Node = Leaf(0, 0)
    for depth in range(5_000):
        node = Decision("user" if depth % 2 else "assistant", {"on": node, "stop": Leaf(-1, -1)})
    game = GameTree(node)
    assert copy.deepcopy(game) is game
    twin = pickle.loads(pickle.dumps(game))
    assert twin.backward_induction().value == game.backward_induction().value == Leaf(0, 0)
    assert repr(twin) == repr(game) == "GameTree(5000 decisions, 5001 leaves)"
    assert repr(node) == "Decision('user', moves ['on', 'stop'])"
    assert len(game.subgame_perfect()[0].moves) == 5_000


def test_tree__pickling_keeps_shared_subtrees_shared() -> None:
    """A tree of sixty shared levels stays sixty decisions."""
    node: Node = Leaf(1, 1)
    for _ in range(60):
        node = turn(A, node, node)
    assert len(pickle.loads(pickle.dumps(GameTree(node))).decisions(shared=True)) == 60


# --- plain data, Gambit ------------------------------------------------------------------------------------------------

REPLY = {"player": "assistant", "moves": {"share": [2, 1], "fight": [-1, -1]}}
NESTED = {"player": "user", "moves": {"out": [0, 2], "in": REPLY}}


def test_tree__reads_plain_data() -> None:
    """JSON says the same as the classes."""
    game = GameTree.from_nested(json.loads(json.dumps(NESTED)))
    assert game.leaves() == {"out": Leaf(0, 2), "in/share": Leaf(2, 1), "in/fight": Leaf(-1, -1)}
    assert [node.player for node in game.decisions().values()] == [U, A]


def test_tree__plain_data_keep_shared_parts_shared() -> None:
    """The same dict met many times becomes one subtree, and deep data are no problem."""
    part: dict[str, Any] = {"player": "user", "moves": {"a": [1, 1], "b": (0, 0)}}
    for _ in range(2_000):
        part = {"player": "assistant", "moves": {"a": part, "b": part}}
    assert len(GameTree.from_nested(part).decisions(shared=True)) == 2_001


@pytest.mark.parametrize(
    ("nested", "message"),
    [
        ([1, 2], "expected a Decision at the root"),
        ({"player": "user"}, r"expected \{'player'.*at the root"),
        ({"player": "user", "moves": {"a": [1]}}, r"at 'a', got \[1\]"),
        ({"player": "user", "moves": {"a": "12"}}, "at 'a', got '12'"),
        ({"player": "user", "moves": {"a": None}}, "at 'a', got None"),
        ({"player": "user", "moves": [1, 2]}, "at the root, got"),
        ({"player": "user", "moves": {"a": [1, "x"]}}, "expected finite payoffs at 'a', got 'x' for the assistant"),
        ({"player": "user", "moves": {1: "bad"}}, "at '1', got 'bad'"),
        ({"player": "user", "moves": {1: [0, 0]}}, "names of moves without '/' at the root, got 1"),
        ({"player": "user", "moves": {"a": [10**400, 0]}}, "expected finite payoffs at 'a', got 1000.*for the user"),
        ({"player": "bob", "moves": {"a": [1, 1]}}, "expected the player 'user' or 'assistant' at the root, got 'bob'"),
    ],
)
def test_tree__plain_data_of_another_form_are_refused(nested: Any, message: str) -> None:
    """The message names the path and shows what came."""
    with pytest.raises(UsageError, match=message):
        GameTree.from_nested(nested)


def test_tree__a_cycle_in_plain_data_is_refused() -> None:
    """Data that contain themselves end in a message, not in an endless loop."""
    moves: dict[str, Any] = {"stop": [0, 0]}
    nested = {"player": "user", "moves": moves}
    moves["again"] = nested
    with pytest.raises(UsageError, match="'again' leads back"):
        GameTree.from_nested(nested)


def test_tree__writes_gambit_files() -> None:
    """The .efg text lists the nodes in prefix order with players, information sets and payoffs."""
    text = GameTree.from_nested(NESTED).to_efg('entry "game"')
    assert text.splitlines() == [
        'EFG 2 R "entry \\"game\\"" { "user" "assistant" }',
        '""',
        'p "" 1 1 "" { "out" "in" } 0',
        't "out" 1 "" { 0, 2 }',
        'p "in" 2 1 "in" { "share" "fight" } 0',
        't "in/share" 2 "" { 2, 1 }',
        't "in/fight" 3 "" { -1, -1 }',
    ]


def test_tree__gambit_payoffs_have_no_exponents() -> None:
    """1e-7 is written out, exactly."""
    assert "{ 0.0000001, 20000000000000000 }" in GameTree(turn(U, Leaf(1e-7, 2e16), Leaf(0, 0))).to_efg()


# --- what is no tree ----------------------------------------------------------------------------------------------------


def wrong(build: Callable[[], Node]) -> str:
    """The message that a wrong tree gets."""
    with pytest.raises(UsageError) as caught:
        GameTree(build())
    return str(caught.value)


@pytest.mark.parametrize(
    ("root", "message"),
    [
        (Leaf(1, 1), "expected a Decision at the root"),
        (None, "expected a Leaf or a Decision at the root, got None"),
        (turn(U, turn(A, cast(Node, None))), "expected a Leaf or a Decision at 'A1/B1', got None"),
        (turn(U, cast(Node, (1, 2))), r"expected a Leaf or a Decision at 'A1', got \(1, 2\)"),
        (turn(U, Decision("user", {})), r"expected at least one move at 'A1', got \{\}"),
        (turn(U, Decision("user", cast(Any, [Leaf(1, 1)]))), "expected at least one move at 'A1', got \\["),
        (turn(U, Decision(cast(Role, "nature"), {"x": Leaf(1, 1)})), "'user' or 'assistant' at 'A1', got 'nature'"),
        (turn(U, Leaf(float("nan"), 1)), "expected finite payoffs at 'A1', got nan for the user"),
        (turn(U, Leaf(1, float("inf"))), "expected finite payoffs at 'A1', got inf for the assistant"),
        (turn(U, Leaf(cast(float, "1"), 1)), "expected finite payoffs at 'A1', got '1' for the user"),
        (turn(U, Leaf(1, -(10**400))), "expected finite payoffs at 'A1', got -1000.* for the assistant"),
        (turn(U, Leaf(True, 1)), "expected finite payoffs at 'A1', got True for the user"),
        (Decision("user", {"a/b": Leaf(1, 1)}), "names of moves without '/' at the root, got 'a/b'"),
        (Decision("user", {"": Leaf(1, 1)}), "names of moves without '/' at the root, got ''"),
        (Decision("user", cast(Mapping[str, Node], {3: Leaf(1, 1)})), "names of moves without '/' at the root, got 3"),
    ],
)
def test_tree__what_is_no_tree_is_refused_by_path(root: Node, message: str) -> None:
    """Every defect is one sentence that says where it is."""
    with pytest.raises(UsageError, match=message):
        GameTree(root)


def test_tree__a_cycle_is_refused() -> None:
    """A node that can follow itself is no game that ends."""
    moves: dict[str, Node] = {"stop": Leaf(0, 0)}
    again = Decision("assistant", {"back": Decision("user", moves), "end": Leaf(1, 1)})
    moves["go"] = again
    assert "'back/go' leads back" in wrong(lambda: again)


def test_tree__a_long_path_is_shortened_in_messages() -> None:
    """A defect a thousand moves down does not fill the screen."""
    node: Node = Leaf(float("nan"), 0)
    for _ in range(1_000):
        node = Decision("user", {"on": node})
    message = wrong(lambda: node)
    assert "on/on … on" not in message
    assert "…" in message
    assert len(message) < 400


def test_tree__a_normal_form_too_large_is_refused() -> None:
    """Twenty-one decisions in a row would make two million rows."""
    node: Node = Leaf(0, 0)
    for _ in range(21):
        node = turn(U, node, Leaf(1, 1))
    with pytest.raises(UsageError, match="at most 1,000,000 cells, got 2,097,152 × 1 strategies"):
        GameTree(node).normal_form()


def test_tree__a_player_who_never_moves_has_one_strategy() -> None:
    """The normal form still has a column."""
    normal = GameTree(turn(U, Leaf(1, 2), Leaf(3, 4))).normal_form()
    assert (normal.user_moves, normal.assistant_moves) == (("A1", "A2"), ("none",))
    assert np.array_equal(normal.user, [[1], [3]])
    assert np.array_equal(normal.assistant, [[2], [4]])
