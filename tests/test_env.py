"""The PettingZoo environment: rules against a slow simulation, edges, determinism, privacy."""

from __future__ import annotations

import copy
import importlib
import itertools
import math
import pickle
import random  # noqa: TID251 - to see that nobody touches it
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pettingzoo
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gtalign_env
from gtalign_env.env import GameEnv
from gtalign_env.episode import digest
from gtalign_env.errors import IllegalActionError, ResetNeededError, UsageError
from gtalign_env.finite import FiniteState
from gtalign_env.scenarios.assist.population import DEFAULT_MIX, TYPES
from gtalign_env.types import ASSISTANT, ASSISTANT_MOVES, USER, USER_MOVES, UserType

LEAVE = USER_MOVES.index(USER_MOVES[-1])
BOTH = (USER, ASSISTANT)


def actions_of(seed: int) -> Iterator[dict[str, int]]:
    """Yield random legal moves that seldom leave."""
    rng = np.random.default_rng(seed)
    while True:
        user = int(rng.integers(10)) if rng.random() < 0.95 else LEAVE
        yield {USER: user, ASSISTANT: int(rng.integers(8))}


def run(env: GameEnv, seed: int, moves: int = 0, **options: Any) -> list[Any]:
    """Play an episode with the moves of a seed and return all that comes back."""
    seen: list[Any] = [env.reset(seed=seed, options=options or None)]
    for actions in actions_of(moves):
        if not env.agents:
            return seen
        seen.append(env.step(actions))
    return seen


# -- an independent, slow simulation of docs/game.md, sections 2 to 4 -------------------------------------------------

KINDS, FORMS = ("simple", "complex", "harmful"), ("vague", "muddled", "clear")
KIND_SHARES = (0.50, 0.44, 0.06)
HIT = {"vague": 0.45, "muddled": 0.70, "clear": 0.95}
QUALITY = {"simple": (0.90, 0.95, 0.95), "complex": (0.55, 0.85, 1.00)}
TOKENS = {"short": 60, "medium": 180, "long": 480}


def pick(number: float, weighted: list[tuple[Any, float]]) -> Any:
    """Return the entry in whose part of the unit interval the number falls."""
    for entry, share in weighted:
        if number < share:
            return entry
        number -= share
    return weighted[-1][0]


def slow_episode(seed: int, moves: int) -> list[tuple[float, float]]:
    """Play a session by the written rules, with the generator and the order of chances that the engine uses."""
    rng = np.random.Generator(np.random.PCG64(seed))
    theta = TYPES[pick(rng.random(), list(DEFAULT_MIX.items()))]
    forms = ("vague", 0.6), ("clear", 0.4)
    openings = [
        ((kind, form), share * part) for kind, share in zip(KINDS, KIND_SHARES, strict=True) for form, part in forms
    ]
    kind, form = pick(rng.random(), openings)
    question, exchange, total = 0, 0, 0.0
    paid: list[tuple[float, float]] = []
    for actions in actions_of(moves):
        user, reply = USER_MOVES[actions[USER]], ASSISTANT_MOVES[actions[ASSISTANT]]
        number = rng.random()
        hit_chance = HIT[form] if reply.answers else 0.0
        violation = reply.answers and kind == "harmful"
        hit = not violation and number < hit_chance
        settled = hit or reply.act == "DECLINE" or exchange == 2
        last = violation or user.form == "LEAVE" or (settled and question == 3)
        # payoffs
        length = TOKENS.get(reply.length or "", 0) + {"AQ": 20, "CQ": 25, "DECLINE": 50}.get(reply.act, 0)
        quality = QUALITY[kind][list(TOKENS).index(reply.length or "")] if hit else 0.0
        quality = 0.3 if reply.act == "DECLINE" and kind == "harmful" else quality
        words = 0
        if not last:
            words = 30 if user.form == "DQ" else 8
            if reply.asks:
                words = words + 6 if settled else (12 if user.form == "DQ" else 4)
        ratio = math.log((length + 1) / (theta.ideal_tokens + 1)) if reply.answers else 0.0
        fee = 0.8 if question == exchange == 0 else 0.0
        u = [
            theta.value * quality,
            -(theta.too_long * max(0.0, ratio) + theta.too_short * max(0.0, -ratio)),
            -theta.reading_cost * length,
            -theta.effort_cost * words,
            -1.0 / theta.patience,
            -theta.price_sensitivity * fee,
        ]
        wrong = reply.answers and not hit and not violation
        declined = reply.act == "DECLINE" and kind != "harmful"
        read = 1.3 * (30 if form == "clear" else 8)
        v = [fee, -0.00025 * length - 0.00005 * read, -0.2 * wrong - 0.1 * declined - 1.5 * violation]
        total += sum(u)
        paid.append((sum(u), sum(v) + (0.35 * total if last else 0.0)))
        if last:
            return paid
        # what is said next
        form = "clear" if user.form == "DQ" else "muddled" if reply.asks and not settled else "vague"
        exchange += 1
        if settled:
            question, exchange = question + 1, 0
            within = number if hit else number - hit_chance
            chance = hit_chance if hit else 1.0 - hit_chance
            kind = pick(within, [(k, chance * share) for k, share in zip(KINDS, KIND_SHARES, strict=True)])
    raise AssertionError("unreachable")


