"""Iterated dominance: known games, other orders, mixtures against best responses, and the log."""

from __future__ import annotations

from typing import Any

import game_oracle
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.games import Bimatrix, Dominance
from gtalign_env.games.dominance import iterated_dominance
from gtalign_env.games.vertices import envelope_vertices


@st.composite
def games(draw: st.DrawFn) -> Bimatrix:
    """Draw a game of one to four moves each with many ties."""
    m, n = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    cells = st.lists(st.integers(0, 3), min_size=m * n, max_size=m * n)
    return Bimatrix(np.array(draw(cells)).reshape(m, n), np.array(draw(cells)).reshape(m, n))


def places(found: Dominance) -> tuple[list[int], list[int]]:
    """Return the indices of the moves that are left, of a game whose moves have no names."""
    return [int(name) - 1 for name in found.user_moves], [int(name) - 1 for name in found.assistant_moves]


def short(found: Dominance) -> list[str]:
    """Return the log in the shorthand of the literature: A3 is the user's third move, B1 the assistant's first."""
    return [("A" if removal.role == "user" else "B") + removal.move for removal in found.log]


@pytest.mark.parametrize(
    ("name", "user", "assistant", "removed"),
    [
        ("prisoner_dilemma", ["2"], ["2"], "A1 B1"),
        ("duopoly", ["3"], ["3"], "A5 A6 B1 A4 B2 B5 B6 A1 B4 A2"),
        ("iesds", ["2"], ["2"], "B3 A3 B1 A1"),
        ("imbalanced_actions", ["2"], ["1"], "A3 B3 A1 B2 B4"),
        ("weakly_dominated", ["1", "2", "3"], ["1", "2"], ""),
        ("stag_hunt", ["1", "2"], ["1", "2"], ""),
        ("radio_station", ["1", "2"], ["1", "2"], "A3 B3"),
    ],
)
def test_dominance__strict_leaves_what_the_literature_leaves(
    name: str, user: list[str], assistant: list[str], removed: str
) -> None:
    """The published orders differ from ours, and the same moves go."""
    found = Bimatrix(*game_oracle.matrices(name)).dominance()
    assert (list(found.user_moves), list(found.assistant_moves)) == (user, assistant)
    assert sorted(short(found)) == sorted(removed.split())


def test_dominance__log_goes_by_rounds_user_first() -> None:
    """All that was dominated when a round began goes in it; each removal names what beats it and is still there.

    Of the 3×3 game: column 3 (3, 2, −1) loses to column 2 (4, 3, 8); then row 3 (−1, 2) to row 2 (4, 3); then column 1
    (3, 1) to column 2 (4, 3); then row 1 (1) to row 2 (3).
    """
    found = Bimatrix(*game_oracle.matrices("iesds")).dominance()
    assert [(removal.role, removal.move, removal.by, removal.round) for removal in found.log] == [
        ("assistant", "3", "2", 1),
        ("user", "3", "2", 2),
        ("assistant", "1", "2", 3),
        ("user", "1", "2", 4),
    ]
    both = Bimatrix(*game_oracle.matrices("prisoner_dilemma"), ("C", "D"), ("c", "d")).dominance()
    assert [(removal.move, removal.by, removal.round) for removal in both.log] == [("C", "D", 1), ("c", "d", 1)]


def test_dominance__weak_removes_all_at_once() -> None:
    """Golden Balls: splitting is weakly dominated for both. Row 3 of the 3×2 game beats rows 1 and 2, and then nothing moves."""
    balls = Bimatrix(*game_oracle.matrices("golden_balls"), ("split", "steal"), ("split", "steal"))
    assert balls.dominance().log == ()
    assert balls.dominance("weak").user_moves == ("steal",) == balls.dominance("weak").assistant_moves
    found = Bimatrix(*game_oracle.matrices("weakly_dominated")).dominance("weak")
    assert (found.user_moves, found.assistant_moves) == (("3",), ("1", "2"))
    assert [(removal.move, removal.by, removal.kind) for removal in found.log] == [
        ("1", "3", "weak"),
        ("2", "3", "weak"),
    ]


def test_dominance__names_a_dominator_that_is_left() -> None:
    """In a chain each move loses to the next; all are said to lose to the last."""
    found = iterated_dominance([[0], [1], [2]], [[0], [0], [0]])
    assert [(removal.move, removal.by, removal.round) for removal in found.log] == [("1", "3", 1), ("2", "3", 1)]


def test_dominance__by_mixtures_only_when_asked() -> None:
    """1 for sure loses to 3 half of the time; only the mixture shows it, and only strictly more than half counts as strict."""
    user, assistant = np.array([[3, 0], [0, 3], [1, 1]]), np.zeros((3, 2))
    assert iterated_dominance(user, assistant).log == ()
    (removal,) = iterated_dominance(user, assistant, mixed=True).log
    assert removal.by == pytest.approx({"1": 0.5, "2": 0.5})
    edge = np.array([[2, 0], [0, 2], [1, 1]])
    assert iterated_dominance(edge, assistant, mixed=True).log == ()
    assert iterated_dominance(edge, assistant, kind="weak", mixed=True).log == ()


