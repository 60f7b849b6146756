"""The small tasks: exact answers, two readings where the words are vague, and a part that is held out."""

from __future__ import annotations

import collections
import itertools
import os
import subprocess
import sys

import pytest

import gtalign_env
from gtalign_env.agents.assistants.oracle import Knowledge, OracleAssistant
from gtalign_env.agents.assistants.voice import voice
from gtalign_env.agents.users import population
from gtalign_env.agents.users.speech import told_facts
from gtalign_env.errors import UnknownNameError
from gtalign_env.play import play_many
from gtalign_env.protocols import Task
from gtalign_env.scenarios.tasks import grade, load_tasks
from gtalign_env.scenarios.text.reader import read_reply
from gtalign_env.types import ASSISTANT_MOVES, AssistantMove

TASKS = list(load_tasks("small"))
OPEN = [task for task in TASKS if task.ambiguous and not task.harmful]


def other(task: Task) -> str:
    """Return the answer to the other reading."""
    return dict(task.extra)["other"]


def test_small__parts_are_disjoint_and_complete() -> None:
    """Every task is in one part, in the order of the whole."""
    train, test = (list(load_tasks(f"small:{part}")) for part in ("train", "test"))
    assert {task.id for task in train} & {task.id for task in test} == set()
    assert [task for task in TASKS if task in train or task in test] == TASKS
    assert 0.27 <= len(test) / len(TASKS) <= 0.33


def test_small__readings_of_the_same_words_are_in_the_same_part() -> None:
    """Whoever has learned one reading of held-out words has not learned the other."""
    parts = collections.defaultdict(set)
    for part in ("train", "test"):
        for task in load_tasks(f"small:{part}"):
            parts[task.vague].add(part)
    assert {len(found) for found in parts.values()} == {1}


def test_small__every_part_has_facts_arithmetic_and_harm() -> None:
    """So that a session in any of them is one of all kinds."""
    for spec in ("small", "small:train", "small:test"):
        assert {task.kind for task in load_tasks(spec)} == {"fact", "arithmetic", "harmful"}


def test_small__vague_words_have_two_readings_with_different_answers() -> None:
    """Each names the other's answer."""
    readings = collections.defaultdict(list)
    for task in OPEN:
        readings[task.vague].append(task)
    for one, two in readings.values():
        assert (other(one), other(two)) == (two.answers[0], one.answers[0])
        assert one.answers != two.answers


@pytest.mark.parametrize("length", ["short", "medium", "long"])
def test_small__graders_tell_the_right_answer_from_the_other_reading(length: str) -> None:
    """At every length that it may be given at."""
    move = AssistantMove("DA", length)
    for task in TASKS:
        if task.harmful:
            continue
        right = voice(move, "?", task.answers[0], task.kind)
        assert (grade(task, right).quality, read_reply(right).move) == (1.0, move), task.id
        if task.ambiguous:
            assert grade(task, voice(move, "?", other(task), task.kind)).quality == 0.0, task.id


def test_small__arithmetic_is_right() -> None:
    """By our own sums, from the words of the question."""
    operations = {"plus": int.__add__, "times": int.__mul__}
    for task in TASKS:
        if task.kind != "arithmetic":
            continue
        words = task.detailed.rstrip("?").split()
        if words[-2] in operations:
            expected = operations[words[-2]](int(words[-3]), int(words[-1]))
        else:
            expected = int(words[-1]) * 2 if "twice" in words else int(words[-1]) // 2
        assert task.answers == (str(expected),), task.id


def test_small__harm_is_refused_with_an_alternative() -> None:
    """The alternative makes a full refusal, and an answer a violation."""
    harmful = [task for task in TASKS if task.harmful]
    assert len(harmful) == 10
    for task in harmful:
        said = voice(AssistantMove("DECLINE", None), "?", task.alternative, task.kind)
        assert (grade(task, said).quality, read_reply(said).act) == (1.0, "DECLINE"), task.id


def test_small__a_question_about_the_reading_brings_it_out() -> None:
    """A person who is asked says which one is meant."""
    asked = {"fact": "Do you mean the town or the ship?", "arithmetic": "Should I add them or multiply them?"}
    for task in OPEN:
        assert told_facts(task.facts, asked[task.kind], task.detailed, task.vague) == task.facts[0][1]


def test_small__words_name_their_task() -> None:
    """What is said in detail leads whoever looks it up to the right answer."""
    knows = Knowledge(TASKS)
    for task in TASKS:
        assert knows.task(f"Hi there. {task.detailed} Cheers") == task


def test_small__what_is_told_later_picks_the_reading() -> None:
    """A player that looks answers up gives that of the reading which the user has named, whichever comes first in the list."""
    knows = Knowledge(TASKS)
    for task in OPEN:
        assert knows.task(f"{task.vague} Sure. {task.facts[0][1]}") == task


def test_small__scripted_players_answer_rightly_once_they_were_told() -> None:
    """A question that was asked and answered in detail leaves nothing open."""
    env = gtalign_env.parallel_env("assist_text", tasks="small", p_harmful=0.0)
    assistant = OracleAssistant(Knowledge(TASKS), hits=(0.0, 0.0, 1.0))
    qualities = [
        step.outcome["quality"]
        for episode in play_many(env, population("concise,detailed"), assistant, episodes=30, seed=5)
        for before, step in itertools.pairwise(s for s in episode.steps if s.outcome)
        if before.assistant.move == "CQ" and step.public["clarity"] == "clear"
        if step.outcome and step.outcome.get("answered")
    ]
    assert len(qualities) > 10
    assert set(qualities) == {1.0}


def test_small__is_the_same_in_every_process() -> None:
    """Nothing hangs on Python's own hash, which changes from process to process."""
    code = "from gtalign_env.scenarios.tasks import load_tasks; print(*(t.id for t in load_tasks('small:test')))"
    said = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1] == " ".join(task.id for task in load_tasks("small:test")).encode() + b"\n"


def test_small__unknown_part_says_which_there_are() -> None:
    """The message names both."""
    with pytest.raises(UnknownNameError, match=r"test.*train"):
        load_tasks("small:dev")


def test_small__can_be_played() -> None:
    """Sessions with the default users end, and every move of the assistant can be read."""
    env = gtalign_env.parallel_env("assist_text", tasks="small:test")
    assistant = OracleAssistant(Knowledge(TASKS))
    episodes = list(play_many(env, population("default"), assistant, episodes=12, seed=3))
    assert {episode.ended for episode in episodes} == {"terminated"}
    made = {step.assistant.move for episode in episodes for step in episode.steps if step.assistant.text}
    assert made <= {move.name for move in ASSISTANT_MOVES}
