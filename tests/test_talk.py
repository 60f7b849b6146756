"""Talk before moves: turns, messages, what stands in the state, and that it is cheap."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gtalign_env
from gtalign_env.errors import IllegalActionError, UnknownNameError, UsageError
from gtalign_env.finite import FiniteScenario, FiniteState
from gtalign_env.games import Decision, GameTree, Leaf
from gtalign_env.registration import SCENARIOS, make_scenario
from gtalign_env.scenarios.matrix.repeated import repeated_matrix
from gtalign_env.scenarios.talk import Talk
from gtalign_env.scenarios.talk.compiled import Compiled, with_talk
from gtalign_env.scenarios.trees import tree_scenario
from gtalign_env.tables import GameTables, PayoffTables
from gtalign_env.types import Outcome, Role

RNG = np.random.default_rng(0)
ROLES: tuple[Role, Role] = ("user", "assistant")
FAMILY = [id for id, spec in SCENARIOS.items() if spec.kind in ("matrix", "tree") and id != "gtalign/Matrix-v0"]


def start(name: str, **options: Any) -> tuple[FiniteScenario, FiniteState]:
    """Return a scenario of the family and its first state."""
    scenario: Any = make_scenario(name, **options)
    return scenario, scenario.reset(RNG, {})


def step(scenario: FiniteScenario, state: FiniteState, user: str | None, assistant: str | None) -> Any:
    """Step by names of moves; they must be legal, and ``None`` is an illegal move."""
    actions = []
    for role, move in zip(ROLES, (user, assistant), strict=True):
        index = None if move is None else scenario.moves(role).index(move)
        assert index is None or scenario.is_legal(state, role, index), (move, scenario.describe(state))
        actions.append(index)
    return scenario.step(state, actions[0], actions[1], RNG)


def say(scenario: FiniteScenario, state: FiniteState, *messages: str | None) -> FiniteState:
    """Let whoever is to speak say the messages, one after the other; words pay nothing and end nothing."""
    for message in messages:
        speaker = scenario.info(state, "user")["to_move"]
        done = step(scenario, state, *((message, "WAIT") if speaker == "user_0" else ("WAIT", message)))
        assert done.payoffs.totals == (0.0, 0.0)
        assert not done.ended
        state = done.state
    return state


def where(scenario: FiniteScenario, state: FiniteState) -> dict[str, str]:
    """Return the coordinates of a state."""
    return scenario.tables.coordinates(state.public)


def legal(scenario: FiniteScenario, state: FiniteState, role: Role) -> list[str]:
    """Return the names of legal moves."""
    return [m for m, ok in zip(scenario.moves(role), scenario.action_mask(state, role), strict=True) if ok]


# -- turns ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rounds", [1, 2, 4])
@pytest.mark.parametrize("first", ROLES)
def test_talk__takes_turns_and_then_both_move(first: Role, rounds: int) -> None:
    """Each speaks once per round, the first speaker first; the other has ``WAIT`` alone; then come the moves."""
    scenario, state = start("prisoners_dilemma", talk=rounds, first_speaker=first)
    messages = ["SAY_cooperate", "SAY_defect", "SILENT", "HALT"]
    second: Role = "assistant" if first == "user" else "user"
    for turn in range(2 * rounds):
        speaker, listener = (first, second) if turn % 2 == 0 else (second, first)
        assert scenario.info(state, listener) == {"to_move": f"{speaker}_0"}
        assert (legal(scenario, state, speaker), legal(scenario, state, listener)) == (messages, ["WAIT"])
        state = say(scenario, state, messages[turn % 3])
    assert scenario.info(state, "user") == {}
    assert legal(scenario, state, "user") == legal(scenario, state, "assistant") == ["cooperate", "defect"]
    done = step(scenario, state, "defect", "cooperate")
    assert (done.payoffs.totals, done.ended) == ((5.0, 0.0), True)


def test_talk__comes_before_every_round_of_a_matrix() -> None:
    """After a move that does not end the game the talk begins anew."""
    scenario, state = start("stag_hunt", talk=1, rounds=2)
    state = step(scenario, say(scenario, state, "SAY_stag", "SAY_stag"), "stag", "hare").state
    assert where(scenario, state) == {
        "round": "1", "talk": "1", "user_said": "SAY_stag", "assistant_said": "SAY_stag",
    }  # fmt: skip
    assert step(scenario, say(scenario, state, "SILENT", "SILENT"), "hare", "hare").ended


def test_talk__comes_before_every_decision_of_a_tree() -> None:
    """Both speak before either's move, whoever is to move."""
    scenario, state = start("monopoly", talk=1)
    state = say(scenario, state, "SAY_enter", "SAY_fight")
    assert scenario.info(state, "user") == {"to_move": "user_0"}
    assert (legal(scenario, state, "user"), legal(scenario, state, "assistant")) == (["stay_out", "enter"], ["WAIT"])
    state = step(scenario, state, "enter", "WAIT").state
    assert where(scenario, state)["node"] == "enter"
    state = say(scenario, state, "SILENT", "HALT")
    assert scenario.info(state, "user") == {"to_move": "assistant_0"}
    done = step(scenario, state, "WAIT", "share")
    assert (done.payoffs.totals, done.ended) == ((2.0, 1.0), True)


