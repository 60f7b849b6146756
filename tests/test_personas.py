"""Scripted users: how they draw types, react, speak, leave, drift, and how they are found."""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from persona_parts import TASK, heard

from gtalign_env import parallel_env
from gtalign_env.agents.assistants import make_assistant
from gtalign_env.agents.users import (
    CARDS,
    DEFAULT_SHARES,
    Character,
    RandomPersona,
    ScriptedPersona,
    TypeEntry,
    Wording,
    load_persona,
    persona_from_card,
    population,
)
from gtalign_env.agents.users.card import Drift, Leave, Reactions
from gtalign_env.agents.users.character import react, truthful_reaction
from gtalign_env.errors import FileFormatError, UnknownNameError, UsageError
from gtalign_env.play import play_episode, play_many
from gtalign_env.protocols import Persona, Policy
from gtalign_env.registration import PERSONAS
from gtalign_env.scenarios.assist.population import DEFAULT_MIX, TYPES
from gtalign_env.sight import see
from gtalign_env.spaces import ASSIST_LAYOUT
from gtalign_env.types import REACTIONS, USER, USER_MOVES, AssistantMove, UserMove, UserType

SHIPPED = sorted(path.stem for path in CARDS.glob("*.toml"))


def observation(view: str = "strategic", *, legal: int = 11) -> dict[str, Any]:
    """A user's observation at the beginning, with the first ``legal`` moves legal."""
    mask = np.zeros(12 if view == "text" else 11, dtype=np.int8)
    mask[:legal] = 1
    seen: dict[str, Any] = {"observation": np.zeros(ASSIST_LAYOUT.size, dtype=np.float32), "action_mask": mask}
    return seen | ({"text": "hello"} if view == "text" else {})


# -- the shipped ones -------------------------------------------------------------------------------------------------


def test_shipped__at_least_nine_cards_and_random_are_registered() -> None:
    """Every card has a registered persona of its name, with its own description; so has ``random``."""
    assert len(SHIPPED) >= 9
    assert {"adversarial", "over_vague", "hurried", "drifting"} <= set(SHIPPED)
    assert set(PERSONAS) >= {*SHIPPED, "random"}
    for name in [*SHIPPED, "random"]:
        persona = PERSONAS.get(name)()
        assert persona.name == name
        assert persona.description == PERSONAS.description(name)


def test_shipped__named_types_are_those_of_the_default_mix() -> None:
    """The four named cards state exactly the numbers and shares of the default mix of users."""
    assert DEFAULT_SHARES == DEFAULT_MIX
    for name, theta in TYPES.items():
        (entry,) = persona_from_card(CARDS / f"{name}.toml").entries
        assert entry.user_type == theta
        assert not entry.spread


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("view", ["assist", "assist_text"])
def test_shipped__plays_both_views_deterministically(name: str, view: str) -> None:
    """A session ends without error, and the same seed gives the same session."""
    env = parallel_env(view, strict=True)
    records = [play_episode(env, load_persona(name), make_assistant("heuristic"), seed=11) for _ in range(2)]
    assert records[0].error == {}
    assert [step.user.action for step in records[0].steps] == [step.user.action for step in records[1].steps]
    assert records[0].reset_options == records[1].reset_options


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped__never_states_its_type(name: str) -> None:
    """No number of θ appears in what a persona says around the task's own words."""
    persona = persona_from_card(CARDS / f"{name}.toml")
    player = persona.policy(persona.sample_type(np.random.default_rng(1)))
    for move in USER_MOVES:
        for situation in ("next_question", "rephrase", "answer_question"):
            words = player.say(move, {"task": TASK, "situation": situation, "messages": []})
            own = words.replace("K2", "")
            assert not re.search(r"\d", own), words


def test_shipped__voices_differ() -> None:
    """No two personas share a phrase for a reaction."""
    seen: dict[str, str] = {}
    for name in SHIPPED:
        wording = persona_from_card(CARDS / f"{name}.toml").wording
        for reaction in REACTIONS[1:]:
            for phrase in getattr(wording, reaction):
                assert phrase not in seen, (phrase, name, seen.get(phrase))
                seen[phrase] = name


