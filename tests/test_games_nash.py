"""Nash equilibria: known games, brute force, other people's solvers, and what must not change them."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import game_oracle
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gtalign_env.errors import SolverError, UsageError
from gtalign_env.games import Bimatrix, Equilibrium, equilibrium, vertices
from gtalign_env.games.equilibrium import checked_equilibrium, deviation_gains
from gtalign_env.games.lemke_howson import complementary_pair
from gtalign_env.games.nash import extreme_equilibria, find_equilibrium
from gtalign_env.games.rational import Integers, to_integers

SHAPES = {(2, 2): 600, (2, 3): 700, (3, 2): 200, (3, 3): 700}
"""How many random games of each shape are held against brute force."""


def profiles(found: tuple[Equilibrium, ...]) -> set[tuple[Any, ...]]:
    """Return equilibria as a set of pairs of strategies; none may come twice."""
    made = {(each.user, each.assistant) for each in found}
    assert len(made) == len(found)
    return made


def random_games(shape: tuple[int, int], count: int, seed: int, top: int = 6) -> NDArray[np.int64]:
    """Return payoffs 0 … top − 1 of both players, shape (2, count, m, n)."""
    return np.random.default_rng(seed).integers(0, top, (2, count, *shape))


@st.composite
def small_games(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw a game of one to four moves each with many ties."""
    m, n = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    cells = st.lists(st.integers(-3, 3), min_size=m * n, max_size=m * n)
    return tuple(np.array(draw(cells), dtype=np.float64).reshape(m, n) for _ in range(2))  # type: ignore[return-value]


@pytest.mark.parametrize("name", game_oracle.KNOWN)
def test_nash__knows_the_games_of_the_literature(name: str) -> None:
    """All extreme equilibria in the documented order, as exact fractions, with their payoffs."""
    known = game_oracle.KNOWN[name]
    found = Bimatrix(*game_oracle.matrices(name)).nash()
    assert tuple(game_oracle.written((each.user, each.assistant)) for each in found) == known.nash
    assert tuple(f"{each.user_payoff} {each.assistant_payoff}" for each in found) == known.payoffs
    assert all(each.exact for each in found)
    assert [each.is_pure for each in found] == ["/" not in text for text in known.nash]


def test_nash__of_large_integers_is_what_both_indifferences_say() -> None:
    """Six-digit payoffs: both indifference conditions solved by hand leave one equilibrium, which rounding can lose."""
    user = [[273169, 827702, 256992], [409199, 643828, 549593]]
    assistant = [[85739, 27559, 865588], [753513, 837884, 538143]]
    # Columns 2 and 3 are equally good where p·(865588−27559) = (1−p)·(837884−538143),
    # the rows where q·(827702−643828) = (1−q)·(549593−256992).
    p, q = Fraction(299741, 299741 + 838029), Fraction(292601, 292601 + 183874)
    (found,) = extreme_equilibria(user, assistant)
    assert (found.user, found.assistant) == ((p, 1 - p), (0, q, 1 - q))
    assert (round(float(p), 4), round(float(q), 4)) == (0.2634, 0.6141)


LOST = {
    "support": ([[1, 0, 3], [2, 3, 1]], [[3, 3, 1], [1, 0, 2]]),
    "vertex": ([[0, 3, 0], [0, 0, 0]], [[3, 1, 3], [2, 3, 2]]),
}
"""Games of which nashpy's enumeration of this kind finds no equilibrium at all."""


def test_nash__is_right_where_nashpys_support_enumeration_is_not() -> None:
    """A game without a pure equilibrium, and with one mixed one.

    With p on row 1 the columns bring 1 + 2p, 3p and 2 − p. The second is worse than the first but at p = 1, where row 2 is better
    against both; so columns 1 and 3 are mixed, which takes p = 1/3. Both rows are as good where 3 − 2q = 1 + q, that is q = 2/3.
    """
    third = Fraction(1, 3)
    assert profiles(extreme_equilibria(*LOST["support"])) == {((third, 2 * third), (2 * third, 0, third))}


