"""Assistants by rule: fixed, random, heuristic, oracle; how they are made, and what they say."""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gtalign_env import parallel_env
from gtalign_env.agents.assistants import (
    FixedAssistant,
    HeuristicAssistant,
    Knowledge,
    OracleAssistant,
    RandomAssistant,
    RuleAssistant,
    make_assistant,
)
from gtalign_env.agents.assistants.voice import general_answer
from gtalign_env.agents.players.fixed import FixedPlayer
from gtalign_env.agents.users import load_persona, population
from gtalign_env.errors import FileFormatError, UnknownNameError, UsageError
from gtalign_env.play import play_episode, play_many
from gtalign_env.protocols import BatchPolicy, Task
from gtalign_env.registration import ASSISTANTS
from gtalign_env.scenarios.tasks import grade, load_tasks
from gtalign_env.scenarios.text.reader import read_reply
from gtalign_env.spaces import ASSIST_LAYOUT
from gtalign_env.types import ASSISTANT, ASSISTANT_MOVES, USER_MOVES, UserMove

TASKS = list(load_tasks(None))
MOVES = [move.name for move in ASSISTANT_MOVES]
K2 = Task(
    id="k2",
    kind="fact",
    vague="How tall is it?",
    detailed="How tall is K2?",
    answers=("8,611 m",),
    extra=(("other", "8,849 m"),),
)


def seen(
    *,
    kind: str = "simple",
    clarity: str = "vague",
    exchange: float = 0.0,
    progress: float = 0.0,
    reply: str | None = None,
    user: str | None = None,
    text: str | None = None,
    per_request: float = 0.0,
    per_1000: float = 0.0,
) -> dict[str, Any]:
    """An assistant's observation with these things in it."""
    vector = np.zeros(ASSIST_LAYOUT.size, dtype=np.float32)
    vector[0] = 1.0
    start = ASSIST_LAYOUT["public"].start
    vector[start : start + 2] = (progress, exchange)
    vector[start + 2 + ("simple", "complex", "harmful").index(kind)] = 1.0
    vector[start + 5 + ("vague", "muddled", "clear").index(clarity)] = 1.0
    if reply is not None:
        vector[ASSIST_LAYOUT["last_assistant_move"].start + MOVES.index(reply)] = 1.0
    if user is not None:
        vector[ASSIST_LAYOUT["last_user_move"].start + USER_MOVES.index(UserMove.parse(user))] = 1.0
    vector[ASSIST_LAYOUT["pricing"]] = (0.0, per_1000 / (1 + per_1000), per_request / (1 + per_request))
    found: dict[str, Any] = {"observation": vector, "action_mask": np.ones(len(ASSISTANT_MOVES), dtype=np.int8)}
    return found | ({} if text is None else {"text": text})


def name_of(action: Any) -> str:
    """The name of a move's index."""
    return ASSISTANT_MOVES[action["move"] if isinstance(action, dict) else action].name


# -- fixed and random -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MOVES)
def test_fixed__makes_its_move_in_both_views(name: str) -> None:
    """Every move × length: the move made, and in words the move that the environment reads."""
    assistant = make_assistant(f"fixed:{name}")
    assert assistant.name == f"fixed:{name}"
    for view in ("assist", "assist_text"):
        episode = play_episode(parallel_env(view, strict=True), load_persona("balanced"), assistant, seed=5)
        assert episode.error == {}
        made = {step.assistant.move for step in episode.steps} - {"WAIT"}
        assert made == {name}


def test_fixed__takes_an_index_in_other_games() -> None:
    """An index works in any game; where it is illegal, the first legal move is made."""
    for index, made in ((2, 2), (7, 0)):
        episode = play_episode(
            parallel_env("matrix", strict=True), load_persona("random"), FixedAssistant(index), seed=0
        )
        assert episode.error == {}
        assert {step.assistant.action for step in episode.steps} == {made}


@pytest.mark.parametrize("move", ["", "-1", -1, True, 1.5])
def test_fixed__what_is_no_move_is_refused(move: Any) -> None:
    """With what was expected."""
    with pytest.raises(UsageError, match="expected"):
        FixedAssistant(move)


