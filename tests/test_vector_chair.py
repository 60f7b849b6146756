"""One learner in many games: exact against the rules, alike in distribution to the single-agent views, at home in Gymnasium."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from gtalign_env.agents.users import load_persona
from gtalign_env.errors import IllegalActionError, UsageError
from gtalign_env.scenarios.assist.population import TYPES
from gtalign_env.single_agent import assistant_env, user_env
from gtalign_env.types import ASSISTANT, USER, Role
from gtalign_env.vector import VectorChair, assistant_vector_env, user_vector_env, vector_env
from gtalign_env.vector_draws import DRAWS
from gtalign_env.vector_seats import CrowdSeat, PersonaSeat

VIEW = "gtalign_env:gtalign/Assistant-v0"


class Told:
    """A generator that gives one number that is known."""

    def __init__(self, number: float) -> None:
        self.number = number

    def random(self) -> float:
        """Return it."""
        return self.number


def chair(*args: Any, **options: Any) -> VectorChair:
    """Return a batch with one learner."""
    made = vector_env(*args, **options)
    assert isinstance(made, VectorChair)
    return made


@pytest.mark.parametrize("agent", [ASSISTANT, USER])
@pytest.mark.parametrize("users", ["default", "hurried=1,drifting=1,random=1"])
def test_vector_chair__plays_by_the_rules(agent: str, users: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step of every game is what ``FiniteScenario.step`` makes of its state, both moves and the number that chance drew."""
    own: dict[str, Any] = {"users": users} if agent == ASSISTANT else {"assistant": "random"}
    batch = chair("assist", 7, agent=agent, questions=2, share_payoffs=True, itemise=True, **own)
    drawn: dict[str, Any] = {}
    one, act = batch.engine.draws.one, batch.seat.act
    monkeypatch.setattr(batch.engine.draws, "one", lambda out=None: drawn.setdefault("chance", one()))
    monkeypatch.setattr(batch.seat, "act", lambda *given: drawn.setdefault("other", act(*given)))
    rng = np.random.default_rng(0)
    role: Role = "user" if agent == USER else "assistant"
    count = len(batch.scenario.moves(role))
    seen, _ = batch.reset(seed=3)
    ends = np.zeros(7, dtype=bool)
    for _ in range(40):
        drawn.clear()
        before = [batch.engine.state(game) for game in range(7)]
        action = rng.integers(count, size=7)
        seen, rewards, ended, cut, infos = batch.step(action)
        assert not cut.any()
        for game in np.flatnonzero(~ends).tolist():
            pair = (int(action[game]), int(drawn["other"][game]))
            user, assistant = pair if agent == USER else pair[::-1]
            legal = batch.scenario.is_legal(before[game], role, pair[0])
            done = batch.scenario.step(before[game], user, assistant, Told(float(drawn["chance"][game] / DRAWS)))
            assert legal
            mine, theirs = done.payoffs.totals if agent == USER else done.payoffs.totals[::-1]
            items = done.payoffs.user if agent == USER else done.payoffs.assistant
            assert (rewards[game], infos["other_reward"][game], ended[game]) == (mine, theirs, done.ended)
            assert {name: infos["payoff"][name][game] for name in items} == items
            assert batch.payoffs[game].tolist() == list(done.payoffs.totals)
            if not ended[game]:
                assert batch.engine.state(game) == done.state
            assert seen["observation"][game].tobytes() == batch.scenario.observe(done.state, role).tobytes()
            assert bool(infos.get("violation", np.zeros(7))[game]) == bool(done.events)
        assert infos["_other_reward"].tolist() == (~ends).tolist()
        assert rewards[ends].tolist() == [0.0] * int(ends.sum())
        assert batch.public_state.tolist() == batch.engine.public.tolist()
        ends = ended


