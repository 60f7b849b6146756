"""Sweeps of a price over recorded matrices, by a criterion and by a model, and ``gtalign steer``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chain_records import MATRIX, chain, reply, session, turn_of_user

from gtalign_env.agents.backends import EchoBackend, ScriptedBackend
from gtalign_env.agents.backends.prompts import NOTHING
from gtalign_env.agents.chain.resuming import ByModel, payoff_block
from gtalign_env.agents.chain.sweep import by_criterion, rate_setting, sweep, token_statistics
from gtalign_env.agents.chain.sweep_figure import sweep_figure
from gtalign_env.agents.chain.sweep_result import Sweep, SweepPoint
from gtalign_env.agents.chain.tokens import TokenStatistics
from gtalign_env.cli import main
from gtalign_env.cli.steer import _why_nothing, read_rates
from gtalign_env.episode import Episode, EpisodeWriter
from gtalign_env.errors import UsageError
from gtalign_env.games import Bimatrix
from gtalign_env.gauges import ChainTurn, chain_turns
from gtalign_env.plots import save_figure
from gtalign_env.pricing import PRICING, make_pricing
from gtalign_env.protocols import Generation, Sampling

FREE = "per_token:rate_out=0,rate_in=0"
LENGTHS = {"DA_long": 400.0, "DA_short": 100.0, "CQ": 20.0}
MESSAGES = ({"role": "system", "content": "Play."}, {"role": "user", "content": "Who?"})


def turn(assistant: list[float], *, pricing: str = FREE, user: float = 2.0, **fields: Any) -> ChainTurn:
    """Return a turn whose matrix has one row and three moves of 400, 100 and 20 tokens."""
    stated = Bimatrix([[user] * 3], [assistant], ("VQ",), tuple(LENGTHS))
    given: dict[str, Any] = {"prompt": "p", "conversation": MESSAGES, **fields}
    return ChainTurn(matrix=stated, pricing=pricing, **given)


def swept(*turns: ChainTurn, rates: tuple[float, ...] = (0.0, 0.005), **settings: Any) -> Sweep:
    """Sweep one session with known lengths."""
    given: dict[str, Any] = {"criterion": "stackelberg:assistant", "tokens": TokenStatistics(LENGTHS), **settings}
    return sweep([list(turns)], rates, pricing="per_token:rate_in=0", **given)


# -- the points -----------------------------------------------------------------------------------------------------------


def test_sweep__switches_where_the_price_outweighs_what_was_stated() -> None:
    """A leader who prefers a short answer by 0.9 goes long at 0.003 a token: 300 tokens more bring 0.9."""
    made = swept(turn([1.0, 1.9, 0.0]), rates=(0.0, 0.002, 0.004))
    assert [point.shares for point in made.points] == [{"DA_short": 1.0}, {"DA_short": 1.0}, {"DA_long": 1.0}]
    assert [point.switched for point in made.points] == [0.0, 0.0, 1.0]
    assert [point.tokens for point in made.points] == [100.0, 100.0, 400.0]
    last = made.points[-1]
    assert (last.user, last.assistant) == pytest.approx((2.0 - 1.6, 1.0 + 1.6))
    assert last.welfare == pytest.approx((0.4 * 2.6) ** 0.5)
    assert (made.claim, made.trend, made.as_claimed) == (1, 1, True)
    assert (made.setting, made.chosen_by, made.welfare) == (
        "per_token:rate_out",
        "stackelberg:assistant",
        "cobb_douglas",
    )
    assert made.tokens_by_move == LENGTHS


def test_sweep__counts_shares_and_switches_over_turns() -> None:
    """Of four turns one switches: a quarter, and the shares follow."""
    turns = [turn([1.0, 1.9, 0.0]), *[turn([3.0, 0.0, 0.0])] * 2, turn([-9.0, 3.0, -9.0])]
    made = swept(*turns, rates=(0.004,)).points[0]
    assert made.shares == {"DA_long": 0.75, "DA_short": 0.25}
    assert (made.n, made.undecided, made.switched) == (4, 0, 0.25)


def test_sweep__by_a_plain_sum_moves_nothing_at_any_price() -> None:
    """At sensitivity 1 a price is a transfer: the claim is no change, and none is seen."""
    made = swept(turn([1.0, 1.9, 0.0]), rates=(0.0, 0.1, 10.0), criterion="welfare:utilitarian")
    assert (made.claim, made.trend, made.as_claimed) == (0, 0, True)


def test_sweep__divides_stated_payoffs_by_the_scale() -> None:
    """In units of 4 to the util a stated 2 is half a util, and the edit is four times as large."""
    point = swept(turn([4.0, 0.0, 0.0]), rates=(0.001,), scale=4.0).points[0]
    assert (point.user, point.assistant) == pytest.approx((0.5 - 0.4, 1.0 + 0.4))


def test_sweep__shares_out_mixed_choices() -> None:
    """Matching pennies: both columns at 1/2, and no switch while the mixture stays."""
    pennies = Bimatrix([[1, -1], [-1, 1]], [[-1, 1], [1, -1]], ("VQ", "DQ"), ("DA", "CQ"))
    mixed = ChainTurn(prompt="p", matrix=pennies, pricing=FREE)
    point = sweep([[mixed]], [0.0], criterion="nash").points[0]
    assert point.shares == pytest.approx({"DA": 0.5, "CQ": 0.5})
    assert (point.switched, point.tokens) == pytest.approx((0.0, (180 + 25) / 2))


def test_sweep__values_realised_play_at_the_new_price() -> None:
    """The move that was made stays chosen: 100 real tokens at 0.01 cost its user, of sensitivity 2, two utils."""
    done = turn(
        [0.0, 9.0, 0.0],
        made="DA_short",
        realised=(0.5, 0.25),
        sensitivity=2.0,
        payoff="grounded",
        outcome={"tokens_out": 100.0, "answered": 1.0},
    )
    point = swept(done, rates=(0.01,)).points[0]
    assert point.realised == 1.0
    assert point.realised_user == pytest.approx(0.5 - 2.0)
    assert point.realised_assistant == pytest.approx(0.25 + 1.0 - 0.35 * 2.0, abs=1e-5)


def test_sweep__says_nothing_realised_of_moves_that_were_not_made() -> None:
    """Another choice than the one that was played leads where nobody has been."""
    elsewhere = turn([9.0, 0.0, 0.0], made="DA_short", realised=(0.5, 0.5), outcome={"tokens_out": 100.0})
    unknown = turn([9.0, 0.0, 0.0], made="DA_long", realised=(0.5, 0.5), outcome={"junk": 1.0})
    point = swept(elsewhere, unknown).points[0]
    assert (point.realised, point.realised_user, point.realised_assistant) == (0.0, None, None)


def test_sweep__leaves_turns_out_that_cannot_be_steered() -> None:
    """No matrix, or no known price; a price may be given for all."""
    lost = [ChainTurn(prompt="p"), turn([1, 2, 3], pricing="barter"), turn([1, 2, 3], pricing="")]
    made = swept(turn([1, 2, 3]), *lost)
    assert (made.turns, made.skipped) == (1, 3)
    assert swept(*lost, pricing_from=FREE).turns == 2
    nothing = swept(*lost)
    assert (nothing.turns, nothing.trend, nothing.points[0].n) == (0, None, 0)


def test_sweep__keeps_undecided_turns_apart() -> None:
    """Where nobody gains there is no agreement, and that is not a choice of anything."""
    hopeless = turn([-1.0, -1.0, -1.0])
    point = swept(turn([1.0, 2.0, 1.0]), hopeless, criterion="bargaining:nash").points[0]
    assert (point.n, point.undecided) == (1, 1)


def test_sweep__with_hysteresis_holds_the_move_of_the_turn_before() -> None:
    """The second turn prefers a question by 0.2: it is asked without a margin, and not with one of 0.5."""
    turns = [turn([0.0, 2.0, 0.0]), turn([0.0, 1.0, 1.2])]
    free, held = swept(*turns, rates=(0.0,)), swept(*turns, rates=(0.0,), margin=0.5)
    assert free.points[0].shares == {"DA_short": 0.5, "CQ": 0.5}
    assert held.points[0].shares == {"DA_short": 1.0}
    assert held.points[0].assistant == 1.5  # the margin is no payoff
    assert (free.claim, held.claim) == (1, None)


def test_sweep__with_hysteresis_begins_each_session_anew() -> None:
    """Sessions of different lengths do not hold each other's moves."""
    one, two = [turn([0.0, 2.0, 0.0]), turn([0.0, 1.0, 1.2])], [turn([0.0, 1.0, 1.2])]
    made = sweep([one, two], [0.0], criterion="stackelberg:assistant", tokens=TokenStatistics(LENGTHS), margin=0.5)
    assert made.points[0].shares == pytest.approx({"DA_short": 2 / 3, "CQ": 1 / 3})