def test_fixed__finds_its_move_in_any_game_from_either_chair() -> None:
    """By name, in any case; with talk it keeps silent until the move is legal."""
    for talk in (0, 1):
        env = parallel_env("prisoners_dilemma", rounds=2, talk=talk, strict=True)
        episode = play_episode(env, load_persona("fixed:Defect"), make_assistant("fixed:defect"), seed=0)
        assert episode.error == {}
        assert {step.user.move for step in episode.steps} - {"WAIT", "SILENT"} == {"defect"}
        assert {step.assistant.move for step in episode.steps} - {"WAIT", "SILENT"} == {"defect"}
        assert episode.players == {"user_0": "persona:fixed:Defect", "assistant_0": "fixed:defect"}
    for view in ("assist", "assist_text"):
        episode = play_episode(parallel_env(view), load_persona("fixed:DQ_none"), make_assistant("fixed:CQ"), seed=0)
        assert episode.error == {}
        assert {step.user.move for step in episode.steps} - {"WAIT"} == {"DQ_none"}
    by_index = play_episode(parallel_env("matrix"), load_persona("fixed:move=1"), make_assistant("fixed:1"), seed=0)
    assert {(step.user.move, step.assistant.move) for step in by_index.steps} == {("DQ", "AQ")}


def test_fixed__a_move_that_the_game_lacks_is_refused_by_name() -> None:
    """When it sits down, before the game begins; and it does not guess when nobody has seated it."""
    scenario = parallel_env("stag_hunt").scenario
    for player, role in ((FixedAssistant("DA_huge"), "assistant"), (FixedPlayer(move="deer"), "user")):
        with pytest.raises(
            UsageError, match=f"cannot play 'stag_hunt': expected a move of the {role}.*fixed:stag, fixed:hare"
        ):
            player.sit(scenario, role)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="has not sat down"):
            player.act(seen(), {})
    assert FixedPlayer(move="2").act({"action_mask": np.ones(3, dtype=np.int8)}, {}) == 2


def test_random__uses_legal_moves_only_and_all_of_them() -> None:
    """Uniform over the mask, and the same seed gives the same moves."""
    assistant = RandomAssistant()
    observation = seen()
    observation["action_mask"][[0, 3]] = 0
    runs = []
    for _ in range(2):
        assistant.reset(4)
        runs.append([assistant.act(observation, {}) for _ in range(300)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == set(range(len(ASSISTANT_MOVES))) - {0, 3}


# -- heuristic: the rules one by one ----------------------------------------------------------------------------------


def test_heuristic__declines_harm_asks_when_open_answers_when_clear() -> None:
    """Its three rules, on a first observation."""
    act = HeuristicAssistant().act
    assert name_of(act(seen(kind="harmful"), {})) == "DECLINE"
    assert name_of(act(seen(clarity="vague"), {})) == "CQ"
    assert name_of(act(seen(clarity="clear"), {})) == "DA_medium"


def test_heuristic__does_not_ask_where_it_no_longer_pays() -> None:
    """A muddled answer, or the last exchange of a question, gets an answer."""
    assert name_of(HeuristicAssistant().act(seen(clarity="muddled", exchange=0.33), {})) == "DA_medium"
    assert name_of(HeuristicAssistant().act(seen(clarity="vague", exchange=0.67), {})) == "DA_medium"


def test_heuristic__stops_asking_people_who_cannot_say() -> None:
    """After two questions that were answered vaguely it answers vague questions outright."""
    assistant = HeuristicAssistant()
    for question in range(2):
        at = question / 4
        reply, user = (None, None) if question == 0 else ("DA_medium", "VQ_none")
        assert name_of(assistant.act(seen(progress=at, reply=reply, user=user), {})) == "CQ"
        assistant.act(seen(progress=at, clarity="muddled", exchange=0.33, reply="CQ", user="VQ_none"), {})
    assert name_of(assistant.act(seen(progress=0.5, reply="DA_medium", user="VQ_none"), {})).startswith("DA")


@pytest.mark.parametrize("text", [None, "hello"])
@pytest.mark.parametrize(("reaction", "expected"), [("too_long", "short"), ("too_short", "long"), ("thanks", "medium")])
def test_heuristic__learns_the_length_from_reactions(text: str | None, reaction: str, expected: str) -> None:
    """Too long makes it shorter, too short longer, thanks keep it; by moves the reaction is about the reply before."""
    assistant = HeuristicAssistant()
    common: dict[str, Any] = {"clarity": "clear", "text": text}
    infos: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}]} if text else {}
    assistant.act(seen(**common), infos)
    users = [f"DQ_{reaction}"] if text else ["DQ_none", f"DQ_{reaction}"]
    action = None
    for step, user in enumerate(users, start=1):
        action = assistant.act(seen(**common, progress=step / 4, reply="DA_medium", user=user), infos)
    assert name_of(action) == f"DA_{expected}"
    assert assistant.wanted_length() == expected


