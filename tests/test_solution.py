"""Solving games of every form, and the criteria."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.games import Bimatrix, Decision, GameTree, Leaf
from gtalign_env.games.division import Division
from gtalign_env.games.screening import ScreeningGame
from gtalign_env.games.signalling import SignallingGame
from gtalign_env.solution import CRITERIA, SOLVERS, solve
from gtalign_env.solution.criteria import choose, of_outcomes, welfare_best, welfare_of
from gtalign_env.solution.division import solve_division
from gtalign_env.solution.normal import MOST_CORRELATED, MOST_MIXING, solve_bimatrix
from gtalign_env.solution.screening import MOST_MENUS, solve_screening
from gtalign_env.solution.signalling import solve_signalling
from gtalign_env.solution.tree import MOST_LEAVES, MOST_NODES, MOST_PATHS, solve_tree


def bimatrix(
    user: Any, assistant: Any, user_moves: Sequence[str] = (), assistant_moves: Sequence[str] = ()
) -> Bimatrix:
    """Return the game of anything that can be read as matrices."""
    return Bimatrix(np.array(user), np.array(assistant), tuple(user_moves), tuple(assistant_moves))


def menus(prior: Any, user: Any, assistant: Any, *names: tuple[str, ...]) -> ScreeningGame:
    """Return the screening game of anything that can be read as arrays."""
    return ScreeningGame(np.array(prior), np.array(user), np.array(assistant), *names)


SHARED = {"moves", "payoffs", "pure_nash", "nash", "pareto", "welfare_optimum", "dominance_log", "price_of_anarchy"}
PAPER = bimatrix([[1, 4, 1], [0, 3, 2]], [[1, 0, 0], [1, 3, 1]], ("VQ", "DQ"), ("DA", "AQ", "CQ"))
DILEMMA = bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]], ("C", "D"), ("C", "D"))
STAG = bimatrix([[3, 0], [1, 1]], [[3, 1], [0, 1]], ("stag", "hare"), ("stag", "hare"))
SEXES = bimatrix([[2, 0], [0, 1]], [[1, 0], [0, 2]], ("opera", "football"), ("opera", "football"))
CROSSING = bimatrix([[0, 0], [2, -4]], [[0, 2], [0, -4]], ("wait", "go"), ("wait", "go"))
PENNIES = bimatrix([[1, -1], [-1, 1]], [[-1, 1], [1, -1]], ("h", "t"), ("h", "t"))


def duopoly() -> Bimatrix:
    """Two firms with quantities 0 to 5, inverse demand 12 − 2Q and unit cost 1."""
    q = np.arange(6)
    user = q[:, None] * (np.maximum(12 - 2 * (q[:, None] + q), 0) - 1)
    names = tuple(f"q{i}" for i in q)
    return bimatrix(user, user.T, names, names)


def decision(player: Any, **moves: Any) -> Decision:
    """Return a decision with its moves as keywords."""
    return Decision(player, moves)


def trigame() -> GameTree:
    """Three plies; facts: subgame-perfect A2/B1/A2 with (4, 10), other pure-Nash outcome (3, 4), normal form 32×4."""
    left = {"B1": decision("user", A1=Leaf(20, 3), A2=Leaf(0, 4)), "B2": decision("user", A1=Leaf(2, 5), A2=Leaf(3, 4))}
    right = {
        "B1": decision("user", A1=Leaf(1, 5), A2=Leaf(4, 10)),
        "B2": decision("user", A1=Leaf(2, 1), A2=Leaf(3, 2)),
    }
    return GameTree(decision("user", A1=Decision("assistant", left), A2=Decision("assistant", right)))


# -- bimatrix games -------------------------------------------------------------------------------------------------------


def test_solve__the_papers_game() -> None:
    """VQ_DA is the only equilibrium, DQ_AQ the optimum; the sum falls from 6 to 2, so the price of anarchy is 3."""
    found = solve(PAPER).as_dict()
    assert found["moves"] == {"user": ["VQ", "DQ"], "assistant": ["DA", "AQ", "CQ"]}
    assert found["payoffs"] == {"user": [[1, 4, 1], [0, 3, 2]], "assistant": [[1, 0, 0], [1, 3, 1]]}
    assert found["pure_nash"] == [["VQ", "DA"]]
    assert found["welfare"] == "cobb_douglas"
    assert found["welfare_optimum"] == ["DQ", "AQ"]
    assert found["pareto"] == [["VQ", "AQ"], ["DQ", "AQ"]]
    assert found["price_of_anarchy"] == found["price_of_stability"] == 3.0
    (nash,) = found["nash"]
    assert nash["user"] == {"VQ": 1.0, "DQ": 0.0}
    assert nash["assistant"] == {"DA": 1.0, "AQ": 0.0, "CQ": 0.0}
    assert nash["payoffs"] == {"user": 1.0, "assistant": 1.0}
    assert nash["exact"] is True
    assert found["maximin"]["user"]["value"] == pytest.approx(1.0)
    assert found["maximin"]["assistant"]["value"] == pytest.approx(1.0)
    assert found["class_2x2"] is None


def test_solve__dominance_leaves_the_equilibrium_of_the_papers_game() -> None:
    """CQ falls first (a mixture of DA and AQ is better), then DQ, then AQ: each removal says who, what and by what."""
    log = solve(PAPER).as_dict()["dominance_log"]
    assert [(entry["role"], entry["move"], entry["kind"], entry["round"]) for entry in log] == [
        ("assistant", "CQ", "strict", 1),
        ("user", "DQ", "strict", 2),
        ("assistant", "AQ", "strict", 3),
    ]
    assert log[1]["by"] == "VQ"
    assert log[2]["by"] == "DA"
    mix = np.array([log[0]["by"].get(move, 0.0) for move in PAPER.assistant_moves])
    assert (PAPER.assistant @ mix > PAPER.assistant[:, 2]).all()


@pytest.mark.parametrize(
    ("game", "anarchy", "stability"),
    [(DILEMMA, 3.0, 3.0), (STAG, 3.0, 1.0), (duopoly(), 1.25, 1.25), (SEXES, 2.25, 1.0)],
    ids=["dilemma", "stag", "duopoly", "sexes"],
)
def test_solve__price_of_anarchy(game: Bimatrix, anarchy: float, stability: float) -> None:
    """The published figures; in the battle of the sexes the mixed equilibrium is worth 4/3 of 3."""
    found = solve(game).as_dict()
    assert found["price_of_anarchy"] == pytest.approx(anarchy)
    assert found["price_of_stability"] == pytest.approx(stability)


def test_solve__mixed_equilibria_as_fractions() -> None:
    """Battle of the sexes: x = (2/3, 1/3), y = (1/3, 2/3), 2/3 for each; floats and fractions say the same."""
    *pure, mixed = solve(SEXES).as_dict()["nash"]
    assert [found["payoffs"] for found in pure] == [{"user": 2, "assistant": 1}, {"user": 1, "assistant": 2}]
    assert mixed["fractions"]["user"] == {"opera": "2/3", "football": "1/3"}
    assert mixed["fractions"]["assistant"] == {"opera": "1/3", "football": "2/3"}
    assert mixed["fractions"]["payoffs"] == {"user": "2/3", "assistant": "2/3"}
    assert mixed["user"]["opera"] == float(Fraction(2, 3))


@pytest.mark.parametrize(
    ("game", "low", "high"), [(SEXES, 4 / 3, 3.0), (CROSSING, 0.0, 2.0)], ids=["sexes", "crossing"]
)
def test_solve__range_of_correlated_equilibria(game: Bimatrix, low: float, high: float) -> None:
    """The published welfare ranges."""
    assert solve(game).as_dict()["correlated"]["welfare_range"] == pytest.approx([low, high])


def test_solve__duopoly() -> None:
    """Unique equilibrium (6, 6); Nash bargaining 5 and 10 on cells, 7.5 each on the hull; four cells of sum 15."""
    found = solve(duopoly(), criterion="bargaining:nash").as_dict()
    assert found["pure_nash"] == [["q2", "q2"]]
    assert [equilibrium["payoffs"] for equilibrium in found["nash"]] == [{"user": 6.0, "assistant": 6.0}]
    assert sorted(found["bargaining"]["nash"]["cells"]["payoffs"].values()) == [5.0, 10.0]
    assert found["bargaining"]["nash"]["hull"]["payoffs"] == pytest.approx({"user": 7.5, "assistant": 7.5})
    sums = welfare_best(duopoly(), "utilitarian")
    assert dict.fromkeys(sums, 15) == {("q0", "q3"): 15, ("q1", "q2"): 15, ("q2", "q1"): 15, ("q3", "q0"): 15}


def test_solve__a_game_too_large_to_list_its_equilibria() -> None:
    """One verified equilibrium is found, and the price of anarchy is not made up from it."""
    rng = np.random.default_rng(5)
    user, assistant = rng.integers(-50, 50, (2, 16, 16)).astype(float)
    solved = solve_bimatrix(bimatrix(user, assistant))
    found = solved.as_dict()
    assert not found["nash_complete"]
    assert found["price_of_anarchy"] is None
    (one,) = solved.nash
    x, y = np.array(one.user, dtype=float), np.array(one.assistant, dtype=float)
    assert max((user @ y).max() - x @ user @ y, (x @ assistant).max() - x @ assistant @ y) <= 1e-9 * 50


# -- criteria -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("criterion", "cell"),
    [
        ("welfare", ("DQ", "AQ")),
        ("welfare:utilitarian", ("DQ", "AQ")),
        ("welfare:ces:rho=-1", ("DQ", "AQ")),
        ("nash", ("VQ", "DA")),
        ("dominance", ("VQ", "DA")),
        ("maximin", ("VQ", "DA")),
        ("stackelberg:user", ("DQ", "AQ")),
        ("stackelberg:assistant", ("VQ", "DA")),
        ("stackelberg", ("VQ", "DA")),  # whose policy is known first: the assistant's
        ("bargaining", ("DQ", "AQ")),
        ("bargaining:egalitarian", ("DQ", "AQ")),
        ("correlated", ("VQ", "DA")),
        ("correlated:egalitarian", ("VQ", "DA")),
    ],
)
def test_choose__on_the_papers_game(criterion: str, cell: tuple[str, str]) -> None:
    """By hand: who commits to DQ is answered by AQ; safe moves are VQ and DA; all else leads to one of the two cells."""
    choice = choose(PAPER, criterion)
    assert choice.cell == cell
    assert choice.criterion.startswith(criterion)
    assert choice.why
    place = PAPER.user_moves.index(cell[0]), PAPER.assistant_moves.index(cell[1])
    assert (choice.user, choice.assistant) == pytest.approx((PAPER.user[place], PAPER.assistant[place]))


def test_choose__stackelberg_mixed() -> None:
    """The user who plays VQ two times in three leaves the assistant indifferent between DA and AQ, and gets 11/3."""
    choice = choose(PAPER, "stackelberg:user:mixed")
    assert choice.cell is None
    assert {cell[:2]: cell[2] for cell in choice.play} == pytest.approx({("VQ", "AQ"): 2 / 3, ("DQ", "AQ"): 1 / 3})
    assert (choice.user, choice.assistant) == pytest.approx((11 / 3, 1.0))


def test_choose__quantal() -> None:
    """Without rationality all six cells are equally likely: means 11/6 and 1."""
    choice = choose(PAPER, "quantal:0")
    assert [chance for *_, chance in choice.play] == pytest.approx([1 / 6] * 6)
    assert (choice.user, choice.assistant) == pytest.approx((11 / 6, 1.0))


def test_choose__nash_where_there_is_no_pure_one_or_several() -> None:
    """Matching pennies: a half each. Stag hunt: the better of two equilibria. Two even ones: the first."""
    assert [chance for *_, chance in choose(PENNIES, "nash").play] == pytest.approx([0.25] * 4)
    assert choose(STAG, "nash").cell == ("stag", "stag")
    assert choose(SEXES, "nash").cell == ("opera", "opera")
    assert "2 pure equilibria" in choose(SEXES, "nash").why


def test_choose__welfare_in_a_game_that_only_hurts() -> None:
    """Where all lose, the product of two losses would pick the worst cell; ours spares the worse-off side."""
    losing = bimatrix([[-1, -9]], [[-2, -9]], ("stay",), ("soft", "hard"))
    choice = choose(losing, "welfare")
    assert choice.cell == ("stay", "soft")
    assert "somebody loses" in choice.why
    assert "somebody loses" not in choose(losing, "welfare:utilitarian").why


@pytest.mark.parametrize("welfare", ["alpha_fair", "atkinson", "ces", "cobb_douglas", "gini", "jain", "nash_product"])
def test_choose__welfare_counts_losses_from_the_disagreement_point(welfare: str) -> None:
    """Payoffs of −1 are gains over −5, and payoffs of 1 are losses against 5; the reason says which."""
    game = bimatrix([[-1, -2]], [[-1, -2]], ("stay",), ("soft", "hard"))
    assert "somebody loses" in choose(game, f"welfare:{welfare}").why
    assert "somebody loses" not in choose(game, f"welfare:{welfare}:d_user=-5,d_assistant=-5").why
    good = bimatrix([[1, 2]], [[1, 2]], ("stay",), ("soft", "hard"))
    assert "somebody loses" in choose(good, f"welfare:{welfare}:d_user=5,d_assistant=0").why


def test_choose__bargaining_without_agreement() -> None:
    """Where every cell leaves somebody worse off than nothing, they part: nothing is played and both get 0."""
    choice = choose(bimatrix([[-1, 2]], [[1, -1]], ("stay",), ("a", "b")), "bargaining:egalitarian")
    assert (choice.play, choice.cell, choice.user, choice.assistant) == ((), None, 0.0, 0.0)
    assert "no agreement" in choice.why


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        ("nsah", "unknown criterion 'nsah': did you mean 'nash'"),
        ("welfare:utilitarain", "did you mean 'utilitarian'"),
        ("bargaining:kalai", "unknown bargaining solution 'kalai'"),
        ("stackelberg:nobody", "expected stackelberg:user or stackelberg:assistant"),
        ("stackelberg:user:pure", "expected stackelberg:user"),
        ("correlated:happy", "unknown objective 'happy'"),
        ("quantal:fast", "expected quantal:RATIONALITY"),
        ("quantal:-1", "expected quantal:RATIONALITY"),
        ("quantal:inf", "expected quantal:RATIONALITY"),
        ("nash:pure", "'nash' takes no argument"),
        ("maximin:user", "'maximin' takes no argument"),
    ],
)
def test_choose__refuses_what_means_nothing(criterion: str, message: str) -> None:
    """A wrong criterion or argument is named, with what was expected."""
    with pytest.raises(UsageError, match=message):
        choose(PAPER, criterion)


def test_choose__dominance_needs_a_single_survivor() -> None:
    """Where dominance decides nothing, it says what is left."""
    with pytest.raises(UsageError, match="leaves more than one cell: opera, football against opera, football"):
        choose(SEXES, "dominance")


def test_criteria__are_all_tried_here() -> None:
    """Every criterion is one of those that look at outcomes, or one of those that need moves."""
    assert {name for name in CRITERIA if of_outcomes(name)} == {"welfare", "bargaining"}
    assert choose(PAPER, "welfare").criterion == "welfare:cobb_douglas"
    assert choose(PAPER, "bargaining").criterion == "bargaining:nash"
    assert welfare_of("welfare") == welfare_of("nash") == "cobb_douglas"
    assert welfare_of("welfare:ces:rho=-1") == "ces:rho=-1"
    with pytest.raises(UnknownNameError, match="criterion"):
        of_outcomes("best")


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("ces:-1", "ces:rho=-1"),
        ("alpha_fair:2", "alpha_fair:alpha=2"),
        ("atkinson:0.5", "atkinson:epsilon=0.5"),
        ("linear:0.25", "linear:weight=0.25"),
        ("ces:rho=-1", "ces:rho=-1"),
    ],
)
def test_criteria__a_bare_number_is_the_main_setting(short: str, full: str) -> None:
    """The short spelling is the long one, in what is chosen and in what it is called."""
    assert choose(PAPER, f"welfare:{short}") == choose(PAPER, f"welfare:{full}")
    assert welfare_of(f"welfare:{short}") == full


@pytest.mark.parametrize("welfare", ["utilitarian:1", "ces:x", "linear:2"])
def test_criteria__other_bare_settings_are_refused(welfare: str) -> None:
    """A function without a main setting takes no bare number, and a number out of range is none."""
    with pytest.raises(UsageError):
        choose(PAPER, f"welfare:{welfare}")


whole = st.integers(-3, 3).map(float)
bimatrices = st.tuples(st.integers(1, 3), st.integers(1, 3)).flatmap(
    lambda shape: st.builds(
        bimatrix,
        *[st.lists(st.lists(whole, min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0])] * 2,
    )
)


@given(bimatrices)
def test_solve__holds_in_any_small_game(game: Bimatrix) -> None:
    """Strict JSON; choices are feasible averages; listed equilibria leave nothing to gain; the optimum is one."""
    solved = solve(game, criterion="nash")
    found = json.loads(json.dumps(solved.as_dict(), allow_nan=False))
    assert set(found) >= SHARED
    for equilibrium in found["nash"]:
        x, y = (np.array(list(equilibrium[role].values())) for role in ("user", "assistant"))
        assert (game.user @ y).max() - x @ game.user @ y <= 1e-9
        assert (x @ game.assistant).max() - x @ game.assistant @ y <= 1e-9
    pure = [tuple(cell) for cell in found["pure_nash"]]
    choice = choose(game, "nash")
    assert choice.cell in pure if pure else choice.cell is None
    for criterion in ("nash", "maximin", "correlated", "stackelberg:user:mixed", "quantal:2", "welfare:utilitarian"):
        choice = choose(game, criterion)
        chances = [chance for *_, chance in choice.play]
        assert math.isclose(sum(chances), 1.0, abs_tol=1e-7)
        places = [(game.user_moves.index(u), game.assistant_moves.index(a)) for u, a, _ in choice.play]
        for matrix, payoff in ((game.user, choice.user), (game.assistant, choice.assistant)):
            mean = sum(chance * matrix[place] for chance, place in zip(chances, places, strict=True))
            assert mean == pytest.approx(payoff, abs=1e-6)
    assert choice.user + choice.assistant == (game.user + game.assistant).max()
    marked = [point for point in solved.payoff_space().cells if "optimum" in point.marks]
    assert len(marked) == len(found["welfare_optima"])


# -- other kinds of game --------------------------------------------------------------------------------------------------


def test_solve_tree__trigame() -> None:
    """Path, off-path play, threats, Pareto leaves and optimum of the published tree."""
    solved = solve_tree(trigame())
    assert [(path.name, path.user, path.assistant) for path in solved.paths] == [("A2/B1/A2", 4, 10)]
    assert solved.choice.cell == ("A2/B1/A2", "")
    best = {node.name: node.best for node in solved.nodes}
    assert best == {
        "": ("A2",),
        "A1": ("B2",),
        "A1/B1": ("A1",),
        "A1/B2": ("A2",),
        "A2": ("B1",),
        "A2/B1": ("A2",),
        "A2/B2": ("A2",),
    }
    assert {node.name for node in solved.nodes if node.on_path} == {"", "A2", "A2/B1"}
    found = solved.as_dict()
    assert {tuple(path["payoffs"].values()) for path in found["nash_outcomes"]} == {(4.0, 10.0), (3.0, 4.0)}
    assert found["pareto"] == ["A1/B1/A1", "A2/B1/A2"]
    assert found["welfare_optimum"] == "A1/B1/A1"  # 20 · 3 = 60 against 4 · 10 = 40
    assert np.shape(found["payoffs"]["user"]) == (32, 4)
    assert found["subgame_perfect"][0]["moves"][1] == {"player": "assistant", "move": "B1"}
    assert set(found) >= SHARED


def test_solve_tree__criteria() -> None:
    """Outcomes are picked among the leaves, the rest on the normal form."""
    assert solve(trigame(), criterion="welfare:egalitarian").choice.cell == ("A2/B1/A2", "")  # type: ignore[attr-defined]
    assert solve_tree(trigame(), criterion="bargaining:nash").choice.cell == ("A1/B1/A1", "")
    leader = solve_tree(trigame(), criterion="stackelberg:assistant").choice
    assert leader.assistant >= 10.0  # committing to what it would do anyway is one of its commitments


def test_solve_tree__ties_give_all_paths() -> None:
    """An indifferent assistant makes two paths subgame-perfect; the better sum is picked, and both are marked."""
    solved = solve_tree(GameTree(decision("assistant", left=Leaf(0, 1), right=Leaf(5, 1))))
    assert [path.name for path in solved.paths] == ["left", "right"]
    assert solved.choice.cell == ("right", "")
    assert "of 2 such paths" in solved.choice.why
    assert sum("nash" in point.marks for point in solved.payoff_space().cells) == 2


def test_solve_tree__a_long_game_with_shared_subtrees() -> None:
    """A centipede of 300 decisions with one shared way out: solved, though paths and normal form are too many to list."""
    end = Leaf(0, 0)
    node: Any = Leaf(1, 1)
    for k in range(300):
        node = decision("user" if k % 2 else "assistant", stop=end, go=node, wait=node)
    solved = solve_tree(GameTree(node))
    assert solved.choice.user == solved.choice.assistant == 1
    assert not solved.complete
    assert len(solved.paths) == 1
    assert len(solved.nodes) == MOST_NODES
    assert all(node.on_path for node in solved.nodes)
    assert [node.name for node in solved.nodes[:3]] == ["", "go", "go/go"]
    assert solved.normal is None
    assert solved.nash_outcomes is None
    assert solved.as_dict()["moves"] is None
    assert [point.name for point in solved.payoff_space().cells if "nash" in point.marks] != []
    with pytest.raises(UsageError, match="normal form of this tree is too large"):
        solve_tree(GameTree(node), criterion="maximin")
    assert MOST_NODES < 300 < MOST_PATHS


def test_solve_tree__many_leaves_of_few_payoffs() -> None:
    """Where there are more leaves than can stand for themselves, those of equal payoffs are one outcome."""
    wide = {f"m{i}": Leaf(i % 3, i % 2) for i in range(MOST_LEAVES + 1)}
    solved = solve_tree(GameTree(Decision("user", wide)))
    assert solved.outcomes.shape == (6, 1)
    assert solved.outcomes.user_moves[:2] == ("m0", "m1")


def test_solve_division__the_worked_example() -> None:
    """16 allocations, two envy-free ones (5, 7) and (6, 6), both efficient; (4, 9) has the largest sum of all."""
    found = solve_division(Division((1, 1, 3), (1, 3, 2), (1, 0, 3))).as_dict()
    fair = [(entry["user"], entry["assistant"]) for entry in found["allocations"] if entry["envy_free"]]
    assert len(found["allocations"]) == 16
    assert fair == [(5, 7), (6, 6)]
    assert all(entry["pareto"] for entry in found["allocations"] if entry["envy_free"])
    assert found["best"] == "KEEP_0_1_1"
    assert found["bargaining"]["utilitarian"]["cells"]["payoffs"] == {"user": 4.0, "assistant": 9.0}
    assert found["bargaining"]["nash"]["hull"]["payoffs"] == pytest.approx({"user": 5.0, "assistant": 7.5})
    assert found["bargaining"]["egalitarian"]["hull"]["payoffs"] == pytest.approx({"user": 6.0, "assistant": 6.0})
    assert set(found) >= SHARED
    assert found["moves"] is found["pure_nash"] is None
    with pytest.raises(UsageError, match="a division takes welfare"):
        solve_division(Division((2,), (5,), (5,)), criterion="nash")


def test_solve_division__without_a_fair_allocation() -> None:
    """One item cannot be shared without envy."""
    solved = solve_division(Division((1,), (10,), (10,)))
    assert solved.best is None
    assert solved.as_dict()["best"] is None


def test_solve_signalling__talk_about_a_common_interest() -> None:
    """Two types, two messages, common interest: two separating and four pooling equilibria; telling all is best."""
    game = SignallingGame.cheap_talk([0.5, 0.5], np.eye(2), np.eye(2), ("a", "b"))
    solved = solve_signalling(game)
    found = solved.as_dict()
    kinds = [equilibrium["kind"] for equilibrium in found["perfect_bayesian"]]
    assert (kinds.count("separating"), kinds.count("pooling")) == (2, 4)
    assert (solved.choice.user, solved.choice.assistant) == (1.0, 1.0)
    assert found["types"] == {"a": 0.5, "b": 0.5}
    assert found["perfect_bayesian"][kinds.index("separating")]["beliefs"]["a"] == {"a": 1.0, "b": 0.0}
    assert set(found) >= SHARED
    space = solved.payoff_space()
    assert sum("nash" in point.marks for point in space.cells) == 6
    assert space.nash == "perfect Bayesian equilibrium"
    assert solve_signalling(game, criterion="welfare").choice.user == 1.0


def test_solve_signalling__refuses_what_is_too_large() -> None:
    """Four types with four messages and two answers make 256 × 16 pairs of plans: more than is solved as a bimatrix."""
    worth = np.zeros((4, 2))
    with pytest.raises(UsageError, match="4,096 cells, at most 1,000 are solved; leave out messages or actions"):
        solve_signalling(SignallingGame.cheap_talk([0.25] * 4, worth, worth))


def test_solve_screening__two_types() -> None:
    """Basic for the low type (1 each), pro for the high one (2 each): profit 1.5, and no other menu brings more."""
    game = menus([0.5, 0.5], [[1, -1], [1, 2]], [[1, 2], [1, 2]], ("low", "high"), ("basic", "pro"))
    solved = solve_screening(game)
    found = solved.as_dict()
    assert solved.choice.cell == ("basic+pro", "")
    assert found["optimal_menu"]["choices"] == {"low": "basic", "high": "pro"}
    assert found["optimal_menu"]["payoffs"] == {"user": 1.5, "assistant": 1.5}
    assert set(found["menus"]) == {"nothing", "basic", "pro", "basic+pro"}
    assert found["menus"]["pro"]["choices"] == {"low": None, "high": "pro"}
    assert found["pareto"] == ["basic+pro"]
    assert set(found) >= SHARED
    assert solve_screening(game, criterion="welfare:utilitarian").choice.cell == ("basic+pro", "")
    with pytest.raises(UsageError, match="a menu takes nash"):
        solve_screening(game, criterion="maximin")
    assert [point.name for point in solved.payoff_space().cells if "nash" in point.marks] == ["basic+pro"]


def test_solve_screening__many_contracts() -> None:
    """Of too many menus only the ones that somebody posts are listed."""
    rng = np.random.default_rng(1)
    user, assistant = rng.integers(-2, 5, (2, 2, 80)).astype(float)
    solved = solve_screening(menus([0.5, 0.5], user, assistant))
    assert len(solved.menus) <= 3 < MOST_MENUS


def test_solve__knows_subclasses_and_refuses_strangers() -> None:
    """A solver is found by the class or a base of it; anything else is named."""

    class Named(Bimatrix):
        """A bimatrix with another name."""

    assert solve(Named(np.ones((1, 1)), np.ones((1, 1)))).kind == "matrix"
    with pytest.raises(UsageError, match=r"a game of class .dict. cannot be solved: expected one of Bimatrix"):
        solve({})
    assert set(SOLVERS) == {"Bimatrix", "Division", "GameTree", "ScreeningGame", "SignallingGame"}


def test_solve_bimatrix__says_which_cells_bargaining_finds_equally_good() -> None:
    """In the battle of the sexes both meeting places have the product 2, and both are marked."""
    both = ("opera", "football")
    solved = solve(bimatrix([[2, 0], [0, 1]], [[1, 0], [0, 2]], both, both))
    found = solved.as_dict()["bargaining"]["nash"]
    assert found["cells"]["ties"] == [["opera", "opera"], ["football", "football"]]
    assert found["hull"]["ties"] == []
    marked = [point.name for point in solved.payoff_space().cells if "bargaining: nash" in point.marks]
    assert marked == ["opera_opera", "football_football"]


def test_solve_bimatrix__leaves_out_what_takes_long_in_large_games() -> None:
    """Beyond the limits there are no correlated equilibria and no commitment to chances; the rest is there."""
    payoffs = np.random.default_rng(0).integers(-9, 9, (2, MOST_MIXING + 1, 20))
    solved = solve_bimatrix(bimatrix(*payoffs))
    found = solved.as_dict()
    assert payoffs[0].size > MOST_CORRELATED
    assert (found["correlated"], solved.commitment, solved.welfare_range) == (None, None, None)
    assert found["stackelberg"]["user"]["mixed"] is None
    assert [len(found["nash"]), len(found["maximin"]), len(found["bargaining"])] == [1, 2, 4]


def test_solve_tree__takes_the_shortest_of_paths_that_pay_the_same() -> None:
    """Waiting costs nothing here, so the same shares can be had at once or later: at once is picked, everywhere."""
    later = decision("user", take=Leaf(1, 1), leave=Leaf(0, 0))
    solved = solve_tree(GameTree(decision("user", wait=later, take=Leaf(1, 1))))
    assert [path.name for path in solved.paths] == ["wait/take", "take"]
    assert solved.choice.cell == ("take", "")
    assert "of those that pay as much it is the shortest" in solved.choice.why
    assert solved.outcomes.user_moves[0] == "take"
    assert solved.bargaining["nash"].mixture[0][0] == (0, 0)


def test_solve_tree__lists_the_decisions_on_the_path_of_a_long_game() -> None:
    """Of more decisions than can be listed those that are played are, a shared one by the way it is reached."""
    node: Any = Leaf(0, 0)
    for k in range(MOST_NODES + 50):
        node = decision("user" if k % 2 else "assistant", take=Leaf(k, k), on=node)
    solved = solve_tree(GameTree(decision("user", on=node, take=Leaf(0, 5))))
    assert [(found.name, found.on_path) for found in solved.nodes] == [("", True), ("on", True)]
    shared = decision("assistant", left=Leaf(0, 1), right=Leaf(3, 2))
    solved = solve_tree(GameTree(decision("user", a=decision("assistant", x=shared, out=Leaf(0, 9)), b=shared)))
    assert [(found.name, found.on_path) for found in solved.nodes] == [("", True), ("a", False), ("b", True)]


def test_solve_tree__plans_say_which_decision_each_part_answers() -> None:
    """Plans are joined by | and paths by /; the normal form lists the decisions in the order of the parts."""
    found = solve_tree(trigame()).as_dict()["normal_form"]
    assert all(len(plan.split("|")) == len(found["plans"]["user"]) for plan in found["moves"]["user"])
    assert all(len(plan.split("|")) == len(found["plans"]["assistant"]) for plan in found["moves"]["assistant"])
    assert found["plans"]["assistant"] == ["A1", "A2"]