def test_sweep__learns_tokens_from_the_record() -> None:
    """Two replies of 40 tokens, shrunk by a prior worth two of 60."""
    done = [turn([1, 2, 3], made="DA_short", outcome={"tokens_out": 40.0})] * 2
    assert token_statistics(done).expected("DA_short") == 50.0
    made = sweep([done], [0.0])
    assert made.tokens_by_move["DA_short"] == 50.0


@pytest.mark.parametrize("name", sorted(PRICING))
def test_sweep__moves_the_usual_setting_of_every_pricing(name: str) -> None:
    """Each shipped policy has a rate to sweep; a claim is made only where the reply is metered."""
    made = sweep([[turn([1.0, 2.0, 1.0])]], [0.0, 0.1], pricing=name, criterion="stackelberg:assistant")
    assert made.setting == f"{name}:{rate_setting(make_pricing(name))}"
    assert (made.claim is not None) == (name in ("per_token", "per_character", "two_part"))
    assert made.as_claimed in (True, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rates": ()},
        {"rates": (-1.0,)},
        {"criterion": "best"},
        {"setting": "fee"},
        {"setting": "name"},
        {"pricing_from": "barter"},
        {"scale": 0.0},
    ],
    ids=str,
)
def test_sweep__refuses_what_makes_no_sweep(wrong: dict[str, Any]) -> None:
    """Rates, criteria, settings and prices are checked before anything is chosen."""
    with pytest.raises(UsageError):
        swept(turn([1, 2, 3]), **wrong)