def test_heuristic__reactions_to_questions_teach_no_length() -> None:
    """A complaint about a clarifying question leaves the wanted length where it was."""
    assistant = HeuristicAssistant()
    infos = {"messages": [{"role": "user", "content": "x"}]}
    assistant.act(seen(text="x"), infos)
    assistant.act(seen(text="x", clarity="clear", exchange=0.33, reply="CQ", user="DQ_off_target"), infos)
    assert assistant.wanted_length() == "medium"


def test_heuristic__one_lie_among_truths_does_not_turn_it() -> None:
    """Three honest complaints outweigh a false one."""
    assistant = HeuristicAssistant()
    infos = {"messages": [{"role": "user", "content": "x"}]}
    action = assistant.act(seen(text="x", clarity="clear"), infos)
    for step, reaction in enumerate(["too_long", "thanks", "too_short", "thanks", "thanks"], start=1):
        last = name_of(action)
        observation = seen(text="x", clarity="clear", progress=step / 8, reply=last, user=f"DQ_{reaction}")
        action = assistant.act(observation, infos)
    assert name_of(action) == "DA_short"


def test_heuristic__sees_prices() -> None:
    """Where every reply costs, a question comes with an answer; where tokens are dear, doubt means shorter."""
    assert name_of(HeuristicAssistant().act(seen(per_request=0.15), {})) == "AQ_medium"
    assert name_of(HeuristicAssistant().act(seen(clarity="clear", per_1000=1.0), {})) == "DA_short"


def test_heuristic__keeps_conversations_apart() -> None:
    """In a batch every place has its own memory, and a new episode in a place starts afresh."""
    assistant = HeuristicAssistant()
    infos = [{"messages": [{"role": "user", "content": "x"}]}] * 2
    first = seen(text="x", clarity="clear")
    assistant.act_batch([first, first], infos)
    after = [
        seen(text="x", clarity="clear", progress=0.25, reply="DA_medium", user=f"DQ_{r}")
        for r in ("too_long", "too_short")
    ]
    assert [name_of(action) for action in assistant.act_batch(after, infos)] == ["DA_short", "DA_long"]
    assert [name_of(action) for action in assistant.act_batch([first, after[1]], infos)] == ["DA_medium", "DA_long"]
    assistant.reset(0)
    assert assistant.wanted_length(1) == "medium"


def test_heuristic__batch_equals_one_by_one() -> None:
    """The same games give the same moves whether they are played together or alone."""
    env = parallel_env("assist")
    observations, infos = zip(
        *[(o[ASSISTANT], i[ASSISTANT]) for o, i in (env.reset(seed=s) for s in range(6))], strict=True
    )
    alone = [HeuristicAssistant().act(o, i) for o, i in zip(observations, infos, strict=True)]
    assert HeuristicAssistant().act_batch(observations, infos) == alone


def test_heuristic__refuses_foreign_games() -> None:
    """In a game of another family it says which assistants can play it."""
    observations, infos = parallel_env("matrix").reset(seed=0)
    with pytest.raises(UsageError, match="take 'random'"):
        HeuristicAssistant().act(observations[ASSISTANT], infos[ASSISTANT])


@functools.lru_cache
def _means(spec: str, episodes: int = 80) -> tuple[float, float]:
    played = play_many(parallel_env("assist"), population("default"), make_assistant(spec), episodes=episodes, seed=0)
    totals = [[sum(s.user.payoff for s in e.steps), sum(s.assistant.payoff for s in e.steps)] for e in played]
    user, assistant = np.mean(totals, axis=0)
    return float(user), float(assistant)


def _welfare(spec: str) -> float:
    user, assistant = _means(spec)
    return math.sqrt(user * assistant) if min(user, assistant) > 0 else 0.0


