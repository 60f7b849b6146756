"""Words and numbers of ``gtalign solve``: payoffs, mixtures, lists of facts in whatever width there is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from rich.text import Text

from gtalign_env.replay.bars import pad
from gtalign_env.replay.speech import wrapped
from gtalign_env.solution.criteria import cell_label

__all__ = ["Fact", "choice_fact", "fact_lines", "mixture", "pair", "play", "span", "utils"]

Fact = tuple[str, str]
"""A label and what is said under it."""
_LABEL = 17
"""Columns of labels."""
_NARROW = 60
"""Columns below which facts go under their labels."""
_LARGEST_DENOMINATOR = 1_000


def utils(number: Any) -> str:
    """Return a payoff or a chance as it is read best: whole, as a ratio where it is a simple one, else to three places.

    Example:
        >>> utils(3.0), utils(Fraction(-2, 3)), utils(0.12345), utils(-0.5)
        ('3', '−2/3', '0.123', '−0.5')
    """
    if isinstance(number, Fraction) and number.denominator <= _LARGEST_DENOMINATOR:
        text = str(number)
    else:
        text = f"{float(number):.3f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text.replace("-", "−")


def pair(user: Any, assistant: Any) -> str:
    """Return both payoffs.

    Example:
        >>> pair(3, -1)
        'U 3, L −1'
    """
    return f"U {utils(user)}, L {utils(assistant)}"


def span(low: Any, high: Any) -> str:
    """Return a range of payoffs; one number where it is none.

    Example:
        >>> span(0, 2), span(2, 2.0000000001)
        ('0 to 2', '2')
    """
    ends = utils(low), utils(high)
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def mixture(moves: Sequence[str], strategy: Iterable[Any]) -> str:
    """Return a strategy in words: the move, or chances of several.

    Example:
        >>> mixture(["split", "steal"], [0, 1]), mixture(["split", "steal"], [Fraction(1, 3), Fraction(2, 3)])
        ('steal', '1/3 split + 2/3 steal')
    """
    chances = [(move, chance) for move, chance in zip(moves, strategy, strict=True) if chance > 1e-9]
    if len(chances) == 1:
        return chances[0][0]
    return " + ".join(f"{_chance(chance)} {move}" for move, chance in chances)


def _chance(chance: Any) -> str:
    """Return a chance as the ratio that it is, or is but for rounding, where that is a simple one."""
    near = Fraction(chance).limit_denominator(_LARGEST_DENOMINATOR)
    return utils(near if near.denominator <= 100 and abs(near - chance) < 1e-9 else float(chance))


def play(cells: Sequence[tuple[str, str, Any]]) -> str:
    """Return (user's move, assistant's move, chance) in words.

    Example:
        >>> play([("DQ", "AQ", 1.0)]), play([("A", "", 0.5), ("B", "", 0.5)])
        ('DQ_AQ', '1/2 A + 1/2 B')
    """
    if not cells:
        return "no agreement"
    names = [cell_label(cell[:2]) for cell in cells]
    return mixture(names, [chance for *_, chance in cells])


def choice_fact(choice: Any) -> Fact:
    """Return what the criterion picks, and why.

    Example:
        >>> from gtalign_env.games import Bimatrix
        >>> from gtalign_env.solution import solve
        >>> choice_fact(solve(Bimatrix([[1]], [[2]], ("ask",), ("answer",)), criterion="nash").choice)[1]
        'ask_answer (U 1, L 2) by nash: it is the only pure equilibrium: alone, nobody gains by doing otherwise'
    """
    picked = f"{play(choice.play)} ({pair(choice.user, choice.assistant)})"
    return "criterion", f"{picked} by {choice.criterion}: {choice.why}"


def fact_lines(facts: Iterable[Fact], width: int, *, label: int = _LABEL) -> list[Text]:
    r"""Return facts, each under or beside its label; an empty label goes on with the one before.

    What is indented itself goes on two columns further in where it does not fit on a line.

    Args:
        facts: Labels and what is said under them.
        width: Columns.
        label: Columns of the labels, where there is room for them beside the facts.

    Example:
        >>> for line in fact_lines([("equilibria", "one"), ("", "another")], 80):
        ...     print(line.plain)
        equilibria       one
                         another
    """
    lines: list[Text] = []
    narrow = width < _NARROW
    indent = 2 if narrow else max(label, _LABEL)
    for title, said in facts:
        lead = len(said) - len(said.lstrip())
        body = [
            Text(" " * (indent + lead + (2 if lead and number else 0))) + line
            for number, line in enumerate(
                wrapped(Text(said[lead:]), max(width - indent - (lead + 2 if lead else 0), 8))
            )
        ]
        if title and narrow:
            lines.append(Text(title, style="strong"))
        elif title:
            body[0] = pad(Text(title, style="strong"), indent) + body[0][indent:]
        lines += body
    return lines
