"""Assistants as automata and best-responding users: against brute force, against the solver, and against play."""

from __future__ import annotations

import copy
import dataclasses
import functools
import itertools
from typing import Any

import numpy as np
import pytest
from history_parts import Histories, History, plan_of
from hypothesis import given, settings
from hypothesis import strategies as st
from yardstick_parts import assist

import gtalign_env
from gtalign_env.agents.assistants import HeuristicAssistant, make_assistant
from gtalign_env.agents.users import population, population_kernels
from gtalign_env.errors import SolverError, UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.kernels import UserKernel
from gtalign_env.optimal import optimum
from gtalign_env.optimal.assistants import AssistantKernel, automaton_kernel, fixed_kernel, policy_kernel
from gtalign_env.optimal.responses import best_response, deviations, meeting
from gtalign_env.optimal.situations import END, Memory, exchanges, situations, walked
from gtalign_env.play import play_many
from gtalign_env.pricing import make_pricing
from gtalign_env.registration import make_scenario

USERS = "concise,detailed,balanced,hurried,drifting"


@functools.cache
def people(users: str = USERS, **rules: Any) -> tuple[UserKernel, ...]:
    """Return a population of it."""
    return population_kernels(users, assist(**rules))


def anyhow(scenario: FiniteScenario, seed: int, moves: int = 8) -> AssistantKernel:
    """Return an assistant that draws from its first moves, by chances that depend on the last exchange."""
    graph, rng = situations(scenario, "last"), np.random.default_rng(seed)
    chances = np.zeros((graph.size, len(scenario.tables.assistant_moves)))
    chances[:, -moves:] = rng.dirichlet(np.full(moves, 0.5), size=graph.size)
    return AssistantKernel(name="anyhow", graph=graph, moves=chances)


# -- best responses ---------------------------------------------------------------------------------------------------------


@settings(max_examples=5)
@given(seed=st.integers(0, 10_000), name=st.sampled_from(["concise", "detailed", "hurried"]))
def test_best_response__is_that_of_a_recursion_over_histories(seed: int, name: str) -> None:
    """Against an assistant that draws by what was said, a user that remembers everything gets what the backward pass says."""
    scenario = assist(questions=1, max_exchanges=2)
    kernel = anyhow(scenario, seed)
    found = best_response(scenario, kernel, name)
    slow = Histories(scenario, [found.user_type])
    assert found.user == pytest.approx(slow.best_user(0, plan_of(kernel)), abs=1e-12)


def test_best_response__is_the_best_of_all_pure_strategies() -> None:
    """Enumerated: every first move, with every answer to what the assistant did then."""
    scenario = assist(questions=1, max_exchanges=2, p_simple=1.0, p_harmful=0.0)
    kernel = anyhow(scenario, 3, moves=2)  # CQ or DECLINE
    found = best_response(scenario, kernel, "hurried")
    slow, assistant = Histories(scenario, [found.user_type]), plan_of(kernel)
    count = len(scenario.tables.user_moves)
    best = dict.fromkeys((state for state, _ in slow.openings()), -np.inf)
    for first, after_question, after_refusal in itertools.product(range(count), repeat=3):

        def user(history: History, _: int, pure: Any = (first, after_question, after_refusal)) -> Any:
            return np.eye(count)[pure[0] if not history else pure[history[0][2] - 5]]

        for state, chance in slow.openings():
            alone = copy.copy(slow)
            alone.openings = lambda s=state, c=chance: [(s, c)]  # type: ignore[method-assign, misc]
            best[state] = max(best[state], alone.value(0, user, assistant)[0])
    assert found.user == pytest.approx(sum(best.values()), abs=1e-12)


@pytest.mark.parametrize("pricing", ["subscription", "per_token"])
def test_best_response__is_never_worse_than_a_persona(pricing: str) -> None:
    """No shipped persona does better than the best response of its type."""
    scenario = assist(questions=2)
    kernels = population_kernels("chatty,expert,over_vague,thrifty," + USERS, scenario, pricing)
    for move in ("DA_short", "AQ_long", "CQ", "DECLINE"):
        for found in deviations(scenario, kernels, fixed_kernel(scenario, move), pricing):
            assert found.gain >= -1e-12


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_best_response__as_a_kernel_gets_what_it_is_worth(seed: int) -> None:
    """The automaton that remembers the assistant's situation earns the value, and gives the assistant what was said."""
    scenario = assist(questions=2)
    kernel = anyhow(scenario, seed)
    found = best_response(scenario, kernel, "detailed")
    assert meeting(scenario, found.kernel(), kernel) == pytest.approx((found.user, found.assistant), abs=1e-12)


