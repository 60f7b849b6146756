"""Deal or no deal: offers as actions, private values, and everything that plays, records or shows it."""

from __future__ import annotations

import copy
import doctest
import functools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gtalign_env
from gtalign_env.cli import main
from gtalign_env.env import GameEnv
from gtalign_env.episode import EpisodeWriter, load_episodes
from gtalign_env.errors import IllegalActionError, UnknownNameError, UsageError
from gtalign_env.games.division import Division, read_offer
from gtalign_env.games.division_space import all_divisions
from gtalign_env.play import play_episode
from gtalign_env.registration import ASSISTANTS, PERSONAS, make_scenario, origin_of
from gtalign_env.render import assistant_words, user_words
from gtalign_env.replay.verify import verify_episode
from gtalign_env.scenarios.negotiation.contexts import load_contexts
from gtalign_env.scenarios.negotiation.deal import TASTES, DealOrNoDeal, deal_or_no_deal
from gtalign_env.scenarios.negotiation.state import DealState, read_observation
from gtalign_env.testing import check_env
from gtalign_env.types import AGENTS, Role, UserType

ID = "gtalign/DealOrNoDeal-v0"
EXAMPLE = {"counts": [1, 1, 3], "user_values": [1, 3, 2], "assistant_values": [1, 0, 3]}
GAME = Division((1, 1, 3), (1, 3, 2), (1, 0, 3))
USER, ASSISTANT = AGENTS


def started(**options: Any) -> GameEnv:
    """Return an environment at the start of the worked example."""
    env = gtalign_env.parallel_env(ID, **options)
    env.reset(seed=0, options={"task": EXAMPLE})
    return env


def step(env: GameEnv, move: str) -> Any:
    """Make a move for whoever is to move, the other one waiting."""
    moves = env.scenario.moves("user")
    mover = env.scenario.info(env.game_state, "user")["to_move"]
    return env.step({agent: moves.index(move if agent == mover else "WAIT") for agent in AGENTS})


def legal(env: GameEnv, role: Any) -> set[str]:
    """Return the names of the role's legal moves."""
    mask = env.scenario.action_mask(env.game_state, role)
    return {name for name, allowed in zip(env.scenario.moves(role), mask, strict=True) if allowed}


# -- the rules ------------------------------------------------------------------------------------------------------------


def test_deal__pays_both_sides_their_share() -> None:
    """The user keeps (0, 1, 1), the assistant accepts the rest (1, 0, 2): 5 and 7, as in the worked example."""
    env = started()
    _, rewards, ended, cut, infos = step(env, "KEEP_0_1_1")
    assert rewards == {USER: 0.0, ASSISTANT: 0.0}
    assert not any({**ended, **cut}.values())
    _, rewards, ended, _, infos = step(env, "ACCEPT")
    assert rewards == {USER: 5.0, ASSISTANT: 7.0}
    assert all(ended.values())
    assert infos[USER]["payoff"] == {"deal": 5.0}
    assert infos[ASSISTANT]["payoff"] == {"deal": 7.0}
    assert infos[USER]["ending"] == infos[ASSISTANT]["ending"] == "deal"


def test_deal__an_offer_of_the_assistant_is_its_own_share() -> None:
    """The assistant keeps (1, 0, 2); the user accepts and gets the rest."""
    env = started(first_speaker="assistant")
    step(env, "KEEP_1_0_2")
    _, rewards, *_ = step(env, "ACCEPT")
    assert rewards == {USER: 5.0, ASSISTANT: 7.0}


@given(st.sampled_from(all_divisions()[::53]), st.data())
def test_deal__accepting_pays_what_the_division_says(game: Division, data: st.DataObject) -> None:
    """In any game, any offer of either side, accepted at once, pays the worth of both shares."""
    kept = game.share(data.draw(st.integers(0, len(game.allocations) - 1)))
    first: Role = data.draw(st.sampled_from(["user", "assistant"]))
    scenario = deal_or_no_deal(contexts=[game], first_speaker=first)
    state = scenario.reset(np.random.default_rng(0), {})
    offer, accept = (scenario.moves("user").index(name) for name in ("KEEP_{}_{}_{}".format(*kept), "ACCEPT"))
    done = scenario.step(scenario.step(state, offer, offer, None).state, accept, accept, None)
    shares = (kept, game.rest(kept)) if first == "user" else (game.rest(kept), kept)
    assert done.payoffs.totals == game.settle(*shares)[:2]
    assert done.ended


