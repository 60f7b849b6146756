"""``gtalign solve``: what it prints, its JSON, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len

from gtalign_env.cli import main
from gtalign_env.cli.solve import VIEWS, read_pricings, read_state
from gtalign_env.cli.solve_matrix import matrix_solution_lines
from gtalign_env.cli.solve_words import fact_lines, mixture, play, span, utils
from gtalign_env.errors import UsageError
from gtalign_env.games import Bimatrix, Decision, GameTree, Leaf
from gtalign_env.games.division import Division
from gtalign_env.games.screening import ScreeningGame
from gtalign_env.games.signalling import SignallingGame
from gtalign_env.registration import SCENARIOS, load
from gtalign_env.solution import solve
from gtalign_env.solution.normal import solve_bimatrix


def bimatrix(
    user: Any, assistant: Any, user_moves: Sequence[str] = (), assistant_moves: Sequence[str] = ()
) -> Bimatrix:
    """Return the game of anything that can be read as matrices."""
    return Bimatrix(np.array(user), np.array(assistant), tuple(user_moves), tuple(assistant_moves))


def menus(prior: Any, user: Any, assistant: Any, *names: tuple[str, ...]) -> ScreeningGame:
    """Return the screening game of anything that can be read as arrays."""
    return ScreeningGame(np.array(prior), np.array(user), np.array(assistant), *names)


Run = Callable[..., str]
ANSWERS = {"moves", "payoffs", "pure_nash", "nash", "pareto", "welfare_optimum", "dominance_log", "price_of_anarchy"}
ASKED = {"scenario", "kind", "state", "type", "pricing", "criterion", "versions"}


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs ``gtalign solve`` with success and returns what it printed."""

    def run(*arguments: str) -> str:
        assert main(["solve", *arguments]) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs ``gtalign solve`` with wrong usage and returns the one sentence about it."""

    def run(*arguments: str) -> str:
        assert main(["solve", *arguments]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        return err

    return run


# -- JSON -----------------------------------------------------------------------------------------------------------------


def test_solve__json_of_the_papers_game(told: Run) -> None:
    """The contract: VQ_DA the unique pure equilibrium, DQ_AQ the welfare optimum, moves and payoffs by role."""
    found = json.loads(told("gtalign/Matrix-v0", "--json"))
    assert found["scenario"] == "gtalign/Matrix-v0"
    assert found["moves"] == {"user": ["VQ", "DQ"], "assistant": ["DA", "AQ", "CQ"]}
    assert found["payoffs"]["user"] == [[1, 4, 1], [0, 3, 2]]
    assert found["payoffs"]["assistant"] == [[1, 0, 0], [1, 3, 1]]
    assert found["pure_nash"] == [["VQ", "DA"]]
    assert found["welfare_optimum"] == ["DQ", "AQ"]
    assert found["price_of_anarchy"] == 3.0
    assert [entry["move"] for entry in found["dominance_log"]] == ["CQ", "DQ", "AQ"]
    assert found["criterion"]["cell"] == ["DQ", "AQ"]
    assert (found["type"], found["pricing"], found["plot"]) == (None, None, None)
    assert set(found) >= ANSWERS | ASKED | {"bargaining", "maximin", "stackelberg", "correlated"}


@pytest.mark.parametrize("id", SCENARIOS)
def test_solve__every_id_has_an_answer(id: str, told: Run) -> None:
    """Every registered scenario is solved, with the same keys in its JSON, and shown in 80 columns."""
    found = json.loads(told(id, "--json"))
    assert set(found) >= ANSWERS | ASKED
    assert (found["price_of_anarchy"] is None) == bool(found["efficiency"]["reason"])
    assert found["kind"] in VIEWS


def test_solve__a_state_and_a_type_of_the_session(told: Run) -> None:
    """Coordinates that are left out are those of the first opening; both views of the session agree."""
    arguments = ("--state", "kind=complex,clarity=clear", "--type", "concise", "--json")
    found, twin = (json.loads(told(id, *arguments)) for id in ("gtalign/Assist-v0", "gtalign/AssistText-v0"))
    assert found["state"] == {"question": "0", "kind": "complex", "clarity": "clear", "exchange": "0"}
    assert (found["type"], found["pricing"]) == ("concise", "subscription")
    assert found["moves"]["user"] == ["VQ", "DQ", "LEAVE"]
    assert twin["moves"] == found["moves"]
    assert twin["state"] == found["state"]
    average = json.loads(told("assist", "--state", "kind=complex,clarity=clear", "--json"))
    assert average["payoffs"]["user"] != found["payoffs"]["user"]
    assert sum(average["type"].values()) == pytest.approx(1.0)
    as_fields = json.loads(told("assist", "--type", '{"ideal_tokens": 60}', "--json"))
    assert isinstance(as_fields["type"], str)


def test_solve__options_of_the_game(told: Run) -> None:
    """Pricing, payoff model and any other option reach the scenario."""
    usual = json.loads(told("assist", "--json"))
    priced = json.loads(told("assist", "--pricing", "per_token:rate_in=0,rate_out=0.5", "--json"))
    assert priced["pricing"] == "per_token:rate_in=0.0,rate_out=0.5"
    assert np.min(priced["payoffs"]["user"]) < np.min(usual["payoffs"]["user"]) - 10
    strict = json.loads(told("assist", "--payoff", "grounded:wrong=5", "--json"))
    assert np.min(strict["payoffs"]["assistant"]) < np.min(usual["payoffs"]["assistant"])
    repeated = json.loads(told("matrix", "--option", "rounds=2", "--state", "round=1", "--json"))
    assert repeated["state"] == {"round": "1"}
    assert repeated["pure_nash"] == [["VQ", "DA"]]


def test_solve__trees_by_node(told: Run) -> None:
    """A subgame of the published tree: after the left move, the assistant goes right, for (3, 4)."""
    whole = json.loads(told("trigame", "--json"))
    assert [tuple(path["payoffs"].values()) for path in whole["subgame_perfect"]] == [(4.0, 10.0)]
    part = json.loads(told("trigame", "--state", "node=left", "--json"))
    assert [tuple(path["payoffs"].values()) for path in part["subgame_perfect"]] == [(3.0, 4.0)]
    assert part["state"] == {"node": "left"}


def test_solve__a_division_by_its_numbers(told: Run) -> None:
    """A context may be typed, as JSON or by its index."""
    typed = json.loads(
        told("deal_or_no_deal", "--state", "counts=1/1/3,user_values=1/3/2,assistant_values=1/0/3", "--json")
    )
    as_json = '{"counts": [1, 1, 3], "user_values": [1, 3, 2], "assistant_values": [1, 0, 3]}'
    assert json.loads(told("deal_or_no_deal", "--state", as_json, "--json"))["allocations"] == typed["allocations"]
    assert typed["best"] == "KEEP_0_1_1"
    by_index = [json.loads(told("deal_or_no_deal", "--state", s, "--json")) for s in ("17", "task=17")]
    assert by_index[0]["state"] == by_index[1]["state"] == {"task": 17}
    assert by_index[0]["allocations"] == by_index[1]["allocations"] != typed["allocations"]


def test_solve__several_prices(told: Run) -> None:
    """A row and a whole solution for each; at price sensitivity 1 the optimum of the sum stays where it is."""
    found = json.loads(told("assist", "--pricing", "subscription,per_request:fee=0.2", "--json"))
    assert [row["pricing"] for row in found["pricing_report"]] == ["subscription", "per_request:fee=0.2"]
    assert list(found["by_pricing"]) == ["subscription", "per_request:fee=0.2"]
    assert {row["states"] for row in found["pricing_report"]} == {6}
    one = json.loads(
        told("assist", "--pricing", "per_token,subscription", "--state", "kind=complex", "--type", "concise", "--json")
    )
    assert {row["states"] for row in one["pricing_report"]} == {1}
    nash = [row["pure_nash"][0] for row in one["pricing_report"]]
    solved = [one["by_pricing"][row["pricing"]]["pure_nash"] for row in one["pricing_report"]]
    assert [[[cell["user_move"], cell["assistant_move"]]] for cell in nash] == solved
    assert one["by_pricing"]["per_token"]["price_of_anarchy"] != one["by_pricing"]["subscription"]["price_of_anarchy"]


# -- for people -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 120])
@pytest.mark.parametrize(
    ("id", "words"),
    [
        (
            "matrix",
            ["VQ_DA", "★", "● Nash", "maximin", "Stackelberg", "kalai–smorodinsky", "price of anarchy 3", "left:"],
        ),
        ("prisoners_dilemma", ["2×2 class", "Prisoner's Dilemma", "greed 2, fear 1", "social dilemma"]),
        ("battle_of_sexes", ["2/3 opera + 1/3 football", "U 2/3, L 2/3", "removes nothing"]),
        ("golden_balls", ["price of anarchy undefined", "weak dominance", "never worse and sometimes better"]),
        ("assist", ["DA_short", "averaged over the population", "subscription", "kind simple"]),
        ("trigame", ["▶ start", "subgame-perfect", "threats"]),
        ("escalation", ["keep_peace, not threaten", "(U 0, L 0)", "other Nash", "normal form"]),
        ("rubinstein", ["KEEP_", "subgame-perfect"]),
        ("deal_or_no_deal", ["KEEP_", "envy-free", "difficulty", "criterion"]),
        ("signalling", ["separating", "pooling", "believing", "off the path", "plans against plans"]),
        ("screening", ["competition", "rent", "incentives"]),
    ],
)
def test_solve__says_in_any_width(
    id: str, words: list[str], width: int, told: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The facts are there, and no line is wider than there is room, nor ends in blanks."""
    monkeypatch.setenv("COLUMNS", str(width))
    text = told(id)
    flat = " ".join(text.split())
    assert [word for word in words if word not in flat and word not in text] == []
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert not any(line.endswith(" ") for line in text.splitlines())


