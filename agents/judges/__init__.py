"""Judges: a language model that grades replies by a rubric, and how far it agrees with the rule graders.

Rule graders come first: they are exact, free and deterministic (``gtalign_env.scenarios.tasks.graders``). ``ModelJudge`` is a
``protocols.Grader`` for what no rule can tell; ``agreement`` says on recorded replies how much its word is worth. A judge that
fails gives a grade without quality and the problem ``judge_error``, never a quality of 0.
"""

from __future__ import annotations

from gtalign_env.agents.judges.agreement import JudgeAgreement, agreement, recorded_replies
from gtalign_env.agents.judges.cache import VerdictCache
from gtalign_env.agents.judges.model import JUDGE_ERROR, ModelJudge, Verdict
from gtalign_env.agents.judges.rubric import DEFAULT_RUBRIC, Rubric, read_verdict

__all__ = [
    "DEFAULT_RUBRIC",
    "JUDGE_ERROR",
    "JudgeAgreement",
    "ModelJudge",
    "Rubric",
    "Verdict",
    "VerdictCache",
    "agreement",
    "read_verdict",
    "recorded_replies",
]
