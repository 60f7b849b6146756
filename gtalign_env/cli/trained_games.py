"""The games that trained policies come from: commands that play the same game, and a line where another one is played."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtalign_env.cli.common import read_value
from gtalign_env.errors import GtalignError
from gtalign_env.protocols import Scenario
from gtalign_env.registration import make_scenario

if TYPE_CHECKING:
    from gtalign_env.training.strategic import Config

__all__ = ["eval_command", "other_games", "run_command"]

_PREFIX = "trained:"
_SCENARIO = "gtalign/Assist-v0"
_ELSEWHERE = ("pricing",)
"""What a policy sees in its observation, and so may well differ."""


def run_command(config: Config, spec: str) -> str:
    """Return the command that plays a run's policy in the run's own game; of several prices, at the first.

    Args:
        config: The run's settings.
        spec: The policy.

    Example:
        >>> from gtalign_env.training.strategic import Config
        >>> run_command(Config(options={"questions": 1}, pricings=("per_token",)), "trained:runs/a")
        'gtalign run gtalign/Assist-v0 --assistant trained:runs/a --option questions=1 --pricing per_token'
    """
    seated = {
        "assistant": {"--users": config.users, "--assistant": spec},
        "user": {"--users": spec, "--assistant": config.assistant},
        "both": {"--users": spec, "--assistant": spec},
    }[config.learn]
    words = ["gtalign", "run", config.scenario]
    for flag, who in seated.items():
        if (flag, who) not in (("--users", "default"), ("--assistant", "heuristic")):
            words += [flag, who]
    prices = ["--pricing", config.pricings[0]] if config.pricings else []
    return shlex.join([*words, *_options(config.options), *prices])


def eval_command(config: Config, spec: str) -> str:
    """Return the command that measures a learned assistant in the run's own game.

    Example:
        >>> from gtalign_env.training.strategic import Config
        >>> eval_command(Config(users="expert", pricings=("per_token", "freemium")), "trained:runs/a")
        'gtalign eval trained:runs/a --users expert --pricing per_token,freemium'
    """
    words = ["gtalign", "eval", spec]
    words += [] if config.scenario == _SCENARIO else ["--scenario", config.scenario]
    words += [] if config.users == "default" else ["--users", config.users]
    words += ["--pricing", ",".join(config.pricings)] if config.pricings else []
    return shlex.join([*words, *_options(config.options)])


def _options(options: Mapping[str, Any]) -> list[str]:
    words = []
    for name, value in options.items():
        plain = isinstance(value, str) and read_value(value) == value
        words += ["--option", f"{name}={value if plain else json.dumps(value, ensure_ascii=False)}"]
    return words


def other_games(specs: Iterable[str], scenario: Scenario) -> list[str]:
    """Return one line for each trained policy that has learned under other rules than are played here.

    Prices do not count: policies see them. A run without a readable ``config.json`` is passed over.

    Args:
        specs: Any players; those that begin with ``trained:`` are looked at.
        scenario: The game that is played.

    Example:
        >>> other_games(["heuristic", "trained:no/such/run"], make_scenario("assist"))
        []
    """
    lines = []
    for spec in dict.fromkeys(specs):
        rules = _rules(spec) if spec.startswith(_PREFIX) else None
        if rules is None:
            continue
        here = dict(getattr(scenario, "config", {}))
        differ = [name for name in rules if name not in _ELSEWHERE and here.get(name, rules[name]) != rules[name]]
        if differ:
            trained, played = (", ".join(f"{name}={of[name]}" for name in differ) for of in (rules, here))
            lines.append(f"{spec} was trained on {trained}, and here it plays {played}")
    return lines


def _rules(spec: str) -> Mapping[str, Any] | None:
    """Return the rules of the game that a run has learned, all of them."""
    path = Path(spec.removeprefix(_PREFIX))
    folder = path.parent if path.suffix == ".pt" else path
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if found.get("games"):  # of the caller's own making
            return None
        config = found["config"]
        options = {name: value for name, value in config["options"].items() if name != "max_cycles"}
        rules: Mapping[str, Any] = getattr(make_scenario(config["scenario"], **options), "config", {})
    except (OSError, ValueError, LookupError, TypeError, AttributeError, GtalignError):
        return None
    return rules
