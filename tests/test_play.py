"""The loop that joins two players: complete records, failures as data, and nothing lost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gtalign_env
from gtalign_env.agents.users import load_persona, population
from gtalign_env.episode import Episode, EpisodeWriter, StepRecord, digest, load_episodes
from gtalign_env.errors import ModelError, UsageError
from gtalign_env.payoffs import Grounded
from gtalign_env.play import command_line, episode_seeds, play_episode, play_many, versions
from gtalign_env.pricing import PerRequest
from gtalign_env.protocols import Task
from gtalign_env.registration import ASSISTANTS, PERSONAS
from gtalign_env.types import ASSISTANT, NO_OP, USER, UserType

TASK = Task(
    id="t/1",
    kind="fact",
    vague="How high is it?",
    detailed="How high is K2 in metres?",
    answers=("8611",),
    facts=(("mountain", "I mean K2."),),
)


class Scripted:
    """A player that does what a list says, again and again; an exception in the list is raised."""

    name = "scripted"
    description = "does what it is told"

    def __init__(self, *actions: Any, on_reset: Exception | None = None) -> None:
        self.actions = actions
        self.on_reset = on_reset
        self.turn = 0
        self.last_call: dict[str, Any] = {}

    def sample_type(self, rng: Any) -> UserType:
        """Draw a type."""
        return UserType(name="scripted", ideal_tokens=float(rng.integers(50, 200)))

    def policy(self, user_type: UserType) -> Scripted:
        """Return a fresh player."""
        return Scripted(*self.actions, on_reset=self.on_reset)

    def reset(self, seed: int) -> None:
        """Begin again."""
        if self.on_reset is not None:
            raise self.on_reset
        self.turn = 0

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> Any:
        """Do the next thing."""
        action = self.actions[self.turn % len(self.actions)]
        self.turn += 1
        self.last_call = {"turn": self.turn, "prompt": "p"}
        if isinstance(action, Exception):
            raise action
        return action


def play(
    user: Any = None, assistant: Any = None, *, seed: int = 0, scenario: str = "assist", **options: Any
) -> Episode:
    """Play one episode with scripted players."""
    env = gtalign_env.parallel_env(scenario, **options)
    return play_episode(env, user or Scripted(5), assistant or Scripted(0), seed=seed)


@pytest.mark.parametrize("scenario", ["assist", "assist_text"])
def test_record__is_complete_and_replays_exactly(scenario: str, tmp_path: Path) -> None:
    """From the file alone: same seed, same options, the recorded actions give the recorded observations and payoffs."""
    env = gtalign_env.parallel_env(scenario)
    played = list(play_many(env, population("default"), ASSISTANTS.get("heuristic")(), episodes=3, seed=4))
    with EpisodeWriter(tmp_path / "run.jsonl") as writer:
        for episode in played:
            writer.write(episode)
    fresh = gtalign_env.parallel_env(scenario)
    for episode in load_episodes(tmp_path / "run.jsonl"):
        observations, _ = fresh.reset(seed=episode.seed, options=episode.reset_options)
        for step in episode.steps:
            assert (step.user.digest, step.assistant.digest) == (
                digest(observations[USER]),
                digest(observations[ASSISTANT]),
            )
            observations, rewards, *_ = fresh.step({USER: step.user.action, ASSISTANT: step.assistant.action})
            assert (step.user.payoff, step.assistant.payoff) == (rewards[USER], rewards[ASSISTANT])
            for side in (step.user, step.assistant):
                assert math.fsum(side.items.values()) == side.payoff
        assert fresh.agents == []
        assert episode.ended == "terminated"


def test_record__says_who_played_what_with_which_versions() -> None:
    """Names, seed, scenario, θ in full, versions, time."""
    episode = play(seed=17)
    assert episode.players == {USER: "persona:scripted", ASSISTANT: "scripted"}
    assert (episode.scenario, episode.view, episode.seed) == ("gtalign/Assist-v0", "strategic", 17)
    assert UserType.from_mapping(episode.hidden["user_type"]) == UserType.from_mapping(
        episode.reset_options["user_type"]
    )
    assert episode.hidden["user_type"]["name"] == "scripted"
    assert {"python", "numpy", "gymnasium", "pettingzoo", "gtalign-env"} <= set(episode.versions)
    assert episode.created.endswith("+00:00")
    assert episode.seconds > 0.0
    assert episode.error == {}


def test_record__names_moves_and_keeps_what_the_players_report() -> None:
    """Moves by name, the outcome, the public state before the step, the model's own notes."""
    episode = play(Scripted(5, 8), Scripted(6, 0))
    first = episode.steps[0]
    assert (first.user.move, first.assistant.move) == ("DQ_none", "CQ")
    assert first.outcome is not None
    assert first.outcome["clarified"] == 1.0
    assert first.public["question"] == "0"
    assert (first.assistant.model, first.user.model["turn"]) == ({"turn": 1, "prompt": "p"}, 1)
    assert first.to_move == ""
    assert episode.steps[1].public["exchange"] == "1"