def returns_of_singles(env: gymnasium.Env[Any, Any], episodes: int, seed: int) -> np.ndarray[Any, Any]:
    """Play episodes with random legal moves; return (episodes, 3): own return, the other's, steps."""
    rng = np.random.default_rng(seed)
    found = np.zeros((episodes, 3))
    for episode in range(episodes):
        seen, _ = env.reset(seed=int(rng.integers(2**31)))
        over = False
        while not over:
            legal = np.flatnonzero(seen["action_mask"])
            move = int(rng.choice(legal)) if legal.size else 0
            seen, reward, ended, cut, info = env.step(move)
            found[episode] += (float(reward), info.get("other_reward", 0.0), 1.0)
            over = ended or cut
    return found


def returns_of_batch(batch: VectorChair, episodes: int, seed: int) -> np.ndarray[Any, Any]:
    """The same with a batch; each game counts its first episodes only, so that short ones are not preferred."""
    rng = np.random.default_rng(seed)
    seen, _ = batch.reset(seed=seed)
    count = batch.num_envs
    per_game, left = np.zeros((count, 3)), np.full(count, -(-episodes // count))
    found, fresh = [], np.zeros(count, dtype=bool)
    while (left > 0).any():
        mask = seen["action_mask"].astype(float)
        mask[~mask.any(axis=1)] = 1.0
        action = (mask * rng.random(mask.shape)).argmax(axis=1)
        seen, rewards, ended, cut, infos = batch.step(action)
        other = infos.get("other_reward", np.zeros(count))
        per_game += np.stack([rewards, other, (~fresh).astype(float)], axis=1)
        fresh = ended | cut
        done = fresh & (left > 0)
        found.append(per_game[done])
        left -= done
        per_game[fresh] = 0.0
    return np.concatenate(found)


VIEWS: list[tuple[str, dict[str, Any]]] = [
    ("assist", {"users": "default", "questions": 2}),
    ("assist", {"users": "adversarial=1,chatty=1", "pricing": "per_request", "questions": 2, "max_cycles": 4}),
    ("prisoners_dilemma", {"users": "random", "rounds": 3}),
    ("prisoners_dilemma", {"users": "tit_for_tat", "rounds": 3}),
    ("signalling", {"users": "random"}),
    ("screening", {"users": "random"}),
    ("monopoly", {"users": "random"}),
    ("trigame", {"users": "random", "max_cycles": 2}),
    ("escalation", {"users": "nash"}),
    ("rubinstein", {"users": "random", "max_cycles": 1}),
]


@pytest.mark.parametrize("side", ["assistant", "user"])
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: f"{view[0]}-{view[1]['users']}")
def test_vector_chair__agrees_in_distribution_with_the_single_agent_view(
    view: tuple[str, dict[str, Any]], side: str
) -> None:
    """Means of both returns and of the length, over many episodes with random moves, lie within 4 standard errors."""
    id, options = view[0], dict(view[1])
    if side == "user":
        name = options.pop("users")
        options["assistant"] = "heuristic" if id == "assist" else name
    options["share_payoffs"] = True
    single = (assistant_env if side == "assistant" else user_env)(id, **options)
    batch = chair(id, 32, agent=ASSISTANT if side == "assistant" else USER, itemise=True, **options)
    ours = returns_of_batch(batch, 480, seed=1)
    theirs = returns_of_singles(single, 400, seed=2)
    error = np.sqrt(ours.var(axis=0) / len(ours) + theirs.var(axis=0) / len(theirs))
    assert np.all(np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) <= 4.0 * error + 1e-9), (ours.mean(0), theirs.mean(0))


def test_vector_chair__pays_what_the_opening_led_to_with_the_first_step() -> None:
    """Where the other player opens and ends the game, the learner's first step takes no move, pays both sides, and ends it."""
    batch = chair("monopoly", 64, agent=ASSISTANT, users="random", share_payoffs=True, itemise=True, strict=True)
    seen, infos = batch.reset(seed=0)
    over = batch.public_state == batch.scenario.tables.terminal
    assert 0 < over.sum() < 64
    assert "_to_move" in infos
    assert not infos["_to_move"][over].any()
    legal = seen["action_mask"].argmax(axis=1)
    seen, rewards, ended, cut, infos = batch.step(legal)
    assert ended[over].all()
    assert not cut.any()
    assert not infos["illegal_move"].any()
    assert infos["payoff"]["leaf"].tolist() == rewards.tolist()
    assert np.unique(rewards[over]).size == 1  # staying out pays one thing
    owed = batch.payoffs.copy()
    assert owed[over, 1].tolist() == rewards[over].tolist()
    _, rewards, ended, *_ = batch.step(legal)  # they begin anew; nothing is paid twice
    assert not rewards.any()
    assert not ended.any()