@pytest.mark.parametrize("turn", range(6))
def test_halt__ends_this_talk_at_once(turn: int) -> None:
    """By either side, at any turn; the next round talks again."""
    scenario, state = start("chicken", talk=3, rounds=2)
    state = say(scenario, state, *["SAY_swerve"] * turn, "HALT")
    assert where(scenario, state)["talk"] == "over"
    state = step(scenario, state, "swerve", "swerve").state
    assert where(scenario, state)["talk"] == "1"


# -- messages -------------------------------------------------------------------------------------------------------------


def test_messages__stand_in_the_state_until_the_next_one() -> None:
    """The last word of each counts, silence included; ``HALT`` leaves it; moves leave it."""
    scenario, state = start("battle_of_sexes", talk=2, rounds=2)
    heard = []
    for message in ("SAY_opera", "SAY_football", "SILENT", "HALT"):
        state = say(scenario, state, message)
        heard.append((where(scenario, state)["user_said"], where(scenario, state)["assistant_said"]))
    assert heard == [
        ("SAY_opera", "none"),
        ("SAY_opera", "SAY_football"),
        ("SILENT", "SAY_football"),
        ("SILENT", "SAY_football"),
    ]
    state = step(scenario, state, "opera", "opera").state
    assert (where(scenario, state)["user_said"], where(scenario, state)["assistant_said"]) == heard[-1]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", ["duopoly", "draco"])
def test_messages__are_seen_by_both(name: str, role: Role) -> None:
    """Observations of states that differ in what was said, or in the turn, differ: ``locate`` tells all of them apart."""
    scenario, state = start(name, talk=2)
    rng = np.random.default_rng(1)
    for _ in range(60):
        assert scenario.locate(scenario.observe(state, role)) == state.public
        moves = [int(rng.choice(np.flatnonzero(scenario.action_mask(state, r)))) for r in ROLES]
        done = scenario.step(state, moves[0], moves[1], rng)
        state = scenario.reset(rng, {}) if done.ended else done.state


def test_messages__an_illegal_one_counts_as_silence() -> None:
    """It says nothing and costs nothing; what the listener does is nothing either."""
    scenario, state = start("wait_go", talk=1)
    quiet = say(scenario, state, "SILENT")
    assert where(scenario, step(scenario, state, None, "WAIT").state) == where(scenario, quiet)
    assert where(scenario, step(scenario, state, None, None).state) == where(scenario, quiet)
    assert where(scenario, step(scenario, state, "SAY_go", None).state)["user_said"] == "SAY_go"