def test_record__of_illegal_moves() -> None:
    """A masked move is a no-op in the record, and the raw action stays visible."""
    episode = play(Scripted(5), Scripted(9, 0))
    assert (episode.steps[0].assistant.move, episode.steps[0].assistant.illegal) == (NO_OP, True)
    assert episode.steps[0].assistant.action == 9
    assert (episode.steps[0].user.move, episode.steps[0].user.illegal) == ("DQ_none", False)


@pytest.mark.parametrize("kind", [np.int64, np.array, lambda n: np.array([n])])
def test_record__takes_numpy_actions(kind: Any) -> None:
    """As learners return them; the record holds plain numbers."""
    episode = play(Scripted(kind(5)), Scripted(kind(0)))
    plain = play(Scripted(5), Scripted(0))
    assert [step.assistant.action for step in episode.steps] == [0] * len(plain.steps)
    assert episode.totals() == plain.totals()


def test_record__of_a_violation_and_of_a_time_limit() -> None:
    """How it ended is said."""
    env = gtalign_env.parallel_env("assist")
    violated = play_episode(env, Scripted(5), Scripted(0), seed=0, reset_options={"task": "harmful"})
    assert (violated.ended, violated.violation) == ("terminated", True)
    assert violated.steps[-1].events == {"violation": True}
    cut = play(Scripted(5), Scripted(6), max_cycles=2)
    assert (cut.ended, cut.violation, len(cut.steps)) == ("truncated", False, 2)


def test_totals__are_the_sums_of_the_rewards() -> None:
    """Of all steps, both sides, exactly."""
    episode = play(seed=3)
    assert episode.totals() == (
        math.fsum(step.user.payoff for step in episode.steps),
        math.fsum(step.assistant.payoff for step in episode.steps),
    )


@pytest.mark.parametrize("error", [ModelError("the server is down"), ZeroDivisionError("oops"), KeyError("move")])
@pytest.mark.parametrize("where", [USER, ASSISTANT])
def test_failure__of_a_player_is_data(error: Exception, where: str) -> None:
    """Type, message and chair are recorded; what was played until then stays; nothing is scored for the failed step."""
    broken, fine = Scripted(6, 6, error), Scripted(5)
    episode = play(broken, Scripted(6)) if where == USER else play(fine, broken)
    assert episode.ended == "error"
    assert episode.error == {"type": type(error).__name__, "message": str(error), "where": where}
    assert len(episode.steps) == 2


@pytest.mark.parametrize("where", [USER, ASSISTANT])
def test_failure__while_getting_ready_is_data_too(where: str) -> None:
    """A model that cannot be loaded fails its episode, not the run."""
    broken = Scripted(5, on_reset=ModelError("no such model"))
    episode = play(broken, None) if where == USER else play(None, broken)
    assert episode.error == {"type": "ModelError", "message": "no such model", "where": where}
    assert (episode.ended, episode.steps) == ("error", [])