def test_vector_chair__equal_seeds_give_equal_play() -> None:
    """Seeds fix everything, a list of them too, and another one gives other play."""
    batch = chair("assist", 6, agent=ASSISTANT)

    def play(seed: Any) -> bytes:
        parts = [batch.reset(seed=seed)[0]["observation"].tobytes()]
        for _ in range(12):
            seen, rewards, *_ = batch.step(np.arange(6))
            parts += [seen["observation"].tobytes(), rewards.tobytes()]
        return b"".join(parts)

    assert play(4) == play(4) != play(5)
    assert play([1, None, 3, 4, 5, 6]) == play([1, None, 3, 4, 5, 6]) != play([1, None, 3, 4, 5, 7])
    batch.reset(seed=4)
    assert batch.np_random_seed == 4
    assert isinstance(batch.np_random, np.random.Generator)


def test_vector_chair__unseeded_batches_differ() -> None:
    """Without a seed a batch makes its own."""
    one, two = (chair("assist", 64, agent=ASSISTANT).reset()[0]["observation"].tobytes() for _ in range(2))
    assert one != two


def test_vector_chair__pins_who_comes_what_is_asked_and_what_it_costs() -> None:
    """``reset`` options hold for the episodes that begin, and are refused where the population cannot serve them."""
    batch = chair("assist", 40, agent=ASSISTANT, users="concise=1,detailed=3", pricings=["per_token", "per_request"])
    assert isinstance(batch.seat, CrowdSeat)
    pins = {"user_type": "detailed", "pricing": "per_request", "task": "complex"}
    seen, _ = batch.reset(seed=0, options=dict(pins))
    states = [batch.engine.state(game) for game in range(40)]
    assert {state.user_type.name for state in states} == {"detailed"}
    assert {state.pricing.name for state in states} == {"per_request"}
    assert {batch.scenario.tables.coordinates(state.public)["kind"] for state in states} == {"complex"}
    mask = np.zeros(40, dtype=bool)
    mask[:20] = True
    again, _ = batch.reset(options={"user_type": TYPES["concise"], "reset_mask": mask})
    assert {batch.engine.state(game).user_type.name for game in range(20)} == {"concise"}
    assert again["observation"][20:].tobytes() == seen["observation"][20:].tobytes()
    assert len({batch.engine.state(game).pricing.name for game in range(20)}) == 2
    with pytest.raises(UsageError, match="nobody of the type 'balanced'; it has concise, detailed: pass users="):
        batch.reset(options={"user_type": "balanced"})
    with pytest.raises(UsageError, match=r"made for per_token, per_request, got .*: pass pricings="):
        batch.reset(options={"pricing": "subscription"})


def test_vector_chair__draws_kinds_by_their_shares_when_a_name_is_pinned() -> None:
    """Several kinds may share a name: they come as often, among themselves, as they would without the pin."""
    batch = chair("assist", 4000, agent=ASSISTANT, users="hurried=3,random=1")  # "random" is sometimes hurried, too
    crowd = batch.crowd
    assert crowd is not None
    batch.reset(seed=0, options={"user_type": "hurried"})
    named = np.array([theta.name == "hurried" for theta in crowd.user_types])
    assert named.sum() == 2
    shares = np.array([kernel.share for kernel in crowd.kernels]) * named
    found = np.bincount(crowd.kind, minlength=len(named)) / 4000
    expected = shares / shares.sum()
    assert np.all(np.abs(found - expected) <= 4.0 * np.sqrt(expected * (1 - expected) / 4000) + 1e-12)


