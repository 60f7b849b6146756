"""Equilibria between a population and an assistant: residuals against independent evaluation, and games whose answer is known."""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import Any

import numpy as np
import pytest
from history_parts import Histories, plan_of

from gtalign_env.agents.users import population_kernels
from gtalign_env.cli import main
from gtalign_env.cli.solve_equilibrium import equilibrium_facts
from gtalign_env.errors import SolverError, UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.optimal import Problem
from gtalign_env.optimal.assistants import AssistantKernel
from gtalign_env.optimal.deviating import best_welfare, judge
from gtalign_env.optimal.equilibrium import PopulationEquilibrium, Settings, equilibrium, make_objective
from gtalign_env.optimal.passes import Passes
from gtalign_env.optimal.responses import best_response, meeting
from gtalign_env.optimal.situations import END, Situations, exchanges, situations
from gtalign_env.registration import make_scenario
from gtalign_env.solution.signalling import solve_signalling
from gtalign_env.welfare import make_welfare

HASTY = Settings(rounds=6, averaged=0)
"""Stops long before anything has settled, so that everybody would gain."""


@functools.cache
def game(name: str, **options: Any) -> FiniteScenario:
    """Return a compiled game."""
    scenario = make_scenario(name, **options)
    assert isinstance(scenario, FiniteScenario)
    return scenario


@functools.cache
def found_in(questions: int, **options: Any) -> PopulationEquilibrium:
    """Return an equilibrium of the default population."""
    scenario = game("assist", questions=questions)
    return equilibrium(scenario, population_kernels(None, scenario), **options)


class _Numbered:
    """A graph, with the number of each situation for the assistant's moves."""

    def __init__(self, graph: Situations) -> None:
        self.graph, self.moves = graph, np.arange(graph.size)


# -- the residual -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recall", ["all", "last", "two", "none"])
@pytest.mark.parametrize("weights", [(0.0, 1.0), (0.7, 0.3)])
def test_judge__gains_are_those_of_a_recursion_over_histories(recall: str, weights: tuple[float, float]) -> None:
    """Of strategies drawn at random: values and gains of everybody, as plain recursion has them, whatever is remembered."""
    scenario = game("assist", questions=1, max_exchanges=2)
    types = [scenario.known_types[name] for name in ("concise", "detailed", "hurried")]
    shares = np.array([0.5, 0.3, 0.2])
    graph, rng = situations(scenario, recall), np.random.default_rng(7)
    walk = Passes(graph, exchanges(scenario, types))
    users = rng.dirichlet(np.full(11, 0.2), size=(3, graph.size))
    assistant = walk.game.safe[graph.state] * rng.dirichlet(np.full(8, 0.2), size=graph.size) + 1e-9
    assistant /= assistant.sum(axis=1, keepdims=True)
    found = judge(walk, users, assistant, shares, make_welfare(f"linear:weight={weights[0]}"))
    slow = Histories(scenario, types, shares)
    index = plan_of(_Numbered(graph))
    plans = [lambda history, state, kind=kind: users[kind, index(history, state)] for kind in range(3)]
    reply = plan_of(AssistantKernel(name="random", graph=graph, moves=assistant))
    both = np.array([slow.value(kind, plan, reply) for kind, plan in enumerate(plans)])
    assert np.allclose(found.mean.T, both, rtol=0.0, atol=1e-9)
    gains = [slow.best_user(kind, reply) - both[kind, 0] for kind in range(3)]
    assert found.user_gains == pytest.approx(gains, abs=1e-9)
    gain = slow.best_assistant(plans, weights) - shares @ both @ np.array(weights)
    assert found.assistant_gain == pytest.approx(gain, abs=1e-6)
    assert found.exact
    assert found.residual == pytest.approx(max(*gains, gain), abs=1e-6)
    assert found.residual > 0.01


@pytest.mark.parametrize("objective", ["cobb_douglas", "egalitarian"])
def test_equilibrium__gain_in_a_concave_welfare_holds_against_every_known_policy(objective: str) -> None:
    """No fixed move and no single best response has more than the bound, in a session long enough for both to gain."""
    scenario = game("assist", questions=2)
    kernels = population_kernels("concise,balanced", scenario)
    found = equilibrium(scenario, kernels, objective=objective, settings=HASTY)
    walk = Passes(found.assistant.graph, exchanges(scenario, found.types))
    shares, worth = np.array(found.shares), make_objective(objective)
    for move in range(8):
        fixed = np.eye(8)[np.full(walk.graph.size, move)]
        assert float(worth(*(walk.mean(walk.worth(found.users, fixed)) @ shares))) <= found.value + found.assistant_gain
    best = best_welfare(walk, found.users, shares, worth)
    assert best.value <= best.upper == pytest.approx(found.value + found.assistant_gain)


