"""Players that need no model: how they are named, seated, checked, recorded, and how they talk."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gtalign_env import parallel_env
from gtalign_env.agents.assistants import make_assistant
from gtalign_env.agents.players import PlayerPersona, make_player, split_specs
from gtalign_env.agents.users import load_persona, population
from gtalign_env.cli import main
from gtalign_env.episode import Episode, EpisodeWriter, load_episodes
from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.play import play_episode
from gtalign_env.protocols import Persona, Policy, Sitter
from gtalign_env.registration import PLAYERS
from gtalign_env.replay import verify_episode
from gtalign_env.single_agent import assistant_env, user_env
from gtalign_env.testing import check_persona, check_policy
from gtalign_env.types import AGENTS, USER, Role

GAME_OF = {"sequential": "trigame", "negotiator": "deal_or_no_deal"}
"""What a player is tried on, where it does not play the repeated prisoner's dilemma."""


def game_for(name: str) -> Any:
    """Return a function that makes a game for a player."""
    game = GAME_OF.get(name, "prisoners_dilemma")
    options: dict[str, Any] = {} if name in GAME_OF else {"rounds": 4}
    return functools.partial(parallel_env, game, **options)


def duel(user: str, assistant: str, game: str = "prisoners_dilemma", *, seed: int = 0, **options: Any) -> Episode:
    """Return an episode of two players."""
    env = parallel_env(game, **options)
    return play_episode(env, load_persona(user), make_assistant(assistant), seed=seed)


def moves(episode: Episode) -> list[tuple[str, str]]:
    """Return the moves of both, leaving out steps in which one of them waits."""
    assert not episode.error, episode.error
    return [(s.user.move, s.assistant.move) for s in episode.steps if "WAIT" not in (s.user.move, s.assistant.move)]


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("name", list(PLAYERS))
def test_players__keep_the_rules_in_both_chairs(name: str, agent: str) -> None:
    """Every registered player makes legal moves, the same ones for the same seed, and changes nothing it is shown."""
    assert check_policy(lambda: make_player(name), game_for(name), agent=agent, episodes=1).ok


@pytest.mark.parametrize("name", list(PLAYERS))
def test_players__records_replay_exactly(name: str, tmp_path: Path) -> None:
    """An episode of a player against itself names both, and verifies from the file."""
    episode = play_episode(game_for(name)(), PlayerPersona(name), make_player(name), seed=3)
    assert episode.ended == "terminated"
    assert list(episode.players.values()) == [f"persona:{name}", name]
    with EpisodeWriter(tmp_path / "one.jsonl") as writer:
        writer.write(episode)
    assert not verify_episode(load_episodes(tmp_path / "one.jsonl")[0])


def test_make_player__reads_settings_and_names_them() -> None:
    """A setting becomes what its default is, and stands in the name from which an equal player is made."""
    for spec in ("quantal:rationality=2.5,level=1", "best_response:memory=3", "welfare:criterion=ces:rho=-1", "all_d"):
        assert make_player(spec).name == spec
    assert make_player("nash:talk=silent,").name == "nash:talk=silent"
    assert make_player("level_k: k = 1").name == "level_k"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("tit_for_tatt", "did you mean 'tit_for_tat'"),
        ("level_k:k=two", "k must be a whole number, got 'two'"),
        ("level_k:k=1.5", "k must be a whole number"),
        ("level_k:k=-1", "k must be a whole number from 0 to 100, got -1"),
        ("quantal:level=101", "level must be a whole number from 0 to 100"),
        ("quantal:rationality=-1", "rationality must be a finite number >= 0"),
        ("quantal:rationality=inf", "rationality must be a finite number >= 0"),
        ("quantal:speed=3", "setting 'speed' is unknown"),
        ("quantal:level=1,level=2", "given twice"),
        ("random:p=1", "setting 'p' is unknown: there are none"),
        ("best_response:memory=0", "memory must be a whole number >= 1"),
        ("fictitious_play:prior=0", "prior must be a finite number > 0"),
        ("generous_tft:generosity=2", "generosity must be a number from 0 to 1"),
        ("grim_n:n=0", "n must be a whole number >= 1"),
        ("zd_extort:factor=0.5", "factor must be a finite number >= 1"),
        ("stackelberg:leader=me", "unknown leader"),
        ("welfare:criterion=happiness", "unknown welfare"),
        ("all_c:talk=loud", "talk must be honest, silent or deceive, got 'loud'"),
    ],
)
def test_make_player__refuses_what_makes_no_sense(spec: str, words: str) -> None:
    """A wrong name or setting is refused in one sentence."""
    with pytest.raises(UsageError) as caught:
        make_player(spec)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("player", "game", "words"),
    [
        ("tit_for_tat", "assist", "needs a known bimatrix, as scenarios of the kind matrix have (gtalign/Matrix-v0"),
        ("tit_for_tat", "assist_text", "needs a known bimatrix"),
        ("sequential", "matrix", "needs a known tree, as scenarios of the kind tree have (gtalign/"),
        ("nash", "assist", "a known bimatrix or a known tree, as scenarios of the kind matrix and tree have"),
        ("stackelberg", "draco", "cannot play 'draco'"),
        ("zd_extort", "matrix", "needs a symmetric prisoner's dilemma"),
        ("zd_extort", "stag_hunt", "needs a symmetric prisoner's dilemma"),
    ],
)
def test_sit__refuses_games_of_another_form(player: str, game: str, words: str) -> None:
    """A player says what it needs and which games have it; in a run that is wrong usage, not a failed episode."""
    seated = make_player(player)
    assert isinstance(seated, Sitter)
    with pytest.raises(UsageError) as caught:
        seated.sit(parallel_env(game).scenario, "assistant")
    assert words in str(caught.value)
    for chair in (["--assistant", player], ["--users", player, "--assistant", "random"]):
        assert main(["run", game, "--episodes", "1", *chair]) == 2


