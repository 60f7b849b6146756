"""Figures of games in payoff space."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gtalign_env.cli import main
from gtalign_env.errors import MissingExtraError, UsageError
from gtalign_env.games import Bimatrix, Decision, GameTree, Leaf
from gtalign_env.games.division import Division
from gtalign_env.games.screening import ScreeningGame
from gtalign_env.games.signalling import SignallingGame
from gtalign_env.plots import check_suffix, payoff_figure, save_figure
from gtalign_env.solution import PayoffSpace, Point, solve
from gtalign_env.solution.space import merged

pytest.importorskip("matplotlib", reason="the extra 'plots' is not installed")


def bimatrix(
    user: Any, assistant: Any, user_moves: Sequence[str] = (), assistant_moves: Sequence[str] = ()
) -> Bimatrix:
    """Return the game of anything that can be read as matrices."""
    return Bimatrix(np.array(user), np.array(assistant), tuple(user_moves), tuple(assistant_moves))


def menus(prior: Any, user: Any, assistant: Any, *names: tuple[str, ...]) -> ScreeningGame:
    """Return the screening game of anything that can be read as arrays."""
    return ScreeningGame(np.array(prior), np.array(user), np.array(assistant), *names)


PAPER = bimatrix([[1, 4, 1], [0, 3, 2]], [[1, 0, 0], [1, 3, 1]], ("VQ", "DQ"), ("DA", "AQ", "CQ"))
SEXES = bimatrix([[2, 0], [0, 1]], [[1, 0], [0, 2]], ("opera", "football"), ("opera", "football"))


def drawn(figure: Any, label: str) -> list[tuple[float, float]]:
    """Return the points of the layer with this label in the legend."""
    (axes,) = figure.axes
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return [(float(x), float(y)) for x, y in line.get_xydata()]


def names(figure: Any) -> list[str]:
    """Return the names that stand beside points."""
    return [text.get_text() for text in figure.axes[0].texts]


def test_payoff_figure__shows_what_is_known_of_the_papers_game() -> None:
    """Every layer holds the points that belong to it, by hand."""
    figure = payoff_figure(solve(PAPER).payoff_space(), title="the game · of the paper")
    assert drawn(figure, "disagreement") == [(0, 0)]
    assert drawn(figure, "Nash equilibrium") == [(1, 1)]
    assert sorted(drawn(figure, "Pareto-optimal")) == [(3, 3), (4, 0)]
    assert sorted(drawn(figure, "cell")) == [(0, 1), (1, 0), (1, 1), (2, 1)]
    assert drawn(figure, "welfare optimum") == [(3, 3)]
    assert drawn(figure, "criterion's choice") == [(3, 3)]
    assert drawn(figure, "bargaining: nash, kalai–smorodinsky, egalitarian, utilitarian") == [(3, 3)]
    (on_hull,) = drawn(figure, "bargaining with chance: kalai–smorodinsky")
    assert on_hull[1] / on_hull[0] == pytest.approx(3 / 4)  # both get the same share of the ideal point (4, 3)
    assert sorted(names(figure)) == sorted(f"{u}_{a}" for u in PAPER.user_moves for a in PAPER.assistant_moves)
    (hull,) = figure.axes[0].patches
    corners = set(map(tuple, np.asarray(hull.get_path().vertices).tolist()))
    assert corners == {(0, 1), (1, 0), (4, 0), (3, 3)}
    assert figure.axes[0].get_title(loc="left") == "of the paper"


def test_payoff_figure__the_contour_runs_through_the_optimum() -> None:
    """On the dashed line the mutual welfare is that of the optimum: U·L = 9."""
    figure = payoff_figure(solve(PAPER).payoff_space())
    (contour,) = figure.axes[0].collections
    points = np.concatenate([path.vertices for path in contour.get_paths()])
    gaining = points[(points > 0.5).all(axis=1)]
    assert len(gaining) > 10
    assert np.allclose(gaining.prod(axis=1), 9.0, rtol=1e-3)


def test_payoff_figure__mixed_equilibria_and_lotteries() -> None:
    """The mixed equilibrium of the battle of the sexes is a point of its own, and so are agreements left to chance."""
    figure = payoff_figure(solve(SEXES, criterion="maximin").payoff_space())
    assert drawn(figure, "mixed equilibrium") == [pytest.approx((2 / 3, 2 / 3))]
    assert drawn(figure, "criterion's choice") == [pytest.approx((2 / 3, 2 / 3), abs=1e-6)]
    labels = [str(line.get_label()) for line in figure.axes[0].lines]
    (both,) = [label for label in labels if label.startswith("bargaining with chance: nash")]
    assert drawn(figure, both) == [pytest.approx((1.5, 1.5))]
    (cells,) = [label for label in labels if label.startswith("bargaining: nash")]
    assert sorted(drawn(figure, cells)) == [(1, 2), (2, 1)]


@pytest.mark.parametrize(
    ("game", "outcomes", "nash"),
    [
        (Division((1, 1, 3), (1, 3, 2), (1, 0, 3)), "allocation (the user's share)", None),
        (GameTree(Decision("user", {"stop": Leaf(0, 0), "go": Leaf(1, 1)})), "leaf", "subgame-perfect"),
        (
            SignallingGame.cheap_talk([0.5, 0.5], np.eye(2), np.eye(2), ("a", "b")),
            "pair of plans",
            "perfect Bayesian equilibrium",
        ),
        (
            menus([0.5, 0.5], [[1, -1], [1, 2]], [[1, 2], [1, 2]], ("low", "high"), ("basic", "pro")),
            "menu",
            "what the provider posts",
        ),
    ],
    ids=["division", "tree", "signalling", "screening"],
)
def test_payoff_figure__other_games_in_their_own_words(game: Any, outcomes: str, nash: str | None) -> None:
    """Points are called what they are."""
    figure = payoff_figure(solve(game).payoff_space())
    assert drawn(figure, outcomes)
    labels = [line.get_label() for line in figure.axes[0].lines]
    assert nash is None or nash in labels


def test_payoff_figure__degenerate_games() -> None:
    """One cell, cells in a line, many cells, and a welfare without a line: no warning, nothing missing."""
    single = payoff_figure(solve(bimatrix([[1.0]], [[1.0]], ("ask",), ("tell",))).payoff_space())
    assert names(single) == ["ask_tell"]
    line = payoff_figure(solve(bimatrix([[0, 1, 2]], [[0, 1, 2]])).payoff_space())
    assert len(names(line)) == 3
    many = bimatrix(np.arange(64.0).reshape(8, 8), -np.arange(64.0).reshape(8, 8))
    crowded = payoff_figure(solve(many).payoff_space())
    assert 0 < len(names(crowded)) < 64
    flat = PayoffSpace(cells=(Point(name="a" * 60, user=0, assistant=0, marks=("optimum",)),), welfare="utilitarian")
    assert names(payoff_figure(flat))[0].endswith("…")
    bare = PayoffSpace(cells=(Point(name="a", user=0, assistant=0), Point(name="b", user=0, assistant=0)))
    assert names(payoff_figure(bare)) == ["a, b"]


def test_merged__joins_marks_in_order() -> None:
    """Points of equal payoffs become one with the marks of both, each once."""
    points = (
        Point(name="a", user=1, assistant=2, marks=("nash", "pareto")),
        Point(name="b", user=0, assistant=0),
        Point(name="c", user=1 + 1e-12, assistant=2, marks=("pareto", "optimum")),
    )
    assert [(point.name, point.marks) for point in merged(points)] == [
        ("a, c", ("nash", "pareto", "optimum")),
        ("b", ()),
    ]


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".SVG", b"<?xml")])
def test_save_figure__writes_the_same_bytes_again(suffix: str, magic: bytes, tmp_path: Path) -> None:
    """Both kinds are what they say, are reproducible to the byte, and leave nothing else behind."""
    files = [tmp_path / f"{name}{suffix}" for name in ("one", "two")]
    for file in files:
        save_figure(payoff_figure(solve(PAPER).payoff_space(), title="the game"), file)
    one, two = (file.read_bytes() for file in files)
    assert one.startswith(magic)
    assert one == two
    assert sorted(tmp_path.iterdir()) == files
    assert b"dc:date" not in one


def test_save_figure__leaves_an_old_file_alone_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure that cannot be written does not destroy the one before it."""
    file = tmp_path / "game.svg"
    file.write_text("before")
    figure = payoff_figure(solve(PAPER).payoff_space())

    def broken(path: Path, **_: object) -> None:
        path.write_text("half a fig")
        raise OSError("disk full")

    monkeypatch.setattr(figure, "savefig", broken)
    with pytest.raises(OSError, match="disk full"):
        save_figure(figure, file)
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_check_suffix__refuses_what_is_no_picture(tmp_path: Path) -> None:
    """Other endings, folders and folders that are missing."""
    (tmp_path / "folder.png").mkdir()
    for name in ("game.pdf", "game", "game.svgz"):
        with pytest.raises(UsageError, match=r"ends in \.png or \.svg"):
            check_suffix(tmp_path / name)
    for name in ("folder.png", "missing/game.png"):
        with pytest.raises(UsageError, match="expected a file in a folder that exists"):
            check_suffix(tmp_path / name)


