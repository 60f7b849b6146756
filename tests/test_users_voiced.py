"""Personas with a model's voice: who decides, what is said, what is kept back, and how faithful it is."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env import parallel_env
from gtalign_env.agents.assistants import make_assistant
from gtalign_env.agents.backends.prompts import NOTHING
from gtalign_env.agents.users import Fidelity, VoicedPersona, fidelity, load_persona, population
from gtalign_env.agents.users.fidelity import Rate
from gtalign_env.agents.users.leaks import find_leaks
from gtalign_env.agents.users.stage import CURTAIN, brief, cue, open_cue, plain_voice
from gtalign_env.agents.users.voiced import VoicedUser, split_voice
from gtalign_env.cli import main
from gtalign_env.env import GameEnv
from gtalign_env.episode import Episode, load_episodes
from gtalign_env.errors import ModelError, UnknownNameError, UsageError
from gtalign_env.play import play_episode, play_many
from gtalign_env.play_batch import is_batched, play_batch
from gtalign_env.protocols import Backend, Generation, Persona, Sampling
from gtalign_env.registration import PERSONAS
from gtalign_env.sampled import sampled_spans
from gtalign_env.types import ASSISTANT, USER, USER_MOVES, UserMove, UserType

TASK = {
    "vague": "How tall is it?",
    "detailed": "How tall is K2 in metres?",
    "facts": [["mountain", "I mean K2."], ["unit", "In metres."]],
}


class Speaking:
    """A backend that says one thing after the other, and notes what it was told."""

    name = "speaking"

    def __init__(self, *lines: str | Generation) -> None:
        self.lines = [line if isinstance(line, Generation) else Generation(text=line) for line in lines]
        self.asked: list[tuple[list[dict[str, str]], Sampling]] = []

    def generate(self, conversations: Sequence[Any], sampling: Sampling) -> list[Generation]:
        """Say the next lines."""
        made = []
        for conversation in conversations:
            made.append(self.lines[len(self.asked) % len(self.lines)])
            self.asked.append((list(conversation), sampling))
        return made

    def count_tokens(self, text: str) -> int:
        """Count words."""
        return len(text.split())


def env_of(**options: Any) -> GameEnv:
    """Return a short game in words."""
    return parallel_env("assist_text", **{"questions": 2, **options})


def at_the_table(persona: Persona, *, user_type: UserType | None = None) -> tuple[VoicedUser, Any, Any, GameEnv]:
    """Return a player with its turn, after the assistant has asked something."""
    env = env_of()
    theta = user_type or UserType(name="concise", ideal_tokens=65.0)
    env.reset(seed=3)
    player = persona.policy(theta)
    assert isinstance(player, VoicedUser)
    player.reset(5)
    observations, _, _, _, infos = env.step({USER: "", ASSISTANT: "Which one do you mean?"})
    return player, observations[USER], infos[USER], env


def voiced(*lines: str | Generation, persona: str = "concise", **settings: Any) -> VoicedPersona:
    """Return a persona that says these lines."""
    return VoicedPersona(load_persona(persona), Speaking(*lines), **settings)


def test_voiced__makes_the_scripts_move_in_the_models_words() -> None:
    """With the script in the lead, move and mind are the twin's, draw for draw."""
    persona = voiced("Well, the usual.")
    player, observation, info, _ = at_the_table(persona)
    twin = load_persona("concise").policy(UserType(name="concise", ideal_tokens=65.0))
    twin.reset(5)
    scripted = twin.act(observation, info)
    assert player.act(observation, info) == {"move": scripted["move"], "text": "Well, the usual."}
    voice = player.last_call["voice"]
    assert voice["twin_move"] == USER_MOVES[scripted["move"]].name
    assert voice["twin_line"] == scripted["text"]
    assert voice["attempts"] == [{"line": "Well, the usual.", "problem": ""}]
    assert json.loads(json.dumps(player.last_call)) == player.last_call


def test_voiced__leaves_the_move_to_the_model() -> None:
    """With the model in the lead the action is its words alone, and the text view reads the move."""
    player, observation, info, env = at_the_table(voiced("Never mind, bye.", lead="model"))
    action = player.act(observation, info)
    assert action == "Never mind, bye."
    env.step({USER: action, ASSISTANT: ""})
    assert env.last_step is not None
    assert env.last_step.events["move"] == "LEAVE"