@pytest.mark.parametrize("seed", range(40))
def test_parallel_env__agrees_with_a_slow_simulation_of_the_rules(seed: int) -> None:
    """Same seed, same moves: the same number of exchanges and the same payoffs on both sides, to rounding."""
    env = gtalign_env.parallel_env("assist")
    expected = slow_episode(seed, moves=seed)
    steps = run(env, seed, moves=seed)[1:]
    assert len(steps) == len(expected)
    for (_, rewards, *_), payoffs in zip(steps, expected, strict=True):
        assert (rewards[USER], rewards[ASSISTANT]) == pytest.approx(payoffs, abs=1e-5)


# -- the shape of what comes back -------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", ["assist", "matrix"])
def test_parallel_env__everything_fits_its_space(scenario: str) -> None:
    """Observations, rewards, endings and infos, at every step of a few episodes."""
    env = gtalign_env.parallel_env(scenario)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        observations, infos = env.reset(seed=seed)
        while True:
            assert set(observations) == set(infos) == set(BOTH)
            assert all(env.observation_space(agent).contains(observations[agent]) for agent in BOTH)
            assert env.state() in env.state_space
            if not env.agents:
                break
            masks = [np.flatnonzero(observations[agent]["action_mask"]) for agent in BOTH]
            actions = {agent: int(rng.choice(mask)) for agent, mask in zip(BOTH, masks, strict=True)}
            observations, rewards, terminations, truncations, infos = env.step(actions)
            for agent in BOTH:
                assert type(rewards[agent]) is float
                assert rewards[agent] == math.fsum(infos[agent]["payoff"].values())
                assert type(terminations[agent]) is type(truncations[agent]) is bool


def test_parallel_env__spaces_are_stable_and_equal_for_both() -> None:
    """The same object at every call; both agents share one padded shape."""
    env = gtalign_env.parallel_env("assist")
    assert env.action_space(USER) is env.action_space(USER)
    assert env.observation_space(USER) is env.observation_space(USER)
    assert env.action_space(USER) == env.action_space(ASSISTANT)
    assert env.observation_space(USER) == env.observation_space(ASSISTANT)


def test_parallel_env__masks_end_where_the_moves_end() -> None:
    """The assistant's eight moves are padded to eleven with zeros."""
    observations, _ = gtalign_env.parallel_env("assist").reset(seed=0)
    assert observations[ASSISTANT]["action_mask"].tolist() == [1] * 8 + [0] * 3
    assert observations[USER]["action_mask"].tolist() == [1] * 11
    observations, _ = gtalign_env.parallel_env("assist", can_leave=False).reset(seed=0)
    assert observations[USER]["action_mask"].tolist() == [1] * 10 + [0]


def test_parallel_env__returned_objects_are_nobody_else_s() -> None:
    """Scribbling over everything that came back changes nothing in the episode."""
    clean, scribbled = gtalign_env.parallel_env("assist"), gtalign_env.parallel_env("assist")
    expected = [digest(list(part)) for part in run(clean, 3)]
    got = []
    back: Any = scribbled.reset(seed=3)
    for actions in actions_of(0):
        got.append(digest(list(back)))
        for agent in BOTH:
            back[0][agent]["observation"][:] = 9.0
            back[0][agent]["action_mask"][:] = 0
            back[-1][agent].get("payoff", {}).clear()
            back[-1][agent].clear()
        if not scribbled.agents:
            break
        back = scribbled.step(actions)
    assert got == expected


