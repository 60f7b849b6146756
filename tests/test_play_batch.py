"""Many games at once: the same episodes as one by one, few calls of the engine, and no game that stops the others."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gtalign_env
from gtalign_env.agents.assistants import make_assistant
from gtalign_env.agents.assistants.llm import LLMAssistant
from gtalign_env.agents.backends import RulesBackend
from gtalign_env.agents.users import load_persona, population
from gtalign_env.env import GameEnv
from gtalign_env.episode import Episode
from gtalign_env.errors import ModelError, UsageError
from gtalign_env.gather import Desk, GatheredBackend
from gtalign_env.play import play_episode
from gtalign_env.play_batch import is_batched, play_batch
from gtalign_env.protocols import Backend, Generation, Policy, Sampling
from gtalign_env.types import UserType


class Engine:
    """A backend that notes its calls, and does to a conversation what a function says."""

    name = "engine"

    def __init__(self, answer: Callable[[Any], Any] = lambda conversation: "Fine.") -> None:
        self.answer = answer
        self.calls: list[int] = []
        self.threads: set[int] = set()

    def generate(self, conversations: Sequence[Any], sampling: Sampling) -> list[Generation]:
        """Answer each conversation; an exception among the answers is raised."""
        self.calls.append(len(conversations))
        self.threads.add(threading.get_ident())
        made = [self.answer(conversation) for conversation in conversations]
        for answer in made:
            if isinstance(answer, BaseException):
                raise answer
        return [answer if isinstance(answer, Generation) else Generation(text=str(answer)) for answer in made]

    def count_tokens(self, text: str) -> int:
        """Count words."""
        return len(text.split())


class Dice:
    """A backend whose words depend on each row's own seed."""

    name = "dice"

    def generate(
        self, conversations: Sequence[Any], sampling: Sampling, *, seeds: Sequence[int] | None = None
    ) -> list[Generation]:
        """Say a number drawn from the row's seed."""
        own = [sampling.seed] * len(conversations) if seeds is None else seeds
        return [Generation(text=f"It is {np.random.default_rng(seed).integers(1000)} metres.") for seed in own]

    def count_tokens(self, text: str) -> int:
        """Count words."""
        return len(text.split())


def text_env(**options: Any) -> GameEnv:
    """Return a short game of the text view."""
    return gtalign_env.parallel_env("assist_text", **{"questions": 2, "max_exchanges": 2, **options})


def plain(episode: Episode) -> dict[str, Any]:
    """Return a record without what says when it was made and how long that took."""
    record: dict[str, Any] = msgspec.to_builtins(episode, enc_hook=lambda value: np.asarray(value).tolist())
    untimed: dict[str, Any] = _untimed(record)
    return untimed


def _untimed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _untimed(item) for key, item in value.items() if key not in ("seconds", "created")}
    return [_untimed(item) for item in value] if isinstance(value, list) else value


def together(assistant: Policy, seeds: Sequence[int], *, users: Any = None, **how: Any) -> dict[int, Episode]:
    """Play episodes at once, by seed."""
    made = how.pop("make_env", text_env)
    episodes = list(play_batch(made, users or population(), assistant, seeds, **how))
    assert len(episodes) == len(seeds)
    return {episode.seed: episode for episode in episodes}


PLAYERS: list[tuple[str, str, str]] = [
    ("assist_text", "fake:rules", "default"),
    ("assist_text", "fake:echo", "hurried=1,expert=1"),
    ("assist_text", "heuristic", "default"),
    ("assist", "heuristic", "default"),
    ("assist", "random", "random"),
    ("matrix", "tit_for_tat", "quantal:rationality=2"),
]


@settings(max_examples=12)
@given(
    seed=st.integers(0, 2**31),
    count=st.integers(1, 9),
    games=st.integers(1, 6),
    players=st.sampled_from(PLAYERS),
)
def test_play_batch__plays_what_play_episode_plays(
    seed: int, count: int, games: int, players: tuple[str, str, str]
) -> None:
    """Whatever is on the table with it, an episode is to the byte the one that its seed gives alone."""
    scenario, spec, mix = players
    options: dict[str, Any] = {"questions": 2} if scenario.startswith("assist") else {}
    env = gtalign_env.parallel_env(scenario, **options)
    seeds = [seed + place for place in range(count)]
    found = together(
        make_assistant(spec), seeds, users=population(mix), games=games, make_env=lambda: env_like(scenario, options)
    )
    assistant = make_assistant(spec)
    for each in seeds:
        assert plain(found[each]) == plain(play_episode(env, population(mix), assistant, seed=each))


def env_like(scenario: str, options: dict[str, Any]) -> GameEnv:
    """Return a fresh environment."""
    return gtalign_env.parallel_env(scenario, **options)


