"""The stand-ins do what they say: an environment, a backend, a policy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.errors import IllegalActionError, ResetNeededError, UsageError
from gtalign_env.protocols import Backend, BatchPolicy, Generation, Sampling
from gtalign_env.testing.fakes import FakeBackend, GenericEnv, ScriptedPolicy
from gtalign_env.types import ASSISTANT, USER


def ask(text: str) -> list[dict[str, str]]:
    """Return a conversation of one message."""
    return [{"role": "user", "content": text}]


# -- GenericEnv -----------------------------------------------------------------------------------------------------


def test_generic_env__refuses_a_hook_it_does_not_have() -> None:
    """A misspelt hook is an error that lists the real ones."""
    with pytest.raises(UsageError, match="no hook 'observ': expected some of action_mask, advance"):
        GenericEnv(observ=lambda env: None)


@pytest.mark.parametrize("hook", GenericEnv.HOOKS)
def test_generic_env__calls_every_hook(hook: str) -> None:
    """Every hook is called in an episode, and its default can be called from the replacement."""
    called: list[str] = []

    def replacement(env: GenericEnv, *arguments: Any) -> Any:
        called.append(hook)
        return getattr(GenericEnv, hook)(env, *arguments)

    hooks: dict[str, Any] = {hook: replacement}
    env = GenericEnv(rounds=1, **hooks)
    env.reset(seed=0)
    env.step({USER: 0, ASSISTANT: 0})
    assert called


@pytest.mark.parametrize(
    ("user_type", "theta"),
    [("little", 0.2), ("much", 0.8), (0.5, 0.5), ({"ideal_tokens": 100.0}, 0.5)],
)
def test_generic_env__pins_theta(user_type: Any, theta: float) -> None:
    """``options["user_type"]`` takes a name, a number or a dict; only the user sees it."""
    observations, _ = GenericEnv().reset(seed=0, options={"user_type": user_type})
    assert observations[USER]["observation"][5] == np.float32(theta)
    assert observations[ASSISTANT]["observation"][5] == 0.0


def test_generic_env__draws_the_same_chances_whatever_theta_is() -> None:
    """Pinning θ does not shift the random stream, or the coin would tell."""
    arrived = {
        bool(GenericEnv().reset(seed=3, options={"user_type": t})[0][USER]["observation"][3]) for t in (0.1, 0.9)
    }
    assert len(arrived) == 1


def test_generic_env__truncates_at_its_limit_and_reveals_at_the_end() -> None:
    """With a time limit the last step is a truncation, and θ is told when asked for."""
    env = GenericEnv(max_cycles=2, reveal=True)
    env.reset(seed=0)
    *_, infos = env.step({USER: 0, ASSISTANT: 0})
    assert "revealed" not in infos[USER]
    _, _, terminated, truncated, infos = env.step({USER: 0, ASSISTANT: 0})
    assert (terminated[USER], truncated[USER]) == (False, True)
    assert infos[ASSISTANT]["revealed"] == {"theta": env.state_now.theta}


def test_generic_env__refuses_what_is_no_action() -> None:
    """Wrong actions, early and late steps are errors; a masked move is one under ``strict`` only."""
    env = GenericEnv(rounds=1)
    with pytest.raises(ResetNeededError):
        env.step({USER: 0, ASSISTANT: 0})
    env.reset(seed=0)
    for actions in ({USER: 0}, {USER: 0, ASSISTANT: 3}, {USER: True, ASSISTANT: 0}, [0, 0]):
        with pytest.raises(IllegalActionError):
            env.step(actions)  # type: ignore[arg-type]
    *_, infos = env.step({USER: 2, ASSISTANT: 0})
    assert infos[USER]["illegal_move"] is True
    strict = GenericEnv(strict=True)
    strict.reset(seed=0)
    with pytest.raises(IllegalActionError, match="not legal in round 0"):
        strict.step({USER: 2, ASSISTANT: 0})


def test_generic_env__renders(capsys: pytest.CaptureFixture[str]) -> None:
    """``human`` prints, ``ansi`` returns the same."""
    human, ansi = GenericEnv(render_mode="human"), GenericEnv(render_mode="ansi")
    for env in (human, ansi):
        env.reset(seed=0)
    assert human.render() is None
    assert capsys.readouterr().out == f"{ansi.render()}\n"


# -- FakeBackend ----------------------------------------------------------------------------------------------------


def test_fake_backend__fits_the_protocol() -> None:
    """It can stand wherever a backend is expected."""
    assert isinstance(FakeBackend(), Backend)


def test_fake_backend__echoes() -> None:
    """Without a script the last message comes back."""
    done = FakeBackend().generate([ask("Hello there."), []], Sampling())
    assert [reply.text for reply in done] == ["Hello there.", ""]


def test_fake_backend__goes_through_its_script_across_calls() -> None:
    """Replies come in order, over conversations and calls, and begin again."""
    backend = FakeBackend(["a", "b", "c"])
    said = [reply.text for _ in range(2) for reply in backend.generate([ask("?"), ask("?")], Sampling())]
    assert said == ["a", "b", "c", "a"]


def test_fake_backend__computes_replies_and_remembers_calls() -> None:
    """A function sees the whole conversation; calls are kept as they were."""
    backend = FakeBackend(lambda talk: talk[-1]["content"].upper(), name="shout")
    talk = ask("quiet")
    done = backend.generate([talk], Sampling(max_tokens=9))[0]
    talk[0]["content"] = "changed"
    assert done.text == "QUIET"
    assert done.prompt == "user: quiet\nassistant:"
    assert done.prompt_tokens == backend.count_tokens(done.prompt)
    assert backend.calls == [([ask("quiet")], Sampling(max_tokens=9))]


@pytest.mark.parametrize(
    "backend",
    [
        FakeBackend(fail_at={0}),
        FakeBackend([RuntimeError("down")]),
        FakeBackend(lambda talk: 1 / 0),  # type: ignore[arg-type, return-value]
        FakeBackend([Generation(text="", finish_reason="error", error="down")]),
    ],
    ids=["fail_at", "exception", "raising", "generation"],
)
def test_fake_backend__fails_on_demand(backend: FakeBackend) -> None:
    """A failure is data: no text, the reason in words, nothing raised."""
    done = backend.generate([ask("?")], Sampling())[0]
    assert (done.text, done.finish_reason, done.token_ids) == ("", "error", ())
    assert done.error


@given(st.text())
def test_fake_backend__tokens_make_up_the_text(text: str) -> None:
    """Every text has as many ids as tokens, and equal texts have equal ids."""
    backend = FakeBackend([text])
    done = backend.generate([ask("?")], Sampling(max_tokens=10**6))[0]
    assert done.text == text
    assert len(done.token_ids) == len(done.logprobs) == backend.count_tokens(text)
    assert list(done.token_ids) == FakeBackend().tokenize(text)


@given(st.text(), st.integers(1, 5))
def test_fake_backend__cuts_at_the_token_limit(text: str, limit: int) -> None:
    """A reply is a beginning of the text, at most as long as allowed; the reason tells whether it was cut."""
    done = FakeBackend([text]).generate([ask("?")], Sampling(max_tokens=limit))[0]
    assert text.startswith(done.text)
    assert len(done.token_ids) <= limit
    assert (done.finish_reason == "length") == (done.text != text)


def test_fake_backend__stops_before_the_first_stop_string() -> None:
    """Of several stop strings the earliest in the text counts."""
    done = FakeBackend(["one</b> two</a>"]).generate([ask("?")], Sampling(stop=("</a>", "</b>", "</c>")))[0]
    assert (done.text, done.finish_reason) == ("one", "stop")


@pytest.mark.parametrize("replies", ["parrot", [], 3])
def test_fake_backend__refuses_other_replies(replies: Any) -> None:
    """Anything but 'echo', a list or a function is a usage error."""
    with pytest.raises(UsageError, match="FakeBackend replies"):
        FakeBackend(replies)


# -- ScriptedPolicy -------------------------------------------------------------------------------------------------


def test_scripted_policy__begins_again_with_every_episode() -> None:
    """A reset takes the script from the start; a short script goes round."""
    player = ScriptedPolicy([0, 1])
    assert isinstance(player, BatchPolicy)
    for seed in (5, 6):
        player.reset(seed)
        assert [player.act({}, {}) for _ in range(3)] == [0, 1, 0]
    assert player.seeds == [5, 6]


def test_scripted_policy__asks_its_function() -> None:
    """A function sees observation and info, and what was seen is kept."""
    player = ScriptedPolicy(lambda observation, info: observation["x"] + info["y"])
    assert player.act({"x": 1}, {"y": 2}) == 3
    assert player.act_batch([{"x": 1}, {"x": 2}], [{"y": 0}, {"y": 0}]) == [1, 2]
    assert player.seen[0] == ({"x": 1}, {"y": 2})


def test_scripted_policy__raises_what_is_in_its_script() -> None:
    """A player that fails in mid-game can be scripted."""
    player = ScriptedPolicy([0, RuntimeError("gone")])
    assert player.act({}, {}) == 0
    with pytest.raises(RuntimeError, match="gone"):
        player.act({}, {})


def test_scripted_policy__hands_out_copies() -> None:
    """Changing an action does not change the script."""
    player = ScriptedPolicy([{"move": 0, "text": "x"}])
    player.act({}, {})["text"] = "y"
    assert player.act({}, {}) == {"move": 0, "text": "x"}


@pytest.mark.parametrize("script", ["DA", [], 3])
def test_scripted_policy__refuses_other_scripts(script: Any) -> None:
    """Anything but a list or a function is a usage error."""
    with pytest.raises(UsageError, match="ScriptedPolicy"):
        ScriptedPolicy(script)