def test_vector_chair__draws_prices_evenly() -> None:
    """Each price comes about as often, opposite personas and opposite an assistant."""
    for agent in (ASSISTANT, USER):
        batch = chair("assist", 400, agent=agent, pricings=["per_token", "subscription"], questions=2)
        batch.reset(seed=0)
        names = [batch.engine.state(game).pricing.name for game in range(400)]
        assert abs(names.count("per_token") - 200) < 4 * 10


class Moody:
    """A persona that is no kernel: it goes by all that it has seen."""

    name = "moody"
    description = "Leaves when the sum of its payoffs is odd in some digit."

    def __init__(self) -> None:
        self.seen: list[Mapping[str, Any]] = []
        self.rng = np.random.default_rng(0)
        self.theta: Any = None

    def sample_type(self, rng: Any) -> Any:
        """Bring the concise type."""
        return TYPES["concise"]

    def policy(self, user_type: Any) -> Moody:
        """Return a player."""
        player = Moody()
        player.theta = user_type
        return player

    def reset(self, seed: int) -> None:
        """Begin."""
        self.seen, self.rng = [], np.random.default_rng(seed)

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> Any:
        """Remember the info; say anything."""
        assert ("payoff" in info) == bool(self.seen)
        assert observation["action_mask"].shape == (11,)
        self.seen.append(dict(info))
        return np.array([self.rng.integers(10)])


def test_vector_chair__takes_personas_that_are_no_kernels() -> None:
    """One policy object per game is asked, with the observation and the info that the single game hands out."""
    batch = chair("assist", 5, agent=ASSISTANT, users=Moody(), pricings=["per_token", "freemium"])
    assert isinstance(batch.seat, PersonaSeat)
    assert batch.crowd is None
    batch.reset(seed=0, options={"pricing": "freemium"})
    assert {batch.engine.state(game).pricing.name for game in range(5)} == {"freemium"}
    for _ in range(3):
        before = [len(player.seen) for player in batch.seat.policies]  # type: ignore[union-attr]
        batch.step(np.zeros(5, dtype=int))
        paid = batch.payoffs[:, 0]
        assert len(before) == len(paid)
    player: Any = batch.seat.policies[0]
    assert set(player.seen[-1]) == {"payoff", "illegal_move"}
    assert set(player.seen[-1]["payoff"]) == {"value", "length", "reading", "effort", "time", "price"}
    assert player.theta == TYPES["concise"]
    batch.reset(options={"user_type": "balanced"})
    expert: Any = batch.seat.policies[0]
    assert (expert.theta, batch.engine.state(0).user_type) == (TYPES["balanced"], TYPES["balanced"])


def test_vector_chair__a_player_s_info_is_that_of_its_last_exchange() -> None:
    """What a policy object is told of its payoff adds up to what the game paid it."""
    batch = chair("assist", 3, agent=ASSISTANT, users=Moody(), questions=1)
    batch.reset(seed=1)
    last = np.zeros(3)
    for _ in range(6):
        fresh = batch.engine.steps == 0
        batch.step(np.full(3, 6))
        for game, player in enumerate(batch.seat.policies):  # type: ignore[attr-defined]
            if player.seen and "payoff" in player.seen[-1] and not fresh[game]:
                assert sum(player.seen[-1]["payoff"].values()) == last[game]
        last = batch.payoffs[:, 0].copy()


class Batchy:
    """An assistant that decides all games in one call, and counts the calls."""

    name = "batchy"
    stateless = True

    def __init__(self, move: Any = 1) -> None:
        self.move = move
        self.calls = 0

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def act(self, observation: Any, info: Any) -> Any:
        """Make the move."""
        return self.move

    def act_batch(self, observations: Sequence[Any], infos: Sequence[Any]) -> list[Any]:
        """Make it in every game."""
        self.calls += 1
        return [self.move] * len(observations)