def test_heuristic__beats_every_fixed_move_on_the_default_population() -> None:
    """Mutual welfare over the default mix: clearly above each of the eight fixed moves, with both sides gaining."""
    best = max(_welfare(f"fixed:{name}") for name in MOVES)
    assert min(_means("heuristic")) > 0
    assert _welfare("heuristic") > 1.1 * best


# -- knowledge and the oracle -----------------------------------------------------------------------------------------


def test_knowledge__finds_questions_inside_utterances() -> None:
    """Any spelling of case and punctuation, with words around it; the most specific form wins."""
    knows = Knowledge(
        [K2, Task(id="e", kind="fact", vague="", detailed="How tall is K2 in feet?", answers=("28,251 ft",))]
    )
    assert knows("ok next: how tall is K2?? hurry") == "8,611 m"
    assert knows("How tall is K2, in feet?") == "28,251 ft"
    assert knows("so how tall is it") == "8,611 m"
    assert knows("how tall is italy") is None
    assert knows.misread("How tall is it?") == "8,849 m"
    assert knows.misread("Nothing at all") is None
    assert knows("") is None


def test_knowledge__knows_every_authored_task_by_both_forms() -> None:
    """Each form of each task leads to its first answer, or to the safe alternative."""
    knows = Knowledge(TASKS)
    for task in TASKS:
        expected = task.alternative if task.harmful else task.answers[0]
        assert knows(task.detailed) == expected
        assert knows(f"hey, {task.detailed.lower()}") == expected
    nothing = Task(id="n", kind="fact", vague="x?", detailed="y?", harmful=True)
    assert Knowledge([nothing])("y?") is None


def _said(
    assistant: Any, clarity: str, messages: list[dict[str, str]], *, exchange: float = 0.0, kind: str = "simple"
) -> str:
    text = messages[-1]["content"]
    observation = seen(clarity=clarity, exchange=exchange, kind=kind, text=text, reply="CQ", user="VQ_none")
    return str(assistant.act(observation, {"messages": messages})["text"])


def test_rule_assistant__guesses_the_meaning_of_vague_questions() -> None:
    """With knowledge, a clear question is always met; a vague one at the given rate, else another reading is answered."""
    assistant = FixedAssistant("DA_short", knowledge=Knowledge([K2]), hits=(0.3, 0.6, 1.0))
    assistant.reset(0)
    right = {}
    for clarity in ("vague", "muddled", "clear"):
        said = [_said(assistant, clarity, [{"role": "user", "content": K2.vague}]) for _ in range(1500)]
        right[clarity] = sum("8,611" in words for words in said) / len(said)
        assert all("8,611" in words or "8,849" in words for words in said)
    assert right["vague"] == pytest.approx(0.3, abs=0.05)
    assert right["muddled"] == pytest.approx(0.6, abs=0.05)
    assert right["clear"] == 1.0


@pytest.mark.parametrize("clarity", ["vague", "muddled"])
def test_rule_assistant__reads_no_minds(clarity: str) -> None:
    """Numbers and names that nobody has told it are never right, however often it guesses; told clearly, they are."""
    assistant = FixedAssistant("DA_short", knowledge=Knowledge(TASKS), hits=(1.0, 1.0, 1.0))
    checked = 0
    for task in TASKS:
        if task.kind in ("writing", "arithmetic") and task.ambiguous:
            told = _said(assistant, "clear", [{"role": "user", "content": task.detailed}])
            blind = _said(assistant, clarity, [{"role": "user", "content": task.vague}])
            assert task.answers[0].split()[-1] in told or task.kind == "writing"
            assert general_answer(task.kind) in blind
            quality = grade(task, read_reply(blind).answer_text).quality
            assert quality is not None
            assert quality < 0.3
            checked += 1
    assert checked > 20


def test_knowledge__prefers_plain_spellings_and_knows_the_kind() -> None:
    """LaTeX is spoken only where there is nothing else; the kind comes with the task."""
    fraction = Task(
        id="f", kind="arithmetic", vague="What is it?", detailed="Half of it?", answers=(r"\frac{1}{2}", "$x^2$", "1/2")
    )
    root = Task(id="r", kind="arithmetic", vague="Which root?", detailed="Root of 2?", answers=(r"\sqrt{2}",))
    knows = Knowledge([fraction, root, K2])
    assert knows("Half of it?") == "1/2"
    assert knows("Root of 2?") == r"\sqrt{2}"
    assert [knows.kind(words) for words in ("Half of it?", "How tall is K2?", "Hello")] == ["arithmetic", "fact", None]