def test_messages__are_refused_where_moves_are_made() -> None:
    """``strict`` names what is legal instead."""
    env = gtalign_env.parallel_env("wait_go", talk=1, strict=True)
    env.reset(seed=0, options={"task": {"talk": "over"}})
    with pytest.raises(IllegalActionError, match="move SAY_wait is not legal here; legal moves: wait, go"):
        env.step({"user_0": env.scenario.moves("user").index("SAY_wait"), "assistant_0": 0})


# -- talk is cheap --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", FAMILY)
@pytest.mark.parametrize("first", ROLES)
def test_talk__changes_no_payoff(id: str, first: Role) -> None:
    """Whatever was said: every pair of moves, illegal ones included, pays and leads to what it does without talk."""
    plain: Any = make_scenario(id)
    talking: Any = make_scenario(id, talk=1, first_speaker=first)
    assert talking.game.__class__ is plain.game.__class__
    rng = np.random.default_rng(3)
    sayings = list(itertools.product(talking.tables.axes["user_said"], talking.tables.axes["assistant_said"]))
    for state in range(plain.tables.terminal):
        place = plain.tables.coordinates(state)
        for said in [sayings[0], *(sayings[i] for i in rng.choice(len(sayings), 3))]:
            pins = {**place, "talk": "over", "user_said": said[0], "assistant_said": said[1]}
            before, same = plain.reset(RNG, {"task": place}), talking.reset(RNG, {"task": pins})
            for user, assistant in itertools.product(
                [None, *legal(plain, before, "user")], [None, *legal(plain, before, "assistant")]
            ):
                one, other = step(plain, before, user, assistant), step(talking, same, user, assistant)
                assert one.payoffs == other.payoffs
                assert one.ended == other.ended
                after = where(talking, other.state)
                assert {name: after[name] for name in place if after} == where(plain, one.state)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_with_talk__any_matrix_keeps_its_stage_game(rows: int, columns: int, rounds: int, talk: int, seed: int) -> None:
    """The stage game where moves are made is the matrix; in turns of talk there is none."""
    rng = np.random.default_rng(seed)
    user, assistant = rng.integers(-9, 9, (2, rows, columns)).astype(float)
    scenario = repeated_matrix(
        name="any",
        description="",
        user_moves=[f"u{i}" for i in range(rows)],
        assistant_moves=[f"a{j}" for j in range(columns)],
        user=user,
        assistant=assistant,
        rounds=rounds,
        talk=Talk(rounds=talk),
    )
    coordinates = {name: values[int(rng.integers(len(values)))] for name, values in scenario.tables.axes.items()}
    stage = scenario.stage_game({**coordinates, "talk": "over"})
    assert (stage.user.tolist(), stage.assistant.tolist()) == (user.tolist(), assistant.tolist())
    assert stage.assistant_moves == scenario.game.assistant_moves
    with pytest.raises(UsageError, match="only user_0 is to move"):
        scenario.stage_game({**coordinates, "talk": "1"})


def test_with_talk__leaves_chance_where_it_was() -> None:
    """A game below with branches keeps their chances and ends; nothing is left to chance while people talk."""
    shape = (2, 2, 2, 2)
    zeros = np.broadcast_to(0.0, shape)
    following = np.ones(shape, dtype=np.int32)
    following[0, ..., 0] = 0  # the first branch plays on
    tables = GameTables(
        user_moves=("bet",),
        assistant_moves=("take",),
        user_act=np.array([0, 1], dtype=np.int32),
        assistant_act=np.array([0, 1], dtype=np.int32),
        next_state=following,
        probability=np.broadcast_to([0.25, 0.75], shape),
        outcome=Outcome(**dict.fromkeys(Outcome.__slots__, zeros)),
        user_mask=np.ones((2, 1), dtype=np.int8),
        assistant_mask=np.ones((2, 1), dtype=np.int8),
        features=np.array([[1.0], [0.0]], dtype=np.float32),
        initial=np.array([1.0, 0.0]),
        axes={"round": ("0",)},
    )
    paid = np.zeros((*shape, 1))
    paid[0, ..., 1, 0] = 2.0
    below = Compiled(tables, PayoffTables(user_items=("x",), assistant_items=("x",), user=paid, assistant=-paid))
    talked = with_talk("lottery", below, Talk(rounds=1))
    move = talked.tables.index(round="0", talk="over", user_said="SAY_bet", assistant_said="none")
    speak = talked.tables.index(round="0", talk="1", user_said="none", assistant_said="none")
    assert talked.tables.probability[move, 0, 0].tolist() == [0.25, 0.75]
    assert talked.tables.probability[speak, 0, 0].tolist() == [1.0, 0.0]
    again = talked.tables.index(round="0", talk="1", user_said="SAY_bet", assistant_said="none")
    assert talked.tables.next_state[move, 0, 0].tolist() == [again, talked.tables.terminal]
    assert talked.payoffs.user[move, 0, 0, :, 0].tolist() == [0.0, 2.0]
    assert not talked.payoffs.assistant[speak].any()