def test_best_response__where_nothing_matters_makes_the_first_move() -> None:
    """Against a refusal for ever words are wasted, and the last exchange of a session asks for none: the user says nothing."""
    scenario = assist(questions=1)
    found = best_response(scenario, fixed_kernel(scenario, "DECLINE"), "concise")
    kernel = found.kernel()
    assert kernel.memories == 1
    assert (found.moves == 0).all()


def test_best_response__leaves_where_staying_costs() -> None:
    """Asked back for ever, a user who pays no fee leaves at once, and pays for the one exchange with its time."""
    scenario = assist(questions=2)
    found = best_response(scenario, fixed_kernel(scenario, "CQ"), "hurried", "per_request:fee=0.0")
    assert scenario.tables.user_moves[int(found.moves[found.against.graph.first[0]])] == "LEAVE"
    theta = scenario.known_types["hurried"]
    assert found.user == pytest.approx(-1.0 / theta.patience - 25.0 * theta.reading_cost, abs=1e-5)


def test_deviations__gain_is_best_less_what_is_had() -> None:
    """Both ends are those of the single functions."""
    scenario = assist(questions=1)
    kernels, kernel = people("concise=3,detailed", questions=1), anyhow(scenario, 5)
    for found, user in zip(deviations(scenario, kernels, kernel), kernels, strict=True):
        response = best_response(scenario, kernel, user.user_type)
        assert (found.user, found.assistant) == pytest.approx(meeting(scenario, user, kernel), abs=1e-12)
        assert (found.best, found.then) == pytest.approx((response.user, response.assistant), abs=1e-12)
        assert found.gain == pytest.approx(response.user - found.user)
        assert found.harm == pytest.approx(found.assistant - response.assistant)
    assert [found.share for found in deviations(scenario, kernels, kernel)] == [0.75, 0.25]


def test_response__that_a_kernel_cannot_play_is_refused() -> None:
    """Where two of the assistant's moves count as one act, a user kernel cannot follow what they lead to."""
    scenario = copy.copy(assist(questions=1))
    acts = scenario.tables.assistant_act.copy()
    acts[1] = acts[0]  # a medium answer counts as a short one
    scenario.tables = dataclasses.replace(scenario.tables, assistant_act=acts)
    graph = situations(scenario, "last")
    kernel = AssistantKernel(name="both", graph=graph, moves=np.tile([0.5, 0.5] + [0.0] * 6, (graph.size, 1)))
    found = best_response(scenario, kernel, "concise")
    with pytest.raises(UsageError, match="count as one act"):
        found.kernel()


# -- assistants as automata -------------------------------------------------------------------------------------------------


def test_automaton_kernel__of_the_optimum_has_the_optimal_payoffs() -> None:
    """Followed situation by situation, the solver's policies earn what the solver says, from the same people."""
    for objective in ("utilitarian", "cobb_douglas"):
        scenario, kernels = assist(questions=2), people(questions=2)
        best = optimum(scenario, kernels, objective=objective, cache=False)
        kernel = automaton_kernel(scenario, "optimum", best.policies)
        both = np.array([meeting(scenario, user, kernel) for user in kernels])
        assert np.array([user.share for user in kernels]) @ both == pytest.approx((best.user, best.assistant), abs=1e-9)


class Stubborn:
    """An automaton with one move."""

    def __init__(self, move: int) -> None:
        self.made = move

    def begin(self, state: int, /) -> int:
        """Stay where it is."""
        del state
        return 0

    def move(self, place: int, /) -> int:
        """Return its move."""
        del place
        return self.made

    def follow(self, place: int, user_move: int, state: int, /) -> int:
        """Stay where it is."""
        del user_move, state
        return place


def test_automaton_kernel__of_several_plays_like_a_draw_before_the_session() -> None:
    """Against any automaton, the mixture is worth the mean of its parts (Kuhn)."""
    scenario = assist(questions=2)
    kernel = automaton_kernel(scenario, "mixed", [(0.25, Stubborn(0)), (0.75, Stubborn(6))])
    parts = [fixed_kernel(scenario, "DA_short"), fixed_kernel(scenario, "CQ")]
    for user in people(questions=2):
        short, ask = (np.array(meeting(scenario, user, part)) for part in parts)
        assert meeting(scenario, user, kernel) == pytest.approx(0.25 * short + 0.75 * ask, abs=1e-12)