def test_voiced__tells_the_model_who_it_is_and_what_to_do() -> None:
    """The brief comes first, its own lines are the assistant's, and the cue stands at the end."""
    backend = Speaking("Hm.")
    player, observation, info, env = at_the_table(VoicedPersona(load_persona("concise"), backend))
    player.act(observation, info)
    ((conversation, sampling),) = backend.asked
    assert [message["role"] for message in conversation] == ["user", "assistant", "user"]
    assert "Wants one line" in conversation[0]["content"]
    assert conversation[1]["content"] == env.game_state.transcript[0].text
    heard, curtain, task = conversation[2]["content"].partition(CURTAIN)
    assert heard.strip() == "Which one do you mean?"
    assert curtain
    assert "You were asked something" in task
    assert sampling.temperature == 0.7


@pytest.mark.parametrize("name", sorted(PERSONAS))
def test_brief__keeps_figures_and_labels_back(name: str) -> None:
    """Whoever does not disclose θ is described without any figure of it, and without parameters' names."""
    persona: Any = load_persona(name)
    for entry in getattr(persona, "entries", ()):
        text = brief(persona, entry.user_type)
        assert find_leaks(text.replace("that you play somebody", ""), entry.user_type) == ()
        assert not any(sign.isdigit() for sign in text.partition("How you write")[0])


def test_brief__lets_a_disclosing_persona_say_it() -> None:
    """Such a persona is told the number of words."""
    persona: Any = copy.copy(load_persona("concise"))
    persona.discloses = True
    assert "about 50 words" in brief(persona, UserType(ideal_tokens=65.0))


def test_brief__takes_any_persona() -> None:
    """A persona of one's own needs no card."""

    class Bare:
        """A persona with the least there is."""

        name, description = "bare", "Says little."

    assert "Says little." in brief(Bare(), UserType())


@pytest.mark.parametrize("move", USER_MOVES, ids=lambda move: move.name)
@pytest.mark.parametrize("situation", ["next_question", "rephrase", "answer_question"])
def test_plain_voice__reads_back_as_the_cue_it_was_given(move: UserMove, situation: str) -> None:
    """The fake says what each cue asks for so that the text view reads the very move."""
    env = env_of()
    env.reset(seed=0, options={"task": {"id": "t", "kind": "fact", "answers": ["8611"], **TASK}})
    said = {
        "answer_question": "Which mountain do you mean?",
        "rephrase": "It is 10 m.",
        "next_question": "It is 8611 m.",
    }
    _, _, _, _, infos = env.step({USER: "", ASSISTANT: said[situation]})
    assert infos[USER]["situation"] == situation
    info = {"task": TASK, "situation": situation}
    line = plain_voice([{"role": "user", "content": f"Fine.\n\n{CURTAIN}\n{cue(move, info, 'Which mountain?')}"}])
    action = {"move": None, "text": line}
    state = env.game_state
    if situation == "next_question":  # the next question is another one: read it as one about this task
        state = type(state)(**{**{f: getattr(state, f) for f in state.__dataclass_fields__}, "question": 0})
    assert env.scenario.step(state, action, None, env.np_random).events["move"] == move.name


def test_open_cue__says_when_the_door_is_shut() -> None:
    """Where a session cannot be left, nobody is told to say goodbye; an answered question is not put again."""
    info = {"task": TASK, "situation": "answer_question"}
    assert "goodbye" not in open_cue(info, can_leave=False)
    assert "answer what you were asked" in open_cue(info)
    assert "still open" in open_cue({**info, "situation": "rephrase"})


def test_voiced__asks_again_where_a_line_cannot_be_said() -> None:
    """Empty lines and leaks are asked for again, with another seed; the record keeps every attempt."""
    backend = Speaking(
        Generation(text="", finish_reason="error", error=NOTHING), "I'm a concise user, 50 words please.", "Shorter."
    )
    player, observation, info, _ = at_the_table(VoicedPersona(load_persona("concise"), backend))
    assert player.act(observation, info)["text"] == "Shorter."
    attempts = player.last_call["voice"]["attempts"]
    assert all(len(attempt["token_ids"]) == len(attempt["logprobs"]) for attempt in attempts if attempt["problem"])
    if player.last_call["token_ids"]:  # what was said, ready for training
        assert sampled_spans(player.last_call).mask.sum() == len(player.last_call["token_ids"])
    problems = [attempt["problem"] for attempt in attempts]
    assert problems == ["empty", "leak", ""]
    assert len({sampling.seed for _, sampling in backend.asked}) == 3


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (Generation(text="", finish_reason="error", error="out of memory"), "out of memory"),
        (Generation(text="", finish_reason="error"), "does not say why"),
        ("  \n", "wrote nothing that could be said"),
        ("As an AI I have no needs.", r"gives away what a user keeps to itself \(part\)"),
    ],
)
def test_voiced__a_voice_that_fails_is_a_typed_error(line: str | Generation, said: str) -> None:
    """After the retries the episode ends in an error that names the voice; what was tried is in the record."""
    player, observation, info, _ = at_the_table(voiced(line))
    with pytest.raises(ModelError, match=rf"concise@speaking has no line for the user: .*{said}"):
        player.act(observation, info)
    assert len(player.last_call["voice"]["attempts"]) == 3