def test_rate_setting__of_a_policy_of_ones_own_has_to_be_named() -> None:
    """There is no usual setting of what is not shipped."""

    class Mine:
        name = "mine"

        def price(self, outcome: Any) -> float:
            return 0.0

    with pytest.raises(UsageError, match="setting"):
        rate_setting(Mine())
    with pytest.raises(UsageError, match="no setting"):
        sweep([[turn([1, 2, 3])]], [0.0], pricing=Mine(), setting="rate")


def test_sweep__tells_a_broken_claim() -> None:
    """Tokens that fall where they must not are seen: the check can fail."""
    points = tuple(SweepPoint(rate=rate, n=1, tokens=tokens) for rate, tokens in ((0.0, 5.0), (1.0, 4.0)))
    base: dict[str, Any] = {
        "setting": "s",
        "chosen_by": "c",
        "welfare": "w",
        "turns": 1,
        "skipped": 0,
        "points": points,
    }
    assert (Sweep(**base, claim=1).as_claimed, Sweep(**base, claim=0).as_claimed) == (False, False)
    assert Sweep(**base, claim=-1).as_dict()["as_claimed"] is True
    wavy = (*points, SweepPoint(rate=2.0, n=1, tokens=9.0))
    assert Sweep(**{**base, "points": wavy}).trend is None


def test_by_criterion__leaves_undecided_what_it_does_not_fit() -> None:
    """Dominance that leaves several cells is no choice, and no error."""
    open_game = Bimatrix([[1, 0], [0, 1]], [[1, 0], [0, 1]])
    assert by_criterion("dominance")([ChainTurn(prompt="p")], [open_game]) == [None]


# -- the model chooses ------------------------------------------------------------------------------------------------------


class _Recorder(EchoBackend):
    """Repeats what it is given, and remembers it."""

    def generate(self, conversations: Any, sampling: Sampling) -> Any:
        """Generate, and keep what was asked."""
        self.asked, self.sampling = list(conversations), sampling
        return super().generate(conversations, sampling)


def test_by_model__resumes_the_chain_with_the_steered_payoffs() -> None:
    """Its own thinking, then the edited block, then its analysis is awaited; it halts at the end of that."""
    backend = _Recorder()
    stated = turn([1, 2, 3], thinking="Hm.", mode="self")
    ByModel(backend)([stated], [Bimatrix([[1.239]], [[-2]], ["VQ"], ["DA"])])
    (asked,) = backend.asked
    assert asked[:-1] == list(MESSAGES)
    assert asked[-1] == {
        "role": "assistant",
        "content": '<thinking>Hm.</thinking>\n<payoff>{"VQ|DA": {"user": 1.24, "assistant": -2.0}}</payoff>\n<analyze>',
    }
    assert backend.sampling.stop == ("</analyze>",)