def test_nash__is_right_where_nashpys_vertex_enumeration_is_not() -> None:
    """A degenerate game whose equilibria form one component with four corners.

    Columns 1 and 3 are the same. Were column 2 played, row 1 alone would be best, and then column 2 would not be; so column 2
    is not played, both rows are equally good, and columns 1 and 3 are best as long as 2 + p ≥ 3 − 2p, that is p ≥ 1/3.
    """
    third = Fraction(1, 3)
    corners = set(itertools.product([(1, 0), (third, 1 - third)], [(1, 0, 0), (0, 0, 1)]))
    assert profiles(extreme_equilibria(*LOST["vertex"])) == corners


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")  # nashpy warns of degenerate games, rightly and wrongly
@pytest.mark.parametrize("kind", LOST)
def test_nash__nashpy_returns_nothing_there(kind: str) -> None:
    """Every finite game has an equilibrium, and nashpy's enumeration returns none of these two."""
    nashpy = pytest.importorskip("nashpy")
    found = list(getattr(nashpy.Game(*LOST[kind]), f"{kind}_enumeration")())
    if len(found) == len(extreme_equilibria(*LOST[kind])):
        pytest.skip(f"nashpy {nashpy.__version__} with NumPy {np.__version__} finds them all: take another game")
    assert found == []


@pytest.mark.parametrize(("shape", "count"), SHAPES.items())
def test_nash__equals_brute_force_on_random_integer_games(shape: tuple[int, int], count: int) -> None:
    """2,200 games in all, many of them degenerate: the same sets of extreme equilibria, as fractions."""
    users, assistants = random_games(shape, count, seed=sum(shape))
    expected = game_oracle.brute_force(users, assistants)
    for user, assistant, (wanted, _) in zip(users, assistants, expected, strict=True):
        assert wanted
        assert profiles(extreme_equilibria(user, assistant)) == wanted, (user.tolist(), assistant.tolist())


def test_nash__agrees_with_quantecon(figure: Callable[[str, object], None]) -> None:
    """The same sets in all games that are not degenerate. In the others quantecon's are some of ours: it promises no more,
    and brute force confirms each that it leaves out.
    """
    theory = pytest.importorskip("quantecon.game_theory")
    count: Counter[str] = Counter()
    for shape, games in SHAPES.items():
        users, assistants = random_games(shape, games, seed=sum(shape))
        for (a, b), (wanted, degenerate) in zip(
            zip(users.astype(float), assistants.astype(float), strict=True),
            game_oracle.brute_force(users, assistants),
            strict=True,
        ):
            game = theory.NormalFormGame([theory.Player(a), theory.Player(np.ascontiguousarray(b.T))])
            theirs = {tuple(np.round(np.concatenate(pair), 6) + 0.0) for pair in theory.vertex_enumeration(game)}
            ours = {
                tuple(np.round(np.array(each.user + each.assistant, dtype=float), 6))
                for each in extreme_equilibria(a, b)
            }
            assert theirs == ours or (degenerate and theirs < ours and len(ours) == len(wanted)), (a, b)
            count[f"degenerate={degenerate}, {'the same' if theirs == ours else 'quantecon has fewer'}"] += 1
    figure("nash against quantecon", dict(sorted(count.items())))
    assert count["degenerate=False, quantecon has fewer"] == 0
    assert sum(count.values()) >= 2000
    assert sum(n for kind, n in count.items() if "the same" in kind) >= 1000


def test_nash__finds_a_verified_equilibrium_in_every_game_up_to_six_by_six() -> None:
    """Integer and float games of all shapes; nobody gains more than 1e-9 of the largest payoff."""
    rng = np.random.default_rng(6)
    for shape in itertools.product(range(1, 7), repeat=2):
        games = [rng.integers(0, 6, (2, *shape)).astype(float) for _ in range(4)]
        games += [rng.normal(0.0, 10.0, (2, *shape)) for _ in range(4)]
        for user, assistant in games:
            found = (*extreme_equilibria(user, assistant), find_equilibrium(user, assistant))
            assert len(found) > 1
            for each in found:
                x, y = np.array(each.user, dtype=float), np.array(each.assistant, dtype=float)
                assert min(x.min(), y.min()) >= 0.0
                assert x.sum() == pytest.approx(1.0, abs=1e-12) == y.sum()
                assert (user @ y).max() - x @ user @ y <= 1e-9 * np.abs(user).max()
                assert (x @ assistant).max() - x @ assistant @ y <= 1e-9 * np.abs(assistant).max()
                assert float(each.user_payoff) == pytest.approx(x @ user @ y, abs=1e-9)
                assert float(each.assistant_payoff) == pytest.approx(x @ assistant @ y, abs=1e-9)