def test_voiced__may_fall_back_on_the_script() -> None:
    """On request the twin's line is said instead, and the record says so."""
    player, observation, info, _ = at_the_table(voiced("", on_failure="script", retries=0))
    action = player.act(observation, info)
    voice = player.last_call["voice"]
    assert (action["text"], voice["fell_back"], len(voice["attempts"])) == (voice["twin_line"], True, 1)


def test_voiced__a_disclosing_persona_may_speak_of_itself() -> None:
    """What its card allows is no leak."""
    persona: Any = copy.copy(load_persona("concise"))
    persona.discloses = True
    player, observation, info, _ = at_the_table(VoicedPersona(persona, Speaking("50 words, please.")))
    assert player.act(observation, info)["text"] == "50 words, please."


@pytest.mark.parametrize(
    ("made", "line"),
    [
        ("User: Shorter.", "Shorter."),
        ("**Me:** me: Shorter.", "Shorter."),
        ('"Shorter."', "Shorter."),
        ('"Shorter" is what I said. "Yes."', '"Shorter" is what I said. "Yes."'),
        ("Shorter.\nAssistant: Of course.", "Shorter."),
        ("Shorter.\n\nPlease.", "Shorter. Please."),
        ("\x1b[31mShorter.\x07", "Shorter."),
        (f"Shorter.\n{CURTAIN}\n- Ask this", "Shorter."),
        ("Go on. " * 200, ("Go on. " * 143).strip()),
        ("x" * 3000, "x" * 1000),
    ],
)
def test_voiced__says_one_line(made: str, line: str) -> None:
    """Speakers' names, quotation marks, escapes, other people's lines and floods of words are taken off."""
    player, observation, info, _ = at_the_table(voiced(made))
    assert player.act(observation, info)["text"] == line


@given(text=st.text(max_size=300))
def test_voiced__any_text_is_a_line_or_a_typed_error(text: str) -> None:
    """Whatever a model writes, the environment gets a line that fits its space, or the error is a typed one."""
    player, observation, info, env = at_the_table(voiced(text, retries=0))
    try:
        action = player.act(observation, info)
    except ModelError:
        return
    env.check_action(USER, action)
    assert action["text"].strip()
    assert action["text"].replace(" ", "").isprintable() or not action["text"].isascii()


def test_voiced__waits_like_its_twin() -> None:
    """Where it is not its turn no model is asked."""
    backend = Speaking("Hm.")
    env = env_of()
    observations, infos = env.reset(seed=0)
    player = VoicedPersona(load_persona("concise"), backend).policy(UserType())
    assert player.act(observations[USER], infos[USER]) == {"move": len(USER_MOVES), "text": ""}
    assert (backend.asked, player.last_call) == ([], {})


def test_voiced__plays_the_text_view_only() -> None:
    """A game of moves has no words, and says so."""
    player = voiced("Hm.").policy(UserType())
    env = parallel_env("assist")
    with pytest.raises(UsageError, match="plays the text view only"):
        player.sit(env.scenario, "user")
    observations, infos = env.reset(seed=0)
    with pytest.raises(UsageError, match="plays the text view of the 'assist' games only"):
        player.act(observations[USER], infos[USER])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"lead": "both"}, "lead: expected 'script' or 'model'"),
        ({"on_failure": "silence"}, "on_failure: expected 'error' or 'script'"),
        ({"retries": -1}, "retries: expected an integer >= 0"),
        ({"retries": True}, "retries: expected an integer >= 0"),
        ({"sampling": 0.7}, "sampling: expected"),
    ],
)
def test_voiced__refuses_settings_without_meaning(settings: dict[str, Any], said: str) -> None:
    """One sentence says what was expected."""
    with pytest.raises(UsageError, match=said):
        voiced("Hm.", **settings)


def test_voiced__takes_no_second_voice() -> None:
    """A voice over a voice has no script to follow."""
    with pytest.raises(UsageError, match="has a voice already"):
        VoicedPersona(voiced("Hm."), "fake:voice")