def test_play_batch__asks_the_engine_once_for_all_games() -> None:
    """Twenty games that wait are one call, on the thread that plays the batch; no prompt is asked twice."""
    engine = Engine()
    episodes = together(LLMAssistant(engine), range(20), games=20)
    turns = sum(step.to_move == "assistant_0" for episode in episodes.values() for step in episode.steps)
    assert engine.calls[0] == 20
    assert sum(engine.calls) == turns
    longest = max(sum(step.to_move == "assistant_0" for step in e.steps) for e in episodes.values())
    assert len(engine.calls) == longest
    assert engine.threads == {threading.get_ident()}


def test_play_batch__fills_free_places() -> None:
    """With fewer places than episodes no call is larger than the number of places, and all are played."""
    engine = Engine()
    assert len(together(LLMAssistant(engine), range(11), games=4)) == 11
    assert max(engine.calls) == 4


def test_play_batch__gathers_user_and_assistant_of_one_engine() -> None:
    """A user and an assistant that ask the same engine in the same way share its calls."""

    class Chatty:
        """A persona whose lines come from a backend."""

        name, description = "chatty", "asks its engine"

        def __init__(self, backend: Backend) -> None:
            self.backend = backend

        def sample_type(self, rng: Any) -> UserType:
            """Return the default type."""
            return UserType()

        def policy(self, user_type: Any) -> Any:
            """Return a fresh player."""
            return Chatty(self.backend)

        def reset(self, seed: int) -> None:
            """Begin."""

        def act(self, observation: Any, info: Any) -> str:
            """Say what the engine says."""
            return self.backend.generate([list(info["messages"])], Sampling())[0].text

    engine = Engine()
    assert is_batched(Chatty(engine))
    together(make_assistant("heuristic"), range(6), users=Chatty(engine), games=6)
    assert engine.calls[0] == 6


def test_play_batch__one_game_fails_alone() -> None:
    """A conversation that breaks the whole call is that game's error; the others end as they would have."""
    poisoned = Engine(lambda talk: ValueError("no such glyph") if len(talk[1]["content"]) % 3 == 0 else "Fine.")
    healthy = together(LLMAssistant(Engine()), range(12), games=12)
    found = together(LLMAssistant(poisoned), range(12), games=12)
    broken = [seed for seed, episode in found.items() if episode.ended == "error"]
    assert 0 < len(broken) < 12
    for seed, episode in found.items():
        if seed in broken:
            assert episode.error == {"type": "ValueError", "message": "no such glyph", "where": "assistant_0"}
        else:
            assert plain(episode) == plain(healthy[seed])


def test_play_batch__a_failed_row_is_one_games_error() -> None:
    """A backend that reports a failure as data ends that game with a typed error and what was sent."""
    failing = itertools.count()

    def answer(talk: Any) -> Generation:
        fails = next(failing) == 2
        return Generation(text="", finish_reason="error", error="out of memory") if fails else Generation(text="Yes.")

    found = together(LLMAssistant(Engine(answer)), range(5), games=5)
    assert [episode.ended for episode in found.values()].count("error") == 1
    (broken,) = [episode for episode in found.values() if episode.ended == "error"]
    assert broken.error["type"] == "ModelError"
    assert "out of memory" in broken.error["message"]
    assert broken.failed_call["error"] == "out of memory"


def test_play_batch__an_engine_that_miscounts_is_an_error_of_all() -> None:
    """An answer too few would go to the wrong game, so none is used."""

    class Short(Engine):
        def generate(self, conversations: Sequence[Any], sampling: Sampling) -> list[Generation]:
            """Forget the last one."""
            return super().generate(conversations, sampling)[:-1]

    for episode in together(LLMAssistant(Short()), range(3), games=3).values():
        assert episode.error["type"] == "ModelError"
        assert "expected 1 answers to 1 prompts, got 0" in episode.error["message"]


def test_play_batch__a_slow_game_does_not_stop_the_others() -> None:
    """Every other episode is finished while one persona still thinks about its first word."""
    released = threading.Event()

    class Slow:
        """A persona that waits until it is let go on."""

        name, description = "slow", "thinks"

        def sample_type(self, rng: Any) -> UserType:
            """Return the default type."""
            return UserType()

        def policy(self, user_type: Any) -> Any:
            """Return itself."""
            return self

        def reset(self, seed: int) -> None:
            """Begin."""

        def act(self, observation: Any, info: Any) -> Any:
            """Leave, late."""
            assert released.wait(timeout=30.0)
            return {"move": 10, "text": "Bye."}

    slow = Slow()
    quick = load_persona("concise")
    order = itertools.count()

    def users(rng: Any) -> Any:
        return slow if next(order) == 0 else quick

    seen = []
    for episode in play_batch(text_env, users, LLMAssistant(Engine()), range(8), games=4, patience=0.02):
        seen.append(episode.players["user_0"])
        if len(seen) == 7:
            released.set()
    assert seen == ["persona:concise"] * 7 + ["persona:slow"]