def test_act__without_a_chair_is_refused() -> None:
    """A player that was told nothing says what is missing."""
    observations, infos = parallel_env("matrix").reset(seed=0)
    with pytest.raises(UsageError, match="has not sat down: call sit"):
        make_player("nash").act(observations[USER], infos[USER])


def test_sit__takes_another_chair_or_game() -> None:
    """One player may change chairs and games."""
    player: Any = make_player("nash")
    matrix, draco = parallel_env("matrix").scenario, parallel_env("draco").scenario
    chairs: tuple[tuple[Any, Role], ...] = (
        (matrix, "user"),
        (matrix, "assistant"),
        (matrix, "assistant"),
        (draco, "user"),
    )
    for scenario, role in chairs:
        player.sit(scenario, role)
        player.reset(0)
        env = parallel_env(scenario)
        observations, infos = env.reset(seed=0)
        agent = f"{role}_0"
        chosen = scenario.moves(role)[player.act(observations[agent], infos[agent])]
        assert chosen == {"matrix": {"user": "VQ", "assistant": "DA"}, "draco": {"user": "left"}}[scenario.name][role]


# -- wiring -----------------------------------------------------------------------------------------------------------


def test_population__seats_players_beside_personas() -> None:
    """Settings stay with their player, and weights with their part of the mix."""
    mix = population("quantal:rationality=2,level=1=3, tit_for_tat, concise=2")
    assert [persona.name for persona in mix.personas] == ["quantal:rationality=2.0,level=1", "tit_for_tat", "concise"]
    assert mix.shares == (0.5, 1 / 6, 2 / 6)
    assert population("quantal:rationality=2").shares == (1.0,)
    assert all(isinstance(persona, Persona) for persona in mix.personas)
    assert load_persona("tit_for_tat").sample_type(np.random.default_rng(0)) is None
    assert load_persona("tit_for_tat").description.startswith("Cooperates first")
    assert split_specs("all_d,,grim_n:n=3 ,talk=silent") == ["all_d", "grim_n:n=3,talk=silent"]
    with pytest.raises(UsageError, match="NAME=WEIGHT"):
        population("tit_for_tat=much")
    with pytest.raises(UnknownNameError, match="did you mean 'tit_for_tat'"):
        population("tit_for_tut")


def test_make_assistant__finds_players_and_passes_no_options() -> None:
    """Players are found by name behind assistants; their settings are written, not passed."""
    assert isinstance(make_assistant("grim_n:n=3"), Policy)
    assert make_assistant("grim_n:n=3").name == "grim_n:n=3"
    with pytest.raises(UsageError, match="takes its settings behind a colon, got n"):
        make_assistant("grim_n", n=3)
    with pytest.raises(UnknownNameError, match="did you mean 'grim'"):
        make_assistant("grimm")


def test_check_persona__passes_for_a_seated_player() -> None:
    """The persona kit takes a player in the user's chair: no θ of its own is fine."""
    report = check_persona(PlayerPersona("tit_for_tat"), env_fns=[game_for("tit_for_tat")], episodes=1)
    assert report.ok
    assert "no θ of its own" in str(report.skipped)