def test_load_persona__reads_voices() -> None:
    """``persona@backend``, in a mix with weights too; one engine speaks for several."""
    mix = population("concise@fake:voice=2,over_vague@fake:voice,hurried", lead="model")
    assert mix.shares == (0.5, 0.25, 0.25)
    first, second, third = mix.personas
    assert isinstance(first, VoicedPersona)
    assert isinstance(second, VoicedPersona)
    assert first.backend is second.backend
    assert (first.lead, first.name, third.name) == ("model", "concise@fake:voice", "hurried")
    assert is_batched(first)
    (said,) = population("concise@fake:scripted=Shorter.").personas
    assert said.name == "concise@fake:scripted"
    with pytest.raises(UnknownNameError, match="unknown persona or player 'concize'"):
        load_persona("concize@fake:voice")


def test_split_voice__leaves_paths_alone() -> None:
    """Only a backend's name makes it a voice."""
    assert split_voice("a@b.toml") is None
    assert split_voice("@fake:voice") is None
    assert split_voice("x/me@home.toml@openai:m") in (None, ("x/me@home.toml", "openai:m"))


@pytest.mark.parametrize(
    ("line", "leaks"),
    [
        ("About 65 tokens, please.", ("length",)),
        ("Give me 52 words.", ("length",)),
        ("Give me 300 words.", ()),
        ("65 metres?", ()),
        ("I am a concise user.", ("label",)),
        ("Be concise.", ()),
        ("My price_sensitivity is high.", ("parameter",)),
        ("I have to stay in character.", ("part",)),
        ("What is a language model?", ("part",)),
        ("", ()),
    ],
)
def test_find_leaks__knows_what_a_person_would_not_say(line: str, leaks: tuple[str, ...]) -> None:
    """Figures of θ, names of types and parameters, and talk about the part itself."""
    assert find_leaks(line, UserType(name="concise", ideal_tokens=65.0)) == leaks


def test_find_leaks__spares_what_is_on_the_table() -> None:
    """Words of the task are no leak: a question may be about 50 words, or about language models."""
    theta = UserType(name="concise", ideal_tokens=65.0)
    told = ["Write 50 words about what a language model is."]
    assert find_leaks("50 words on what a language model is!", theta, told=told) == ()


def played_by(backend: Backend | str, *, persona: str = "concise", episodes: int = 3, **settings: Any) -> list[Episode]:
    """Return voiced episodes with a heuristic assistant."""
    voice = VoicedPersona(load_persona(persona), backend, **settings)
    return list(play_many(env_of(), voice, make_assistant("heuristic"), episodes=episodes, seed=2))


def test_fidelity__of_a_perfect_voice() -> None:
    """A voice that does what the cues say agrees in every line; intervals know how few sessions there were."""
    found = fidelity(played_by("fake:voice"), env_of())
    assert found.episodes == 3
    assert found.lines == found.same_move.of == found.same_move.count > 3
    assert (found.leaks.count, found.told_early.count, found.premature_ends.count, found.unusable.count) == (0, 0, 0, 0)
    interval = found.same_move.interval
    assert interval is not None
    # Clopper-Pearson for 3 of 3: the lower bound is (alpha / 2) ** (1 / 3).
    assert interval.low == pytest.approx(0.025 ** (1 / 3))
    assert interval.high == 1.0


def test_fidelity__counts_each_kind_of_lapse() -> None:
    """One session, counted by hand: a goodbye too early in every line; the script would have gone on."""
    episodes = played_by(Speaking("I give up."), episodes=1)
    lines = [step.user.model["voice"] for step in episodes[0].steps if step.to_move == USER]
    found = fidelity(episodes, env_of())
    assert found.lines == len(lines)
    staying = sum(voice["twin_move"] != "LEAVE" for voice in lines)
    assert (found.premature_ends.count, found.premature_ends.of) == (staying, staying)
    assert found.same_move.count == len(lines) - staying
    assert found.same_move.interval is None
    assert found.same_reaction.of == 0
    assert found.same_reaction.share is None


def test_fidelity__counts_particulars_nobody_asked_for() -> None:
    """Where the script stays vague and the line carries the detailed question, that is told early."""

    class Blabbing(Speaking):
        """Says the detailed question, whatever the cue."""

        def generate(self, conversations: Sequence[Any], sampling: Sampling) -> list[Generation]:
            """Take the task from the open cue."""
            cues = [conversation[-1]["content"] for conversation in conversations]
            return [Generation(text=text.split("«")[-1].split("»")[0]) for text in cues]

    episodes = played_by(Blabbing("-"), persona="over_vague", lead="model", episodes=4)
    found = fidelity(episodes, env_of())
    assert found.told_early.of > 0
    assert found.told_early.count == found.told_early.of
    assert found.same_form.count < found.same_form.of