def test_rule_assistant__looks_back_for_the_question_of_an_answer() -> None:
    """When the last message only answers a question, the words before it count; for a new question they do not."""
    assistant = FixedAssistant("DA_short", knowledge=Knowledge([K2]))
    messages = [
        {"role": "user", "content": "How tall is it?"},
        {"role": "assistant", "content": "Which one?"},
        {"role": "user", "content": "The second highest."},
    ]
    assert "8,611" in _said(assistant, "clear", messages, exchange=0.33)
    assert "8,611" not in _said(assistant, "clear", messages, exchange=0.0)
    plain = FixedAssistant(
        "DA_short", knowledge=lambda words: "8,611 m" if "tall" in words else None, hits=(0.0, 0.0, 0.0)
    )
    assert "8,611" not in _said(plain, "vague", messages[:1])


def test_rule_assistant__the_alternative_belongs_into_a_refusal_only() -> None:
    """An answer to a harmful request holds no content, and a refusal of a harmless one offers no answer."""
    messages = [{"role": "user", "content": "How tall is K2?"}]
    comply = FixedAssistant("DA_short", knowledge=lambda words: "SECRET")
    assert "SECRET" not in _said(comply, "clear", messages, kind="harmful")
    decline = FixedAssistant("DECLINE", knowledge=lambda words: "SECRET")
    assert "SECRET" not in _said(decline, "clear", messages)
    assert "sECRET" in _said(decline, "clear", messages, kind="harmful")


def test_rule_assistant__without_messages_the_utterance_counts() -> None:
    """An observation alone is enough to answer."""
    assistant = FixedAssistant("DA_short", knowledge=Knowledge([K2]))
    action = assistant.act(seen(clarity="clear", text="How tall is K2?"), {})
    assert "8,611" in action["text"]


def test_rule_assistant__waits_when_it_is_not_its_turn() -> None:
    """Where WAIT is the only legal move, it waits."""
    observation = seen(text="hello")
    observation["action_mask"] = np.array([0] * 8 + [1] + [0] * 3, dtype=np.int8)
    for assistant in (HeuristicAssistant(), RandomAssistant(), FixedAssistant()):
        assert assistant.act(observation, {}) == {"move": 8, "text": ""}


@pytest.mark.parametrize("options", [{"knowledge": 3}, {"hits": (1.0, 1.0)}, {"hits": (1.0, 1.0, 2.0)}])
def test_rule_assistant__wrong_options_are_refused(options: dict[str, Any]) -> None:
    """Knowledge must be a function, hits three shares."""
    with pytest.raises(UsageError, match="must be"):
        HeuristicAssistant(**options)


def test_rule_assistant__the_base_decides_nothing() -> None:
    """A subclass has to say what it does."""
    with pytest.raises(TypeError, match="decide"):
        RuleAssistant("nobody")  # type: ignore[abstract]


def test_oracle__answers_better_than_the_same_moves_without_knowledge() -> None:
    """With the references in hand the quality is high; the same heuristic without them answers nothing."""
    env = parallel_env("assist_text", p_harmful=0.0)
    qualities = {}
    for name, assistant in (("oracle", OracleAssistant(Knowledge(TASKS))), ("blind", HeuristicAssistant())):
        episodes = play_many(env, load_persona("expert"), assistant, episodes=8, seed=3)
        outcomes = [s.outcome for e in episodes for s in e.steps if s.outcome and s.outcome["answered"]]
        qualities[name] = float(np.mean([outcome["quality"] for outcome in outcomes]))
    assert qualities["oracle"] > 0.9
    assert qualities["blind"] < 0.2


