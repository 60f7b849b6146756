"""The user's default voice: words for a move when whoever plays the user sends none."""

from __future__ import annotations

import re

from gtalign_env.protocols import Task
from gtalign_env.types import UserMove

__all__ = ["user_utterance"]

_REACTIONS = {
    "none": "",
    "thanks": "Thanks, that helps.",
    "too_long": "That was too long for me.",
    "too_short": "That was too short, I need more detail.",
    "off_target": "That is not what I meant.",
}
_WORD = re.compile(r"\w+")


def user_utterance(move: UserMove, task: Task, situation: str, heard: str) -> str:
    """Return what a plain-spoken user says.

    Args:
        move: Form and reaction, or ``LEAVE``.
        task: The task that the utterance is about.
        situation: ``answer_question``, ``rephrase`` or ``next_question``.
        heard: The assistant's last reply.

    Example:
        >>> task = Task(id="t", kind="fact", vague="How tall is it?", detailed="How tall is K2?")
        >>> user_utterance(UserMove("DQ", "thanks"), task, "next_question", "")
        'Thanks, that helps. How tall is K2?'
    """
    if move.form == "LEAVE":
        return "I'll leave it there. Bye."
    reaction = _REACTIONS[move.reaction or "none"]
    return f"{reaction} {_content(move.form, task, situation, heard)}".strip()


def _content(form: str, task: Task, situation: str, heard: str) -> str:
    if situation == "answer_question":
        return _told_fact(task, heard) if form == "DQ" else "You know, just the usual one."
    if situation == "rephrase":
        return task.detailed if form == "DQ" else f"Again: {task.vague}"
    return task.detailed if form == "DQ" else task.vague


def _told_fact(task: Task, heard: str) -> str:
    """Return the hidden facts that the assistant's question asks for; all of them when none stands out."""
    asked = set(_WORD.findall(heard.lower()))
    scored = [(len(asked & set(_WORD.findall(topic.lower()))), statement) for topic, statement in task.facts]
    best = max((score for score, _ in scored), default=0)
    told = [statement for score, statement in scored if score == best]
    return " ".join(told) if told else task.detailed
