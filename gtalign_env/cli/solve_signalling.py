"""How ``gtalign solve`` shows a signalling game: a table of its perfect Bayesian equilibria."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.text import Text

from gtalign_env.cli.solve_matrix import bargaining_facts, matrix_block, refined_efficiency
from gtalign_env.cli.solve_words import Fact, choice_fact, fact_lines, pair, utils

if TYPE_CHECKING:
    from gtalign_env.games.signalling import SignallingGame
    from gtalign_env.games.signalling_equilibria import SignallingEquilibrium
    from gtalign_env.solution.signalling import SignallingSolution

__all__ = ["signalling_lines"]

_MOST_CELLS = 64
"""Cells of a normal form that is drawn."""


def signalling_lines(solved: SignallingSolution, width: int) -> list[Text]:
    """Return a solved signalling game for people.

    Example:
        >>> from gtalign_env.games.signalling import SignallingGame
        >>> from gtalign_env.solution import solve
        >>> game = SignallingGame.cheap_talk([0.5, 0.5], [[1, 0], [0, 1]], [[1, 0], [0, 1]], ("a", "b"))
        >>> print(signalling_lines(solve(game), 80)[0].plain)
        types            a 0.5, b 0.5
    """
    game = solved.game
    types = ", ".join(f"{name} {utils(share)}" for name, share in zip(game.types, game.prior, strict=True))
    crossing = "holds" if game.single_crossing() else "does not hold"
    facts: list[Fact] = [
        ("types", types),
        ("single crossing", f"{crossing}, in the order of types and messages"),
        ("equilibria", f"{len(solved.equilibria)} perfect Bayesian in pure plans"),
    ]
    lines = fact_lines(facts, width)
    for number, found in enumerate(solved.equilibria):
        lines += [Text(""), *fact_lines(_equilibrium(game, found, number + 1), width)]
    efficiency = refined_efficiency(
        solved.efficiency,
        solved.normal,
        among="in perfect Bayesian equilibrium",
        unknown="there is no such equilibrium in pure plans",
    )
    facts = [choice_fact(solved.choice), *bargaining_facts(solved.normal), *efficiency]
    lines += [Text(""), *fact_lines(facts, width)]
    if solved.normal.game.user.size <= _MOST_CELLS:
        lines += [
            Text(""),
            Text("normal form: plans against plans", style="strong"),
            *matrix_block(solved.normal, width),
        ]
    return lines


def _equilibrium(game: SignallingGame, found: SignallingEquilibrium, number: int) -> Iterator[Fact]:
    unlikely = "" if found.intuitive else "; fails the intuitive criterion"
    told = f"messages tell {found.informativeness:.0%} of the type"
    yield f"{number}. {found.kind}", f"{pair(found.user_payoff, found.assistant_payoff)}; {told}{unlikely}"
    sent = zip(game.types, found.sender, found.user_by_type, strict=True)
    yield "", "; ".join(f"{name} sends {message} (U {utils(worth)})" for name, message, worth in sent)
    for message, action, belief, on_path in zip(
        game.messages, found.receiver, found.beliefs, found.on_path, strict=True
    ):
        believed = ", ".join(f"{name} {utils(share)}" for name, share in zip(game.types, belief, strict=True))
        yield "", f"{message} is answered by {action}, believing {believed}{'' if on_path else ' (off the path)'}"