def test_single_agent_views__seat_players_opposite() -> None:
    """A learner in either chair meets tit for tat, which answers its last move."""
    for env in (
        user_env("prisoners_dilemma", assistant="tit_for_tat", rounds=4, share_payoffs=True),
        assistant_env("prisoners_dilemma", users="tit_for_tat", rounds=4, share_payoffs=True),
    ):
        env.reset(seed=0)
        rewards = [float(env.step(move)[1]) for move in (1, 0, 0, 1)]
        assert rewards == [5.0, 0.0, 3.0, 5.0]


def test_run__two_strategies_by_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Tit for tat loses the first of ten rounds to all-out defection: 0 + 9·1 against 5 + 9·1."""
    run = ["run", "gtalign/PrisonersDilemma-v0", "--users", "tit_for_tat", "--assistant", "all_d", "--json"]
    assert main([*run, "--option", "rounds=10", "--episodes", "2"]) == 0
    told = capsys.readouterr().out
    assert '"user": 9.0' in told
    assert '"assistant_payoff": 14.0' in told


# -- talk and turns ---------------------------------------------------------------------------------------------------


def test_talk__honest_players_do_what_they_say() -> None:
    """What is announced is what is played, also where the move is drawn."""
    episode = duel("random", "regret_matching", rounds=8, talk=1)
    said = ""
    for step in episode.steps:
        if step.assistant.move.startswith("SAY_"):
            said = step.assistant.move.removeprefix("SAY_")
        elif step.assistant.move != "WAIT" and said:
            assert step.assistant.move == said


@pytest.mark.parametrize(
    ("talk", "word"), [("honest", "SAY_defect"), ("silent", "SILENT"), ("deceive", "SAY_cooperate")]
)
def test_talk__follows_its_option(talk: str, word: str) -> None:
    """Honest, silent and deceiving players say what their option says, and all of them move alike."""
    episode = duel(f"all_d:talk={talk}", f"nash:talk={talk}", rounds=2, talk=1)
    spoken = [s.user.move for s in episode.steps if s.assistant.move == "WAIT"]
    spoken += [s.assistant.move for s in episode.steps if s.user.move == "WAIT"]
    assert set(spoken) == {word}
    assert moves(episode) == [("defect", "defect")] * 2


@pytest.mark.parametrize("speaker", ["user", "assistant"])
def test_talk__hides_no_move_from_whoever_speaks_second(speaker: str) -> None:
    """Tit for tat answers the last move, not the last word, although it waits in some of the steps between."""
    alternating = ["cooperate", "defect", "cooperate", "defect"]
    answers = ["cooperate", "cooperate", "defect", "cooperate"]
    options: dict[str, Any] = {"rounds": 4, "talk": 2, "first_speaker": speaker}
    assert moves(duel("alternator", "tit_for_tat", **options)) == list(zip(alternating, answers, strict=True))
    assert moves(duel("tit_for_tat", "alternator", **options)) == list(zip(answers, alternating, strict=True))


def test_talk__in_trees_only_the_mover_announces() -> None:
    """Before a decision of the other one a player has nothing to say."""
    episode = duel("sequential", "sequential:talk=deceive", "draco", talk=1)
    assert [(s.user.move, s.assistant.move) for s in episode.steps] == [
        ("SAY_left", "WAIT"),
        ("WAIT", "SILENT"),
        ("left", "WAIT"),
        ("SILENT", "WAIT"),
        ("WAIT", "SAY_right"),
        ("WAIT", "left"),
    ]


def test_single_agent_views__show_waiting_players_every_step() -> None:
    """Behind Gymnasium's view, too, a player that waits sees the moves between its turns."""
    env = user_env("prisoners_dilemma", assistant="tit_for_tat", rounds=2, talk=1, share_payoffs=True)
    env.reset(seed=0)
    names = env.game.scenario.moves("user")
    paid = [float(env.step(names.index(move))[1]) for move in ("SILENT", "defect", "SILENT", "cooperate")]
    assert paid == [0.0, 5.0, 0.0, 0.0]


def test_uniform_player__plays_anything_strategic() -> None:
    """The random player reads the mask only."""
    for game in ("assist", "matrix", "trigame"):
        episode = play_episode(parallel_env(game), PlayerPersona("random"), make_player("random"), seed=0)
        assert episode.ended == "terminated"
        assert not any(step.user.illegal or step.assistant.illegal for step in episode.steps)
