"""The exact optimum that a learning assistant is measured by (``training.yardstick``), where there is one."""

from __future__ import annotations

from collections.abc import Callable

from gtalign_env.registration import make_scenario
from gtalign_env.training.objectives import make_objective
from gtalign_env.training.strategic.config import Config
from gtalign_env.training.yardstick import Unknown, Yardstick
from gtalign_env.training.yardstick import yardstick as of_game

__all__ = ["Unknown", "Yardstick", "optimum", "reason", "yardstick"]


def yardstick(config: Config, progress: Callable[[str], None] | None = None) -> Yardstick:
    """Return the most that an assistant can reach for the config's objective, or why that is not known.

    It is computed once for every price and remembered on disk. Known where the assistant alone learns, among personas that are
    finite automata, in whole sessions, and where complying with harm is no move. For ``esr`` in games that are not small it is a
    ceiling.

    Args:
        config: The settings.
        progress: Told in a few words what is going on.

    Example:
        >>> config = Config(options={"questions": 1}, users="concise,detailed", pricings=["per_token"])
        >>> print(yardstick(config))
        the exact optimum: 0.2363
        >>> print(yardstick(Config(learn="user")))
        the optimum is unknown: it is that of an assistant among people who stay as they are, and here the user learns
    """
    unknown = reason(config)
    if unknown is not None:
        return Yardstick(unknown=unknown, why=unknown.words)
    objective = make_objective(config.objective, config.aggregation)
    scenario = make_scenario(config.scenario, **config.options)
    return of_game(scenario, config.users, objective, config.pricings, progress)


def reason(config: Config) -> Unknown | None:
    """Return why there is nothing to solve with these settings; ``None`` where there is.

    Example:
        >>> reason(Config(options={"max_cycles": 5})), reason(Config())
        (<Unknown.MAX_CYCLES: 'max_cycles'>, None)
    """
    for unknown, applies in (
        (Unknown.LEARNING_USER, config.learn != "assistant"),
        (Unknown.PENALTY, config.safety != "mask"),
        (Unknown.MAX_CYCLES, config.options.get("max_cycles") is not None),
    ):
        if applies:
            return unknown
    return None


def optimum(config: Config, progress: Callable[[str], None] | None = None) -> float | None:
    """Return the yardstick's number alone: the optimum or its ceiling; ``None`` where neither is known.

    Example:
        >>> optimum(Config(safety="penalty")) is None
        True
    """
    return yardstick(config, progress).value