def test_vector_chair__asks_a_stateless_assistant_once_a_step() -> None:
    """A policy that says that it needs no memory of single games serves all of them in one call; others get copies."""
    policy = Batchy()
    batch = chair("assist", 9, agent=USER, assistant=policy)
    batch.reset(seed=0)
    batch.step(np.zeros(9, dtype=int))
    assert policy.calls == 1
    assert [batch.engine.state(game).last_assistant_move for game in range(9)] == [1] * 9
    heuristics = chair("assist", 3, agent=USER)
    heuristics.reset(seed=0)
    assert len({id(one) for one in heuristics.seat.policies}) == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize("move", [11, -1, 0.5, True, None])
def test_vector_chair__refuses_what_a_player_must_not_do(move: Any) -> None:
    """A player that returns no move is named."""
    batch = chair("assist", 2, agent=USER, assistant=Batchy(move))
    batch.reset(seed=0)
    with pytest.raises(UsageError, match="player 'batchy': expected a move from 0 to 10"):
        batch.step([0, 0])


def test_vector_chair__says_which_player_cannot_be_copied() -> None:
    """A policy that refuses to be copied is named, with what to do."""

    class Stuck(Batchy):
        stateless = False

        def __deepcopy__(self, memo: Any) -> Any:
            raise TypeError("no")

    batch = chair("assist", 2, agent=USER, assistant=Stuck())
    with pytest.raises(UsageError, match=r"'batchy' cannot be copied .*TypeError: no.*__deepcopy__"):
        batch.reset(seed=0)


def test_vector_chair__checks_actions() -> None:
    """A chair takes its own moves only; strict ones must be legal."""
    batch = chair("assist", 2, agent=ASSISTANT)
    batch.reset(seed=0)
    with pytest.raises(IllegalActionError, match="expected 2 integers from 0 to 7, got 8 in game 1"):
        batch.step([0, 8])
    with pytest.raises(IllegalActionError, match="got an array of float64"):
        batch.step([0.0, np.nan])
    strict = chair("assist", 2, agent=USER, can_leave=False, strict=True)
    strict.reset(seed=0)
    with pytest.raises(IllegalActionError, match="game 0: move LEAVE is not legal"):
        strict.step([10, 0])


def test_vector_chair__tells_the_other_s_reward_only_on_request() -> None:
    """The user's payoff depends on θ: without ``share_payoffs`` no info holds it, and no observation holds θ."""
    batch = chair("assist", 2, agent=ASSISTANT)
    _, infos = batch.reset(seed=0)
    assert infos == {}
    infos = batch.step([0, 0])[4]
    assert set(infos) == {"illegal_move", "_illegal_move"}
    layout = batch.layout
    assert not batch._seen()["observation"][:, layout["theta"]].any()
    assert not batch._seen()["observation"][:, layout["private"]].any()


# -- Gymnasium --------------------------------------------------------------------------------------------------------


def test_make_vec__makes_the_batched_engine_by_default() -> None:
    """``gymnasium.make_vec`` of both ids makes chairs, and knows how to make them again."""
    envs = gymnasium.make_vec(VIEW, num_envs=3, users="concise", autoreset_mode=AutoresetMode.SAME_STEP)
    assert isinstance(envs, VectorChair)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert envs.spec is not None
    assert isinstance(gymnasium.make_vec(envs.spec), VectorChair)
    user = gymnasium.make_vec("gtalign/User-v0", 2, "vector_entry_point", assistant="fixed:DA_long", users="balanced")
    assert isinstance(user, VectorChair)
    user.reset(seed=0)
    assert user.engine.state(1).user_type.name == "balanced"
    assert user.single_action_space == gymnasium.spaces.Discrete(11)


def test_make_vec__single_games_still_work() -> None:
    """The other modes of ``make_vec`` make single-agent views, as before."""
    envs = gymnasium.make_vec(VIEW, num_envs=2, vectorization_mode="sync", users="concise")
    assert isinstance(envs, SyncVectorEnv)
    envs.close()