def test_desk__waits_once_for_a_game_that_thinks() -> None:
    """Who has missed a call is not waited for again until it asks: ten calls cost one patience, not ten."""
    done = threading.Event()
    desk: Desk[str] = Desk(patience=0.3)

    def quick() -> Iterator[str]:
        for _ in range(10):
            desk.ask(0, "all", list, ["?"])
        done.set()
        yield "quick"

    def slow() -> Iterator[str]:
        assert done.wait(timeout=30.0)
        yield desk.ask(1, "all", list, ["slow"])[0]

    started = time.monotonic()
    assert list(desk.run([quick, slow])) == ["quick", "slow"]
    assert desk.calls == 11
    assert time.monotonic() - started < 1.5


def test_desk__waits_again_for_a_game_that_was_late_and_asks() -> None:
    """It shares the next call with the others."""
    missed = threading.Event()
    desk: Desk[str] = Desk(patience=0.05)
    sizes: list[int] = []

    def answer(rows: list[str]) -> list[str]:
        sizes.append(len(rows))
        missed.set()
        return rows

    def game(number: int) -> Iterator[str]:
        if number:
            assert missed.wait(timeout=30.0)
        else:
            desk.ask(0, "all", answer, ["alone"])
        desk.patience = 30.0  # from here on they wait for each other
        for _ in range(3):
            desk.ask(number, "all", answer, ["both"])
        yield "done"

    assert list(desk.run([lambda: game(0), lambda: game(1)])) == ["done", "done"]
    assert sizes[0] == 1
    assert sizes.count(2) >= 2


def test_play_batch__samples_the_same_in_any_company() -> None:
    """A backend that takes a seed for each row gives each game the words that it gets alone."""
    sampling = Sampling(temperature=1.0)
    found = together(LLMAssistant(Dice(), sampling=sampling), range(6), games=6)
    for seed in range(6):
        alone = play_episode(text_env(), population(), LLMAssistant(Dice(), sampling=sampling), seed=seed)
        assert plain(found[seed]) == plain(alone)
    assert len({episode.steps[0].assistant.text for episode in found.values()}) > 1


def test_gathered_backend__mixes_seeds_for_an_engine_that_takes_only_one() -> None:
    """Such an engine gets one seed that depends on all of them, and no other setting is touched."""
    asked: list[Sampling] = []

    class Plain(Engine):
        def generate(self, conversations: Sequence[Any], sampling: Sampling) -> list[Generation]:
            """Note the sampling."""
            asked.append(sampling)
            return super().generate(conversations, sampling)

    def run(*seeds: int, temperature: float = 1.0) -> Sampling:
        desk: Desk[str] = Desk()
        engine = Plain()

        def game(number: int, seed: int) -> Iterator[str]:
            mine = GatheredBackend(engine, desk, number)
            talk = [{"role": "user", "content": "Hi"}]
            yield mine.generate([talk], Sampling(temperature=temperature, seed=seed, max_tokens=9))[0].text

        asked.clear()
        games = [lambda n=n, seed=seed: game(n, seed) for n, seed in enumerate(seeds)]
        assert list(desk.run(games)) == ["Fine."] * len(seeds)
        assert desk.calls == 1
        return asked[0]

    assert run(3, 4) == run(3, 4) != run(3, 5)
    assert run(7, 7).seed == 7
    assert run(3, 4, temperature=0.0).seed == 3
    assert run(3, 4).max_tokens == 9


def test_gathered_backend__is_the_backend_in_everything_else() -> None:
    """Tokens are counted, and other attributes found, where they are; nothing asked is nothing called."""
    engine = Engine()
    mine = GatheredBackend(engine, Desk(), 0)
    assert isinstance(mine, Backend)
    assert (mine.name, mine.count_tokens("a b"), mine.calls) == ("engine", 2, [])
    assert mine.generate([], Sampling()) == []
    assert not hasattr(mine, "_anything")


def test_play_batch__reads_seeds_as_it_goes() -> None:
    """An endless supply of seeds is no problem, and what is played ahead is bounded by the number of games."""
    given_out = 0

    def seeds() -> Iterator[int]:
        nonlocal given_out
        for seed in itertools.count():
            given_out += 1
            yield seed

    playing = play_batch(text_env, population(), LLMAssistant(Engine()), seeds(), games=3)
    for taken in range(1, 8):
        next(playing)
        assert given_out <= taken + 2 * 3
    playing.close()


def test_play_batch__closing_it_leaves_no_thread() -> None:
    """Games that are not finished are abandoned."""
    before = threading.active_count()
    playing = play_batch(text_env, population(), LLMAssistant(Engine()), itertools.count(), games=5)
    next(playing)
    playing.close()
    assert threading.active_count() == before


