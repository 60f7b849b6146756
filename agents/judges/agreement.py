"""How much a judge's word is worth: its verdicts beside those of the rule graders, on recorded replies."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gtalign_env.agents.judges.model import ModelJudge
from gtalign_env.episode import Episode
from gtalign_env.errors import UsageError
from gtalign_env.protocols import Grade, Grader, Task
from gtalign_env.types import USER

__all__ = ["JudgeAgreement", "agreement", "recorded_replies"]

_GOOD = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class JudgeAgreement:
    """A judge against the rules, over replies that both could grade. Good is a quality of at least 1/2.

    Example:
        >>> JudgeAgreement(judge="judge:x", replies=4, both_good=2, both_bad=1, judge_only=1).accuracy
        0.75
    """

    judge: str
    replies: int
    """Replies that were put to both."""
    both_good: int = 0
    both_bad: int = 0
    judge_only: int = 0
    """Good to the judge alone."""
    rules_only: int = 0
    """Good to the rules alone."""
    judge_failures: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Replies that the judge could not grade, by problem."""
    ungraded: int = 0
    """Replies that the rules could not grade."""
    distance: float | None = None
    """Mean of ``|judge's quality − rules' quality|``; ``None`` for no reply."""
    bias: float | None = None
    """Mean of ``judge's quality − rules' quality``: above 0 for a lenient judge."""

    @property
    def n(self) -> int:
        """Replies that both graded."""
        return self.both_good + self.both_bad + self.judge_only + self.rules_only

    @property
    def accuracy(self) -> float | None:
        """Share of replies on which both say the same; ``None`` for none."""
        return (self.both_good + self.both_bad) / self.n if self.n else None

    @property
    def kappa(self) -> float | None:
        """Cohen's κ (1960): agreement beyond chance, 1 at best; ``None`` where chance alone would agree always."""
        if not self.n:
            return None
        judge, rules = self.both_good + self.judge_only, self.both_good + self.rules_only
        chance = (judge * rules + (self.n - judge) * (self.n - rules)) / self.n**2
        return None if chance == 1.0 else ((self.accuracy or 0.0) - chance) / (1.0 - chance)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        return {**dataclasses.asdict(self), "n": self.n, "accuracy": self.accuracy, "kappa": self.kappa}


def recorded_replies(episodes: Iterable[Episode]) -> Iterator[tuple[Task, str]]:
    """Yield (task, reply) for every reply of the text view that answers or declines, with the task it was given to.

    Questions back are left out: neither rules nor rubric grade them.

    Example:
        >>> list(recorded_replies([Episode(scenario="s", view="strategic", seed=0)]))
        []
    """
    for episode in episodes:
        for step in episode.steps:
            at = str(step.public.get("question", ""))
            if step.to_move == USER or not step.assistant.text or not at.isdecimal() or int(at) >= len(episode.tasks):
                continue
            if step.outcome is not None and step.assistant.move.partition("_")[0] in ("DA", "AQ", "DECLINE"):
                yield _task(episode.tasks[int(at)]), step.assistant.text


def agreement(replies: Iterable[tuple[Task, str]], judge: ModelJudge | Grader, rules: Grader) -> JudgeAgreement:
    """Let a judge and the rule graders grade the same replies.

    Args:
        replies: Pairs (task, reply), e.g. ``recorded_replies(episodes)``.
        judge: The judge; a ``ModelJudge`` is asked about all of them in one call.
        rules: The rule graders, as one grader.

    Example:
        >>> class Always:
        ...     def __init__(self, quality): self.quality = quality
        ...     def grade(self, task, reply): return Grade(self.quality)
        >>> pairs = [(Task(id="t", kind="fact", vague="?", detailed="?"), "yes")]
        >>> agreement(pairs, Always(1.0), Always(0.75)).distance
        0.25
    """
    pairs = list(replies)
    judged = _judged(pairs, judge)
    graded = [rules.grade(task, reply) for task, reply in pairs]
    counts: collections.Counter[tuple[bool, bool]] = collections.Counter()
    gaps = []
    for one, other in zip(judged, graded, strict=True):
        if one.quality is not None and other.quality is not None:
            counts[one.quality >= _GOOD, other.quality >= _GOOD] += 1
            gaps.append(one.quality - other.quality)
    failures = collections.Counter(one.problem or "no quality" for one in judged if one.quality is None)
    return JudgeAgreement(
        judge=getattr(judge, "name", type(judge).__name__),
        replies=len(pairs),
        both_good=counts[True, True],
        both_bad=counts[False, False],
        judge_only=counts[True, False],
        rules_only=counts[False, True],
        judge_failures=dict(failures.most_common()),
        ungraded=sum(other.quality is None for other in graded),
        distance=sum(map(abs, gaps)) / len(gaps) if gaps else None,
        bias=sum(gaps) / len(gaps) if gaps else None,
    )


def _judged(pairs: Sequence[tuple[Task, str]], judge: ModelJudge | Grader) -> list[Grade]:
    if isinstance(judge, ModelJudge):
        return [verdict.grade for verdict in judge.judge(pairs)]
    return [judge.grade(task, reply) for task, reply in pairs]


def _task(recorded: Mapping[str, Any]) -> Task:
    """Return a task as an episode's record holds it."""
    fields: dict[str, Any] = {
        name: _tuples(value) if isinstance(value, list) else value for name, value in recorded.items()
    }
    try:
        return Task(**fields)
    except TypeError as error:
        raise UsageError(f"the record's task {recorded.get('id', '?')!r} is none: {error}") from None


def _tuples(value: list[Any]) -> tuple[Any, ...]:
    return tuple(tuple(item) if isinstance(item, list) else item for item in value)