@pytest.mark.parametrize("action", [None, "DA_short", 3.5, 99, math.nan])
def test_failure__of_an_impossible_action_is_data(action: Any) -> None:
    """The environment's own sentence is recorded."""
    episode = play(None, Scripted(6, action))
    assert episode.ended == "error"
    assert (episode.error["type"], episode.error["where"]) == ("IllegalActionError", "env.step")
    assert "assistant_0" in episode.error["message"]
    assert len(episode.steps) == 1


def test_failure__does_not_stop_the_others(tmp_path: Path) -> None:
    """The next episodes are played as they would have been without it."""
    env = gtalign_env.parallel_env("assist")

    class Moody(Scripted):
        def reset(self, seed: int) -> None:
            self.games = getattr(self, "games", -1) + 1
            super().reset(seed)

        def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> Any:
            if self.games == 1:
                raise ModelError("second game")
            return super().act(observation, info)

    moody = list(play_many(env, Scripted(5), Moody(0), episodes=3, seed=1))
    calm = list(play_many(env, Scripted(5), Scripted(0), episodes=3, seed=1))
    assert [episode.ended for episode in moody] == ["terminated", "error", "terminated"]
    for i in (0, 2):
        assert moody[i].totals() == calm[i].totals()


def test_interrupt__is_not_swallowed() -> None:
    """Ctrl-C stops the run; episodes finished before it have been yielded."""

    class Impatient(Scripted):
        def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> Any:
            self.count = getattr(self, "count", 0) + 1
            if self.count > 25:
                raise KeyboardInterrupt
            return super().act(observation, info)

    run = play_many(gtalign_env.parallel_env("assist"), Scripted(5), Impatient(0), episodes=50)
    assert next(run).ended == "terminated"
    with pytest.raises(KeyboardInterrupt):
        list(run)


def test_options__wrong_ones_raise_at_once() -> None:
    """A mistake of the caller is not an episode."""
    env = gtalign_env.parallel_env("assist")
    with pytest.raises(UsageError, match="unknown user type 'nobody'"):
        play_episode(env, Scripted(5), Scripted(0), seed=0, reset_options={"user_type": "nobody"})
    with pytest.raises(UsageError, match="unknown pricing"):
        play_episode(env, Scripted(5), Scripted(0), seed=0, reset_options={"pricing": "gold"})


def test_options__are_recorded_in_a_form_that_reset_takes(tmp_path: Path) -> None:
    """Types, tasks and pricing objects come back from the file as what they were."""
    env = gtalign_env.parallel_env("assist_text", questions=1)
    options = {"user_type": UserType(name="mine", ideal_tokens=44.0), "task": TASK, "pricing": PerRequest(fee=0.25)}
    episode = play_episode(
        env, load_persona("concise"), ASSISTANTS.get("fixed")("DA_short"), seed=2, reset_options=options
    )
    with EpisodeWriter(tmp_path / "run.jsonl") as writer:
        writer.write(episode)
    (back,) = load_episodes(tmp_path / "run.jsonl")
    env.reset(seed=back.seed, options=back.reset_options)
    assert env.hidden()["user_type"] == options["user_type"]
    assert env.game_state.pricing == options["pricing"]
    assert env.game_state.tasks == (TASK,)


@pytest.mark.parametrize("scenario", ["assist", "assist_text"])
def test_record__rebuilds_its_environment(scenario: str, tmp_path: Path) -> None:
    """Id and options in the record make the same game again, as ``replay --verify`` needs it."""
    options: dict[str, Any] = {"pricing": PerRequest(fee=0.5), "questions": 2, "max_cycles": 7}
    env = gtalign_env.parallel_env(scenario, **options)
    with EpisodeWriter(tmp_path / "run.jsonl") as writer:
        writer.write(play_episode(env, load_persona("concise"), ASSISTANTS.get("heuristic")(), seed=5))
    (back,) = load_episodes(tmp_path / "run.jsonl")
    again = gtalign_env.parallel_env(back.scenario, **back.env_options)
    assert again.scenario.config == env.scenario.config  # type: ignore[attr-defined]
    assert again.max_cycles == 7
    observations, _ = again.reset(seed=back.seed, options=back.reset_options)
    assert digest(observations[USER]) == back.steps[0].user.digest