def test_shipped__over_vague_is_vague_and_expert_is_precise() -> None:
    """The expert always asks in detail, the over-vague persona hardly ever."""
    shares = {}
    for name in ("expert", "over_vague"):
        episodes = play_many(parallel_env("assist"), load_persona(name), make_assistant("fixed:AQ_medium"), episodes=60)
        moves = [step.user.move for episode in episodes for step in episode.steps]
        shares[name] = sum(move.startswith("DQ") for move in moves) / len(moves)
    assert shares["expert"] == 1.0
    assert shares["over_vague"] < 0.15


def test_shipped__adversarial_asks_for_more_and_complains_about_it() -> None:
    """It calls short answers too short and long ones too long, whatever it wants itself."""
    card = persona_from_card(CARDS / "adversarial.toml")
    theta = card.entries[0].user_type
    rng = np.random.default_rng(0)
    said = {}
    for length, tokens in (("short", 60.0), ("long", 480.0)):
        reply = heard(f"DA_{length}", tokens=tokens)
        said[length] = [react(card.character, reply, theta, theta.ideal_tokens, rng) for _ in range(200)]
    assert said["short"].count("too_short") > 150
    assert said["long"].count("too_long") > 150


# -- types and populations --------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), spread=st.floats(0.0, 0.9))
def test_type_entry__spread_stays_within_its_bounds(seed: int, spread: float) -> None:
    """A spread field moves by at most its share; the others stay."""
    entry = TypeEntry(user_type=UserType(ideal_tokens=100.0), spread={"ideal_tokens": spread})
    drawn = entry.draw(np.random.default_rng(seed))
    assert abs(drawn.ideal_tokens - 100.0) <= 100.0 * spread + 1e-6
    assert dataclasses.replace(drawn, ideal_tokens=100.0) == entry.user_type


@pytest.mark.parametrize("wrong", [{"weight": 0.0}, {"weight": -1}, {"spread": {"x": 0.1}}, {"spread": {"value": 2.0}}])
def test_type_entry__wrong_values_are_refused(wrong: dict[str, Any]) -> None:
    """Weights must be positive, spreads name a field and stay below one."""
    with pytest.raises(UsageError, match="expected"):
        TypeEntry(user_type=UserType(), **wrong)


def test_sample_type__follows_the_weights() -> None:
    """Types are drawn by weight, and the same generator state draws the same type."""
    rare, common = UserType(name="rare"), UserType(name="common")

    class Two(ScriptedPersona):
        types = (TypeEntry(user_type=rare, weight=1), TypeEntry(user_type=common, weight=3))

    rng = np.random.default_rng(0)
    drawn = [Two().sample_type(rng).name for _ in range(2000)]
    assert drawn.count("common") / len(drawn) == pytest.approx(0.75, abs=0.05)
    assert Two().sample_type(np.random.default_rng(5)) == Two().sample_type(np.random.default_rng(5))


def test_population__default_draws_by_share() -> None:
    """The default population is the four named personas in their shares."""
    mix = population("default")
    rng = np.random.default_rng(0)
    names = [mix(rng).name for _ in range(4000)]
    for name, share in DEFAULT_SHARES.items():
        assert names.count(name) / len(names) == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize(
    "spec",
    [
        "concise=1,expert=3",
        {"concise": 1, "expert": 3},
        {load_persona("concise"): 0.25, load_persona("expert"): 0.75},
        f"{CARDS / 'concise.toml'}=1, expert=3",
    ],
)
def test_population__same_mix_in_several_forms(spec: Any) -> None:
    """A comma list, a mapping by name and one by persona mean the same mix."""
    mix = population(spec)
    assert [persona.name for persona in mix.personas] == ["concise", "expert"]
    assert mix.shares == (0.25, 0.75)