def test_oracle__is_labelled_and_voices_another_players_moves() -> None:
    """Its name says oracle, and whose moves it voices."""
    oracle = make_assistant("oracle:fixed:AQ_long", knowledge=Knowledge([K2]))
    assert oracle.name == "oracle:fixed:AQ_long"
    oracle.reset(1)
    action = oracle.act(
        seen(clarity="clear", text="How tall is K2?"), {"messages": [{"role": "user", "content": "How tall is K2?"}]}
    )
    assert name_of(action) == "AQ_long"
    assert "8,611" in action["text"]


@pytest.mark.parametrize("spec", ["heuristic", "random", "fixed:CQ", "oracle"])
def test_assistants__play_the_text_view_deterministically(spec: str) -> None:
    """Every rule assistant plays the text view to the end, the same way for the same seed."""
    env = parallel_env("assist_text", strict=True)
    runs = [
        play_episode(env, load_persona("chatty"), make_assistant(spec, knowledge=Knowledge(TASKS)), seed=9)
        for _ in range(2)
    ]
    assert runs[0].error == {}
    assert [s.assistant.text for s in runs[0].steps] == [s.assistant.text for s in runs[1].steps]
    moves = Counter(s.assistant.move for s in runs[0].steps)
    assert moves["NO_OP"] == 0
    assert all(s.assistant.move == s.assistant.announced for s in runs[0].steps if s.to_move == ASSISTANT)


# -- making them ------------------------------------------------------------------------------------------------------


def test_make_assistant__registered_ones_have_descriptions_and_are_batch_policies() -> None:
    """Every registered name makes a policy that also plays batches."""
    for name in ("heuristic", "fixed", "random", "oracle"):
        assert ASSISTANTS.description(name)
        made = ASSISTANTS.get(name)()
        assert isinstance(made, BatchPolicy)
        assert name in repr(made)
        assert isinstance(make_assistant(name), type(made))


def test_make_assistant__takes_files_modules_backends_and_policies(tmp_path: Path) -> None:
    """Python files, module attributes, backends and ready-made policies are all taken."""
    file = tmp_path / "mine.py"
    file.write_text(
        "from gtalign_env.agents.assistants import FixedAssistant, RuleAssistant\n"
        "class Mine(RuleAssistant):\n"
        "    def __init__(self, mood='good'):\n        super().__init__(f'mine-{mood}')\n"
        "    def decide(self, seen):\n        return 6\n"
        "ready = FixedAssistant('CQ')\nnumber = 3\n"
    )
    assert make_assistant(f"{file}:Mine").name == "mine-good"
    assert make_assistant(str(file), mood="bad").name == "mine-bad"
    assert make_assistant(f"{file}:ready").name == "fixed:CQ"
    assert make_assistant("gtalign_env.agents.assistants.random:RandomAssistant").name == "random"
    assert make_assistant("fake:echo").name == "fake:echo"
    policy = RandomAssistant()
    assert make_assistant(policy) is policy
    with pytest.raises(UsageError, match="expected a policy"):
        make_assistant(f"{file}:number")
    with pytest.raises(UsageError, match="takes no options"):
        make_assistant(f"{file}:ready", mood="bad")


@pytest.mark.parametrize(
    ("spec", "options", "problem"),
    [
        ("heuristik", {}, "did you mean 'heuristic'"),
        ("fixed:-1", {}, "expected a move's name or an index >= 0, got '-1'"),
        ("random:3", {}, "too many positional arguments"),
        ("heuristic", {"mood": 1}, "unexpected keyword argument 'mood'"),
        ("no_such_module_here:X", {}, "there is no module"),
        ("math:pi", {}, "expected a policy"),
        ("builtins:dict", {}, "lacks name, reset, act"),
        ("none.py:X", {}, "no such file"),
    ],
)
def test_make_assistant__wrong_specs_say_what_was_expected(spec: str, options: dict[str, Any], problem: str) -> None:
    """Unknown names, moves, options and things that are no policies end in one sentence."""
    with pytest.raises((UsageError, UnknownNameError, FileFormatError), match=re.escape(problem)):
        make_assistant(spec, **options)


def test_unknown_names__list_everybody_once() -> None:
    """The same name may stand in two lists; in the message it stands once, under the noun of both."""
    for load, noun in ((make_assistant, "assistant"), (load_persona, "persona")):
        with pytest.raises(UnknownNameError, match=f"unknown {noun} or player 'nobody'") as caught:
            load("nobody")
        assert caught.value.known.count("random") == 1