def test_on_step__sees_every_step_as_it_happens() -> None:
    """For live display: the episode so far, its last record included."""
    seen: list[tuple[int, bool]] = []

    def watch(episode: Episode, record: StepRecord) -> None:
        seen.append((len(episode.steps), episode.steps[-1] is record))

    env = gtalign_env.parallel_env("assist")
    episode = play_episode(env, Scripted(5), Scripted(0), seed=0, on_step=watch)
    assert seen == [(n + 1, True) for n in range(len(episode.steps))]


def test_seeds__one_run_seed_gives_all_and_more_episodes_change_none() -> None:
    """Seeds are distinct, and the run is reproducible."""
    assert episode_seeds(3, 5)[:3] == episode_seeds(3, 3)
    assert len(set(episode_seeds(3, 200))) == 200
    assert episode_seeds(3, 3) != episode_seeds(4, 3)
    env = gtalign_env.parallel_env("assist")
    runs = [
        [e.totals() for e in play_many(env, population("default"), ASSISTANTS.get("random")(), episodes=4, seed=8)]
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert len(set(runs[0])) > 1


def test_play_many__ids_are_unique() -> None:
    """Index and seed."""
    ids = [
        e.id
        for e in play_many(gtalign_env.parallel_env("matrix"), load_persona("random"), Scripted(0), episodes=3, seed=2)
    ]
    assert ids == [f"{i}-{seed}" for i, seed in enumerate(episode_seeds(2, 3))]


def test_text__records_who_said_what() -> None:
    """Whose turn it was, what was said, what was announced and what it was read as; the other side waits."""
    env = gtalign_env.parallel_env("assist_text", questions=1)
    assistant = Scripted({"move": 0, "text": "Which mountain do you mean?"}, "It is 8611 metres high.")
    episode = play_episode(env, load_persona("concise"), assistant, seed=0, reset_options={"task": TASK})
    assert episode.opening == TASK.vague
    assert episode.tasks[0]["id"] == "t/1"
    question, reply, answer = episode.steps
    assert (question.to_move, question.assistant.move, question.user.move) == (ASSISTANT, "CQ", "WAIT")
    assert (question.assistant.text, question.assistant.announced) == ("Which mountain do you mean?", "DA_short")
    assert question.user.text == ""
    assert (reply.to_move, reply.assistant.move) == (USER, "WAIT")
    assert reply.user.text
    assert reply.outcome is None
    assert (answer.assistant.move, answer.assistant.announced) == ("DA_short", "")
    assert answer.assistant.text == "It is 8611 metres high."
    assert answer.outcome is not None
    assert answer.outcome["resolved"] == 1.0
    assert episode.ended == "terminated"
    assert assistant.turn == 2, "nobody is asked when it is not its turn"


def test_versions_and_command() -> None:
    """What a result file says about where it came from."""
    assert all(isinstance(version, str) and version for version in versions().values())
    assert command_line().startswith("gtalign")


def test_record__drops_a_population_of_objects_and_names_payoff_models() -> None:
    """Options that JSON cannot hold do not stand in the record as their repr: θ is pinned, models go by name."""
    crowd = {UserType(name="odd", ideal_tokens=33.0): 1.0}
    env = gtalign_env.parallel_env("assist", users=crowd, payoff=Grounded(), pricing="per_token")
    episode = play_episode(env, PERSONAS.get("concise")(), ASSISTANTS.get("fixed")(), seed=2)
    assert episode.env_options == {"payoff": "grounded", "pricing": "per_token"}
