"""The assistant that knows the answers, for demos and tests only: it reads the tasks' references, which no real one may."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from gtalign_env.agents.assistants.heuristic import HeuristicAssistant
from gtalign_env.agents.assistants.rules import KnowledgeLookup, RuleAssistant, Seen
from gtalign_env.protocols import Task

__all__ = ["Knowledge", "OracleAssistant"]

_WORD = re.compile(r"\w+")
_MARKUP = re.compile(r"\\[A-Za-z({\[]|\$[^$]*[\\^_{][^$]*\$")
"""LaTeX, which nobody speaks where a plain spelling will do."""


class Knowledge:
    """Looks up the reference answer of the task that somebody's words are about.

    Args:
        tasks: The tasks of a source. The words of a task's vague or detailed form, anywhere in an utterance, name it; of
            several forms found the longest counts; of several tasks with that form the one of which a fact is told as well.

    Example:
        >>> task = Task(id="t", kind="fact", vague="How tall is it?", detailed="How tall is K2?", answers=("8,611 m",))
        >>> knows = Knowledge([task])
        >>> knows("hi again. how tall is k2? cheers"), knows("Who knows?")
        ('8,611 m', None)
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._forms: dict[str, list[Task]] = {}
        self._by_first: dict[str, list[str]] = {}
        for task in tasks:
            for form in (task.detailed, task.vague):
                key = _plain(form)
                if not key.strip():
                    continue
                if key not in self._forms:
                    self._by_first.setdefault(key.split()[0], []).append(key)
                self._forms.setdefault(key, []).append(task)

    def task(self, words: str) -> Task | None:
        """Return the task that the words are about."""
        said = _plain(words)
        found = [key for first in dict.fromkeys(said.split()) for key in self._by_first.get(first, ()) if key in said]
        if not found:
            return None
        meant = self._forms[max(found, key=len)]
        told = (task for task in meant if any(_plain(fact) in said for _, fact in task.facts))
        return meant[0] if len(meant) == 1 else next(told, meant[0])

    def __call__(self, words: str) -> str | None:
        """Return the answer, or for a harmful request the safe alternative."""
        task = self.task(words)
        if task is None:
            return None
        if task.harmful:
            return task.alternative or None
        plain = (answer for answer in task.answers if not _MARKUP.search(answer))
        return next(plain, task.answers[0] if task.answers else None)

    def kind(self, words: str) -> str | None:
        """Return the kind of the task that the words are about."""
        task = self.task(words)
        return None if task is None else task.kind

    def misread(self, words: str) -> str | None:
        """Return the answer to another reading of the same words, where the task names one."""
        task = self.task(words)
        return None if task is None else next((value for key, value in task.extra if key == "other"), None)


def _plain(text: str) -> str:
    """Return the words in lower case with one blank around each, so that whole words are found."""
    return f" {' '.join(_WORD.findall(text.casefold()))} "


class OracleAssistant(RuleAssistant):
    """For demos and tests only: another assistant's moves, voiced with the real answers.

    It still has to guess what a vague question means (see ``RuleAssistant``'s ``hits``), so asking pays for it as it does
    for an honest assistant.

    Args:
        knowledge: Usually ``Knowledge(tasks)``; without it the replies hold no content.
        player: Decides the moves; the heuristic by default.
        **options: ``hits`` of ``RuleAssistant``.

    Example:
        >>> OracleAssistant(lambda question: "42").name
        'oracle'
    """

    def __init__(
        self, knowledge: KnowledgeLookup | None = None, *, player: RuleAssistant | None = None, **options: Any
    ) -> None:
        self.player = HeuristicAssistant() if player is None else player
        name = "oracle" if player is None else f"oracle:{player.name}"
        super().__init__(name, knowledge=knowledge, **options)

    def reset(self, seed: int) -> None:
        """Begin a new episode."""
        super().reset(seed)
        self.player.reset(seed)

    def decide(self, seen: Seen) -> int:
        """Return the player's move."""
        return self.player.decide(seen)