def test_halt__and_the_last_round_leave_nothing_to_anybody() -> None:
    """Walking away ends the game at once; after the last turn it ends of itself. Both pay 0."""
    env = started()
    step(env, "KEEP_0_1_1")
    _, rewards, ended, _, infos = step(env, "HALT")
    assert (rewards, all(ended.values()), infos[USER]["ending"]) == ({USER: 0.0, ASSISTANT: 0.0}, True, "halted")
    env = started(rounds=2)
    for turn in range(4):
        _, rewards, ended, cut, infos = step(env, "KEEP_1_1_1")
        assert all(ended.values()) == (turn == 3)
        assert not any(cut.values())
    assert (rewards, infos[ASSISTANT]["ending"]) == ({USER: 0.0, ASSISTANT: 0.0}, "out_of_rounds")


def test_moves__legal_ones_follow_the_items_and_the_table() -> None:
    """Offers fit the items, an offer just made may be accepted, whoever waits has ``WAIT`` alone."""
    env = started()
    offers = {f"KEEP_{a}_{b}_{c}" for a in range(2) for b in range(2) for c in range(4)}
    assert legal(env, "user") == offers | {"HALT"}
    assert legal(env, "assistant") == {"WAIT"}
    step(env, "KEEP_1_1_3")
    assert legal(env, "assistant") == offers | {"HALT", "ACCEPT"}
    assert legal(env, "user") == {"WAIT"}
    step(env, "ACCEPT")
    assert legal(env, "user") == legal(env, "assistant") == {"WAIT"}
    assert len(env.scenario.moves("user")) == 128


@pytest.mark.parametrize("illegal", ["ACCEPT", "KEEP_2_0_0", "WAIT"])
def test_moves__an_illegal_one_passes_the_turn_and_clears_the_table(illegal: str) -> None:
    """Nothing is said: the other side is to move and has nothing to accept; last offers are remembered."""
    env = started()
    *_, infos = step(env, illegal)
    assert infos[USER]["illegal_move"]
    assert not infos[ASSISTANT]["illegal_move"]
    assert infos[USER]["to_move"] == ASSISTANT
    assert "ACCEPT" not in legal(env, "assistant")
    step(env, "KEEP_1_0_3")
    step(env, "KEEP_2_2_2")  # the user again says nothing that counts
    assert env.game_state.offer("assistant") == (1, 0, 3)
    assert "ACCEPT" not in legal(env, "assistant")
    with pytest.raises(IllegalActionError, match="not legal here"):
        step(started(strict=True), illegal)


def test_moves__of_the_waiting_side_change_nothing() -> None:
    """What is sent out of turn is illegal, and the game goes on as if it had waited."""
    first, second = started(), started()
    moves = first.scenario.moves("user")
    keep, accept = moves.index("KEEP_1_1_1"), moves.index("ACCEPT")
    step(first, "KEEP_1_1_1")
    *_, infos = second.step({USER: keep, ASSISTANT: accept})
    assert infos[ASSISTANT]["illegal_move"]
    assert first.game_state == second.game_state