def test_play_batch__ctrl_c_in_the_engine_gets_through() -> None:
    """The engine runs where the caller is, so an interruption is the caller's, and the games go."""
    before = threading.active_count()
    calls = itertools.count()
    engine = Engine(lambda talk: KeyboardInterrupt() if next(calls) == 7 else "Fine.")
    with pytest.raises(KeyboardInterrupt):
        list(play_batch(text_env, population(), LLMAssistant(engine), range(9), games=3))
    assert threading.active_count() == before


def test_play_batch__wrong_options_are_said_at_once() -> None:
    """What no game can be played with is raised, as by ``play_episode``."""
    with pytest.raises(UsageError, match="unknown user type"):
        list(
            play_batch(
                text_env, population(), LLMAssistant(Engine()), [0, 1], games=2, reset_options={"user_type": "nobody"}
            )
        )
    wrong: list[Any] = [0, True, 1.5]
    for games in wrong:
        with pytest.raises(UsageError, match="games: expected an integer >= 1"):
            play_batch(text_env, population(), LLMAssistant(Engine()), [0], games=games)


def test_play_batch__says_that_a_player_cannot_be_copied() -> None:
    """A player that holds a lock has to say how a copy of it is made."""
    assistant = LLMAssistant(Engine())
    assistant.last_call = {"lock": threading.Lock()}
    with pytest.raises(UsageError, match=r"cannot be copied .* give the class a __deepcopy__"):
        play_batch(text_env, population(), assistant, [0])


def test_play_batch__a_stateless_player_is_asked_about_all_games_at_once() -> None:
    """``act_batch`` gets every game that waits; what it reports of each lands in that game's record."""

    class Net:
        """Answers in brief, whatever the game; notes the size of each batch."""

        name, stateless = "net", True

        def __init__(self) -> None:
            self.sizes: list[int] = []
            self.last_calls: list[dict[str, Any]] = []

        def reset(self, seed: int) -> None:
            """Forget nothing."""

        def act(self, observation: Any, info: Any) -> Any:
            """Act for one game."""
            return self.act_batch([observation], [info])[0]

        def act_batch(self, observations: Sequence[Any], infos: Sequence[Any]) -> list[Any]:
            """Act for many."""
            self.sizes.append(len(observations))
            self.last_calls = [{"place": place} for place in range(len(observations))]
            return ["Fine."] * len(observations)

    net = Net()
    assert is_batched(net)
    found = together(net, range(4), games=4)
    assert net.sizes[0] == 4
    assert sorted(episode.steps[0].assistant.model["place"] for episode in found.values()) == [0, 1, 2, 3]
    assert {episode.players["assistant_0"] for episode in found.values()} == {"net"}


def test_is_batched__knows_who_gains() -> None:
    """Models do; scripts, whose ``act_batch`` keeps one game in mind, do not."""
    assert is_batched(LLMAssistant(RulesBackend()))
    assert not any(map(is_batched, (make_assistant("heuristic"), load_persona("concise"), make_assistant("random"))))


def test_desk__raises_what_a_game_raises_after_the_results_that_are_there() -> None:
    """A bug in a game is no answer of an engine: it stops the run, but loses no result."""

    def good() -> Iterator[int]:
        yield 1

    def bad() -> Iterator[int]:
        yield 2
        raise ModelError("bug")

    results = Desk[int]().run([good, bad])
    assert sorted((next(results), next(results))) == [1, 2]
    with pytest.raises(ModelError, match="bug"):
        next(results)


def test_play_batch__samples_the_same_from_a_real_engine_in_any_company() -> None:
    """With transformers too: each game's sampled words follow from its own seed."""
    from tiny_llama import make_model, make_tokenizer

    from gtalign_env.agents.backends.loading import Loaded
    from gtalign_env.agents.backends.transformers import TransformersBackend

    tokenizer = make_tokenizer()
    backend = TransformersBackend(Loaded(make_model(tokenizer), tokenizer, "tiny", bos=False))
    asked: list[int] = []
    generate = backend.generate

    def noting(conversations: Any, sampling: Sampling, **how: Any) -> list[Generation]:
        asked.append(len(conversations))
        return generate(conversations, sampling, **how)

    backend.generate = noting  # type: ignore[method-assign]
    assistant = LLMAssistant(backend, sampling=Sampling(temperature=1.0, max_tokens=6), system_prompt="")
    found = together(assistant, range(3), games=3, make_env=lambda: text_env(questions=1, max_exchanges=1))
    assert asked[0] == 3
    for seed in range(3):
        alone = play_episode(text_env(questions=1, max_exchanges=1), population(), assistant, seed=seed)
        assert found[seed].steps[0].assistant.action == alone.steps[0].assistant.action