def test_dominance__weakly_by_a_mixture() -> None:
    """Half and half yields (1, 1, 2) against (1, 1, 1): never worse, once better; no single row does that."""
    user = np.array([[2, 0, 2], [0, 2, 2], [1, 1, 1]])
    assert iterated_dominance(user, np.zeros((3, 3)), mixed=True).log == ()
    (removal,) = iterated_dominance(user, np.zeros((3, 3)), kind="weak", mixed=True).log
    assert removal.move == "3"
    assert removal.by == pytest.approx({"1": 0.5, "2": 0.5})


def test_dominance__does_not_see_what_rounding_made() -> None:
    """0.1 + 0.2 is no better than 0.3."""
    assert iterated_dominance([[0.1 + 0.2], [0.3]], [[0.0], [0.0]], kind="weak").log == ()
    assert iterated_dominance([[0.1 + 0.2], [0.3]], [[0.0], [0.0]]).log == ()


@given(games(), st.randoms(use_true_random=False))
def test_dominance__strict_leaves_the_same_in_any_order(game: Bimatrix, shuffler: Any) -> None:
    """One at a time, drawn at random, until nothing is dominated."""
    left = [list(range(game.shape[0])), list(range(game.shape[1]))]
    payoffs = game.user, game.assistant.T

    def dominated(side: int) -> list[int]:
        mine = payoffs[side][:, left[1 - side]]
        return [i for i in left[side] if any((mine[k] > mine[i]).all() for k in left[side])]

    while choices := [(side, move) for side in (0, 1) for move in dominated(side)]:
        side, move = shuffler.choice(choices)
        left[side].remove(move)
    assert places(game.dominance()) == (left[0], left[1])


@given(games())
def test_dominance__weak_leaves_what_a_slow_definition_leaves(game: Bimatrix) -> None:
    """Round by round: gone is each move that another is never worse and once better than."""
    rows, columns = list(range(game.shape[0])), list(range(game.shape[1]))
    while True:
        kept_rows = _weakly_undominated(game.user, rows, columns)
        kept_columns = _weakly_undominated(game.assistant.T, columns, rows)
        if (kept_rows, kept_columns) == (rows, columns):
            break
        rows, columns = kept_rows, kept_columns
    assert places(game.dominance("weak")) == (rows, columns)


@given(games())
def test_dominance__by_mixtures_leaves_what_is_sometimes_best(game: Bimatrix) -> None:
    """A move is strictly dominated by a mixture just if it is a best response to no mixture of the other (Pearce 1984)."""
    rows, columns = list(range(game.shape[0])), list(range(game.shape[1]))
    while True:
        kept_rows = _sometimes_best(game.user, rows, columns)
        kept_columns = _sometimes_best(game.assistant.T, columns, rows)
        if (kept_rows, kept_columns) == (rows, columns):
            break
        rows, columns = kept_rows, kept_columns
    found = game.dominance(mixed=True)
    assert places(found) == (rows, columns)
    for removal in found.log:
        if isinstance(removal.by, dict):
            assert sum(removal.by.values()) == pytest.approx(1.0)


@given(games(), st.sampled_from(["strict", "weak"]))
def test_dominance__mixtures_remove_no_less(game: Bimatrix, kind: Any) -> None:
    """Strictly by mixtures removes all that pure moves do; somebody is always left, and every dominator beats what it should."""
    mixed = game.dominance(kind, mixed=True)
    assert mixed.user_moves
    assert mixed.assistant_moves
    if kind == "strict":
        assert set(mixed.user_moves) <= set(game.dominance().user_moves)
    for removal in mixed.log:
        if removal.round == 1:
            payoffs = game.user if removal.role == "user" else game.assistant.T
            shares = removal.by if isinstance(removal.by, dict) else {removal.by: 1.0}
            gain = sum(share * payoffs[int(by) - 1] for by, share in shares.items()) - payoffs[int(removal.move) - 1]
            assert gain.min() > 0.0 if kind == "strict" else gain.min() >= -1e-9 < gain.max()


def test_dominance__refuses_other_kinds_and_wrong_names() -> None:
    """What is accepted stands in the message."""
    with pytest.raises(UnknownNameError, match="unknown kind of dominance 'strickt': did you mean 'strict'"):
        iterated_dominance([[1]], [[1]], kind="strickt")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="expected 1 different names of rows"):
        iterated_dominance([[1]], [[1]], ("a", "b"))


def _weakly_undominated(payoffs: NDArray[np.float64], own: list[int], others: list[int]) -> list[int]:
    mine = payoffs[:, others]
    return [i for i in own if not any((mine[k] >= mine[i]).all() and (mine[k] > mine[i]).any() for k in own)]


def _sometimes_best(payoffs: NDArray[np.float64], own: list[int], others: list[int]) -> list[int]:
    cells = [[int(payoffs[i, j]) for j in others] for i in own]
    labels = 0
    for vertex in envelope_vertices(cells):
        labels |= vertex.labels >> len(others)
    return [move for place, move in enumerate(own) if labels >> place & 1]
