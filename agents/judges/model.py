"""A language model that judges, through any backend."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from gtalign_env.agents.backends import make_backend
from gtalign_env.agents.backends.asking import asked
from gtalign_env.agents.judges.cache import VerdictCache
from gtalign_env.agents.judges.rubric import DEFAULT_RUBRIC, Rubric, material, read_verdict
from gtalign_env.episode import digest
from gtalign_env.errors import MissingExtraError, UsageError
from gtalign_env.protocols import Backend, Generation, Grade, Sampling, Task

__all__ = ["JUDGE_ERROR", "ModelJudge", "Verdict"]

JUDGE_ERROR = "judge_error"
"""How the problem of a grade begins where the judge failed."""
_WARMER = 0.7
"""Temperature of a second try: at 0 a model would write the same again."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a judge said of one reply.

    Example:
        >>> Verdict(failure="judge_error", message="the verdict is no JSON object").quality is None
        True
    """

    quality: float | None = None
    """In [0, 1]; ``None`` where the judge failed."""
    mark: int | None = None
    reason: str = ""
    failure: str = ""
    """``"judge_error"`` where it failed, else empty."""
    message: str = ""
    """What went wrong, for a person."""
    cached: bool = False
    tries: int = 0
    """Times the model was asked."""

    @property
    def grade(self) -> Grade:
        """The same as the core knows it."""
        return Grade(self.quality, f"{self.failure}: {self.message}" if self.failure else "")


class ModelJudge:
    """Grades replies with a language model and a rubric; a ``protocols.Grader``.

    The verdict must be exactly what was asked for (``rubric.read_verdict``). What cannot be read, or does not come, is tried
    again with another seed, then is a typed failure. Verdicts are kept by judge, rubric, task and reply: none is asked for twice.

    Args:
        backend: The engine, or a spec such as ``"openai:MODEL"``.
        rubric: The marks.
        sampling: How it samples; by default greedily, at most 200 tokens.
        retries: Further tries after a failure (>= 0).
        cache: Where verdicts are kept: a file's name, a ``VerdictCache``, or memory alone.
        constrained: Whether the verdict is held to its schema by the engine; one that cannot is asked without.

    Raises:
        UsageError: An argument is not what it should be.

    Example:
        >>> judge = ModelJudge('fake:scripted={"reason": "Right.", "mark": 3}')
        >>> judge.grade(Task(id="t", kind="fact", vague="Capital?", detailed="Capital of Italy?"), "Rome.")
        Grade(quality=0.75, problem='')
    """

    def __init__(
        self,
        backend: Backend | str,
        *,
        rubric: Rubric = DEFAULT_RUBRIC,
        sampling: Sampling | None = None,
        retries: int = 2,
        cache: VerdictCache | str | None = None,
        constrained: bool = True,
    ) -> None:
        if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
            raise UsageError(f"judge: retries: expected an integer >= 0, got {retries!r}")
        self.backend = make_backend(backend)
        self.name = f"judge:{self.backend.name}"
        self.rubric = rubric
        self.sampling = sampling or Sampling(max_tokens=200)
        self.retries = retries
        self.cache = cache if isinstance(cache, VerdictCache) else VerdictCache(cache)
        self._schema = rubric.schema if constrained else ""

    def grade(self, task: Task, reply: str) -> Grade:
        """Return the quality of a reply; without one, and with a problem that begins with ``judge_error``, on failure."""
        return self.judge([(task, reply)])[0].grade

    def judge(self, replies: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judge many replies, each try in one call of the backend.

        Args:
            replies: Pairs (task, reply).

        Returns:
            One verdict each, in order.
        """
        keys = [self._key(task, reply) for task, reply in replies]
        found = {key: self._kept(key) for key in keys}
        asked = {key: pair for key, pair in zip(keys, replies, strict=True) if found[key] is None}
        problems: dict[str, str] = {}
        for attempt in range(self.retries + 1):
            open_keys = [key for key in asked if found[key] is None]
            if not open_keys:
                break
            for key, made in zip(open_keys, self._ask([asked[key] for key in open_keys], attempt), strict=True):
                mark, text = (
                    (None, made.error) if made.finish_reason == "error" else read_verdict(made.text, self.rubric)
                )
                if mark is None:
                    problems[key] = text or "the model failed, and does not say why"
                    continue
                self.cache.put(key, mark, text)
                found[key] = Verdict(quality=self.rubric.quality(mark), mark=mark, reason=text, tries=attempt + 1)
        failed = {key: _failed(problem, self.retries + 1) for key, problem in problems.items()}
        return [found[key] or failed[key] for key in keys]

    def _ask(self, replies: Sequence[tuple[Task, str]], attempt: int) -> list[Generation]:
        sampling = dataclasses.replace(
            self.sampling,
            seed=self.sampling.seed + attempt,
            temperature=max(self.sampling.temperature, _WARMER if attempt else 0.0),
            json_schema=self._schema,
        )
        conversations = [self.rubric.conversation(task, reply) for task, reply in replies]
        try:
            made = asked(self.backend, conversations, sampling)
        except (UsageError, MissingExtraError):
            raise
        except Exception as error:  # noqa: BLE001 - engines may be anybody's code; their failure is data
            made = [_broken(f"{type(error).__name__}: {error}")] * len(conversations)
        if self._schema and made and all(_cannot_constrain(one) for one in made):
            self._schema = ""
            return self._ask(replies, attempt)
        return made

    def _kept(self, key: str) -> Verdict | None:
        kept = self.cache.get(key)
        if kept is None or not 0 <= kept[0] <= self.rubric.top:
            return None
        return Verdict(quality=self.rubric.quality(kept[0]), mark=kept[0], reason=kept[1], cached=True)

    def _key(self, task: Task, reply: str) -> str:
        how: dict[str, Any] = dataclasses.asdict(self.sampling)
        del how["reserve"]  # nothing of a verdict depends on it
        return digest([self.backend.name, how, self.rubric.conversation(task, reply), material(task, reply)])


def _broken(error: str) -> Generation:
    return Generation(text="", finish_reason="error", error=error)


def _failed(problem: str, tries: int) -> Verdict:
    return Verdict(failure=JUDGE_ERROR, message=f"{problem} ({tries} tries)" if tries > 1 else problem, tries=tries)


def _cannot_constrain(made: Generation) -> bool:
    return made.finish_reason == "error" and "schema" in made.error.lower()