# -- bounds and bad input -------------------------------------------------------------------------------------------------


def test_talk__refuses_what_would_not_fit() -> None:
    """The message has the size, the bound and the cure."""
    with pytest.raises(
        UsageError, match=r"'duopoly': its tables would have [\d,]+ entries .* at most 1,000,000 fit: play"
    ):
        make_scenario("duopoly", talk=16, rounds=100)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"talk": -1}, "'talk': expected an integer from 0 to 16, got -1"),
        ({"talk": 17}, "'talk': expected an integer from 0 to 16"),
        ({"talk": 1.0}, "'talk'"),
        ({"talk": True}, "'talk'"),
        ({"caution": 7}, "'caution': expected an integer from 0 to 6, got 7"),
        ({"caution": "must"}, "'caution'"),
        ({"first_speaker": "alice"}, "'first_speaker': expected 'user' or 'assistant', got 'alice'"),
        ({"first_speaker": None}, "'first_speaker'"),
    ],
)
@pytest.mark.parametrize("name", ["stag_hunt", "golden_balls", "draco"])
def test_talk__refuses_options_that_make_no_sense(name: str, options: dict[str, Any], message: str) -> None:
    """In every kind of game, in one sentence."""
    with pytest.raises(UsageError, match=message):
        make_scenario(name, **options)


@pytest.mark.parametrize("personality", ["wity", None, ["witty"]])
def test_talk__names_unknown_personalities(personality: Any) -> None:
    """With those that there are."""
    with pytest.raises(UnknownNameError, match=r"unknown personality.*compassionate"):
        make_scenario("stag_hunt", personality=personality)


@pytest.mark.parametrize("move", ["SAY_x", "SILENT", "HALT", "WAIT"])
def test_talk__refuses_moves_with_names_of_messages(move: str) -> None:
    """They could not be told apart; without talk such names are fine, but for a tree's ``WAIT``."""
    given: Any = {
        "name": "mine", "description": "", "user_moves": [move, "b"], "assistant_moves": ["c"], "user": [[0], [0]],
        "assistant": [[0], [0]],
    }  # fmt: skip
    assert repeated_matrix(**given).moves("user") == (move, "b")
    with pytest.raises(UsageError, match=f"the user's move '{move}' has the name of a message"):
        repeated_matrix(**given, talk=Talk(rounds=1))


def test_talk__refuses_such_names_in_trees_too() -> None:
    """On the assistant's side."""
    tree = GameTree(Decision("assistant", {"HALT": Leaf(0, 0)}))
    with pytest.raises(UsageError, match="the assistant's move 'HALT'"):
        tree_scenario(tree, name="mine", talk=Talk(rounds=1))


def test_talk__constant_tables_take_no_memory() -> None:
    """Chances and outcomes are views of one number."""
    tables = start("duopoly", talk=4)[0].tables
    assert not any(tables.probability.strides)
    assert not any(tables.outcome.quality.strides)