# -- games whose answer is known --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["PrisonersDilemma", "Matrix", "Iesds"])
def test_equilibrium__of_a_game_that_dominance_solves_has_residual_0(name: str) -> None:
    """Exactly, and it is the game's one pure equilibrium."""
    scenario = game(f"gtalign/{name}-v0", rounds=1)
    found = equilibrium(scenario)
    assert found.residual == 0.0
    assert found.converged
    assert found.pure
    cell = tuple(side[0].argmax() for side in (found.users[0], found.assistant.moves))
    tables = scenario.tables
    assert [(tables.user_moves[cell[0]], tables.assistant_moves[cell[1]])] == list(scenario.game.pure_nash())


@pytest.mark.parametrize("name", ["BattleOfSexes", "Chicken", "StagHunt"])
def test_equilibrium__of_a_game_of_coordination_is_one_of_its_pure_ones(name: str) -> None:
    """Whoever moves second in a round breaks the tie."""
    scenario = game(f"gtalign/{name}-v0", rounds=1)
    found = equilibrium(scenario)
    assert found.residual == 0.0
    tables = scenario.tables
    cell = (tables.user_moves[found.users[0, 0].argmax()], tables.assistant_moves[found.assistant.moves[0].argmax()])
    assert cell in scenario.game.pure_nash()


def test_equilibrium__in_mixed_strategies_is_approached_and_told_apart() -> None:
    """Odd or even has none in pure ones: averaging comes near, and the residual says how near."""
    scenario = game("gtalign/OddEven-v0", rounds=1)
    (exact,) = scenario.game.nash()
    found = equilibrium(scenario, settings=Settings(averaged=400))
    assert not found.pure
    assert not found.converged
    assert found.residual < 0.05
    assert found.users[0, 0] == pytest.approx([float(chance) for chance in exact.user], abs=0.02)
    assert (found.user, found.reply) == pytest.approx(
        (float(exact.user_payoff), float(exact.assistant_payoff)), abs=0.02
    )
    rough = equilibrium(scenario, settings=Settings(averaged=0))
    assert rough.residual > found.residual
    with pytest.raises(UsageError, match="draw their moves"):
        found.kernels()


def test_equilibrium__of_a_signalling_game_is_one_of_its_perfect_bayesian_ones() -> None:
    """The same payoffs as one of those that the solver of signalling games lists."""
    scenario = game("gtalign/Signalling-v0")
    found = equilibrium(scenario)
    assert found.residual < 1e-9
    solved = solve_signalling(scenario.game)
    listed = [(float(one.user_payoff), float(one.assistant_payoff)) for one in solved.equilibria]
    assert any((found.user, found.reply) == pytest.approx(pair, abs=1e-5) for pair in listed)


# -- sessions ---------------------------------------------------------------------------------------------------------------


def test_equilibrium__of_two_questions_is_exact_by_the_yardstick() -> None:
    """Its users as kernels, compiled by the other solver: nobody can have more of its own payoff."""
    found = found_in(2)
    assert found.converged
    assert found.pure
    assert found.residual < 1e-6
    scenario, kernels = found.scenario, found.kernels()
    best = Problem(scenario, kernels).best("linear:weight=0.0")
    assert best.value == pytest.approx(found.value, abs=1e-5)
    for kernel, both in zip(kernels, found.by_type, strict=True):
        assert meeting(scenario, kernel, found.assistant) == pytest.approx(both, abs=1e-9)
        assert best_response(scenario, found.assistant, kernel.user_type).user == pytest.approx(both[0], abs=1e-6)


def test_equilibrium__declines_what_is_harmful() -> None:
    """Safety is a constraint, for a selfish assistant and for a planner who only thinks of the user."""
    for objective in ("assistant_only", "user_only"):
        found = found_in(1, objective=objective)
        scenario = found.scenario
        harmful = [scenario.tables.coordinates(int(s))["kind"] == "harmful" for s in found.assistant.graph.state]
        answers = [name.startswith(("DA", "AQ")) for name in scenario.tables.assistant_moves]
        assert (found.assistant.moves[np.ix_(harmful, answers)] == 0.0).all()


def test_equilibrium__from_even_chances_words_mean_nothing() -> None:
    """Reactions stay interchangeable: whatever was said, the assistant answers alike, and has less than where people mean it."""
    found = found_in(1, start="even")
    graph, moves = found.assistant.graph, found.assistant.moves
    names = found.scenario.tables.user_moves
    vague = [index for index, name in enumerate(names) if name.startswith("VQ")]
    for row in range(len(graph.row_state)):
        for assistant in range(8):
            after = graph.follow[row, vague, assistant, 0]
            if (after != END).all():
                assert np.ptp(moves[after], axis=0) == pytest.approx(0.0, abs=1e-9)
    assert found.value < found_in(1).value