def test_by_model__tells_a_model_that_the_choice_is_its_own_now() -> None:
    """Where a solver was announced to it, it is told otherwise; a prefilled tag of the record is dropped."""
    backend = _Recorder()
    begun = (*MESSAGES, {"role": "assistant", "content": "<thinking>"})
    ByModel(backend)([turn([1, 2, 3], mode="solver", conversation=begun)], [Bimatrix([[1]], [[2]], ["VQ"], ["DA"])])
    system, user, _ = backend.asked[0]
    assert system["content"].startswith("Play.\n\nFor this message the analyze block is yours")
    assert user == MESSAGES[1]
    assert MESSAGES[0]["content"] == "Play."


def test_by_model__leaves_undecided_what_names_no_cell() -> None:
    """No conversation, no cell, no word: three reasons, and a choice that counts."""
    model = ByModel(ScriptedBackend(["choice: VQ|CQ", "I do not know", " "]))
    turns = [turn([1, 2, 3])] * 3 + [turn([1, 2, 3], conversation=())]
    stated = [one.matrix for one in turns if one.matrix is not None]
    assert model(turns, stated) == [(("VQ", "CQ", 1.0),), None, None, None]
    assert model.problems == {"no_conversation": 1, "unannounced": 1, "engine": 1}
    assert model(turns[3:], stated[3:]) == [None]


class _Evasive:
    """Writes analyses that name no cell; held to a schema, the last of the texts it allows."""

    name = "evasive"

    def __init__(self, *texts: str) -> None:
        self.texts = texts
        self.pressed_with: list[str] = []

    def generate(self, conversations: Any, sampling: Sampling) -> list[Generation]:
        """Evade, unless there is no way out."""
        if not sampling.json_schema:
            return [
                Generation(text=text) if text else Generation(text="", finish_reason="error", error=NOTHING)
                for text in self.texts[: len(conversations)]
            ]
        assert sampling.stop == ()
        self.pressed_with += [talk[-1]["content"] for talk in conversations]
        return [Generation(text=json.dumps(json.loads(sampling.json_schema)["enum"][-1]))] * len(conversations)

    def count_tokens(self, text: str) -> int:
        """Count words."""
        return len(text.split())


def test_by_model__presses_a_model_that_names_no_cell() -> None:
    """It has to go on behind its own analysis with a key of its own matrix; whoever has chosen is left alone."""
    evasive = _Evasive("Both are fine.\n", "choice: VQ|DA_long", "")
    model = ByModel(evasive, press=True)
    turns = [turn([1, 2, 3])] * 3
    matrices = [Bimatrix([[1, 2]], [[3, 4]], ["VQ"], ["DA_long", move]) for move in ("CQ", "CQ", "DECLINE")]
    assert model(turns, matrices) == [(("VQ", name, 1.0),) for name in ("CQ", "DA_long", "DECLINE")]
    assert (model.pressed, model.problems) == (2, {})
    assert evasive.pressed_with[0].endswith("<analyze>Both are fine.\nchoice: ")
    assert evasive.pressed_with[1].endswith("<analyze>\nchoice: ")
    assert ByModel(evasive)(turns, matrices) == [None, (("VQ", "DA_long", 1.0),), None]


def test_by_model__is_compared_with_the_solver_on_one_set_of_matrices() -> None:
    """A model that always says the same ignores the price: it never switches, and nothing is claimed of it."""
    model = ByModel(ScriptedBackend(["choice: VQ|CQ"]))
    made = swept(turn([1.0, 1.9, 0.0]), rates=(0.0, 0.1), decide=model, chosen_by=model.name)
    assert [point.shares for point in made.points] == [{"CQ": 1.0}] * 2
    assert (made.points[-1].switched, made.claim, made.chosen_by) == (0.0, None, "self: fake:scripted")


def test_by_model__refuses_a_schema() -> None:
    """An analysis is prose."""
    with pytest.raises(UsageError):
        ByModel("fake:echo", sampling=Sampling(json_schema="{}"))


def test_payoff_block__can_be_read_back() -> None:
    """What is written into a chain is JSON with the chain's keys."""
    block = json.loads(payoff_block(Bimatrix([[1, -0.001]], [[2, 3]], ["VQ"], ["DA", "CQ"])))
    assert block == {"VQ|DA": {"user": 1.0, "assistant": 2.0}, "VQ|CQ": {"user": 0.0, "assistant": 3.0}}
    assert "-0.0" not in payoff_block(Bimatrix([[-0.001]], [[1]], ["VQ"], ["DA"]))


# -- the figure and the command ---------------------------------------------------------------------------------------------