def test_nash__finds_an_odd_number_in_generic_games() -> None:
    """Wilson's theorem (1971), which holds with probability one for payoffs drawn from a continuum."""
    rng = np.random.default_rng(71)
    for _ in range(60):
        shape = tuple(rng.integers(2, 7, 2))
        assert len(extreme_equilibria(rng.normal(size=shape), rng.normal(size=shape))) % 2 == 1


def test_nash__lists_all_equilibria_of_coordination() -> None:
    """N moves that pay when they match: any set of moves, mixed evenly, is an equilibrium: 2ⁿ − 1."""
    found = extreme_equilibria(np.eye(8), np.eye(8))
    even = {
        tuple(Fraction(int(k in support), len(support)) for k in range(8))
        for size in range(1, 9)
        for support in itertools.combinations(range(8), size)
    }
    assert profiles(found) == {(x, x) for x in even}


def test_nash__of_a_game_without_stakes_is_every_corner() -> None:
    """Where nothing matters each pair of pure strategies is extreme, and no mixed one is."""
    found = extreme_equilibria(np.zeros((3, 4)), np.full((3, 4), 7.5))
    assert len(found) == 12
    assert all(each.is_pure and each.assistant_payoff == Fraction(15, 2) for each in found)


def test_nash__handles_many_moves_against_few() -> None:
    """70 columns: more labels than a machine word; matching pennies is found among columns that never pay."""
    user, assistant = np.zeros((2, 70)), np.full((2, 70), -5.0)
    user[:, 10], user[:, 60] = (1, -1), (-1, 1)
    assistant[:, 10], assistant[:, 60] = (-1, 1), (1, -1)
    (found,) = extreme_equilibria(user, assistant)
    assert found.user == (Fraction(1, 2), Fraction(1, 2))
    assert {k for k, share in enumerate(found.assistant) if share} == {10, 60}


def test_nash__says_when_a_game_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the way out, which works."""
    monkeypatch.setattr(vertices, "MOST_VERTICES", 50)
    game = Bimatrix(np.eye(8), np.eye(8))
    with pytest.raises(UsageError, match=r"find_nash\(\)"):
        game.nash()
    assert game.find_nash().is_pure


def test_nash__bounds_the_work_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few corners may take many comparisons, in games of few moves and of more than fit a machine word."""
    monkeypatch.setattr(vertices, "MOST_WORK", 2_000)
    for size in (12, 40):
        game = Bimatrix(np.eye(size), np.eye(size))
        with pytest.raises(UsageError, match=r"more than 2,000 comparisons.*find_nash\(\)"):
            game.nash()
        assert game.find_nash().is_pure


# -- payoffs of all kinds ---------------------------------------------------------------------------------------------


def test_nash__takes_ties_that_rounding_has_broken_for_ties() -> None:
    """0.1 + 0.2 and 0.3 are one payoff, and the component between two columns has both its ends."""
    user, assistant = [[1.0, 1.0], [0.0, 0.0]], [[0.1 + 0.2, 0.3], [0.0, 0.0]]
    found = extreme_equilibria(user, assistant)
    assert [(each.user, each.assistant) for each in found] == [((1, 0), (1, 0)), ((1, 0), (0, 1))]
    assert not any(each.exact for each in found)


def test_nash__takes_floats_for_the_fractions_that_they_are() -> None:
    """A tenth is no float: what counts is the fraction that stands for it. With 0.1 and 0.3 the odds are their very ratio."""
    found = extreme_equilibria([[0.1, 0.0], [0.0, 0.3]], [[0.2, 0.0], [0.0, 0.1]])[-1]
    tenth, fifth, three = Fraction(0.1), Fraction(0.2), Fraction(0.3)
    assert found.user == (tenth / (tenth + fifth), fifth / (tenth + fifth))
    assert found.assistant == (three / (tenth + three), tenth / (tenth + three))
    assert found.user_payoff == tenth * three / (tenth + three)
    assert found.exact


def gains_as_fractions(user: Any, assistant: Any, found: Equilibrium) -> list[Fraction]:
    """Return what each player gains by deviating, in exact arithmetic on the floats as they are."""
    gains = []
    for lines, own, other in (
        (user, found.user, found.assistant),
        (zip(*assistant, strict=True), found.assistant, found.user),
    ):
        values = [
            sum((Fraction(p) * Fraction(q) for p, q in zip(line, other, strict=True)), Fraction()) for line in lines
        ]
        reached = sum((Fraction(p) * value for p, value in zip(own, values, strict=True)), Fraction())
        gains.append(max(values) - reached)
    return gains