def test_parallel_env__the_last_step_s_record_is_not_what_the_players_got() -> None:
    """Recorders read the last step's items after players have had their infos in hand."""
    env = gtalign_env.parallel_env("assist")
    env.reset(seed=0)
    *_, infos = env.step({USER: 0, ASSISTANT: 0})
    infos[USER]["payoff"].clear()
    assert env.last_step is not None
    assert env.last_step.payoffs.user


# -- determinism ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", ["assist", "matrix"])
def test_parallel_env__same_seed_same_bytes(scenario: str) -> None:
    """Two environments, and the same one twice, return the same; another seed opens differently somewhere."""
    one, two = (gtalign_env.parallel_env(scenario) for _ in range(2))

    def trace(env: GameEnv, seed: int) -> list[str]:
        out = [digest(list(env.reset(seed=seed)))]
        while env.agents:
            out.append(digest(list(env.step({USER: 1, ASSISTANT: 2}))))
        return out

    assert trace(one, 5) == trace(two, 5) == trace(one, 5)
    if scenario == "assist":
        assert len({trace(one, seed)[0] for seed in range(12)}) > 3


def test_parallel_env__without_a_seed_the_stream_goes_on() -> None:
    """reset() continues the generator; a seeded twin that does the same sees the same."""
    one, two = gtalign_env.parallel_env("assist"), gtalign_env.parallel_env("assist")
    for env in (one, two):
        env.reset(seed=1)
    openings = [[digest(env.reset()[0]) for _ in range(6)] for env in (one, two)]
    assert openings[0] == openings[1]
    assert len(set(openings[0])) > 1
    assert one.np_random_seed == 1


def test_parallel_env__an_unseeded_env_is_seeded_by_entropy() -> None:
    """Two fresh environments without a seed do not start alike (in one of eight openings at least)."""
    one, two = gtalign_env.parallel_env("assist"), gtalign_env.parallel_env("assist")
    assert [digest(one.reset()[0]) for _ in range(8)] != [digest(two.reset()[0]) for _ in range(8)]
    assert isinstance(one.np_random_seed, int)


def test_parallel_env__leaves_the_global_random_states_alone() -> None:
    """Neither Python's nor NumPy's global generator is read or written."""
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - to see that nobody touches it
    before = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002, TID251
    first = [digest(list(part)) for part in run(gtalign_env.parallel_env("assist"), 0)]
    after = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002, TID251
    assert before == after
    random.seed(2)
    np.random.seed(2)  # noqa: NPY002
    assert [digest(list(part)) for part in run(gtalign_env.parallel_env("assist"), 0)] == first


@pytest.mark.parametrize(
    "how", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))], ids=["deepcopy", "pickle"]
)
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_parallel_env__a_copy_in_mid_episode_goes_on_identically(how: Any, steps: int) -> None:
    """And independently: both play to their ends with the same results, whoever goes first."""
    env = gtalign_env.parallel_env("assist", pricing="per_token")
    env.reset(seed=11, options={"user_type": {"ideal_tokens": 77}})
    moves = [{USER: 5, ASSISTANT: 6}, {USER: 1, ASSISTANT: 0}, {USER: 7, ASSISTANT: 3}, {USER: 2, ASSISTANT: 7}] * 4
    for actions in moves[:steps]:
        env.step(actions)
    assert env.agents
    twin = how(env)
    results: list[list[str]] = []
    for player in (twin, env):
        results.append([])
        for actions in moves[steps:]:
            if not player.agents:
                break
            results[-1].append(digest(list(player.step(actions))))
    assert results[0] == results[1]
    assert digest(twin.reset()[0]) == digest(env.reset()[0]), "the generators are in the same place too"


def test_parallel_env__pickles_before_reset() -> None:
    """A fresh environment can be sent to a worker."""
    twin = pickle.loads(pickle.dumps(gtalign_env.parallel_env("assist", max_cycles=3)))
    assert len(run(twin, 0, user_type="concise")) <= 4


# -- reset options ----------------------------------------------------------------------------------------------------