def test_fidelity__counts_attempts_and_fallbacks_and_errors() -> None:
    """Leaks and empty lines count per attempt; the last line of a failed session counts too."""
    leaky = played_by(Speaking("", "As an AI, no."), episodes=1, retries=1)
    assert leaky[0].ended == "error"
    assert leaky[0].error["type"] == "ModelError"
    found = fidelity(leaky, env_of())
    assert (found.lines, str(found.unusable), str(found.leaks)) == (1, "1 of 2 (50%)", "1 of 1 (100%)")
    saved = fidelity(played_by(Speaking(""), episodes=2, on_failure="script", retries=0), env_of())
    assert saved.fell_back.share == saved.unusable.share == 1.0
    assert saved.same_move.of == 0


def test_fidelity__leaves_other_users_out() -> None:
    """Episodes without a voice do not count; where there is none at all, or no words, it says so."""
    silent = play_episode(env_of(), load_persona("concise"), make_assistant("heuristic"), seed=0)
    mixed = [silent, *played_by("fake:voice", episodes=1)]
    assert fidelity(mixed, env_of()).episodes == 1
    with pytest.raises(UsageError, match="no voice speaks"):
        fidelity([silent], env_of())
    with pytest.raises(UsageError, match="expected an environment of the text view"):
        fidelity(mixed, parallel_env("assist"))


def test_rate__speaks() -> None:
    """Counts, shares and intervals as people read them, and as JSON."""
    assert str(Rate(count=0, of=0)) == "—"
    assert Rate(count=1, of=2).as_dict() == {"count": 1, "of": 2, "share": 0.5, "interval": None}
    found = fidelity(played_by("fake:voice"), env_of())
    assert isinstance(found, Fidelity)
    assert json.loads(json.dumps(found.as_dict()))["same_move"]["share"] == 1.0


def test_voiced__the_same_alone_and_in_company() -> None:
    """Played at once or one by one, a voice says the same."""
    voice = VoicedPersona(load_persona("concise"), "fake:voice")
    many = {e.seed: e for e in play_batch(env_of, voice, make_assistant("heuristic"), range(4), games=4)}
    for seed in range(4):
        alone = play_episode(env_of(), voice, make_assistant("heuristic"), seed=seed)
        assert [s.user.text for s in many[seed].steps] == [s.user.text for s in alone.steps]
        assert many[seed].players == alone.players


def test_run__takes_voices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``gtalign run --users persona@backend`` records both, and can leave the lead to the model."""
    out = tmp_path / "run.jsonl"
    users = ["--users", "concise@fake:voice", "--option", "questions=1", "--episodes", "2"]
    assert main(["run", "assist_text", *users, "--lead", "model", "--out", str(out)]) == 0
    voices = [s.user.model["voice"] for e in load_episodes(out) for s in e.steps if s.user.model]
    assert {voice["lead"] for voice in voices} <= {"model"}
    assert {episode.players[USER] for episode in load_episodes(out)} == {"persona:concise@fake:voice"}
    assert main(["run", "assist_text", "--users", "concise", "--lead", "model"]) == 2
    assert "--lead is for personas with a model's voice" in capsys.readouterr().err
    assert main(["run", "assist", "--users", "concise@fake:voice"]) == 2
    assert "plays the text view only" in capsys.readouterr().err


def test_persona_try__shows_how_faithful_a_voice_is(capsys: pytest.CaptureFixture[str]) -> None:
    """One session in words, then the gauges; the same as JSON."""
    arguments = ["persona", "try", "concise", "--voice", "fake:voice", "--episodes", "2", "--questions", "1"]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "The voice against the script" in shown
    assert "reads as the script's very move" in shown
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["persona"], found["lead"], found["failures"]) == ("concise@fake:voice", "script", 0)
    assert found["same_move"]["share"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--lead", "model"], "are for a voice"),
        (["--episodes", "2"], "are for a voice"),
        (["--voice", "fake:voice", "--strategic"], "--strategic shows moves only"),
        (["--voice", "fak:voice"], "unknown backend 'fak'"),
    ],
)
def test_persona_try__refuses_what_makes_no_sense(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, exit code 2."""
    assert main(["persona", "try", "concise", *arguments]) == 2
    assert said in capsys.readouterr().err