@pytest.mark.parametrize(
    ("shape", "offset"), [((2, 2), 0.0), ((2, 2), 1e12), ((3, 3), 1e9), ((4, 5), 0.0), ((4, 5), 1e9)]
)
def test_nash__of_any_floats_leaves_no_gain_at_all(shape: tuple[int, int], offset: float) -> None:
    """Fractions, whatever the origin of payoffs; floats around it differ by more than one rounding error here."""
    rng = np.random.default_rng(12)
    for _ in range(20):
        user, assistant = ((rng.random(shape) + offset).tolist() for _ in range(2))
        for found in (*extreme_equilibria(user, assistant), find_equilibrium(user, assistant)):
            assert found.exact
            assert gains_as_fractions(user, assistant, found) == [0, 0]


def test_nash__does_not_depend_on_the_origin() -> None:
    """Differences of a thousandth on payoffs of a billion, by hand: odds are the ratios of those differences."""
    user = [[1e9 + 0.0003, 1e9], [1e9, 1e9 + 0.00071]]
    assistant = [[1e9 + 0.0007, 1e9], [1e9, 1e9 + 0.00031]]
    a, d = (Fraction(user[k][k]) - 10**9 for k in (0, 1))
    e, h = (Fraction(assistant[k][k]) - 10**9 for k in (0, 1))
    found = Bimatrix(user, assistant).nash()
    assert [each.is_pure for each in found] == [True, True, False]
    assert (found[2].user[0], found[2].assistant[0]) == (h / (e + h), d / (a + d))
    assert len(Bimatrix([[1e12 + 0.3], [1e12]], [[0], [0]]).nash()) == 1


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.lists(st.integers(-3, 3), min_size=18, max_size=18),
    st.lists(st.integers(-3, 3), min_size=18, max_size=18),
    st.sampled_from([1e-10, 0.1, 1 / 3, 1e9]),
    st.sampled_from([0.0, 1e-13, 1e-11, 1e-8]),
)
def test_nash__agrees_with_the_cells_on_what_a_tie_is(
    shape: tuple[int, int], cells: list[int], dust: list[int], unit: float, share: float
) -> None:
    """At every scale, and with differences around the limit of what counts as rounding: the same pure equilibria."""
    payoffs = (np.array(cells) + share * np.array(dust)) * unit
    size = shape[0] * shape[1]
    game = Bimatrix(payoffs[:size].reshape(shape), payoffs[9 : 9 + size].reshape(shape))
    pure = [(each.user.index(1), each.assistant.index(1)) for each in game.nash() if each.is_pure]
    assert pure == game.cells(game.pure_nash())


def test_nash__of_payoffs_that_are_all_one_but_for_rounding() -> None:
    """Nothing is at stake between 0.1 + 0.2 and 0.3: both rows are equilibria, by floats."""
    found = extreme_equilibria([[0.1 + 0.2], [0.3]], [[0.0], [0.0]])
    assert [each.user for each in found] == [(1, 0), (0, 1)]
    assert not any(each.exact for each in found)


@pytest.mark.parametrize("scale", [1e-310, 1e-30, 2.0**-20, 1 / 3, 1e12, 1e300])
def test_nash__holds_at_every_scale(scale: float) -> None:
    """Battle of the sexes in any currency has the same three equilibria."""
    user, assistant = game_oracle.matrices("battle_of_sexes")
    found = extreme_equilibria(np.array(user) * scale, np.array(assistant) * scale)
    strategies = [[float(share) for share in each.user] for each in found]
    assert strategies == [[1, 0], [0, 1], [pytest.approx(2 / 3), pytest.approx(1 / 3)]]
    assert float(found[0].user_payoff) == pytest.approx(2 * scale)