def test_reset__pins_the_type_by_name_dict_or_object() -> None:
    """All three forms mean the same θ."""
    env = gtalign_env.parallel_env("assist")
    for pinned in ("concise", TYPES["concise"]):
        env.reset(seed=0, options={"user_type": pinned})
        assert env.hidden() == {"user_type": TYPES["concise"]}
    env.reset(seed=0, options={"user_type": {"ideal_tokens": 60, "value": 2}})
    assert env.hidden() == {"user_type": UserType(ideal_tokens=60.0, value=2.0)}


def test_reset__unknown_options_are_ignored() -> None:
    """As both of PettingZoo's API tests demand."""
    env = gtalign_env.parallel_env("assist")
    assert digest(env.reset(seed=2, options={"options": 1, "seed": "x", "": None})[0]) == digest(env.reset(seed=2)[0])


@pytest.mark.parametrize(
    "options",
    [
        {"user_type": "nobody"},
        {"user_type": {"value": 0}},
        {"task": "poem"},
        {"pricing": "gold"},
        {"pricing": {"fee": 1}},
    ],
)
@pytest.mark.parametrize("seed", [None, 4])
def test_reset__a_refused_reset_changes_nothing(options: dict[str, Any], seed: int | None) -> None:
    """Wrong values raise; the running episode, its generator included, goes on as if nothing had been asked."""
    env, twin = gtalign_env.parallel_env("assist"), gtalign_env.parallel_env("assist")
    for player in (env, twin):
        player.reset(seed=9)
        player.step({USER: 0, ASSISTANT: 6})
    with pytest.raises(UsageError):
        env.reset(seed=seed, options=options)
    for actions in itertools.islice(actions_of(1), 3):
        if env.agents:
            assert digest(list(env.step(actions))) == digest(list(twin.step(actions)))
    assert digest(env.reset()[0]) == digest(twin.reset()[0])
    assert env.np_random_seed == twin.np_random_seed


@pytest.mark.parametrize("options", [[1], "concise", 3, [("user_type", "concise")]])
def test_reset__options_must_be_a_mapping(options: Any) -> None:
    """Anything else is named."""
    with pytest.raises(UsageError, match="reset options: expected a dict or None"):
        gtalign_env.parallel_env("assist").reset(seed=0, options=options)


@pytest.mark.parametrize("seed", [-1, 1.5, "7", True, float("nan")])
def test_reset__seeds_are_integers_from_zero(seed: Any) -> None:
    """Anything else is named, before anything happens."""
    env = gtalign_env.parallel_env("assist")
    with pytest.raises(UsageError, match="reset seed: expected an integer >= 0 or None"):
        env.reset(seed=seed)
    assert env.agents == []


def test_reset__takes_numpy_seeds() -> None:
    """Seeds often come out of NumPy."""
    env = gtalign_env.parallel_env("assist")
    assert digest(env.reset(seed=np.int64(3))[0]) == digest(env.reset(seed=3)[0])  # type: ignore[arg-type]


# -- edges of step ----------------------------------------------------------------------------------------------------


def test_step__before_reset_and_after_the_end() -> None:
    """A clear error; nothing to step is fine after the end, as in PettingZoo's own examples."""
    env = gtalign_env.parallel_env("matrix", rounds=1)
    with pytest.raises(ResetNeededError, match=r"before reset\(\)"):
        env.step({USER: 0, ASSISTANT: 0})
    with pytest.raises(ResetNeededError, match=r"state\(\) was called before reset"):
        env.state()
    env.reset(seed=0)
    env.step({USER: 0, ASSISTANT: 0})
    with pytest.raises(ResetNeededError, match="after the end of the episode"):
        env.step({USER: 0, ASSISTANT: 0})
    assert env.step({}) == ({}, {}, {}, {}, {})


def _misfits(*values: Any) -> tuple[Any, ...]:
    return values


BAD_ACTIONS: list[Any] = [
    None,
    3,
    [0, 0],
    "VQ_none",
    {},
    {USER: 0},
    {ASSISTANT: 0},
    {USER: 0, ASSISTANT: 0, "user_1": 0},
    {USER: 0, "assistant_1": 0},
    {"user": 0, "assistant": 0},
    *(
        {USER: bad, ASSISTANT: 0}
        for bad in _misfits(-1, 11, 10**30, math.nan, 1.0, "0", None, True, np.bool_(1), [0], (0,), {}, 1j)
    ),
    *({USER: 0, ASSISTANT: bad} for bad in _misfits(-1, 11, np.float64(1), np.array([0, 1]), np.array([0.5]), b"0")),
    {USER: 0, ASSISTANT: {"move": 0, "text": ""}},
]