# -- what the players see -------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**16), st.sampled_from(["user", "assistant"]))
def test_observation__tells_each_side_what_it_may_know(seed: int, first: Any) -> None:
    """Along random play the decoded observation agrees with the state: counts, own values, last offers, the table."""
    env = gtalign_env.parallel_env(ID, rounds=3, first_speaker=first)
    rng = np.random.default_rng(seed)
    observations, _ = env.reset(seed=seed)
    while env.agents:
        state: DealState = env.game_state
        for agent, role in ((USER, "user"), (ASSISTANT, "assistant")):
            sight = env.scenario.sight(observations[agent]["observation"])  # type: ignore[attr-defined]
            other = "assistant" if role == "user" else "user"
            assert sight.role == role
            assert (sight.counts, sight.values) == (state.division.counts, state.division.values(role))  # type: ignore[arg-type]
            assert (sight.own_offer, sight.other_offer) == (state.offer(role), state.offer(other))  # type: ignore[arg-type]
            assert sight.to_move == (state.mover == role)
            assert sight.on_table == (state.on_table and sight.to_move)
            assert sight.progress == pytest.approx(state.turn / 6)
        drawn = {agent: int(rng.choice(np.flatnonzero(observations[agent]["action_mask"]))) for agent in AGENTS}
        observations, *_ = env.step(drawn)
    with pytest.raises(UsageError, match=r"shape \(18,\)"):
        read_observation(np.zeros(3))


def test_privacy__the_assistant_cannot_tell_tastes_apart() -> None:
    """The kit pins users of different tastes: same seed and moves, same bytes for the assistant."""
    make = functools.partial(gtalign_env.parallel_env, ID)
    report = check_env(make, user_types=list(TASTES), episodes=3)
    assert {"privacy", "revealed", "masked_moves", "strict_raises", "seeds_matter"} <= set(report.checks)
    assert not {"privacy", "revealed", "masked_moves", "strict_raises", "seeds_matter"} & {
        r.name for r in report.skipped
    }


def test_privacy__neither_side_sees_the_others_values() -> None:
    """The user's observations do not depend on the assistant's values either; only ``reveal`` tells, at the end."""
    seen = []
    for values in ([1, 0, 3], [4, 3, 1]):
        env = gtalign_env.parallel_env(ID, reveal=True)
        observations, infos = env.reset(seed=0, options={"task": {**EXAMPLE, "assistant_values": values}})
        seen.append((observations[USER]["observation"].tolist(), infos[USER]))
        *_, infos = step(env, "HALT")
        hats, balls = values[1:]
        assert infos[USER]["revealed"]["assistant_values"] == {"book": values[0], "hat": hats, "ball": balls}
        assert infos[ASSISTANT]["revealed"]["user_values"] == {"book": 1, "hat": 3, "ball": 2}
    assert seen[0] == seen[1]


def test_tastes__give_the_user_the_values_that_make_the_most_of_one_kind() -> None:
    """Counts and the assistant's values stay; the user's are an admissible maximum; other types change nothing."""
    env = gtalign_env.parallel_env(ID)
    env.reset(seed=5)
    plain: Division = env.game_state.division
    peers = [g for g in all_divisions() if (g.counts, g.assistant_values) == (plain.counts, plain.assistant_values)]
    for kind, taste in enumerate(TASTES):
        env.reset(seed=5, options={"user_type": taste})
        game: Division = env.game_state.division
        assert game in peers
        assert game.user_values[kind] == max(peer.user_values[kind] for peer in peers)
    for theta in (UserType(name="random"), {"ideal_tokens": 60}):
        env.reset(seed=5, options={"user_type": theta})
        assert env.game_state.division == plain
    with pytest.raises(UnknownNameError, match="hats"):
        env.reset(seed=5, options={"user_type": "hat"})


def test_description__is_common_knowledge() -> None:
    """What is shown to both holds counts, offers and turns, and nobody's values; ``private_words`` holds one's own."""
    scenario = deal_or_no_deal()
    texts = []
    for values in ([1, 3, 2], [4, 3, 1]):
        env = gtalign_env.parallel_env(scenario)
        env.reset(seed=0, options={"task": {**EXAMPLE, "user_values": values}})
        step(env, "KEEP_0_1_1")
        texts.append(scenario.describe(env.game_state))
        assert scenario.private_words(env.game_state, "user").startswith(f"Worth to you: a book {values[0]}, ")
    assert texts[0] == texts[1]
    assert texts[0].splitlines() == [
        "to be divided: 1 book, 1 hat and 3 balls · round 1 of 20",
        "user: keeps 1 hat and 1 ball",
        "assistant: —",
        "the assistant is to move, and may accept",
    ]


