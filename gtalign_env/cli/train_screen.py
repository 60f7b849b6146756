"""What a person sees while a language model learns: a live screen on a terminal, a line for each iteration in a pipe."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gtalign_env.cli.common import make_console

__all__ = ["in_words", "line", "screen"]

_BARS = "▁▂▃▄▅▆▇█"
_SHOWN = 60
"""Iterations of which the curves tell."""


@contextlib.contextmanager
def screen(config: Any) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Return what to call with every iteration's figures.

    Args:
        config: The run's settings.
    """
    if not sys.stderr.isatty():
        yield lambda figures: _say(line(figures, config.iterations))
        return
    from rich.live import Live

    seen: list[dict[str, Any]] = []
    with Live(console=make_console(stderr=True), auto_refresh=False, transient=False) as live:

        def show(figures: dict[str, Any]) -> None:
            seen.append(figures)
            live.update(_page(seen, config), refresh=True)

        yield show


def line(figures: Mapping[str, Any], iterations: int) -> str:
    """Return an iteration in one line.

    Example:
        >>> line({"update": 3, "user": 1.0, "assistant": 0.5, "welfare": 0.7071, "games": 64, "seconds": 30.0}, 10)
        '3/10 iterations  U 1.000  L 0.500  W 0.7071  64 games  30 s'
    """
    parts = [f"{figures['update']}/{iterations} iterations"]
    if figures.get("user") is not None:
        parts += [f"U {figures['user']:.3f}", f"L {figures['assistant']:.3f}", f"W {figures['welfare']:.4f}"]
    if "games" in figures:
        parts += [f"{figures['games']} games", f"{figures['seconds']:.0f} s"]
    parts += _troubles(figures)
    if "evaluation" in figures:
        parts.append(f"| held out: {in_words(figures['evaluation'])}")
    return "  ".join(parts)


def in_words(judged: Mapping[str, Any]) -> str:
    """Return an evaluation in words.

    Example:
        >>> in_words({"episodes": 0, "failed": {"ModelError": 3}})
        'nothing could be judged: 3 × ModelError'
    """
    failed = ", ".join(f"{count} × {kind}" for kind, count in judged["failed"].items())
    if not judged.get("episodes"):
        return f"nothing could be judged: {failed}"
    words = (
        f"U {judged['user']:.3f} ± {judged['user_error']:.3f}, L {judged['assistant']:.3f} ± {judged['assistant_error']:.3f}, "
        f"W {judged['welfare']:.4f} [{judged['low']:.4f}, {judged['high']:.4f}], {judged['violations']} violations in "
        f"{judged['episodes']} games"
    )
    return f"{words}, failed: {failed}" if failed else words


def _troubles(figures: Mapping[str, Any]) -> list[str]:
    """Return what went wrong in an iteration, and why there may have been nothing to learn."""
    parts = []
    if figures.get("dropped"):
        errors = ", ".join(f"{count} × {kind}" for kind, count in figures["errors"].items())
        parts.append(f"{figures['dropped']} groups dropped ({errors})")
    if figures.get("violations"):
        parts.append(f"{figures['violations']} violations")
    silent = [name for name, share in figures.get("signal", {}).items() if share < 0.5]
    if silent:
        shares = ", ".join(f"{name} in {figures['signal'][name]:.0%}" for name in silent)
        parts.append(f"returns differ for {shares} of the groups only")
    return parts


def _page(seen: Sequence[Mapping[str, Any]], config: Any) -> Any:
    """Return the whole screen."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table

    last = seen[-1]
    played = [figures for figures in seen if figures.get("user") is not None]
    curves = Table.grid(padding=(0, 2))
    for name, label in (("user", "user U"), ("assistant", "assistant L"), ("welfare", "welfare W")):
        values = [figures[name] for figures in played]
        if values:
            curves.add_row(label, _curve(values[-_SHOWN:]), f"{values[-1]:.3f}")
    judged = [figures["evaluation"] for figures in seen if figures.get("evaluation", {}).get("episodes")]
    if judged:
        curves.add_row("held out", _curve([found["welfare"] for found in judged][-_SHOWN:]), in_words(judged[-1]))
    parts: list[Any] = [curves]
    if last.get("habits"):
        parts += [_people(last["habits"]), _health(last)]
    title = (
        f"{config.model}: {config.objective} ({config.aggregation}), iteration {last['update']} of {config.iterations}"
    )
    return Panel(Group(*parts), title=title, subtitle=f"{last['seconds']:.0f} s", title_align="left")


def _people(habits: Mapping[str, Mapping[str, Any]]) -> Any:
    from rich.table import Table

    moves = sorted({move for own in habits.values() for move in own["moves"]})
    table = Table("user", "games", "U", "L", "turns", "tokens", *moves, box=None)
    for user, own in habits.items():
        shares = [f"{own['moves'][move]:.0%}" if move in own["moves"] else "" for move in moves]
        tokens = "" if own["tokens"] is None else f"{own['tokens']:.0f}"
        figures = (f"{own['user']:.2f}", f"{own['assistant']:.2f}", f"{own['turns']:.1f}", tokens)
        table.add_row(user, str(own["episodes"]), *figures, *shares)
    return table


def _health(last: Mapping[str, Any]) -> Any:
    from rich.text import Text

    gauges, learning = last.get("gauges", {}), last.get("learning", {})
    words = []
    if gauges.get("valid") is not None:
        words.append(f"chains valid {gauges['valid']:.0%}")
    if gauges.get("kept") is not None:
        words.append(f"announced moves made {gauges['kept']:.0%}")
    if "distinct" in gauges:
        words.append(f"{gauges['distinct']} different matrices of {gauges['matrices']}")
    if gauges.get("tokens"):
        words.append("tokens " + ", ".join(f"{block} {count:.0f}" for block, count in gauges["tokens"].items()))
    if learning:
        words.append(
            f"entropy {learning['entropy']:.3f}, KL {learning['kl']:.2g}, clipped {learning['clipped']:.1%}, "
            f"engine apart {learning['mismatch_kl']:.1g}"
        )
    words += _troubles(last)
    return Text("; ".join(words))


def _curve(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[round((value - low) * scale)] for value in values)


def _say(words: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(words, file=sys.stderr, flush=True)