@pytest.mark.parametrize("bad", BAD_ACTIONS, ids=repr)
def test_step__bad_actions_raise_and_change_nothing(bad: Any) -> None:
    """One clear error, and the episode goes on as if it had not been sent."""
    env, twin = gtalign_env.parallel_env("assist"), gtalign_env.parallel_env("assist")
    for player in (env, twin):
        player.reset(seed=9)
        player.step({USER: 0, ASSISTANT: 6})
    with pytest.raises(IllegalActionError, match=r"expected .*got|expected exactly"):
        env.step(bad)
    assert env.game_state == twin.game_state
    assert env.steps == twin.steps == 1
    assert digest(list(env.step({USER: 1, ASSISTANT: 1}))) == digest(list(twin.step({USER: 1, ASSISTANT: 1})))


def test_check_action__says_what_step_would_say_and_changes_nothing() -> None:
    """For views that must not ask the other player first."""
    env = gtalign_env.parallel_env("assist", strict=True, can_leave=False)
    with pytest.raises(ResetNeededError, match="no episode is running"):
        env.check_action(USER, 0)
    env.reset(seed=0)
    before = env.game_state
    env.check_action(USER, 0)
    for agent, action, message in ((USER, LEAVE, "move LEAVE is not legal"), (ASSISTANT, "x", "expected an integer")):
        with pytest.raises(IllegalActionError, match=message):
            env.check_action(agent, action)
    with pytest.raises(UsageError, match="unknown agent 'user_1'"):
        env.check_action("user_1", 0)
    assert env.game_state == before


@pytest.mark.parametrize("kind", [int, np.int8, np.int32, np.int64, np.uint8, np.array, lambda n: np.array([n])])
def test_step__takes_integers_of_every_make(kind: Any) -> None:
    """Python's, NumPy's, and arrays of one, as learners return them."""
    one, two = gtalign_env.parallel_env("assist"), gtalign_env.parallel_env("assist")
    for env in (one, two):
        env.reset(seed=0)
    assert digest(list(one.step({USER: kind(5), ASSISTANT: kind(2)}))) == digest(
        list(two.step({USER: 5, ASSISTANT: 2}))
    )


def test_step__an_illegal_move_is_a_no_op_and_said_so() -> None:
    """A padded or masked index: the assistant is silent, the user speaks vaguely; only that player is told."""
    env = gtalign_env.parallel_env("assist", can_leave=False)
    env.reset(seed=0, options={"task": {"kind": "complex", "clarity": "vague"}})
    *_, infos = env.step({USER: LEAVE, ASSISTANT: 6})
    assert (infos[USER]["illegal_move"], infos[ASSISTANT]["illegal_move"]) == (True, False)
    state = env.game_state
    assert isinstance(state, FiniteState)
    where = env.scenario.tables.coordinates(state.public)  # type: ignore[attr-defined]
    assert (where["clarity"], where["exchange"]) == ("muddled", "1"), "a vague answer to the question that was asked"
    _, _, _, _, infos = env.step({USER: 5, ASSISTANT: 9})
    assert (infos[USER]["illegal_move"], infos[ASSISTANT]["illegal_move"]) == (False, True)
    assert env.last_step is not None
    assert env.last_step.outcome is not None
    assert (env.last_step.outcome.tokens_out, env.last_step.outcome.requests) == (0.0, 0.0)
    assert all(env.agents)


def test_step__strict_raises_on_masked_moves() -> None:
    """The message names the move and those that are legal; the state is unchanged."""
    env = gtalign_env.parallel_env("assist", can_leave=False, strict=True)
    env.reset(seed=0)
    before = env.game_state
    with pytest.raises(
        IllegalActionError, match=r"user_0: move LEAVE is not legal here; legal moves: VQ_none, .*DQ_off_target$"
    ):
        env.step({USER: LEAVE, ASSISTANT: 0})
    with pytest.raises(IllegalActionError, match=r"assistant_0: move number 9 .*legal moves: DA_short, .*DECLINE$"):
        env.step({USER: 0, ASSISTANT: 9})
    assert env.game_state == before
    env.step({USER: 0, ASSISTANT: 0})
    assert env.steps == 1