@pytest.mark.parametrize(("move", "words"), [("ACCEPT", "the deal is made"), ("HALT", "no deal: somebody walked away")])
def test_description__says_how_it_ended(move: str, words: str) -> None:
    """The last line of the state is its ending."""
    env = started()
    step(env, "KEEP_0_1_1")
    step(env, move)
    assert env.scenario.describe(env.game_state).splitlines()[-1] == words
    short = started(rounds=1)
    step(short, "KEEP_0_1_1")
    step(short, "KEEP_0_1_1")
    assert short.scenario.describe(short.game_state).splitlines()[-1] == "no deal: the rounds are over"


def test_briefing__tells_each_chair_who_begins() -> None:
    """The rules in words: the same for both but for who makes the first offer."""
    scenario = deal_or_no_deal(rounds=7, first_speaker="assistant")
    assert "The other side makes the first offer" in scenario.briefing("user")
    assert "You make the first offer" in scenario.briefing("assistant")
    assert "at most 7 rounds" in scenario.briefing("user")
    assert "KEEP_1_0_2 keeps 1 book and 2 balls" in scenario.briefing("user")


# -- options --------------------------------------------------------------------------------------------------------------


def test_contexts__named_sets() -> None:
    """All games, the hard ones, and the hard ones that can be divided without envy."""
    every, hard, fair = (load_contexts(name) for name in ("all", "selected", "fair"))
    assert len(every) == 5295
    assert set(fair) < set(hard) < set(every)
    assert all(game.envy_free.any() == (game in set(fair)) for game in hard)


def test_contexts__games_of_ones_own_are_drawn_and_pinned() -> None:
    """A list of games is all that is drawn from; ``task`` pins one by index or by its numbers."""
    scenario = make_scenario(ID, contexts=[EXAMPLE, all_divisions()[7]])
    drawn = {scenario.reset(np.random.default_rng(seed), {}).division for seed in range(20)}
    assert drawn == {GAME, all_divisions()[7]}
    assert isinstance(scenario, DealOrNoDeal)
    assert scenario.division_of(0) == scenario.division_of(EXAMPLE) == scenario.division_of(GAME) == GAME
    state = scenario.reset(np.random.default_rng(0), {"task": np.int64(1)})
    assert scenario.division(state) == all_divisions()[7]
    assert load_contexts(EXAMPLE) == load_contexts(GAME) == (GAME,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rounds": 0}, "rounds: expected an integer from 1 to 1000"),
        ({"rounds": True}, "rounds"),
        ({"first_speaker": "Alice"}, "first_speaker: expected 'user' or 'assistant'"),
        ({"contexts": "hard"}, "unknown set of contexts 'hard'"),
        ({"contexts": []}, "option 'contexts': expected all, selected, fair"),
        ({"contexts": 7}, "option 'contexts'"),
        ({"contexts": [{"counts": [1, 1, 3]}]}, "context: expected a Division or a dict"),
        ({"contexts": [Division((1,), (10,), (10,))]}, "3 kinds of items"),
        ({"contexts": [Division((5, 1, 1), (1, 5, 0), (2, 0, 0))]}, "one to 4 of each"),
        ({"contexts": [Division((1, 1, 1), (1, 1, 1), (3, 0, 0))]}, "worth 10 together"),
        ({"taste": "hats"}, "unexpected keyword argument 'taste'|no option|taste"),
    ],
)
def test_options__wrong_ones_are_refused(options: dict[str, Any], message: str) -> None:
    """A clear error for each."""
    with pytest.raises(UsageError, match=message):
        make_scenario(ID, **options)


@pytest.mark.parametrize("task", [-1, 5295, True, 1.5, "first", {"counts": [1, 1, 3]}])
def test_task__what_is_no_game_is_refused_and_changes_nothing(task: Any) -> None:
    """A refused reset leaves the generator as it was."""
    env, other = started(), started()
    with pytest.raises(UsageError, match="context"):
        env.reset(options={"task": task})
    env.reset()
    other.reset()
    assert env.game_state == other.game_state