def test_population__lists_personas_and_populations_are_taken() -> None:
    """A list gives equal shares, a persona stands for itself, a population too; its name rebuilds it."""
    assert population(["concise", "random"]).shares == (0.5, 0.5)
    single = population(load_persona("expert"))
    assert single.name == "expert"
    assert population(single) is single
    mix = population("concise=2,detailed=2")
    assert population(mix.name).shares == mix.shares
    assert repr(mix) == f"<Population {mix.name}>"


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("concise=x", "NAME=WEIGHT"),
        ("concise=0", "weight > 0"),
        ("concise=-1,detailed=2", "must be a number >= 0"),
        ({"concise": True}, "must be a number >= 0"),
        ({"concise": float("nan")}, "must be a number >= 0"),
        ("", "at least one persona"),
        (3, "expected a name"),
    ],
)
def test_population__wrong_specs_say_what_was_expected(spec: Any, problem: str) -> None:
    """Weights that make no sense, empty mixes and other things are refused in words."""
    with pytest.raises(UsageError, match=re.escape(problem)):
        population(spec)


# -- finding personas -------------------------------------------------------------------------------------------------

GRUMP = """
from gtalign_env.agents.users import ScriptedPersona
from gtalign_env.types import UserMove, UserType

class Grump(ScriptedPersona):
    name = "grump"
    description = "complains"
    types = UserType(ideal_tokens=50)

    def choose(self, sight, info):
        return UserMove("VQ", "too_long")
"""


def test_load_persona__finds_cards_files_modules_and_objects(tmp_path: Path) -> None:
    """Names, cards, Python files with and without a class name, modules and objects all load."""
    file = tmp_path / "grump.py"
    file.write_text(GRUMP)
    card = tmp_path / "me.toml"
    card.write_text('name = "me"\ndescription = "just me"\n[[types]]\nvalue = 1\n')
    assert load_persona(f"{file}:Grump").name == "grump"
    assert load_persona(str(file)).name == "grump"
    assert load_persona(str(card)).name == "me"
    assert load_persona("gtalign_env.agents.users.random_user:RandomPersona").name == "random"
    assert load_persona("gtalign_env.agents.users.shipped:concise").name == "concise"
    persona = RandomPersona()
    assert load_persona(persona) is persona


@pytest.mark.parametrize(
    ("content", "spec", "problem"),
    [
        ("x = ", "{}:X", "line 1: not valid Python"),
        ("1 / 0", "{}:X", "ZeroDivisionError"),
        ("class Persona: pass", "{}:Person", "did you mean 'Persona'"),
        ("from gtalign_env.types import UserType\nUserType(patience=0)", "{}:X", "patience"),
        ("x = 1", "{}", "defines 0 classes"),
        ("x = 1", "{}:x", "missing: name, description"),
        ("class X:\n    def __init__(self): raise OSError('no')", "{}:X", "failed with OSError"),
        (
            "from gtalign_env.agents.users import ScriptedPersona\nclass X(ScriptedPersona):\n    types = ()",
            "{}:X",
            "types must be",
        ),
    ],
)
def test_load_persona__broken_files_are_named(tmp_path: Path, content: str, spec: str, problem: str) -> None:
    """What is wrong with a Python file is said in one sentence."""
    file = tmp_path / "broken.py"
    file.write_text(content)
    with pytest.raises((FileFormatError, UsageError), match=re.escape(problem)):
        load_persona(spec.format(file))


def test_load_persona__unknown_names_get_a_suggestion(tmp_path: Path) -> None:
    """An unknown name suggests a near one; missing files and modules are named."""
    with pytest.raises(UnknownNameError, match="did you mean 'concise'"):
        load_persona("concize")
    with pytest.raises(FileFormatError, match="no such file"):
        load_persona(str(tmp_path / "none.toml"))
    with pytest.raises(FileFormatError, match="no such file"):
        load_persona(str(tmp_path / "none.py:X"))
    with pytest.raises(UsageError, match="no module"):
        load_persona("no_such_module_at_all:X")