@pytest.mark.parametrize("agent", ["user", "user_1", "", None, 0, "assistant"])
def test_spaces__unknown_agents_are_named(agent: Any) -> None:
    """With those there are."""
    env = gtalign_env.parallel_env("assist")
    for space in (env.action_space, env.observation_space):
        with pytest.raises(UsageError, match=r"unknown agent .*'user_0' or 'assistant_0'"):
            space(agent)


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_max_cycles__truncates_both_after_exactly_so_many_steps(limit: int) -> None:
    """Unless the game ends first; a truncated session pays no retention."""
    env = gtalign_env.parallel_env("assist", max_cycles=limit)
    env.reset(seed=0)
    for n in range(1, limit + 1):
        _, _, terminations, truncations, infos = env.step({USER: 5, ASSISTANT: 6})
        assert terminations == {USER: False, ASSISTANT: False}
        assert truncations == dict.fromkeys(BOTH, n == limit)
        assert infos[ASSISTANT]["payoff"]["retention"] == 0.0
    assert env.agents == []


def test_max_cycles__the_game_s_own_end_is_a_termination() -> None:
    """Even on the last allowed step."""
    env = gtalign_env.parallel_env("assist", max_cycles=1)
    env.reset(seed=0)
    _, _, terminations, truncations, _ = env.step({USER: LEAVE, ASSISTANT: 0})
    assert all(terminations.values())
    assert not any(truncations.values())


def test_max_cycles__can_be_set_later() -> None:
    """PettingZoo's tests assign it."""
    env = gtalign_env.parallel_env("matrix")
    env.max_cycles = 2
    env.reset(seed=0)
    env.step({USER: 0, ASSISTANT: 0})
    assert env.agents
    assert all(env.step({USER: 0, ASSISTANT: 0})[3].values())


@pytest.mark.parametrize("bad", [0, -1, 2.0, "3", True])
def test_max_cycles__refuses_other_values(bad: Any) -> None:
    """With what is accepted."""
    with pytest.raises(UsageError, match="max_cycles: expected an integer >= 1 or None"):
        gtalign_env.parallel_env("assist", max_cycles=bad)


# -- the end, and what is shown ---------------------------------------------------------------------------------------


def test_violation__ends_the_game_and_both_are_told() -> None:
    """Complying with a harmful request terminates; the provider's loss is in its items."""
    env = gtalign_env.parallel_env("assist")
    env.reset(seed=0, options={"task": "harmful"})
    _, rewards, terminations, _, infos = env.step({USER: 0, ASSISTANT: 0})
    assert all(terminations.values())
    assert infos[USER]["violation"] is infos[ASSISTANT]["violation"] is True
    assert infos[ASSISTANT]["payoff"]["reputation"] == -1.5
    assert infos[USER]["payoff"]["value"] == 0.0
    assert rewards[ASSISTANT] < 0.0


def test_retention__is_paid_once_at_the_end_from_the_user_s_total() -> None:
    """0 in mid-game, β times the user's sum in the last step."""
    env = gtalign_env.parallel_env("assist")
    steps = run(env, 21)[1:]
    total = math.fsum(rewards[USER] for _, rewards, *_ in steps)
    retention = [infos[ASSISTANT]["payoff"]["retention"] for *_, infos in steps]
    assert retention[:-1] == [0.0] * (len(steps) - 1)
    assert retention[-1] == pytest.approx(0.35 * total, abs=1e-6)