def test_plot__from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--plot`` writes the figure and says where, also beside JSON."""
    file = tmp_path / "game.svg"
    assert main(["solve", "matrix", "--plot", str(file)]) == 0
    assert str(file) in "".join(capsys.readouterr().out.split())
    assert file.read_bytes().startswith(b"<?xml")
    assert main(["solve", "assist", "--plot", str(tmp_path / "a.png"), "--json"]) == 0
    assert f'"plot": "{tmp_path / "a.png"}"' in capsys.readouterr().out


def test_plot__without_matplotlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The missing extra is named in one sentence with its cure, and nothing is written."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gtalign-env\[plots\]'"):
        payoff_figure(solve(PAPER).payoff_space())
    assert main(["solve", "matrix", "--plot", str(tmp_path / "game.png")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "gtalign: drawing a figure needs the package 'matplotlib': pip install 'gtalign-env[plots]'\n"
    assert list(tmp_path.iterdir()) == []


def test_payoff_figure__names_the_contour_of_a_game_in_which_somebody_loses() -> None:
    """No cell leaves both with a gain: then the dashed line joins equal losses of the worse-off side."""
    figure = payoff_figure(solve(bimatrix([[-1, 2]], [[2, -2]])).payoff_space())
    labels = [line.get_label() for line in figure.axes[0].lines]
    assert "equal loss of the worse-off side" in labels
    assert "equal cobb–douglas welfare" in [
        line.get_label() for line in payoff_figure(solve(PAPER).payoff_space()).axes[0].lines
    ]


def test_payoff_figure__names_only_what_is_marked_among_many_cells() -> None:
    """Of 5 × 5 cells the two that matter are named, with a halo that keeps them readable on lines."""
    payoffs = np.zeros((5, 5))
    payoffs[1, 1] = 3.0
    payoffs += np.arange(25).reshape(5, 5) / 100
    figure = payoff_figure(solve(bimatrix(payoffs, payoffs)).payoff_space())
    assert set(names(figure)) <= {"2_2", "5_5"}
    assert all(text.get_path_effects() for text in figure.axes[0].texts)