def test_scenario__copies_pickles_and_names_its_origin() -> None:
    """A copy of an environment shares the scenario; a pickle holds options, not thousands of games."""
    scenario = deal_or_no_deal(contexts=[EXAMPLE], rounds=3)
    assert copy.deepcopy(scenario) is scenario
    again = pickle.loads(pickle.dumps(scenario))
    assert (again.contexts, again.rounds, again.first_speaker) == ((GAME,), 3, "user")
    assert origin_of(scenario) == (ID, scenario.config)
    assert len(pickle.dumps(deal_or_no_deal())) < 1000


# -- players, records, screens --------------------------------------------------------------------------------------------


def test_records__random_play_is_recorded_and_verified(tmp_path: Path) -> None:
    """Moves, waiting, hidden values and public state are in the record, and it plays again to the same bytes."""
    path = tmp_path / "deals.jsonl"
    env = gtalign_env.parallel_env(ID, contexts="fair")
    with EpisodeWriter(path) as writer:
        for seed in range(5):
            writer.write(play_episode(env, PERSONAS.get("random")(), ASSISTANTS.get("random")(), seed=seed))
    for episode in load_episodes(path):
        assert episode.ended == "terminated"
        assert not verify_episode(episode)
        assert set(episode.hidden) == {"user_values", "assistant_values"}
        for turn, record in enumerate(episode.steps):
            mover, waiter = (record.user, record.assistant) if turn % 2 == 0 else (record.assistant, record.user)
            assert record.to_move == (USER, ASSISTANT)[turn % 2]
            assert waiter.move == "WAIT"
            assert mover.move in ("ACCEPT", "HALT") or read_offer(mover.move) is not None
            assert record.public["round"] == str(turn // 2)
            assert (record.public["on_table"] == "nothing") == (turn == 0)


def test_docs__examples_run() -> None:
    """The page about negotiation shows what the code does."""
    page = Path(__file__).resolve().parents[1] / "docs" / "negotiation.md"
    found = doctest.testfile(str(page), module_relative=False)
    assert found.attempted >= 4
    assert not found.failed


def test_words__moves_read_as_people_say_them() -> None:
    """Replays and tables show offers in words."""
    assert assistant_words("KEEP_1_2_0") == "keeps 1 book and 2 hats"
    assert user_words("KEEP_0_0_1") == ("", "keeps 1 ball")
    assert [assistant_words(move) for move in ("ACCEPT", "REJECT", "HALT")] == ["accepts", "rejects", "ends the talk"]


def test_cli__runs_and_replays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``run`` records a negotiation of two players, ``replay`` proves it and tells it in words."""
    path = str(tmp_path / "run.jsonl")
    players = ["--users", "negotiator", "--assistant", "negotiator", "--option", "contexts=fair"]
    assert main(["run", ID, *players, "--episodes", "3", "--out", path]) == 0
    assert main(["replay", path, "--verify"]) == 0
    capsys.readouterr()
    assert main(["replay", path, "--transcript"]) == 0
    told = capsys.readouterr().out
    assert "USER: keeps " in told
    assert "ASSISTANT: " in told
    assert "says nothing" not in told
    assert main(["replay", path, "--print", "--reveal", "--episode", "1", "--step", "1"]) == 0
    frame = capsys.readouterr().out
    assert "user values" in frame
    assert "assistant values" in frame


def test_cli__a_person_plays(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """At the table a person sees its own values and both offers, types offers, and may walk away."""
    typed = iter(["keep_1_1_1", "halt"])
    monkeypatch.setattr("builtins.input", lambda prompt="": next(typed))
    assert main(["play", ID, "--as", "user", "--opponent", "negotiator", "--user-type", "hats", "--reveal"]) == 0
    shown = capsys.readouterr().out
    for words in ("Worth to you: a book", "to be divided", "keep 1 book, 1 hat and 1 ball", "The assistant: KEEP_"):
        assert words in shown
    assert "Assistant values: book" in shown
    assert "tokens" not in shown  # no type of another game is told
