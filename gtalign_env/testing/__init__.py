"""The conformance kit: does an environment, a policy or a persona keep the contract?

``check_env`` runs PettingZoo's and Gymnasium's own tests and everything that they miss: containment at every step, sums that add
up, determinism over whole episodes, copies that continue, data that is not shared, and the privacy of θ. ``check_policy`` and
``check_persona`` do the same for players. ``gtalign_env.testing.fakes`` has stand-ins for tests.
"""

from __future__ import annotations

from gtalign_env.testing.env_check import check_env
from gtalign_env.testing.player_check import check_persona, check_policy
from gtalign_env.testing.report import CheckResult, ConformanceError, Report

__all__ = ["CheckResult", "ConformanceError", "Report", "check_env", "check_persona", "check_policy"]