def test_policy_kernel__of_the_heuristic_is_worth_what_it_gets_in_play() -> None:
    """Played sessions agree with the exact value within four standard errors."""
    scenario = assist(questions=1)
    kernel = policy_kernel(scenario, HeuristicAssistant())
    kernels = people("concise=0.35,detailed=0.35,balanced=0.15,hurried=0.15", questions=1)
    exact = np.array([user.share for user in kernels]) @ [meeting(scenario, user, kernel) for user in kernels]
    env = gtalign_env.parallel_env("assist", questions=1)
    users = population("concise=0.35,detailed=0.35,balanced=0.15,hurried=0.15")
    totals = np.array(
        [
            [sum(step.user.payoff for step in episode.steps), sum(step.assistant.payoff for step in episode.steps)]
            for episode in play_many(env, users, HeuristicAssistant(), episodes=2000)
        ]
    )
    error = totals.std(axis=0, ddof=1) / np.sqrt(len(totals))
    assert (np.abs(totals.mean(axis=0) - exact) < 4.0 * error).all()


def test_policy_kernel__sits_down_and_sees_the_price() -> None:
    """A fixed move by name needs a chair; the heuristic asks differently where requests are dear."""
    scenario = assist(questions=1)
    fixed = policy_kernel(scenario, make_assistant("fixed:AQ_long"))
    assert {int(move) for move in fixed.moves.argmax(axis=1)} == {scenario.tables.assistant_moves.index("AQ_long")}
    cheap, dear = (
        policy_kernel(scenario, HeuristicAssistant(), pricing=make_pricing(pricing))
        for pricing in ("subscription", "per_request:fee=0.5")
    )
    assert cheap.moves[:, 6].sum() > dear.moves[:, 6].sum() == 0.0


def test_policy_kernel__refuses_what_it_cannot_follow() -> None:
    """Draws at random, memories that cannot be kept, and too many situations are errors that say so."""
    scenario = assist(questions=1)
    with pytest.raises(UsageError, match="draws its moves at random"):
        policy_kernel(scenario, make_assistant("random"))
    unkept = HeuristicAssistant()
    unkept.looking = lambda: None  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="cannot be pickled"):
        policy_kernel(scenario, unkept)
    with pytest.raises(SolverError, match="more than 20 where heuristic"):
        policy_kernel(scenario, HeuristicAssistant(), limit=20)


def test_assistant_kernel__refuses_what_is_none() -> None:
    """Shapes and chances are checked, and names of moves."""
    graph = situations(assist(questions=1), "none")
    with pytest.raises(UsageError, match="expected moves of shape"):
        AssistantKernel(name="bad", graph=graph, moves=np.ones((1, 8)))
    with pytest.raises(UsageError, match="do not sum to 1"):
        AssistantKernel(name="bad", graph=graph, moves=np.ones((graph.size, 8)))
    with pytest.raises(UsageError, match="expected a move of DA_short"):
        fixed_kernel(assist(questions=1), "SING")


def test_fixed_kernel__where_its_move_is_illegal_makes_the_first_legal_one() -> None:
    """In a game with turns whoever waits has one move."""
    scenario = make_scenario("gtalign/Trigame-v0")
    assert isinstance(scenario, FiniteScenario)
    move = next(name for name in scenario.tables.assistant_moves if name != "WAIT")
    kernel = fixed_kernel(scenario, move)
    assert (scenario.tables.assistant_mask[kernel.graph.state][kernel.moves > 0.0] == 1).all()


# -- situations -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recall", ["all", "two", "last", "none"])
def test_situations__follow_the_public_state(recall: str) -> None:
    """Whatever is remembered, a situation's successors are those of its public state, and stand behind it."""
    scenario = assist(questions=1)
    graph, game = situations(scenario, recall), exchanges(scenario, scenario.mix.types)
    following = game.following[graph.row_state]
    assert ((graph.follow == END) == (following == END)).all()
    on = graph.follow != END
    assert (graph.state[graph.follow[on]] == following[on]).all()
    row, *_ = np.nonzero(on)
    assert (graph.follow[on] >= graph.span[row + 1]).all()


def test_situations__of_all_that_was_seen_are_histories() -> None:
    """By hand: harmless openings are followed by 10 moves and 7 replies that go on, twice; a harmful one by CQ alone."""
    harmless, harmful = 4 * (1 + 70 + 70**2), 2 * (1 + 10 + 10**2)
    assert situations(assist(questions=1), "all").size == harmless + harmful


def test_situations__refuses_what_it_cannot_walk() -> None:
    """Unknown recall, too many situations, and states that come back."""
    scenario = assist(questions=1)
    with pytest.raises(UsageError, match="expected one of all, two, last, none"):
        situations(scenario, "some")
    with pytest.raises(SolverError, match="more than 100 where all"):
        situations(scenario, "all", limit=100)
    game = exchanges(scenario, scenario.mix.types)
    endless = dataclasses.replace(game, following=np.zeros_like(game.following))
    with pytest.raises(UsageError, match="can come back"):
        walked(endless, Memory(after=lambda *_: ()), "nothing", 100)
