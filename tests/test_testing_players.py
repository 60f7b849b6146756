"""``check_policy`` and ``check_persona`` pass good players and name what bad ones do."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from gtalign_env.env import parallel_env
from gtalign_env.errors import UsageError
from gtalign_env.registration import ASSISTANTS, PERSONAS
from gtalign_env.testing import ConformanceError, check_env, check_persona, check_policy
from gtalign_env.testing.fakes import GenericEnv, ScriptedPolicy
from gtalign_env.types import USER, UserType

TEXT = functools.partial(parallel_env, "gtalign/AssistText-v0")


class Chooser:
    """A good player: any legal move, from its own generator."""

    name = "chooser"

    def reset(self, seed: int) -> None:
        """Begin."""
        self.rng = np.random.default_rng(seed)

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> Any:
        """Choose."""
        return int(self.rng.choice(np.flatnonzero(observation["action_mask"])))


class Batched(Chooser):
    """The same for many games."""

    def act_batch(self, observations: Any, infos: Any) -> Any:
        """Choose for each game."""
        return [self.act(observation, info) for observation, info in zip(observations, infos, strict=True)]


class Nameless(Chooser):
    """Has an empty name."""

    name = ""


class Outside(Chooser):
    """Plays a move that does not exist."""

    def act(self, observation: Any, info: Any) -> Any:
        """Choose."""
        return 3


class Masked(Chooser):
    """Plays a masked move in the first round."""

    def act(self, observation: Any, info: Any) -> Any:
        """Choose."""
        return 2


class Fractional(Chooser):
    """Plays a float."""

    def act(self, observation: Any, info: Any) -> Any:
        """Choose."""
        return 0.0


class Moody(Chooser):
    """Seeds itself anew."""

    def reset(self, seed: int) -> None:
        """Begin."""
        self.rng = np.random.default_rng()


class Rememberer(Chooser):
    """Forgets nothing."""

    count = 0

    def reset(self, seed: int) -> None:
        """Begin."""
        self.count += 1

    def act(self, observation: Any, info: Any) -> Any:
        """Choose."""
        return self.count % 2


class Scribbler(Chooser):
    """Writes into what it is shown."""

    def act(self, observation: Any, info: Any) -> Any:
        """Choose."""
        observation["observation"][0] = 1.0
        return super().act(observation, info)


class Global(Chooser):
    """Uses NumPy's global state (and puts the same move on the table every time)."""

    def act(self, observation: Any, info: Any) -> Any:
        """Choose."""
        np.random.seed(0)  # noqa: NPY002 - the defect
        return 0


class Loud(Chooser):
    """Prints."""

    def act(self, observation: Any, info: Any) -> Any:
        """Choose."""
        print("thinking")
        return super().act(observation, info)


class OtherBatch(Batched):
    """Answers differently in batches."""

    def act_batch(self, observations: Any, infos: Any) -> Any:
        """Choose."""
        return [1 - int(np.random.default_rng(0).integers(1))] * len(observations)

    def act(self, observation: Any, info: Any) -> Any:
        """Choose."""
        return 0


class ShortBatch(Batched):
    """Answers one game of a batch."""

    def act_batch(self, observations: Any, infos: Any) -> Any:
        """Choose."""
        return super().act_batch(observations, infos)[:1]


class Crashing(Chooser):
    """Raises."""

    def act(self, observation: Any, info: Any) -> Any:
        """Choose."""
        raise RuntimeError("no idea")


BAD_PLAYERS: dict[type, tuple[str, str]] = {
    Nameless: ("player_protocol", "a name"),
    Outside: ("legal_actions", "3 (int)"),
    Masked: ("legal_actions", "move 2, mask [1, 1, 0]"),
    Fractional: ("legal_actions", "0.0 (float)"),
    Moody: ("deterministic", "a fresh player"),
    Rememberer: ("deterministic", "after reset()"),
    Scribbler: ("reads_only", "observation"),
    Global: ("global_state", "random state"),
    Loud: ("global_state", "thinking"),
    OtherBatch: ("batches", "agree with act()"),
    ShortBatch: ("batches", "3 actions"),
    Crashing: ("legal_actions", "RuntimeError: no idea"),
}


@pytest.mark.parametrize("bad", BAD_PLAYERS, ids=lambda made: made.__name__)
def test_check_policy__names_what_is_wrong(bad: type) -> None:
    """A player that is wrong in one way fails the check for it, and the message says what came."""
    check, words = BAD_PLAYERS[bad]
    with pytest.raises(ConformanceError) as caught:
        check_policy(bad, GenericEnv, agent=USER)
    assert caught.value.check == check
    assert words in str(caught.value)


def test_check_policy__passes_good_players() -> None:
    """A good player passes; without ``act_batch`` that check is skipped."""
    single, batched = check_policy(Chooser, GenericEnv, agent=USER), check_policy(Batched, GenericEnv)
    assert single.ok
    assert [result.name for result in single.skipped] == ["batches"]
    assert batched.ok
    assert not batched.skipped


def test_check_policy__finds_what_a_player_lacks() -> None:
    """Something that is no player at all is told what it lacks."""

    class Half:
        name = "half"

        def reset(self, seed: int) -> None:
            """Begin."""

    with pytest.raises(ConformanceError, match="Half without act;"):
        check_policy(Half, GenericEnv)  # type: ignore[arg-type]


