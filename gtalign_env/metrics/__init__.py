"""Metrics: how good play is for both sides, how sure that is, and what is known about the user.

* points in payoff space: ``pareto_front``, ``hypervolume``, ``dominance_counts``, ``spread``, ``regret_to_front``,
  ``epsilon_coverage``, ``epsilon_indicator``; pooled, or prompt by prompt (``prompts=``, ``per_prompt``);
* intervals: ``bootstrap``, ``paired_difference``, ``interquartile_mean``;
* information: ``entropy``, ``mutual_information``, ``update_belief``, ``evpi``, ``evsi``, ``value_of_question``,
  ``bayes_regret``;
* calibration: ``brier_score``, ``log_score``, ``calibration_error``, ``top_accuracy``, ``top_calibration_error``;
* populations: ``by_type``, ``gini_index``.

All are pure functions of arrays. Every one says what it does with the cases in which it has no meaning.
"""

from __future__ import annotations

from gtalign_env.metrics.calibration import (
    brier_score,
    calibration_error,
    log_score,
    top_accuracy,
    top_calibration_error,
)
from gtalign_env.metrics.coverage import epsilon_coverage, epsilon_indicator, regret_to_front
from gtalign_env.metrics.fronts import DominanceCounts, Spread, dominance_counts, hypervolume, pareto_front, spread
from gtalign_env.metrics.information import (
    QuestionValue,
    bayes_regret,
    entropy,
    evpi,
    evsi,
    mutual_information,
    update_belief,
    value_of_question,
)
from gtalign_env.metrics.intervals import Interval, bootstrap, interquartile_mean, paired_difference
from gtalign_env.metrics.points import per_prompt
from gtalign_env.metrics.population import TypeWelfare, by_type, gini_index

__all__ = [
    "DominanceCounts",
    "Interval",
    "QuestionValue",
    "Spread",
    "TypeWelfare",
    "bayes_regret",
    "bootstrap",
    "brier_score",
    "by_type",
    "calibration_error",
    "dominance_counts",
    "entropy",
    "epsilon_coverage",
    "epsilon_indicator",
    "evpi",
    "evsi",
    "gini_index",
    "hypervolume",
    "interquartile_mean",
    "log_score",
    "mutual_information",
    "paired_difference",
    "pareto_front",
    "per_prompt",
    "regret_to_front",
    "spread",
    "top_accuracy",
    "top_calibration_error",
    "update_belief",
    "value_of_question",
]