def test_vector_entry_point__steps_uncompiled_games_one_by_one() -> None:
    """The text view and the division have no tables: they come in a ``SyncVectorEnv``, with the same autoreset modes."""
    for make in (assistant_vector_env, user_vector_env):
        envs = make(2, scenario="assist_text", autoreset_mode="same_step")
        assert isinstance(envs, SyncVectorEnv)
        assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
        envs.reset(seed=0)
        envs.close()
    assert isinstance(assistant_vector_env(2, scenario="deal_or_no_deal", users="random"), SyncVectorEnv)


def test_vector_chair__infos_have_the_form_of_sync_vector_env() -> None:
    """Keys, masks, types and shapes of infos are those that Gymnasium makes of the single views, step and reset alike."""
    for mode in ("next_step", "same_step"):
        options: dict[str, Any] = {"users": "concise", "share_payoffs": True, "questions": 1, "max_exchanges": 1}
        ours = chair("assist", 3, agent=ASSISTANT, itemise=True, autoreset_mode=mode, **options)
        known = AutoresetMode[mode.upper()]
        theirs = SyncVectorEnv([functools.partial(assistant_env, "assist", **options)] * 3, autoreset_mode=known)
        assert ours.reset(seed=0)[1] == theirs.reset(seed=0)[1] == {}
        for _ in range(3):
            mine, other = ours.step(np.array([0, 1, 2]))[4], theirs.step(np.array([0, 1, 2]))[4]
            other.pop("violation", None), other.pop("_violation", None)
            mine.pop("violation", None), mine.pop("_violation", None)
            for infos in (mine, other):
                infos.get("final_info", {}).pop("violation", None)
                infos.get("final_info", {}).pop("_violation", None)
            assert form(mine) == form(other)


def form(infos: Any) -> Any:
    """Return the form of infos: keys, types, shapes and masks."""
    if isinstance(infos, dict):
        return {key: (value.tolist() if key.startswith("_") else form(value)) for key, value in infos.items()}
    return infos.shape, str(infos.dtype)


@pytest.mark.parametrize("wrapper", ["RecordEpisodeStatistics", "NormalizeReward", "DictInfoToList", "ClipReward"])
def test_vector_chair__works_inside_gymnasium_s_vector_wrappers(wrapper: str) -> None:
    """Wrappers step a chair for a while, and count its episodes."""
    wrappers = gymnasium.wrappers.vector
    envs: Any = getattr(wrappers, wrapper)(
        chair("assist", 8, agent=ASSISTANT, questions=1), **({"max_reward": 1.0} if wrapper == "ClipReward" else {})
    )
    envs.reset(seed=0)
    envs.action_space.seed(0)
    episodes, returns, running = [], [], np.zeros(8)
    for _ in range(12):
        _, rewards, ended, cut, infos = envs.step(envs.action_space.sample())
        running += rewards
        if wrapper == "RecordEpisodeStatistics" and "episode" in infos:
            episodes += infos["episode"]["r"][infos["_episode"]].tolist()
            returns += running[ended | cut].tolist()
        running[ended | cut] = 0.0
    assert np.allclose(episodes, returns)
    assert (len(episodes) > 8) == (wrapper == "RecordEpisodeStatistics")


def test_vector_chair__observations_normalise() -> None:
    """A flattened chair goes through ``NormalizeObservation``, as value networks want it."""
    wrappers = gymnasium.wrappers.vector
    envs = wrappers.NormalizeObservation(wrappers.FlattenObservation(chair("assist", 4, agent=ASSISTANT)))
    seen, _ = envs.reset(seed=0)
    assert seen.shape == (4, 41 + 8)
    assert np.isfinite(envs.step(np.zeros(4, dtype=int))[0]).all()


def test_vector_chair__is_found_from_the_top() -> None:
    """``load_persona`` objects are users too; the spaces are those of the single view."""
    batch = chair("assist", 2, agent=ASSISTANT, users=load_persona("concise"))
    single = assistant_env("assist", users="concise")
    assert batch.single_observation_space == single.observation_space
    assert batch.single_action_space == single.action_space