def test_sweep_figure__draws_several_sweeps_reproducibly(tmp_path: Path) -> None:
    """Payoffs, tokens and shares along the rate; the same sweeps give the same bytes."""
    rates = (0.0, 0.002, 0.004)
    made = [swept(turn([1.0, 1.9, 0.0]), rates=rates), swept(turn([1.0, 1.9, 0.0]), rates=rates, criterion="nash")]
    figure = sweep_figure(made)
    assert figure.axes[3].get_xlabel() == "per_token:rate_out (credits)"
    assert "welfare (nash)" in figure.axes[0].get_legend_handles_labels()[1]
    for name in ("one.svg", "two.svg"):
        save_figure(sweep_figure(made[:1]), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A file of two sessions with chains."""
    path = tmp_path / "chains.jsonl"
    with EpisodeWriter(path) as writer:
        for made in ("AQ_long", "DA_short"):
            step = reply(made, chain=chain(), announced="AQ", user=1.0, assistant=0.5, answered=1.0)
            writer.write(session(step, turn_of_user("DQ_none"), reply("CQ", chain=chain(), clarity="clear")))
    return path


def steer(*arguments: str) -> int:
    """Run ``gtalign steer``."""
    return main(["steer", *arguments])


def test_steer_command__shows_a_table_and_what_theory_says(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each rate, the moves' expected tokens, and whether tokens go where they must."""
    assert steer(str(recorded), "--criterion", "stackelberg:assistant", "--rate", "0:0.02:3") == 0
    shown = capsys.readouterr().out
    assert "per_token:rate_out · chosen by stackelberg:assistant · 4 matrices" in shown
    assert [line.split()[0] for line in shown.splitlines()[2:5]] == ["0", "0.01", "0.02"]
    assert "theory: never fewer tokens as the price rises" in shown
    assert "as it must be" in shown


def test_steer_command__leaves_out_what_a_narrow_terminal_cannot_show(
    recorded: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was realised goes first; which moves are chosen stays."""
    monkeypatch.setenv("COLUMNS", "70")
    assert steer(str(recorded), "--rate", "0") == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[1].split() == ["rate", "n", "switched", "tokens", "U", "L", "welfare", "moves"]
    assert "U, L: stated payoffs" in shown
    assert "real: " not in shown  # no column, no legend
    assert "known: " not in shown
    monkeypatch.setenv("COLUMNS", "100")
    assert steer(str(recorded), "--rate", "0") == 0
    assert "real: what the chosen move came to" in " ".join(capsys.readouterr().out.split())


def test_steer_command__prints_json_and_draws(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every figure of the table stands in the JSON; the plot is a file."""
    plot = tmp_path / "sweep.png"
    assert steer(str(recorded), "--rate", "0,0.01", "--plot", str(plot), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    (made,) = told["sweeps"]
    assert [point["rate"] for point in made["points"]] == [0.0, 0.01]
    assert made["claim"] is None
    assert plot.stat().st_size > 10_000
    assert steer(str(recorded), "--rate", "0", "--plot", str(tmp_path / "one.svg")) == 0
    assert "drawn: " in capsys.readouterr().out


def test_steer_command__lets_a_model_choose_beside_the_solver(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both modes by default, one after the other; choices that are missing are said."""
    assert steer(str(recorded), "--assistant", "fake:rules", "--rate", "0", "--json") == 1
    out, err = capsys.readouterr()
    assert [made["chosen_by"] for made in json.loads(out)["sweeps"]] == ["welfare:cobb_douglas", "self: fake:rules"]
    # the fake asks back and names no cell: four turns, unsteered and at one rate
    assert "8 choices of the model are missing: unannounced" in err
    assert "gtalign: self: fake:rules: nothing was chosen at any rate" in err
    assert steer(str(recorded), "--assistant", "fake:rules", "--rate", "0", "--mode", "self") == 1
    assert "nothing was chosen at any rate" in capsys.readouterr().out
    assert steer(str(recorded), "--assistant", "fake:chain", "--rate", "0") == 0


def test_steer_command__exits_1_when_nothing_is_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the user loses in every cell there is no agreement at any price, and the reason is said."""
    path = tmp_path / "losses.jsonl"
    losses = {**MATRIX, "user": [[-1.0 for _ in row] for row in MATRIX["user"]]}
    with EpisodeWriter(path) as writer:
        writer.write(session(reply("AQ_long", chain=chain(matrix=losses), announced="AQ", user=1.0, assistant=0.5)))
    assert steer(str(path), "--criterion", "bargaining", "--rate", "0,0.001") == 1
    assert "gtalign: bargaining: nothing was chosen at any rate: there is no agreement" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("matrix", "criterion", "reason"),
    [
        (Bimatrix([[-1.0]], [[-1.0]]), "bargaining", ": there is no agreement"),
        (Bimatrix([[1.0]], [[1.0]]), "bargaining", ": the criterion does not fit the steered matrices"),
    ],
)
def test_why_nothing__says_what_the_criterion_says(matrix: Bimatrix, criterion: str, reason: str) -> None:
    """No agreement is a reason; a stated matrix in which all is well leaves the steering."""
    assert _why_nothing([[ChainTurn(prompt=""), ChainTurn(prompt="", matrix=matrix)]], criterion).startswith(reason)


@pytest.mark.parametrize(
    "option",
    [
        "--rate=0:0.01:100000000",
        "--rate=1e308",
        "--scale=1e-320",
        "--scale=1e300",
        "--sensitivity=1e308",
        "--margin=1e99",
    ],
)
def test_steer_command__refuses_what_cannot_be_calculated(
    option: str, recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At once, with the name of the option."""
    assert steer(str(recorded), option) == 2
    assert option.partition("=")[0] in capsys.readouterr().err


def test_steer_command__takes_a_bare_number_for_a_main_setting(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The short spelling gives the sweep of the long one, and the same claim."""
    told = []
    for criterion in ("welfare:linear:0.8", "welfare:linear:weight=0.8"):
        assert steer(str(recorded), "--criterion", criterion, "--rate", "0,0.01", "--json") == 0
        (made,) = json.loads(capsys.readouterr().out)["sweeps"]
        told.append({key: made[key] for key in ("points", "welfare", "claim")})
    assert told[0] == told[1]
    assert told[0]["claim"] == -1


def test_steer_command__calculates_at_the_bounds(recorded: Path) -> None:
    """The largest numbers that are taken lead to no overflow (a warning is an error here)."""
    assert steer(str(recorded), "--rate=0,1e9", "--scale=1e9", "--sensitivity=1e9") in (0, 1)
    assert steer(str(recorded), "--rate=0,1e9", "--scale=1e-9") in (0, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        "--rate 1:0:x",
        "--rate 0:1:0",
        "--rate=-1",
        "--rate 0:1",
        "--mode self",
        "--mode solver --assistant fake:echo",
        "--margin -1",
        "--scale 0",
        "--sensitivity nan",
        "--pricing barter",
        "--criterion best",
        "--plot sweep.txt",
        "--setting fee",
    ],
)
def test_steer_command__refuses_wrong_usage(arguments: str, recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence and exit code 2."""
    assert steer(str(recorded), *shlex.split(arguments)) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_steer_command__says_what_a_file_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No chains, or no price: the sentence names what to do."""

    def written(name: str, episode: Episode) -> str:
        with EpisodeWriter(tmp_path / name) as writer:
            writer.write(episode)
        return str(tmp_path / name)

    assert steer(written("plain.jsonl", session(reply("CQ")))) == 2
    assert "no episode holds a stated matrix" in capsys.readouterr().err
    unpriced = written("unpriced.jsonl", session(reply("CQ", chain=chain()), config={}))
    assert steer(unpriced) == 2
    assert "--from" in capsys.readouterr().err
    assert steer(unpriced, "--from", "subscription", "--rate", "0") == 0


def test_steer_command__exits_1_when_a_claim_breaks(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep that goes where it must not is a failed check."""
    broken: Callable[[Sweep], bool] = lambda _: False  # noqa: E731
    monkeypatch.setattr(Sweep, "as_claimed", property(broken))
    assert steer(str(recorded), "--criterion", "stackelberg:assistant", "--rate", "0") == 1


def test_read_rates__ends_where_it_was_told_to() -> None:
    """N points, both ends included, without a rounding error at the end."""
    assert read_rates("0:0.3:4")[-1] == 0.3
    assert read_rates("0.5:1:1") == [1.0]
    assert len(read_rates("0:0.01:11")) == 11


def test_chain_turns__of_a_file_can_be_swept() -> None:
    """From a record to a sweep without anything in between."""
    episode = session(reply("AQ_long", chain=chain(), announced="AQ"), turn_of_user("DQ_none"))
    made = sweep([list(chain_turns(episode))], [0.0, 0.01], criterion="stackelberg:assistant")
    assert (made.turns, made.as_claimed) == (1, True)