# -- the player -------------------------------------------------------------------------------------------------------


def test_scripted__satisfies_both_protocols() -> None:
    """A scripted persona is a persona, and its policy a policy; each has a telling repr."""
    persona = load_persona("concise")
    assert isinstance(persona, Persona)
    player = persona.policy(UserType())
    assert isinstance(player, Policy)
    assert "concise" in repr(player)


def test_scripted__players_share_nothing() -> None:
    """Two players of one persona do not disturb each other, and a deep copy goes on identically."""
    persona = load_persona("hurried")
    first, second = persona.policy(UserType()), persona.policy(UserType())
    first.reset(1)
    second.reset(1)
    seen = observation()
    moves = [first.act(seen, {}) for _ in range(20)]
    twin = copy.deepcopy(second)
    assert [second.act(seen, {}) for _ in range(20)] == moves
    assert [twin.act(seen, {}) for _ in range(20)] == moves


def test_scripted__waits_when_it_is_not_its_turn() -> None:
    """In the text view, when only WAIT is legal, it waits without a word and without drawing."""
    player = load_persona("concise").policy(UserType())
    waiting = observation("text", legal=0)
    waiting["action_mask"][11] = 1
    assert player.act(waiting, {"messages": []}) == {"move": 11, "text": ""}


def test_scripted__illegal_leave_becomes_a_question() -> None:
    """Where leaving is not allowed, a persona that wants to leave asks on."""

    class Leaver(ScriptedPersona):
        def choose(self, sight: Any, info: Mapping[str, Any]) -> UserMove:
            return UserMove("LEAVE", None)

    player = Leaver().policy(UserType())
    assert player.act(observation(), {}) == len(USER_MOVES) - 1
    assert player.act(observation(legal=10), {}) == 0


def test_scripted__wrong_moves_games_and_batches_are_refused() -> None:
    """A choice that is no move, a foreign game, and two games at once each end in a clear error."""

    class Odd(ScriptedPersona):
        def choose(self, sight: Any, info: Mapping[str, Any]) -> UserMove:
            return UserMove("XQ", "none")

    with pytest.raises(UsageError, match="must return one of the user's moves"):
        Odd().policy(UserType()).act(observation(), {})
    observations, infos = parallel_env("matrix").reset(seed=0)
    player = persona_from_card(CARDS / "concise.toml").policy(UserType())
    with pytest.raises(UsageError, match="take the persona 'random'"):
        player.act(observations[USER], infos[USER])
    with pytest.raises(UsageError, match="one policy per game"):
        player.act_batch([observation()] * 2, [{}] * 2)
    assert len(player.act_batch([observation()], [{}])) == 1


def test_scripted__situations_by_view() -> None:
    """Text says the situation; by moves it is guessed from what happened."""
    player = ScriptedPersona().policy(UserType())
    sight = see(observation())
    for situation, short in (("answer_question", "answer"), ("rephrase", "rephrase"), ("next_question", "next")):
        assert player.situation(sight, {"situation": situation}) == short
    assert player.situation(sight, {}) == "first"
    player.heard = heard("DA_medium")
    assert player.situation(sight, {}) == "next"
    assert player.situation(dataclasses.replace(sight, exchange=0.33), {}) == "rephrase"
    asked = dataclasses.replace(sight, last_reply=AssistantMove("CQ", None))
    assert player.situation(asked, {}) == "answer"