@pytest.mark.parametrize("width", [40, 90, 160])
def test_solve__prices_in_any_width(width: int, told: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """One table, two halves or a list: every policy with its figures."""
    monkeypatch.setenv("COLUMNS", str(width))
    text = told("assist", "--pricing", "subscription,per_token,per_request")
    assert max(map(cell_len, text.splitlines())) <= width
    flat = " ".join(text.split())
    for word in ("per_token", "per_request", "surplus", "profit", "wedge", "excess", "opening states"):
        assert word in flat
    assert "one state" in told("assist", "--pricing", "subscription,per_token", "--state", "kind=complex")


def test_solve__in_ascii_the_signs_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal without Unicode gets other signs, all of them different."""
    from gtalign_env.replay.style import ascii_text

    assert len(set(ascii_text("●◆★■"))) == 4
    assert "?" not in ascii_text("●◆★■▶×")


def test_solve__wide_matrices_come_in_parts() -> None:
    """What does not fit beside its row names is continued below, no column twice, none left out."""
    names = [f"m{j}" for j in range(12)]
    game = bimatrix(np.arange(24.0).reshape(2, 12), -np.arange(24.0).reshape(2, 12), ["up", "down"], names)
    rows = bimatrix(game.user.T, game.assistant.T, names, ["up", "down"])
    for shown in (game, rows, bimatrix(np.add.outer(np.arange(12), np.arange(12)), np.eye(12), names, names)):
        lines = [line.plain for line in matrix_solution_lines(solve_bimatrix(shown), 40)]
        matrix = lines[: next(i for i, line in enumerate(lines) if line.startswith("[ ] criterion"))]
        assert max(map(len, matrix)) <= 40
        words = " ".join(matrix).split()
        assert all(name in words for name in names)
        assert " ".join(matrix).count("★") == sum(len(cells) for cells in [solve(shown).as_dict()["welfare_optima"]])


def test_solve__a_matrix_too_large_to_draw() -> None:
    """It says so, and how to get it; the facts follow."""
    lines = [line.plain for line in matrix_solution_lines(solve_bimatrix(bimatrix(np.eye(25), np.eye(25))), 80)]
    assert lines[0] == "25 × 25 cells: too many to draw; see --json"
    text = " ".join(lines)
    assert "too large to list all; one of them" in text
    assert "unknown: not all equilibria are listed" in text


def test_solve__many_equilibria_are_cut() -> None:
    """A coordination game of five moves has 31 extreme equilibria; twelve are listed."""
    lines = [line.plain for line in matrix_solution_lines(solve_bimatrix(bimatrix(np.eye(5), np.eye(5))), 80)]
    assert any("31 in all, 5 of them pure" in line for line in lines)
    assert any("… and 19 more: --json" in line for line in lines)


def test_solve__views_of_edge_cases() -> None:
    """No agreement, one way out of envy, an entrant, a type that walks away, a tree of one decision for all."""
    long: Any = Leaf(1, 1)
    for _ in range(30):
        long = Decision("user", {"stop": Leaf(0, 0), "go": long})
    cases: list[tuple[Any, str]] = [
        (bimatrix([[-1.0]], [[-1.0]]), "no agreement"),
        (bimatrix([[1.0]], [[1.0]], ("ask",), ("tell",)), "ask_tell"),
        (bimatrix(np.zeros((2, 2)), np.zeros((2, 2))), "(symmetric, with ties, 0 dominant moves)"),
        (bimatrix([[1, 0], [0, 0]], [[1, 0], [0, 0]]), "greed −1, fear 0: no social dilemma"),
        (Division((1,), (10,), (10,)), "none is envy-free and Pareto-optimal"),
        (Division((1, 1), (4, 6), (5, 5)), "1 and 1; one of each is worth 4, 6"),
        (Division((4, 4, 4), (1, 1, 1), (1, 1, 1)), "125: "),
        (menus([0.5, 0.5], [[-1], [2]], [[1], [1]], ("low", "high"), ("pro",)), "low walks away"),
        (GameTree(Decision("user", {f"m{i}": Leaf(1, 1) for i in range(20)})), "m4 or 15 more"),
        (GameTree(Decision("user", {f"m{i}": Leaf(i, -i) for i in range(20)})), "… (20 in all)"),
        (GameTree(Decision("user", {f"m{i}": Leaf(1, i) for i in range(20)})), "… and 8 more pairs of payoffs"),
        (GameTree(Decision("user", {f"m{i}": Leaf(1, 1) for i in range(20)})), "m0 (U 1, L 1); 19 more pay the same"),
        (GameTree(Decision("user", {f"m{i}": Leaf(1, 1) for i in range(20)})), "Pareto m0 (and 19 that pay the same)"),
        (GameTree(Decision("user", {f"m{i}": Leaf(1, 1) for i in range(20)})), "bargaining nash: m0 (U 1, L 1) kalai"),
        (GameTree(long), "not all decisions are listed here"),
        (GameTree(long), "▶ go/go"),
        (bimatrix(np.eye(2), np.eye(2)), "3 in all, 2 of them pure (exact)"),
        (bimatrix([[1, 0], [2, 0]], [[1, 2], [0, 0]]), "; corners of connected sets: what mixes two that share"),
        (bimatrix(np.eye(2), np.eye(2)), "nash: 1_1 (U 1, L 1) or 2_2 (U 1, L 1)"),
        (bimatrix(np.eye(6), np.eye(6)), "or 4_4 (U 1, L 1) or 2 more"),
        (bimatrix(np.ones((61, 20)), np.ones((61, 20))), "not looked for: the game has more than 900 cells"),
        (bimatrix(np.ones((61, 1)), np.ones((61, 1))), "with chance: not looked for, a side has more than 60 moves"),
        (bimatrix(np.ones((61, 1)), np.ones((61, 1))), "by single moves: a side has more than 60 moves"),
        (SignallingGame.cheap_talk([0.5, 0.5], np.eye(2), np.eye(2)), "does not hold"),
    ]
    for game, words in cases:
        solved = solve(game)
        text = " ".join(line.plain for line in load(VIEWS[solved.kind])(solved, 100))
        assert words in " ".join(text.split())


def test_solve__an_entrant_breaks_a_menu() -> None:
    """Rothschild and Stiglitz: with few risky people a pooling contract upsets the separating pair, and that is said."""
    user = [[3.0, 1.0, 3.5], [2.0, 1.5, 2.5]]  # full, partial, pooled
    assistant = [[0.0, 2.0, -1.0], [0.5, 0.0, 0.6]]
    game = menus([0.1, 0.9], user, assistant, ("risky", "safe"), ("full", "partial", "pooled"))
    solved = solve(game)
    assert solved.as_dict()["competitive_menu"]["upset_by"] == "pooled"
    text = " ".join(line.plain for line in load(VIEWS["screening"])(solved, 100))
    assert "no equilibrium: an entrant with pooled would break it" in text


def test_solve__says_where_competition_leaves_no_menu() -> None:
    """The second type breaks even on "1" and "3" only, takes "3", and envies the first its "2"."""
    solved = solve(menus([0.5, 0.5], [[1, 3, -2], [0, 3, 2]], [[0, 0, 0], [1, -1, 2]]))
    assert solved.as_dict()["competitive_menu"] is None
    text = " ".join(line.plain for line in load(VIEWS["screening"])(solved, 120))
    assert "competition leaves no menu in this order of types" in " ".join(text.split())


def test_solve__criterion_is_told(told: Run) -> None:
    """The pick and its reason are printed, also where it is left to chance."""
    flat = " ".join(told("matrix", "--criterion", "stackelberg:user:mixed").split())
    assert "2/3 VQ_AQ + 1/3 DQ_AQ (U 3.667, L 1) by stackelberg:user:mixed: the user commits to it first" in flat
    assert "optimum DQ_AQ" in flat


# -- words ----------------------------------------------------------------------------------------------------------------


def test_words__numbers_and_mixtures() -> None:
    """Rounded nothing is 0, chances that are ratios but for rounding are shown as such, others to three places."""
    assert utils(-1e-12) == "0"
    assert utils(-1.25) == "−1.25"
    assert mixture(["a", "b"], [0.1, 0.9]) == "1/10 a + 9/10 b"
    assert mixture(["a", "b"], [0.12345, 0.87655]) == "0.123 a + 0.877 b"
    assert play([]) == "no agreement"
    assert span(1, 2) == "1 to 2"


def test_words__facts_in_little_room() -> None:
    """In a narrow terminal facts go under their labels."""
    assert [line.plain for line in fact_lines([("label", "one two three"), ("", "four")], 10)] == [
        "label",
        "  one two",
        "  three",
        "  four",
    ]


# -- bad input ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gtalign/Matrx-v0"], "unknown scenario 'gtalign/Matrx-v0': did you mean 'gtalign/Matrix-v0'"),
        (["assist", "--state", "kind=complicated"], "expected kind as one of simple, complex, harmful"),
        (
            ["assist", "--state", "mood=good"],
            "unknown state coordinate 'mood'. Known: clarity, exchange, kind, question",
        ),
        (["assist", "--state", "complex"], "--state: expected KEY=VALUE,KEY=VALUE"),
        (
            ["assist", "--state", "kind=simple,kind=complex"],
            "--state: expected KEY=VALUE,KEY=VALUE with different keys",
        ),
        (["assist", "--state", "3"], "state: expected coordinates as KEY=VALUE"),
        (["assist", "--type", "concize"], "did you mean 'concise'"),
        (["matrix", "--type", "concise"], "takes no user type"),
        (["matrix", "--state", "round=0", "--type", "concise"], "takes no user type"),
        (["matrix", "--criterion", "nsah"], "unknown criterion 'nsah': did you mean 'nash'"),
        (["matrix", "--criterion", "welfare:best"], "unknown welfare 'best'"),
        (["matrix", "--criterion", "quantal:many"], "quantal:RATIONALITY"),
        (
            ["matrix", "--pricing", "subscription"],
            "scenario 'matrix' takes no pricing: its payoffs are those of the game",
        ),
        (["matrix", "--pricing", "subscription,per_token"], "scenario 'matrix' takes no pricing"),
        (["matrix", "--state", "round=0", "--pricing", "per_token"], "scenario 'matrix' takes no pricing"),
        (["trigame", "--pricing", "per_token"], "scenario 'trigame' takes no pricing"),
        (["deal_or_no_deal", "--pricing", "per_token"], "takes no pricing"),
        (["assist", "--pricing", "per_tokn"], "unknown pricing 'per_tokn': did you mean 'per_token'"),
        (["assist", "--pricing", "per_token,"], "--pricing: expected different policies"),
        (["assist", "--pricing", "per_token,per_token"], "--pricing: expected different policies"),
        (["assist", "--payoff", "grand"], "unknown payoff model 'grand'"),
        (["matrix", "--option", "rounds"], "--option: expected KEY=VALUE"),
        (["matrix", "--plot", "game.pdf"], "plot game.pdf: expected a file whose name ends in .png or .svg"),
        (["matrix", "--plot", "no/such/folder/game.svg"], "expected a file in a folder that exists"),
        (["trigame", "--state", "node=up"], "'up' is none of"),
        (["trigame", "--state", "node=left/left/left"], "the game is over there"),
        (["trigame", "--state", "round=1"], "expected node=PATH"),
        (["trigame", "--criterion", "stackelberg:nobody"], "expected stackelberg:user"),
        (["signalling", "--state", "round=1"], "solved as a whole"),
        (["deal_or_no_deal", "--criterion", "nash"], "a division takes"),
        (["deal_or_no_deal", "--state", "task=999999"], "expected a context from 0 to"),
        (["deal_or_no_deal", "--type", "concise"], "takes no user type"),
    ],
)
def test_solve__refuses(arguments: list[str], message: str, refused: Run) -> None:
    """Exit code 2 and one sentence that says what was expected."""
    assert message in refused(*arguments)


CUSTOM = """
import numpy as np
from gtalign_env.games import Bimatrix
from gtalign_env.registration import make_scenario

class Mine:
    view = "strategic"
    name = "mine"
    description = "A game of one's own."
    def __getattr__(self, name):
        if name in ("game", "tables", "twin", "stage_game", "division_of", "mix", "pricing", "has_types", "recipe"):
            raise AttributeError(name)
        return getattr(make_scenario("matrix"), name)

class Staged(Mine):
    def __init__(self, corner):
        self.corner = corner
    def stage_game(self, public, user_type=None, pricing=None):
        return self.corner if isinstance(self.corner, str) else Bimatrix([[self.corner, 1], [0, 1]], [[0, 1], [1, 0]])

class Strange(Mine):
    game = object()

def plain():
    return Mine()
def strange():
    return Strange()
def staged():
    return Staged(2.0)
def undefined():
    return Staged(float("nan"))
def wrong():
    return Staged("no game")
"""


@pytest.fixture
def custom(tmp_path: Path) -> Path:
    """A file with scenarios of one's own: each has every member of a scenario, and what its name says."""
    path = tmp_path / "mine.py"
    path.write_text(CUSTOM)
    return path


def test_solve__a_scenario_of_ones_own(custom: Path, told: Run) -> None:
    """A stage game is enough; nothing else of a finite scenario is needed."""
    found = json.loads(told(f"{custom}:staged", "--state", "round=7", "--json"))
    assert found["payoffs"]["user"] == [[2, 1], [0, 1]]
    assert (found["state"], found["type"], found["pricing"]) == ({"round": "7"}, None, None)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("plain", "scenario 'mine' cannot be solved: expected one with a game of its own"),
        ("strange", "a game of class 'object' cannot be solved: expected one of Bimatrix"),
        ("undefined", "expected finite payoffs, got NaN or infinity"),
        ("wrong", "expected a Bimatrix from stage_game, got 'no game'"),
    ],
)
def test_solve__refuses_a_scenario_of_ones_own(name: str, message: str, custom: Path, refused: Run) -> None:
    """What cannot be solved is said in one sentence."""
    assert message in refused(f"{custom}:{name}")