def test_equilibrium__what_was_said_has_to_be_remembered_to_be_of_use() -> None:
    """Whatever both remember it settles, and an assistant that remembers nothing has less than one that heard the last words."""
    scenario = game("assist", questions=1, max_exchanges=2)
    values = {}
    for recall in ("none", "last", "two", "all"):
        found = equilibrium(scenario, population_kernels(None, scenario), recall=recall)
        assert found.converged
        values[recall] = found.value
    assert values.pop("none") < min(values.values()) - 0.01


def test_equilibrium__kinds_of_one_type_are_one_player() -> None:
    """Two personas with the same θ start differently, and respond as one."""
    scenario = game("assist", questions=1)
    (plain,) = population_kernels("concise", scenario)
    other = dataclasses.replace(population_kernels("detailed", scenario)[0], user_type=plain.user_type, share=3.0)
    found = equilibrium(scenario, [plain, other], settings=HASTY)
    assert len(found.types) == 1
    assert found.shares == pytest.approx((1.0,))


def test_equilibrium__refuses_what_makes_no_sense() -> None:
    """Starts, settings, objectives without an optimum, too much to remember, and games where all that is left is harm."""
    scenario = game("assist", questions=1)
    with pytest.raises(UsageError, match="expected 'users' or 'even'"):
        equilibrium(scenario, start="odd")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="expected rounds >= 1"):
        Settings(damping=0.0)
    with pytest.raises(UsageError, match="expected a criterion that is concave"):
        equilibrium(scenario, objective="jain")
    with pytest.raises(SolverError, match="where all is remembered"):
        equilibrium(game("assist", questions=2), recall="all")
    harmed = make_scenario("assist", questions=1, p_simple=0.0, p_harmful=1.0)
    assert isinstance(harmed, FiniteScenario)
    mask = harmed.tables.assistant_mask.copy()
    mask[:, 6:] = 0
    harmed.tables = dataclasses.replace(harmed.tables, assistant_mask=mask)
    with pytest.raises(UsageError, match="complies with harm"):
        equilibrium(harmed)


# -- the command line -------------------------------------------------------------------------------------------------------


def test_cli__shows_an_equilibrium(capsys: pytest.CaptureFixture[str]) -> None:
    """Payoffs, gains and the residual, and what everybody does first."""
    assert (
        main(["solve", "gtalign/Assist-v0", "--equilibrium", "--option", "questions=1", "--users", "concise,detailed"])
        == 0
    )
    printed = capsys.readouterr().out
    for words in (
        "assistant_only",
        "concise 50%",
        "residual",
        "an equilibrium (asked for: 0.0001)",
        "simple, vague: CQ",
    ):
        assert words in printed


def test_cli__equilibrium_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The figures are those of the function."""
    command = [
        "solve",
        "gtalign/PrisonersDilemma-v0",
        "--equilibrium",
        "--option",
        "rounds=1",
        "--tolerance",
        "0.01",
        "--json",
    ]
    assert main(command) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["user"], made["assistant"], made["residual"], made["tolerance"]) == (1.0, 1.0, 0.0, 0.01)
    assert made["converged"] is True
    assert made["types"][0]["gain"] == 0.0


def test_cli__says_that_it_did_not_settle() -> None:
    """A residual above the tolerance is said, with what may help."""
    hasty = equilibrium(game("gtalign/OddEven-v0", rounds=1), settings=Settings(averaged=0))
    assert any("only to so much" in said for _, said in equilibrium_facts(hasty))
    gains = dataclasses.replace(hasty, user_gains=(0.0,), assistant_gain=0.5, exact=False)
    said = dict(equilibrium_facts(gains))
    assert said["assistant's gain"] == "at most 0.5"
    assert any("--recall two" in words for _, words in equilibrium_facts(gains))


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_cli__beyond_the_tolerance_is_a_failed_check(form: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 and a sentence, where somebody would gain more than was asked for; what was found is shown."""
    command = ["solve", "gtalign/OddEven-v0", "--equilibrium", "--option", "rounds=1", *form]
    assert main([*command, "--tolerance", "1e-17"]) == 1
    told = capsys.readouterr()
    assert "and 1e-17 was asked for (--tolerance)" in told.err
    if form:
        assert json.loads(told.out)["converged"] is False
    else:
        assert "only to so much" in told.out
    assert main([*command, "--tolerance", "0.5"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["gtalign/AssistText-v0", "--equilibrium"], "expected a game of moves"),
        (["gtalign/Assist-v0", "--equilibrium", "--optimal"], "--optimal does not go with --equilibrium"),
        (["gtalign/Assist-v0", "--equilibrium", "--no-cache"], "--no-cache does not go with --equilibrium"),
        (["gtalign/Assist-v0", "--recall", "two"], "add --equilibrium"),
    ],
)
def test_cli__refuses_what_does_not_go_together(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a sentence that says what to do."""
    assert main(["solve", *options]) == 2
    assert words in capsys.readouterr().err
