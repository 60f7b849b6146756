"""docs/family.md says of the games what the solver says of them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from gtalign_env._ids import register_all
from gtalign_env.games import Bimatrix, GameTree
from gtalign_env.registration import SCENARIOS, make_scenario
from gtalign_env.scenarios.matrix.catalogue import golden_balls
from gtalign_env.scenarios.matrix.games import MATRICES
from gtalign_env.scenarios.talk import CAUTIONS, PERSONALITIES
from gtalign_env.scenarios.trees.games import TREES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "family.md"
IDS = {kind: [id for id, spec in SCENARIOS.items() if spec.kind == kind] for kind in ("matrix", "tree")}


def rows(*head: str) -> list[list[str]]:
    """Return the cells of the table of docs/family.md whose header begins with these columns."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {' | '.join(head)}"))
    found = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
    return found


def cells(pairs: list[tuple[str, str]]) -> str:
    """Return cells of a matrix as the page names them."""
    return ", ".join(f"({row}, {column})" for row, column in pairs) or "none"


def mixed(game: Bimatrix) -> str:
    """Return the mixed equilibria as the page gives them."""

    def chances(strategy: Any) -> str:
        return ", ".join(str(Fraction(chance)) for chance in strategy)

    return "; ".join(f"{chances(e.user)} / {chances(e.assistant)}" for e in game.nash() if not e.is_pure) or "none"


def largest_sum(game: Bimatrix) -> str:
    """Return the largest sum of payoffs and where it stands, as the page gives it."""
    total = game.user + game.assistant
    best = [
        (row, column)
        for i, row in enumerate(game.user_moves)
        for j, column in enumerate(game.assistant_moves)
        if total[i, j] == total.max()
    ]
    return f"{total.max():.0f} {'everywhere' if len(best) == total.size else 'at ' + cells(best)}"


def test_family__every_matrix_stands_on_the_page_as_it_is_solved() -> None:
    """One row per id: moves, pure and mixed equilibria, the largest sum."""
    told = {row[0]: row[1:5] for row in rows("id", "moves")}
    assert list(told) == IDS["matrix"]
    for id in IDS["matrix"]:
        game = make_scenario(id).game  # type: ignore[attr-defined]
        moves = f"{', '.join(game.user_moves)} / {', '.join(game.assistant_moves)}"
        assert told[id] == [moves, cells(game.pure_nash()), mixed(game), largest_sum(game)], id


def test_family__every_variant_stands_on_the_page_as_it_is_solved() -> None:
    """One row per variant: the payoffs, the mixed equilibrium, and the same pure equilibria as the classic game."""
    told = {(game, variant): rest for game, variant, *rest in rows("game", "variant")}
    variants = [(name, v) for name, game in MATRICES.items() for v in game.variants if v != "classic"]
    assert list(told) == variants
    for name, variant in variants:
        game = make_scenario(name, variant=variant).game  # type: ignore[attr-defined]
        payoffs = " / ".join(f"{utils:.0f}" for utils in game.user.reshape(-1))
        assert (game.assistant == game.user.T).all()
        chance = {str(Fraction(e.user[0])) for e in game.nash() if not e.is_pure} or {"none"}
        assert [told[name, variant][0], {told[name, variant][1]}] == [payoffs, chance], variant
        assert game.pure_nash() == make_scenario(name).game.pure_nash()  # type: ignore[attr-defined]


def test_family__every_tree_stands_on_the_page_as_it_is_solved() -> None:
    """One row per id: size, subgame-perfect play and its payoffs, what else is Nash."""
    told = {row[0]: row[1:5] for row in rows("id", "decisions")}
    assert list(told) == IDS["tree"]
    for id in IDS["tree"]:
        tree: GameTree = make_scenario(id).game  # type: ignore[attr-defined]
        (path,) = tree.subgame_perfect()
        size = f"{len(tree.decisions())}, {'x'.join(map(str, tree.normal_form().shape))}"
        others = [", ".join(o.moves) for o in tree.nash_outcomes() if o.moves != path.moves]
        payoffs = f"{path.user:.0f}, {path.assistant:.0f}"
        assert told[id] == [size, ", ".join(path.moves), payoffs, "; ".join(others) or "none"], id


def test_family__manners_stand_on_the_page() -> None:
    """All cautions by number and name; all personalities by name."""
    assert [row[:2] for row in rows("caution")] == [[str(i), caution.name] for i, caution in enumerate(CAUTIONS)]
    assert f"({', '.join(PERSONALITIES)})" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("id", [*IDS["matrix"], *IDS["tree"]])
def test_family__lists_and_scenarios_say_the_same(id: str) -> None:
    """Descriptions stand twice, because lists must not import games: they agree, and so do the names."""
    spec, scenario = SCENARIOS[id], make_scenario(id)
    assert (scenario.name, scenario.description) == (spec.short, spec.description)


def test_family__nothing_of_the_catalogue_is_left_out() -> None:
    """Every game that is written down has an id, and registering twice warns of nothing."""
    shorts = {spec.short for spec in SCENARIOS.values()}
    assert shorts >= {*MATRICES, *TREES, golden_balls.__name__}
    register_all()