@pytest.mark.parametrize("text", ["", "=1", "a=1,b", "[1]", "true", "1.5"])
def test_read_state__refuses(text: str) -> None:
    """What is neither pairs, nor an object, nor a whole number is no state."""
    with pytest.raises(UsageError, match="--state: expected"):
        read_state(text)


def test_read_pricings__settings_stay_with_their_policy() -> None:
    """Commas separate policies, and the settings of a policy as well."""
    text = "subscription,per_token:rate_in=0.1,rate_out=0.2,per_request:fee=1"
    assert read_pricings(text) == ["subscription", "per_token:rate_in=0.1,rate_out=0.2", "per_request:fee=1"]


def test_solve__plans_say_what_they_answer(told: Run) -> None:
    """Under the normal form stands which decision each part of a plan is for."""
    flat = " ".join(told("gtalign/Escalation-v0").split())
    assert "keep_peace|back_down" in flat
    assert "the user's: start | threaten/escalate; the assistant's: threaten" in flat


def test_solve__several_prices_with_a_criterion(told: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """The criterion's picks stand under the table, one for each price; a figure takes one price only."""
    flat = " ".join(told("assist", "--pricing", "subscription,per_token", "--criterion", "maximin").split())
    assert "what the criterion picks in the state question 0, kind simple" in flat
    assert flat.count("by maximin: both play safe") == 2
    assert main(["solve", "assist", "--pricing", "subscription,per_token", "--plot", "x.svg"]) == 2
    assert "--plot: expected one --pricing, got 2" in capsys.readouterr().err


def test_solve__says_that_the_opening_bears_the_whole_fee(told: Run) -> None:
    """Only where the fee of a session falls into the exchange that is shown."""
    words = "the fee of the whole session falls into this exchange"
    assert words in told("assist")
    assert words not in told("assist", "--state", "exchange=1")
    assert words not in told("assist", "--pricing", "per_request")


def test_solve__the_users_moves_are_the_rows_wherever_they_fit(told: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A matrix with more rows than columns is not turned over to save a line; the corner names both sides."""
    tall = solve_bimatrix(bimatrix(np.arange(6).reshape(3, 2), np.zeros((3, 2)), ("a", "b", "c"), ("x", "y")))
    lines = [line.plain.split() for line in matrix_solution_lines(tall, 110)]
    assert lines[0] == ["user", "\\", "assistant", "x", "y"]
    assert [line[0] for line in lines[1:4]] == ["a", "b", "c"]
    wide = solve_bimatrix(bimatrix(np.arange(4).reshape(2, 2), np.zeros((2, 2)), ("a", "b"), ("x", "y")))
    assert matrix_solution_lines(wide, 24)[0].plain.startswith("U\\A")
