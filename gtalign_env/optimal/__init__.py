"""The exact yardstick: the Bayes-optimal assistant against a population of users, by dynamic programming over beliefs.

* ``optimum``: the most that an assistant can have, certified from both sides, and a policy that has it;
* ``Problem``: the same step by step, values of other policies, and the value of information;
* ``Strategy``: a policy as a finite automaton, as ``gtalign_env.agents`` plays it (``bayes``).

How it is done is said in ``docs/optimal.md``. The modules in the order of the work: ``beliefs`` (compile), ``bounds`` (grid),
``search`` (close the bounds), ``frontier`` (concave welfare), ``sessions`` and ``ceiling`` (welfare of single sessions),
``yardstick`` (the optimum), ``disk`` (what is remembered of it).
"""

from __future__ import annotations

from gtalign_env.optimal.disk import cache_folder
from gtalign_env.optimal.problem import Problem
from gtalign_env.optimal.strategy import Strategy
from gtalign_env.optimal.yardstick import Optimum, optimum, solve

__all__ = ["Optimum", "Problem", "Strategy", "cache_folder", "optimum", "solve"]
