"""The options that say how a model reasons before it replies."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gtalign_env.cli.common import read_options
from gtalign_env.errors import UsageError
from gtalign_env.payoffs import PAPER

if TYPE_CHECKING:
    from gtalign_env.agents.chain.steering import PriceSteering
    from gtalign_env.cli.engines import Engines
    from gtalign_env.env import GameEnv
    from gtalign_env.protocols import Policy

__all__ = ["add_chain", "chain_settings", "live_steering", "seat_model", "seatings", "usual_chain"]

_BLOCKS = ("thinking", "payoff", "analyze", "response")
_OPTIONS = ("constrained", "strict", "retries", "on_mismatch", "on_failure", *_BLOCKS)
_FLAGS = {"mode": "--chain", "criterion": "--criterion", "moves": "--moves", "budget": "thinking, payoff, analyze"}
"""What to write for settings of a chain that have another name on the command line."""
_STEERING = ("margin", "scale", "sensitivity")


def add_chain(parser: argparse.ArgumentParser) -> None:
    """Add the options of the reasoning chain."""
    chain = parser.add_argument_group("the reasoning chain")
    chain.add_argument(
        "--chain",
        action="append",
        choices=("solver", "self", "none"),
        help="a model states its payoffs before it replies: we solve them, or it does so itself, or there is no chain "
        "(none); repeat it to compare",
    )
    chain.add_argument(
        "--criterion",
        metavar="C",
        help="what picks the cell: welfare:ces:rho=-1, nash, stackelberg:assistant, bargaining:nash, … "
        "(welfare:cobb_douglas)",
    )
    chain.add_argument(
        "--moves", metavar="M", help="moves of the stated matrix: full, acts, paper, or VQ,DQ/DA_short,CQ (full)"
    )
    chain.add_argument(
        "--chain-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="constrained, strict, retries, on_mismatch (record, retry, reject), on_failure (error, plain), or the most "
        f"tokens of a block: {', '.join(_BLOCKS[:3])} (repeatable)",
    )
    chain.add_argument(
        "--steer",
        metavar="P",
        help="the price has changed to P: the user pays P, the model is told --pricing (or the game's own) as before, and its "
        "stated matrix is steered from there to P before it is solved (with --chain solver)",
    )
    chain.add_argument(
        "--steer-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="sensitivity (utils a credit is worth to the user), scale (stated units per util), or margin (hysteresis: what "
        "leaving the last move costs) of --steer (repeatable)",
    )


def seatings(specs: Sequence[str], args: argparse.Namespace) -> list[tuple[str, dict[str, Any] | None]]:
    """Return who is to be seated: each assistant, and how it reasons; models once for every ``--chain``.

    Args:
        specs: The assistants.
        args: Has the options of ``add_chain``.

    Returns:
        Pairs (spec, settings of ``ChainAssistant``); ``None`` for an assistant without a chain.

    Raises:
        UsageError: Options of a chain are given, and none of the assistants is a model with one.

    Example:
        >>> args = argparse.Namespace(chain=["solver"], criterion="nash", moves=None, chain_option=["thinking=64"])
        >>> seatings(["heuristic", "fake:chain"], args)[1]
        ('fake:chain', {'criterion': 'nash', 'thinking': 64, 'mode': 'solver'})
    """
    from gtalign_env.registration import BACKENDS

    settings = _chain_options(args.chain_option)
    settings |= {name: value for name in ("criterion", "moves") if (value := getattr(args, name)) is not None}
    settings = dict(sorted(settings.items()))
    pairs: list[tuple[str, dict[str, Any] | None]] = []
    for spec in specs:
        name = spec.partition(":")[0]
        usual = usual_chain(spec)
        modes = args.chain or ([] if usual is None else ["solver"])
        if name != "chain" and name not in BACKENDS:
            modes = []
        pairs += [(spec, {**(usual or {}), **settings, "mode": mode}) for mode in dict.fromkeys(modes)] or [
            (spec, None)
        ]
    if (args.chain or settings) and all(chain is None for _, chain in pairs):
        what = "--chain is for models" if args.chain else "--criterion, --moves and --chain-option go with --chain"
        raise UsageError(f"{what}: expected e.g. --assistant transformers:PATH --chain solver")
    return pairs


def usual_chain(spec: str) -> dict[str, Any] | None:
    """Return how an assistant reasons where nothing is said about it; ``None`` for one that does not.

    Example:
        >>> usual_chain("nano")["moves"], usual_chain("chain:fake:chain"), usual_chain("fake:chain")
        ('VQ,DQ/DA_short,DA_medium,DA_long,CQ,DECLINE', {}, None)
    """
    from gtalign_env.agents.nano.settings import BLOCK_TOKENS, MOVES, is_nano

    if is_nano(spec):
        return {"moves": MOVES, **BLOCK_TOKENS}
    return {} if spec.partition(":")[0] == "chain" else None


def _chain_options(pairs: Sequence[str]) -> dict[str, Any]:
    """Read ``--chain-option``, by the names of the command line."""
    found = read_options(pairs, flag="--chain-option")
    for key in found.keys() - set(_OPTIONS):
        if key in _FLAGS:
            raise UsageError(f"--chain-option {key}: expected {_FLAGS[key]} for that")
        near = difflib.get_close_matches(key, _OPTIONS, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"--chain-option: expected some of {', '.join(_OPTIONS)}, got {key!r}{meant}")
    return found


def live_steering(
    args: argparse.Namespace, env: GameEnv, seats: Sequence[tuple[str, Mapping[str, Any] | None]]
) -> PriceSteering | None:
    """Return how ``--steer`` edits matrices while the game is played; ``None`` without it.

    Args:
        args: Has the options of ``add_chain``.
        env: The game as it is without ``--steer``: its price is what the model is told.
        seats: See ``seatings``.

    Raises:
        UsageError: There is nothing to steer, or a setting makes no sense.

    Example:
        >>> import gtalign_env
        >>> args = argparse.Namespace(steer="per_token", steer_option=["margin=0.5"])
        >>> steering = live_steering(args, gtalign_env.parallel_env("assist_text"), [("fake:chain", {"mode": "solver"})])
        >>> steering.name, steering.margin, steering.pricing_from.name
        ('steer:per_token', 0.5, 'subscription')
    """
    from gtalign_env.agents.chain.steering import PriceSteering
    from gtalign_env.pricing import make_pricing

    options = read_options(args.steer_option, flag="--steer-option")
    if args.steer is None:
        if options:
            raise UsageError("--steer-option goes with --steer PRICING")
        return None
    modes = [chain["mode"] for _, chain in seats if chain is not None]
    if set(modes) != {"solver"}:
        got = f"--chain {', '.join(modes)}" if modes else "no chain"
        raise UsageError(f"--steer edits the matrix that our solver solves: expected --chain solver alone, got {got}")
    if "pricing_from" in options:
        raise UsageError("--steer-option: what the model is told is --pricing; leave pricing_from out")
    if unknown := sorted(options.keys() - set(_STEERING)):
        raise UsageError(f"--steer-option: expected some of {', '.join(_STEERING)}, got {', '.join(unknown)}")
    told = getattr(env.scenario, "pricing", None)
    if told is None or env.scenario.view != "text" or env.scenario.config.get("payoff") == PAPER:  # type: ignore[attr-defined]
        raise UsageError(
            "--steer is for games in words in which the user pays a price, such as gtalign/AssistText-v0 under --payoff grounded"
        )
    return PriceSteering(pricing_from=told, pricing_to=make_pricing(args.steer), **options)


def chain_settings(chain: Mapping[str, Any], max_tokens: int | None) -> dict[str, Any]:
    """Return the settings of a ``ChainAssistant`` from options, the tokens of blocks put together.

    Example:
        >>> chain_settings({"mode": "self", "thinking": 64}, 100)["budget"].response
        100
    """
    from gtalign_env.agents.chain import ChainBudget

    tokens = {block: chain[block] for block in _BLOCKS if block in chain}
    if max_tokens is not None:
        tokens["response"] = max_tokens
    return {**{name: value for name, value in chain.items() if name not in _BLOCKS}, "budget": ChainBudget(**tokens)}


def seat_model(
    spec: str,
    max_tokens: int | None,
    temperature: float | None,
    chain: Mapping[str, Any] | None,
    engines: Engines,
    steer: PriceSteering | None = None,
) -> Policy:
    """Return a model as an assistant; its settings are looked at before it is loaded.

    Args:
        spec: The engine and its model.
        max_tokens: Longest reply.
        temperature: Sampling temperature.
        chain: How it reasons, see ``seatings``; ``None`` for not at all.
        engines: Makes and keeps the models.
        steer: Steers its matrices.

    Raises:
        UsageError: A setting makes no sense.

    Example:
        >>> from gtalign_env.cli.engines import Engines
        >>> seat_model("fake:chain", None, None, {"mode": "self"}, Engines()).name
        'fake:chain+self'
    """
    from gtalign_env.agents.assistants.llm import LLMAssistant
    from gtalign_env.agents.chain import ChainAssistant
    from gtalign_env.agents.nano.settings import TEMPERATURE, is_nano
    from gtalign_env.protocols import Sampling

    given: dict[str, Any] = {"max_tokens": max_tokens, "temperature": temperature}
    if is_nano(spec) and temperature is None:
        given["temperature"] = TEMPERATURE
    sampling = Sampling(**{name: value for name, value in given.items() if value is not None})
    settings = None if chain is None else chain_settings(chain, max_tokens)
    if settings is not None:
        ChainAssistant.check(settings)
    engine = engines.assistant(spec)
    if settings is None:
        return LLMAssistant(engine, sampling=sampling)
    return ChainAssistant(engine, sampling=sampling, steer=steer, **settings)
