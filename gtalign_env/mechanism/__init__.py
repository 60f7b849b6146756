"""Pricing as a mechanism: what it makes the two sides do, and what that costs them both.

Pure functions: when to ask (``ask_or_answer``), who takes part (``participation``), who gains how much
(``consumer_surplus``, ``provider_profit``, ``deadweight_loss``, ``pass_through``, ``verbosity_excess``).
``pricing_report`` applies them to the stage games of a finite scenario under any set of pricing policies.
"""

from __future__ import annotations

from gtalign_env.mechanism.asking import Asking, AskingRates, ask_or_answer, asking_rates
from gtalign_env.mechanism.participation import Participation, consumer_surplus, participation
from gtalign_env.mechanism.report import Cell, Point, PricingRow, pricing_report
from gtalign_env.mechanism.surplus import deadweight_loss, pass_through, provider_profit, verbosity_excess

__all__ = [
    "Asking",
    "AskingRates",
    "Cell",
    "Participation",
    "Point",
    "PricingRow",
    "ask_or_answer",
    "asking_rates",
    "consumer_surplus",
    "deadweight_loss",
    "participation",
    "pass_through",
    "pricing_report",
    "provider_profit",
    "verbosity_excess",
]