@pytest.mark.parametrize(
    ("payoffs", "cells", "unit", "exact"),
    [
        ([[6.0, -4.0]], [[3, -2]], Fraction(2), True),
        ([[0.0, 0.0]], [[0, 0]], Fraction(1), True),
        ([[0.75, 2.0**-20]], [[3 * 2**18, 1]], Fraction(1, 2**20), True),
        ([[2.0**-30, 1.0]], [[1, 2**30]], Fraction(1, 2**30), True),
        ([[0.1, 0.35]], [[0xCCCCCCCCCCCCD, 0x2CCCCCCCCCCCCC]], Fraction(1, 2**55), True),
        ([[1e300, 2e300]], [[1, 2]], Fraction(int(1e300)), True),
    ],
)
def test_to_integers__keeps_what_can_be_kept(
    payoffs: list[list[float]], cells: list[list[int]], unit: Fraction, exact: bool
) -> None:
    """Whole, on the grid, few binary digits, decimal (0.1 is 0xCCCCCCCCCCCCD/2⁵⁵, 0.35 is 0xB333333333333/2⁵³), huge."""
    assert to_integers(np.array(payoffs)) == Integers(cells=cells, unit=unit, exact=exact)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6))
def test_to_integers__stays_within_its_rounding(payoffs: list[float]) -> None:
    """2⁻⁴⁰ of the spread at most, or one rounding error of the largest; nothing at all where it says exact."""
    found = to_integers(np.array([payoffs]))
    error = max(abs(n * found.unit - Fraction(p)) for n, p in zip(found.cells[0], payoffs, strict=True))
    spread = Fraction(max(payoffs)) - Fraction(min(payoffs))
    assert error <= max(spread / 2**40, Fraction(max(map(abs, payoffs))) / 2**52)
    assert (error == 0) == found.exact


# -- what must not change the answer -----------------------------------------------------------------------------------


@given(small_games(), st.tuples(*[st.integers(1, 9), st.integers(-9, 9)] * 2))
def test_nash__is_the_same_after_positive_affine_transforms(
    game: tuple[NDArray[np.float64], NDArray[np.float64]], terms: tuple[int, int, int, int]
) -> None:
    """Units and origins of payoffs are conventions."""
    user, assistant = game
    a, b, c, d = terms
    assert profiles(extreme_equilibria(a * user + b, c * assistant + d)) == profiles(
        extreme_equilibria(user, assistant)
    )