def test_scripted__leaves_by_its_rules_and_forgives_the_fee() -> None:
    """It leaves after enough bad exchanges or losses; the flat fee counts for neither."""

    class Touchy(ScriptedPersona):
        name = "touchy"
        character = Character(leave=Leave(bad_in_a_row=2))

    class Poor(ScriptedPersona):
        name = "poor"
        character = Character(leave=Leave(total_below=0.5))

    silent = make_assistant("fixed:CQ")
    for persona in (Touchy(), Poor()):
        episode = play_episode(parallel_env("assist", pricing="subscription:fee=5"), persona, silent, seed=1)
        moves = [step.user.move for step in episode.steps]
        assert moves[-1] == "LEAVE"
        assert len(moves) >= 3, "one exchange with the fee is not enough to go"
    happy = play_episode(
        parallel_env("assist", p_harmful=0.0, hit_vague=1.0), Touchy(), make_assistant("fixed"), seed=1
    )
    assert happy.steps[-1].user.move != "LEAVE"


def test_scripted__drift_moves_what_it_asks_for() -> None:
    """With every question done the wanted length grows by the factor, up to the limit."""

    class Growing(ScriptedPersona):
        types = UserType(ideal_tokens=60.0)
        character = Character(drift=Drift(ideal_tokens=2.0, limit=200.0))

    player = Growing().policy(UserType(ideal_tokens=60.0))
    wanted = []
    for questions in range(4):
        player.questions = questions
        wanted.append(player.ideal_tokens)
    assert wanted == [60.0, 120.0, 200.0, 200.0]
    rules = Reactions()
    short = heard("DA_short", tokens=60.0, length=0.0)
    theta = UserType(ideal_tokens=60.0)
    assert truthful_reaction(rules, short, theta, 60.0) == "thanks"
    assert truthful_reaction(rules, short, theta, 200.0) == "too_short"


def test_scripted__counts_questions_and_bad_exchanges() -> None:
    """Progress counts questions; an exchange below zero counts as bad, a good one wipes the count."""
    player = ScriptedPersona().policy(UserType())
    sight = see(observation())
    seen = observation()
    player.act(seen, {"payoff": {"value": 0.0, "time": -0.1}})
    player.act(seen, {"payoff": {"value": 0.0, "time": -0.1}})
    assert player.bad_in_a_row == 2
    assert player.questions == 0
    assert sight.progress == 0.0
    later = observation()
    later["observation"][ASSIST_LAYOUT["public"].start] = 0.25
    player.act(later, {"payoff": {"value": 1.0, "time": -0.1}})
    assert (player.bad_in_a_row, player.questions) == (0, 1)


def test_scripted__reacts_to_the_reply_before() -> None:
    """In the text view a wall of text is followed by the complaint about it."""

    class Blunt(ScriptedPersona):
        name = "blunt"
        types = UserType(name="blunt", ideal_tokens=40.0, too_long=0.5)
        character = Character(expressiveness=1.0)

    env = parallel_env("assist_text", p_harmful=0.0)
    episode = play_episode(env, Blunt(), make_assistant("fixed:DA_long", knowledge=_always_right(env)), seed=2)
    users = [step.user for step in episode.steps if step.to_move == USER]
    assert users
    assert all(user.move.endswith("too_long") for user in users)
    assert all(any(phrase in user.text for phrase in Wording().too_long) for user in users)


def _always_right(env: Any) -> Any:
    from gtalign_env.agents.assistants import Knowledge

    knowledge = Knowledge(env.scenario.source)
    knowledge.misread = knowledge  # type: ignore[method-assign]
    return knowledge


# -- the random user --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", ["assist", "matrix", "assist_text"])
def test_random__plays_any_scenario_legally(scenario: str) -> None:
    """The random user makes legal moves in every scenario, the same ones for the same seed."""
    env = parallel_env(scenario, strict=True, max_cycles=30)
    episodes = [play_episode(env, load_persona("random"), make_assistant("random"), seed=3) for _ in range(2)]
    assert episodes[0].error == {}
    assert [s.user.action for s in episodes[0].steps] == [s.user.action for s in episodes[1].steps]


def test_random__uses_every_legal_move_and_no_other() -> None:
    """Over many draws exactly the legal moves appear."""
    player = RandomPersona().policy(UserType())
    player.reset(0)
    seen = observation(legal=4)
    assert {player.act(seen, {}) for _ in range(200)} == {0, 1, 2, 3}