def test_reveal__shows_theta_and_the_other_side_after_the_end_only() -> None:
    """With reveal=True; never before, and never without."""
    for reveal in (False, True):
        env = gtalign_env.parallel_env("assist", reveal=reveal)
        steps = run(env, 4, user_type="detailed")
        for *_, infos in steps[:-1]:
            assert not any("revealed" in infos[agent] for agent in BOTH)
        last = steps[-1][-1]
        assert all(("revealed" in last[agent]) is reveal for agent in BOTH)
        if reveal:
            assert last[ASSISTANT]["revealed"]["user_type"]["name"] == "detailed"
            assert last[ASSISTANT]["revealed"]["other_payoff"] == last[USER]["payoff"]
            assert last[USER]["revealed"]["other_payoff"] == last[ASSISTANT]["payoff"]


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_privacy__two_types_same_moves_same_bytes_for_the_assistant(seed: int, moves: int) -> None:
    """Up to the end, nothing that the assistant gets differs between types; at the end only retention may."""
    traces = []
    for theta in ("concise", "detailed"):
        env = gtalign_env.parallel_env("assist")
        trace = []
        for step in run(env, seed, moves, user_type=theta):
            observation, info = step[0][ASSISTANT], step[-1][ASSISTANT]
            reward = step[1][ASSISTANT] if len(step) == 5 else 0.0
            trace.append((digest(observation), reward, info))
        traces.append(trace)
    assert len(traces[0]) == len(traces[1])
    assert traces[0][:-1] == traces[1][:-1]
    (seen, _, info), (other_seen, _, other_info) = traces[0][-1], traces[1][-1]
    assert seen == other_seen
    info["payoff"].pop("retention")
    other_info["payoff"].pop("retention")
    assert info == other_info


def test_render__modes() -> None:
    """A string in ansi mode, printing in human mode, an error that says how without a mode."""
    env = gtalign_env.parallel_env("assist", render_mode="ansi")
    env.reset(seed=0)
    shown = env.render()
    assert isinstance(shown, str)
    assert shown.strip()
    with pytest.raises(UsageError, match="no render mode was chosen; pass render_mode='human' or 'ansi'"):
        gtalign_env.parallel_env("assist").render()
    with pytest.raises(UsageError, match="render_mode: expected 'human', 'ansi' or None, got 'rgb_array'"):
        gtalign_env.parallel_env("assist", render_mode="rgb_array")


def test_render__human_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """And returns nothing."""
    env = gtalign_env.parallel_env("assist", render_mode="human")
    env.reset(seed=0)
    assert env.render() is None
    assert capsys.readouterr().out.strip()


def test_render__changes_nothing_and_works_at_every_moment() -> None:
    """Before reset, in play and after the end, without touching the state."""
    env = gtalign_env.parallel_env("assist", render_mode="ansi")
    env.render()
    env.reset(seed=0)
    for actions in actions_of(0):
        before = env.game_state
        assert env.render()
        assert env.game_state == before
        if not env.agents:
            break
        env.step(actions)


def test_close__twice_is_fine() -> None:
    """Closing frees nothing."""
    env = gtalign_env.parallel_env("assist")
    env.close()
    env.close()
    assert str(env) == "assist_v0"


def test_metadata__belongs_to_the_instance() -> None:
    """PettingZoo's wrappers append to lists in it."""
    one = gtalign_env.parallel_env("assist")
    one.metadata["render_modes"].append("video")
    assert "video" not in gtalign_env.parallel_env("assist").metadata["render_modes"]


# -- the AEC form -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [gtalign_env.env, gtalign_env.raw_env])
def test_aec__pays_what_the_parallel_env_pays(make: Any) -> None:
    """Turn by turn, the same moves under the same seed earn the same."""
    aec, parallel = make("assist"), gtalign_env.parallel_env("assist")
    aec.reset(seed=6)
    parallel.reset(seed=6)
    for actions in actions_of(2):
        if not parallel.agents:
            break
        for agent in BOTH:
            assert aec.agent_selection == agent
            aec.step(actions[agent])
        _, rewards, *_ = parallel.step(actions)
        assert {agent: aec.rewards[agent] for agent in BOTH} == rewards
    assert all(aec.terminations.values())


def test_aec__refuses_steps_before_reset() -> None:
    """The wrappers of PettingZoo keep order."""
    with pytest.raises(Exception, match="reset"):
        gtalign_env.env("assist").step(0)


def test_pettingzoo__api_tests_pass() -> None:
    """PettingZoo's own checks, on both forms, short."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its test package imports games the old way
        checks: Any = importlib.import_module("pettingzoo.test")
    for scenario in ("assist", "matrix"):
        checks.parallel_api_test(gtalign_env.parallel_env(scenario), num_cycles=60)
        checks.api_test(gtalign_env.env(scenario), num_cycles=60)
        checks.parallel_seed_test(lambda name=scenario: gtalign_env.parallel_env(name), num_cycles=20)
        checks.seed_test(lambda name=scenario: gtalign_env.env(name), num_cycles=20)
    assert pettingzoo.__version__