@given(small_games())
def test_nash__swaps_with_the_roles(game: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    """Rows and columns play by the same rules."""
    user, assistant = game
    swapped = {(y, x) for x, y in profiles(extreme_equilibria(assistant.T, user.T))}
    assert swapped == profiles(extreme_equilibria(user, assistant))


@given(small_games(), st.randoms(use_true_random=False))
def test_nash__follows_the_names_of_the_moves(
    game: tuple[NDArray[np.float64], NDArray[np.float64]], shuffler: Any
) -> None:
    """In another order, the same equilibria."""
    user, assistant = game
    rows, columns = list(range(user.shape[0])), list(range(user.shape[1]))
    shuffler.shuffle(rows)
    shuffler.shuffle(columns)
    shuffled = profiles(extreme_equilibria(user[np.ix_(rows, columns)], assistant[np.ix_(rows, columns)]))
    assert shuffled == {
        (tuple(x[i] for i in rows), tuple(y[j] for j in columns))
        for x, y in profiles(extreme_equilibria(user, assistant))
    }


@given(small_games())
def test_nash__has_the_pure_equilibria_of_the_cells_first(
    game: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    """Row by row, as ``pure_nash`` lists them."""
    made = Bimatrix(*game)
    pure = [
        (made.user_moves[each.user.index(1)], made.assistant_moves[each.assistant.index(1)])
        for each in made.nash()
        if each.is_pure
    ]
    assert pure == made.pure_nash()


# -- one equilibrium ---------------------------------------------------------------------------------------------------


@given(small_games())
def test_find_nash__finds_an_equilibrium_exactly(game: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    """The one found is an equilibrium by the definition; where there is a pure one, it is pure."""
    user, assistant = game
    found = find_equilibrium(user, assistant)
    a, b = ([[int(cell) for cell in row] for row in side] for side in (user, assistant))
    assert game_oracle.is_nash(a, b, found.user, found.assistant)
    assert found.is_pure == bool(Bimatrix(user, assistant).pure_nash())


def test_lemke_howson__ends_in_degenerate_games() -> None:
    """Payoffs 0 and 1 only: nearly every ratio test is tied, and every path still ends in an equilibrium."""
    rng = np.random.default_rng(10)
    for _ in range(300):
        shape = tuple(rng.integers(1, 8, 2))
        user, assistant = (rng.integers(0, 2, shape) for _ in range(2))
        x, y = complementary_pair(user.astype(object), assistant.astype(object))
        assert game_oracle.is_nash(user.tolist(), assistant.tolist(), x, y)


def test_find_nash__removes_dominated_moves_before_the_path() -> None:
    """Matching pennies beside moves that are strictly dominated, one of them only after another has gone."""
    user = [[1, -1, 0], [-1, 1, 0], [-2, -2, 9]]
    assistant = [[-1, 1, -5], [1, -1, -5], [0, 0, -5]]
    half = Fraction(1, 2)
    found = find_equilibrium(user, assistant)
    assert (found.user, found.assistant) == ((half, half, 0), (half, half, 0))


def test_find_nash__solves_games_that_cannot_be_listed() -> None:
    """Rock-paper-scissors with 15 moves, each beating the 7 that follow: one equilibrium, even, among very many corners."""
    count = 15
    away = (np.arange(count)[None, :] - np.arange(count)[:, None]) % count
    payoffs = np.where(away == 0, 0.0, np.where(away <= count // 2, 1.0, -1.0))
    found = find_equilibrium(payoffs, -payoffs)
    assert set(found.user) == set(found.assistant) == {Fraction(1, count)}
    assert found.user_payoff == 0


def test_find_nash__returns_in_time_at_any_size() -> None:
    """25 × 25 random floats, ten times, well within seconds: no cycling."""
    rng = np.random.default_rng(25)
    started = time.perf_counter()
    for _ in range(10):
        user, assistant = rng.normal(size=(2, 25, 25))
        found = find_equilibrium(user, assistant)
        gains = deviation_gains(user, assistant, list(map(float, found.user)), list(map(float, found.assistant)))
        assert max(gains) <= 1e-9 * max(np.abs(user).max(), np.abs(assistant).max())
    assert time.perf_counter() - started < 20.0


# -- checks ------------------------------------------------------------------------------------------------------------


def test_equilibrium__is_refused_when_it_is_none() -> None:
    """What the solver hands out has passed a check of its own, in integers."""
    user, assistant = (np.array(side, dtype=float) for side in game_oracle.matrices("prisoner_dilemma"))
    integers = to_integers(user), to_integers(assistant)
    with pytest.raises(SolverError, match="gains by deviating"):
        checked_equilibrium(user, assistant, integers, ((1, 0), (1, 0)))


def test_equilibrium__of_floats_is_checked_against_the_given_payoffs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rounded payoffs may not hide a gain: with no tolerance at all, rounding itself is too much."""
    monkeypatch.setattr(equilibrium, "TOLERANCE", -1.0)
    with pytest.raises(SolverError, match="by deviating, where at most"):
        extreme_equilibria([[0.1, 0.7, 0.1]], [[0.3, 0.1 + 0.2, 0.2]])


def test_deviation_gains__of_uniform_play_in_a_dilemma() -> None:
    """Cooperating half of the time in 5/0/10/1 costs each player 1.5 against defecting always: 5.5 − 4."""
    user = np.array([[5.0, 0.0], [10.0, 1.0]])
    assert deviation_gains(user, user.T, (0.5, 0.5), (0.5, 0.5)) == (1.5, 1.5)


@pytest.mark.parametrize(
    ("user", "assistant", "message"),
    [
        ([[1, 2], [3]], [[1, 2], [3, 4]], "rows of numbers of one length"),
        ([], [], "at least one cell"),
        ([[1, 2]], [[1], [2]], "of one shape"),
        ([[1, float("nan")]], [[1, 2]], "finite"),
        ([[1, float("inf")]], [[1, 2]], "finite"),
        ([["a"]], [[1]], "rows of numbers"),
        (np.zeros((2, 2, 2)), np.zeros((2, 2, 2)), "two matrices"),
    ],
)
def test_nash__refuses_what_is_no_game(user: Any, assistant: Any, message: str) -> None:
    """Each mistake has its sentence."""
    for question in (extreme_equilibria, find_equilibrium, Bimatrix):
        with pytest.raises(UsageError, match=message):
            question(user, assistant)


@given(small_games())
def test_nash__never_returns_the_payoff_of_nobody(game: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    """Payoffs lie between the least and the largest cell, and the strategies are distributions."""
    user, assistant = game
    assume(user.size > 1)
    for each in extreme_equilibria(user, assistant):
        assert sum(each.user) == 1 == sum(each.assistant)
        assert user.min() <= each.user_payoff <= user.max()
        assert assistant.min() <= each.assistant_payoff <= assistant.max()
