"""Dividing items: every allocation, what is fair, and the space of all games of deal-or-no-deal."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.errors import UsageError
from gtalign_env.games.division import Division, all_shares, offer_name, offer_words, read_offer, share_words
from gtalign_env.games.division_space import all_divisions, count_vectors, is_regular, select_divisions, valuations

EXAMPLE = Division((1, 1, 3), (1, 3, 2), (1, 0, 3))
"""The worked example of the facts: all items are worth 10 to either side."""
SPACE = all_divisions()
games = st.sampled_from(SPACE)


def worth(share: Any, values: Any) -> int:
    """Return the worth of a share, item by item."""
    return sum(count * value for count, value in zip(share, values, strict=True))


def by_hand(game: Division) -> list[tuple[tuple[int, ...], int, int, bool]]:
    """Return all allocations as (user's share, both utilities, envy-free), straight from the definitions."""
    found = []
    for share in itertools.product(*(range(count + 1) for count in game.counts)):
        rest = tuple(count - own for count, own in zip(game.counts, share, strict=True))
        user, assistant = worth(share, game.user_values), worth(rest, game.assistant_values)
        fair = user >= worth(rest, game.user_values) and assistant >= worth(share, game.assistant_values)
        found.append((share, user, assistant, fair))
    return found


# -- one game -------------------------------------------------------------------------------------------------------------


def test_division__worked_example() -> None:
    """Counts (1, 1, 3), values (1, 3, 2) and (1, 0, 3): two envy-free allocations, both Pareto-optimal with total 12."""
    fair = EXAMPLE.allocations[EXAMPLE.envy_free].tolist()
    assert fair == [[0, 1, 1], [1, 1, 1]]
    assert EXAMPLE.utilities[EXAMPLE.envy_free].tolist() == [[5, 7], [6, 6]]
    assert EXAMPLE.pareto[EXAMPLE.envy_free].all()
    assert EXAMPLE.best() == (0, 1, 1)  # both totals are 12: the first in lexicographic order
    assert (EXAMPLE.total, EXAMPLE.difficulty) == (10, -4)
    assert (EXAMPLE.values("user"), EXAMPLE.values("assistant")) == ((1, 3, 2), (1, 0, 3))


@given(games)
def test_division__masks_follow_the_definitions(game: Division) -> None:
    """Envy-freeness and Pareto-optimality agree with brute force over complete partitions, and so does the best."""
    rows = by_hand(game)
    assert [tuple(share) for share in game.allocations.tolist()] == [row[0] for row in rows]
    assert game.utilities.tolist() == [[row[1], row[2]] for row in rows]
    assert game.envy_free.tolist() == [row[3] for row in rows]
    undominated = [
        not any(u >= user and a >= assistant and (u, a) != (user, assistant) for _, u, a, _ in rows)
        for _, user, assistant, _ in rows
    ]
    assert game.pareto.tolist() == undominated
    both = [row for row, efficient in zip(rows, undominated, strict=True) if row[3] and efficient]
    assert game.best() == (max(both, key=lambda row: row[1] + row[2])[0] if both else None)  # max keeps the first


@given(games, st.data())
def test_division__shares_and_rests_are_each_others_complement(game: Division, data: st.DataObject) -> None:
    """A share, its index and what is left fit together."""
    index = data.draw(st.integers(0, len(game.allocations) - 1))
    share = game.share(index)
    assert game.index(share) == index
    assert tuple(np.add(share, game.rest(share))) == game.counts
    assert game.rest(game.rest(share)) == share


@given(games, st.data())
def test_division__settles_what_both_say(game: Division, data: st.DataObject) -> None:
    """Two shares are a deal when they fit into the items; with leftovers it is neither envy-free nor Pareto-optimal."""
    shares = st.integers(0, len(game.allocations) - 1).map(game.share)
    user, assistant = data.draw(shares), data.draw(shares)
    deal = game.settle(user, assistant)
    taken = np.add(user, assistant)
    assert deal.agreed == bool((taken <= game.counts).all())
    if not deal.agreed:
        assert deal == (0, 0, False, False, False)
        return
    assert (deal.user, deal.assistant) == (worth(user, game.user_values), worth(assistant, game.assistant_values))
    complete = tuple(taken) == game.counts
    at = game.index(user)
    assert deal.envy_free == (complete and bool(game.envy_free[at]))
    assert deal.pareto == (complete and bool(game.pareto[at]))


def test_division__cells_are_the_allocations() -> None:
    """As a bimatrix of one row, its Pareto cells are the Pareto-optimal allocations, by the user's offer."""
    cells = EXAMPLE.as_bimatrix()
    expected = [("divide", offer_name(share)) for share in EXAMPLE.allocations[EXAMPLE.pareto].tolist()]
    assert cells.pareto() == expected
    assert cells.shape == (1, 16)


def test_division__no_fair_allocation_has_no_best() -> None:
    """One item that both want is fair to nobody who goes without it."""
    game = Division((1,), (10,), (10,))
    assert not game.envy_free.any()
    assert game.best() is None


def test_division__arrays_are_read_only() -> None:
    """What is cached cannot be written on, and equal games are equal and hash alike."""
    for array in (EXAMPLE.allocations, EXAMPLE.utilities, EXAMPLE.envy_free, EXAMPLE.pareto):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    same = Division([1, 1, 3], np.array([1, 3, 2]), (1, 0, 3))  # type: ignore[arg-type]
    assert same == EXAMPLE
    assert hash(same) == hash(EXAMPLE)


@pytest.mark.parametrize(
    ("counts", "user", "assistant", "message"),
    [
        ((1, 1), (5, 5), (5, 5, 0), "same kinds"),
        ((1, 0), (10, 0), (10, 0), "counts to be whole numbers >= 1"),
        ((1, 1), (11, -1), (5, 5), "user_values to be whole numbers >= 0"),
        ((1, 1), (5.0, 5), (5, 5), "user_values to be whole"),
        ((1, 1), (True, 9), (5, 5), "user_values to be whole"),
        ((1, 1), (5, 5), "55", "assistant_values to be whole"),
        ((1, 1), (5, 5), None, "assistant_values to be whole"),
        ((), (), (), "counts to be whole"),
        ((1, 1), (5, 5), (5, 6), "10 to the user and 11 to the assistant"),
        ((1, 1), (0, 0), (0, 0), "more than 0"),
        ((400, 400), (1, 1), (1, 1), "at most 100,000 allocations"),
    ],
)
def test_division__refuses_what_is_no_division(counts: Any, user: Any, assistant: Any, message: str) -> None:
    """A clear error says what was expected and what came."""
    with pytest.raises(UsageError, match=message):
        Division(counts, user, assistant)


@pytest.mark.parametrize("share", [(0, 1), (2, 0, 0), (-1, 0, 0), (0, 0, 0.5), "011", None])
def test_division__refuses_what_is_no_share(share: Any) -> None:
    """A share has as many kinds as the items, and not more of any."""
    with pytest.raises(UsageError, match="share"):
        EXAMPLE.index(share)


def test_offers__names_and_words() -> None:
    """Names of offers are read back, and words leave out what is not kept."""
    for share in all_shares((2, 1, 4)).tolist():
        assert read_offer(offer_name(share)) == tuple(share)
    assert [read_offer(name) for name in ("KEEP", "KEEP_", "KEEP_a", "keep_1", "KEEP_1_2_", "HALT")] == [None] * 6
    assert share_words((2, 1, 1)) == "2 books, 1 hat and 1 ball"
    assert share_words((0, 0, 0)) == "nothing"
    assert [offer_words(name) for name in ("KEEP_0_1_0", "KEEP_1", "KEEP_1_2", "WAIT")] == [
        "1 hat",
        "1 slice",
        "1, 2",
        "",
    ]


# -- the space ------------------------------------------------------------------------------------------------------------


def test_space__has_the_published_sizes() -> None:
    """28 count vectors, so many valuations for each, and 5,295 games, each once."""
    counts = count_vectors()
    assert len(counts) == 28
    sizes = Counter(len(valuations(vector)) for vector in counts)
    assert sizes == {9: 3, 10: 3, 12: 6, 14: 6, 21: 7, 26: 3}
    assert len(SPACE) == len(set(SPACE)) == 5295


def test_space__keeps_its_constraints() -> None:
    """Five to seven items, one to four of a kind, 10 to either side, every kind wanted by somebody, some kind by both."""
    for game in SPACE:
        assert sum(game.counts) in (5, 6, 7)
        assert all(1 <= count <= 4 for count in game.counts)
        assert worth(game.counts, game.user_values) == worth(game.counts, game.assistant_values) == 10
        pairs = list(zip(game.user_values, game.assistant_values, strict=True))
        assert all(user or assistant for user, assistant in pairs)
        assert any(user and assistant for user, assistant in pairs)
    assert not is_regular(Division((2, 2, 1), (5, 0, 0), (5, 0, 0)))  # nobody wants the hats


def test_valuations__are_all_that_fit() -> None:
    """Every tuple of values whose total is 10 is there, in lexicographic order; the array is shared and read-only."""
    expected = [list(v) for v in itertools.product(range(11), repeat=3) if worth((1, 1, 3), v) == 10]
    assert valuations((1, 1, 3)).tolist() == expected
    assert len(expected) == 26
    with pytest.raises(ValueError, match="read-only"):
        valuations((1, 1, 3))[0] = 0
    for counts, total in (((), 10), ((0, 1), 10), ((1, 1), -1)):
        with pytest.raises(UsageError, match="valuations"):
            valuations(counts, total)


def hard(game: Division) -> bool:
    """Return whether the study's rule keeps a game, written down once more from the facts."""
    if all(count % 2 == 0 for count in game.counts):
        return False
    tops = []
    for values in (game.user_values, game.assistant_values):
        top = int(np.argmax(values))
        others = sum(c * v for k, (c, v) in enumerate(zip(game.counts, values, strict=True)) if k != top)
        tops.append((top, others >= max(values)))
    if tops[0][0] == tops[1][0] and tops[0][1] and tops[1][1]:
        return False
    return sum(abs(u - a) for u, a in zip(game.user_values, game.assistant_values, strict=True)) <= 4


def test_selection__keeps_the_hard_games() -> None:
    """The two-stage rule agrees with one written anew, on the whole space."""
    assert list(select_divisions(SPACE)) == [game for game in SPACE if hard(game)]


def test_selection__keeps_order_drops_repeats_and_takes_a_distance() -> None:
    """A seeded sample comes out in its own order, each game once; a smaller distance keeps fewer."""
    sample = [SPACE[i] for i in np.random.default_rng(0).integers(len(SPACE), size=400)]
    chosen = select_divisions([*sample, *sample])
    assert list(chosen) == [game for game in dict.fromkeys(sample) if hard(game)]
    near = select_divisions(sample, distance=2)
    assert set(near) == {game for game in chosen if -game.difficulty <= 2}
    assert 0 < len(near) < len(chosen)
