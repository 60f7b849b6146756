"""The options that say how a model reasons before it replies."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gtalign_env.cli.common import read_options
from gtalign_env.errors import UsageError

if TYPE_CHECKING:
    from gtalign_env.protocols import Backend, Policy

__all__ = ["add_chain", "chain_settings", "seat_model", "seatings"]

_BLOCKS = ("thinking", "payoff", "analyze", "response")


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

    settings = read_options(args.chain_option, flag="--chain-option")
    settings |= {name: value for name in ("criterion", "moves") if (value := getattr(args, name)) is not None}
    settings = dict(sorted(settings.items()))
    pairs: list[tuple[str, dict[str, Any] | None]] = []
    for spec in specs:
        name = spec.partition(":")[0]
        modes = args.chain or (["solver"] if name == "chain" else [])
        if name != "chain" and name not in BACKENDS:
            modes = []
        pairs += [(spec, {**settings, "mode": mode}) for mode in dict.fromkeys(modes)] or [(spec, None)]
    if (args.chain or settings) and all(chain is None for _, chain in pairs):
        what = "--chain is for models" if args.chain else "--criterion, --moves and --chain-option go with --chain"
        raise UsageError(f"{what}: expected e.g. --assistant transformers:PATH --chain solver")
    return pairs


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
    engines: dict[str, Backend],
    backend_options: Mapping[str, Any] | None = None,
) -> Policy:
    """Return a model as an assistant; its settings are looked at before it is loaded.

    Args:
        spec: The engine and its model.
        max_tokens: Longest reply.
        temperature: Sampling temperature.
        chain: How it reasons, see ``seatings``; ``None`` for not at all.
        engines: Models that are loaded already, by spec; one that is loaded here is added.
        backend_options: What the engine is made with.

    Raises:
        UsageError: A setting makes no sense.

    Example:
        >>> seat_model("fake:chain", None, None, {"mode": "self"}, {}).name
        'fake:chain+self'
    """
    from gtalign_env.agents.assistants.llm import LLMAssistant
    from gtalign_env.agents.backends import make_backend
    from gtalign_env.agents.chain import ChainAssistant
    from gtalign_env.protocols import Sampling

    given: dict[str, Any] = {"max_tokens": max_tokens, "temperature": temperature}
    sampling = Sampling(**{name: value for name, value in given.items() if value is not None})
    settings = None if chain is None else chain_settings(chain, max_tokens)
    if settings is not None:
        ChainAssistant.check(settings)
    if spec not in engines:
        engines[spec] = make_backend(spec, **(backend_options or {}))
    if settings is None:
        return LLMAssistant(engines[spec], sampling=sampling)
    return ChainAssistant(engines[spec], sampling=sampling, **settings)