def test_check_policy__takes_strings_and_dicts_in_the_text_view() -> None:
    """A string is an action in the text view; a dict needs both parts."""
    said: list[Any] = ["It is Canberra.", {"move": 0, "text": "It is Canberra."}]
    assert check_policy(lambda: ScriptedPolicy(said), TEXT, episodes=1).ok
    with pytest.raises(ConformanceError, match="or a string"):
        check_policy(lambda: ScriptedPolicy([{"move": 0}]), TEXT, episodes=1)


NEEDS_A_RUN = {"trained"}
"""Assistants that cannot be made from nothing: tests/test_trained_seats.py checks a trained one, in either chair."""


@pytest.mark.parametrize("name", sorted(set(ASSISTANTS) - NEEDS_A_RUN))
@pytest.mark.parametrize("view", ["gtalign/Assist-v0", "gtalign/AssistText-v0"])
def test_check_policy__passes_shipped_assistants(name: str, view: str) -> None:
    """Every registered assistant that can be made without arguments keeps the rules in both views."""
    if name == "bayes" and "Text" in view:
        with pytest.raises(ConformanceError, match="is solved for games of moves"):
            check_policy(ASSISTANTS.get(name), functools.partial(parallel_env, view), episodes=1)
        return
    if name == "nano" and "Text" not in view:
        with pytest.raises(ConformanceError, match="speaks in chats only"):
            check_policy(ASSISTANTS.get(name), functools.partial(parallel_env, view), episodes=1)
        return
    assert check_policy(ASSISTANTS.get(name), functools.partial(parallel_env, view), episodes=2).ok


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"policy_fn": 3}, "makes a policy"), ({"policy_fn": Chooser, "agent": "user_7"}, "user_7")],
)
def test_check_policy__refuses_wrong_arguments(arguments: dict[str, Any], words: str) -> None:
    """A wrong argument is a usage error."""
    with pytest.raises(UsageError, match=words):
        check_policy(env_fn=GenericEnv, **arguments)


# -- personas -------------------------------------------------------------------------------------------------------


class Steady:
    """A good persona that says one thing."""

    name = "steady"
    description = "Says one thing."
    text = "And what is the other one?"

    def sample_type(self, rng: Any) -> Any:
        """Draw."""
        return UserType(name="steady", ideal_tokens=137.0, too_long=float(rng.uniform(0.1, 0.3)))

    def policy(self, user_type: Any) -> Any:
        """Seat a player."""
        text = self.text.format(t=user_type)

        def act(observation: Any, info: Any) -> Any:
            return {"move": 0, "text": text} if "text" in observation else 0

        return ScriptedPolicy(act)


class Blurting(Steady):
    """Tells its number."""

    text = "Give me {t.ideal_tokens:.0f} tokens."


class Technical(Steady):
    """Names its fields."""

    text = "My effort_cost is low."


class Quoting(Steady):
    """Says a number that nobody would call a leak."""

    text = "I have 2 questions, or 3."


class Undescribed(Steady):
    """Says nothing about itself."""

    description = " "


class Typeless(Steady):
    """Draws something else."""

    def sample_type(self, rng: Any) -> Any:
        """Draw."""
        return {"ideal_tokens": 60.0}


class Wavering(Steady):
    """Draws from a generator of its own."""

    def sample_type(self, rng: Any) -> Any:
        """Draw."""
        return UserType(ideal_tokens=float(np.random.default_rng().uniform(50, 90)))


class Chatty(Steady):
    """Prints while it draws."""

    def sample_type(self, rng: Any) -> Any:
        """Draw."""
        print("who am I?")
        return super().sample_type(rng)


class NoPersona:
    """Lacks everything but a name."""

    name = "nobody"

    def sample_type(self, rng: Any) -> Any:
        """Draw."""
        return UserType()

    def policy(self, user_type: Any) -> Any:
        """Seat a player."""
        return Chooser()


BAD_PERSONAS: dict[type, tuple[str, str]] = {
    Blurting: ("keeps_theta", "the value 137 of 'ideal_tokens'"),
    Technical: ("keeps_theta", "the field name 'effort_cost'"),
    Undescribed: ("persona_protocol", "description"),
    Typeless: ("user_types", "to return a UserType"),
    Wavering: ("user_types", "equal types"),
    Chatty: ("user_types", "who am I?"),
    NoPersona: ("persona_protocol", "without description"),
}


@pytest.mark.parametrize("bad", BAD_PERSONAS, ids=lambda made: made.__name__)
def test_check_persona__names_what_is_wrong(bad: type) -> None:
    """A persona that is wrong in one way fails the check for it, and the message says what came."""
    check, words = BAD_PERSONAS[bad]
    with pytest.raises(ConformanceError) as caught:
        check_persona(bad(), episodes=1)
    assert caught.value.check == check
    assert words in str(caught.value)


@pytest.mark.parametrize("good", [Steady, Quoting])
def test_check_persona__passes_good_personas(good: type) -> None:
    """A persona that keeps θ to itself passes in both views."""
    report = check_persona(good())
    assert report.ok
    assert not report.skipped


def test_check_persona__cannot_judge_the_words_of_a_silent_game() -> None:
    """Without a text view there is nothing that could give θ away, and the report says so."""
    report = check_persona(Steady(), env_fns=[GenericEnv])
    assert [result.name for result in report.skipped] == ["keeps_theta"]


@pytest.mark.parametrize("name", list(PERSONAS))
def test_check_persona__passes_shipped_personas(name: str) -> None:
    """Every registered persona keeps the rules in both views."""
    assert check_persona(PERSONAS.get(name)(), episodes=2).ok


def test_check_env__agrees_that_the_text_view_is_sound() -> None:
    """The text view, which the persona checks rest on, keeps the contract itself."""
    assert check_env(TEXT, episodes=1).ok
