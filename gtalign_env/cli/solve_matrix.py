"""How ``gtalign solve`` shows a bimatrix game: the matrix with its marked cells, and the facts below it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from gtalign_env.cli.solve_words import Fact, choice_fact, fact_lines, mixture, pair, play, span, utils
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.games.cells import pareto_cells, pure_nash_cells
from gtalign_env.replay.matrix import fits, matrix_lines
from gtalign_env.replay.speech import wrapped
from gtalign_env.replay.stage import Mark, StageMatrix
from gtalign_env.solution.criteria import agreement, cell_label
from gtalign_env.solution.normal import MOST_CORRELATED, MOST_MIXING, agreed_cells

if TYPE_CHECKING:
    from gtalign_env.games.bargaining import Bargain
    from gtalign_env.games.dominance import Dominance, Removal
    from gtalign_env.games.efficiency import Efficiency
    from gtalign_env.games.equilibrium import Equilibrium
    from gtalign_env.games.stackelberg import Stackelberg
    from gtalign_env.games.taxonomy import Class2x2
    from gtalign_env.solution.normal import MatrixSolution, Outcomes

__all__ = ["bargaining_facts", "matrix_block", "matrix_facts", "matrix_solution_lines", "refined_efficiency"]

_MOST_CELLS = 600
"""Cells of a matrix that is drawn."""
_MOST_EQUILIBRIA = 12
"""Equilibria that are listed."""
_MOST_TIES = 4
"""Cells that are listed where a bargaining solution finds several equally good."""


def matrix_solution_lines(solved: MatrixSolution, width: int) -> list[Text]:
    """Return a solved bimatrix game for people.

    Example:
        >>> from gtalign_env.games import Bimatrix
        >>> from gtalign_env.solution import solve
        >>> lines = matrix_solution_lines(solve(Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]], "CD", "CD")), 80)
        >>> any("price of anarchy 3" in line.plain for line in lines)
        True
    """
    return [*matrix_block(solved, width), Text(""), *fact_lines(matrix_facts(solved), width)]


def matrix_block(solved: MatrixSolution, width: int) -> list[Text]:
    """Return the matrix with its legend; one that is too wide in parts, one that is too large not at all."""
    game = solved.game
    if game.user.size > _MOST_CELLS:
        return wrapped(Text(f"{game.shape[0]} × {game.shape[1]} cells: too many to draw; see --json", "muted"), width)
    stage = _stage(solved)
    parts = list(_parts(stage, width))
    lines: list[Text] = []
    for number, (first, last) in enumerate(parts):
        final = number == len(parts) - 1
        lines += matrix_lines(_columns(stage, first, last), width, explained=final, made="criterion")
        lines += [] if final else [Text("")]
    return lines


def matrix_facts(solved: MatrixSolution) -> Iterator[Fact]:
    """Yield what is known of the game, in words."""
    game = solved.game
    yield choice_fact(solved.choice)
    if solved.optimum != (solved.choice.cell,):
        yield "optimum", f"{_cells(solved.optimum)}: highest {solved.welfare} welfare"
    yield from _equilibria(solved)
    yield from _dominance("dominance", solved.strict)
    if max(game.shape) > MOST_MIXING:
        yield "", f"by single moves: a side has more than {MOST_MIXING} moves, too many to look at their mixtures"
    if solved.weak.log and len(solved.weak.log) > len(solved.strict.log):
        yield from _dominance("weak dominance", solved.weak)
    user, assistant = solved.maximin["user"], solved.maximin["assistant"]
    yield "maximin", f"user at least {utils(user.value)} by {mixture(game.user_moves, user.strategy)}"
    yield "", f"assistant at least {utils(assistant.value)} by {mixture(game.assistant_moves, assistant.strategy)}"
    yield from _stackelberg(solved)
    yield from bargaining_facts(solved)
    yield "correlated", _correlated(solved.welfare_range)
    yield "efficiency", _efficiency(solved.efficiency)
    if solved.taxonomy is not None:
        for number, said in enumerate(_taxonomy(solved.taxonomy)):
            yield "" if number else "2×2 class", said


def bargaining_facts(solved: Outcomes) -> Iterator[Fact]:
    """Yield the bargaining solutions on the outcomes, and with chance where that changes them."""
    for number, (name, found) in enumerate(solved.bargaining.items()):
        mixed = solved.hull[name]
        said = f"{name.replace('_', '–')}: {_agreed(solved.outcomes, found)}"
        if abs(mixed.user_payoff - found.user_payoff) + abs(mixed.assistant_payoff - found.assistant_payoff) > 1e-9:
            said += f"; with chance {_agreed(solved.outcomes, mixed)}"
        yield "" if number else "bargaining", said


def refined_efficiency(
    found: Efficiency | None, normal: MatrixSolution | None, *, among: str, unknown: str
) -> Iterator[Fact]:
    """Yield what refined equilibria cost, and what all those of the normal form do where that is something else.

    Args:
        found: What the refined ones cost; ``None`` where that is unknown.
        normal: The normal form, solved; ``None`` where it is too large.
        among: The refined equilibria, in words.
        unknown: Why nothing is known of them.
    """
    yield "efficiency", _efficiency(found, among=among, unknown=unknown)
    every = None if normal is None else normal.efficiency
    if every is not None and (found is None or _reached(found) != _reached(every)):
        yield "", f"empty threats included: {_efficiency(every, among='in equilibria of the normal form')}"


def _agreed(game: Bimatrix, found: Bargain) -> str:
    if len(found.ties) > 1:
        cells = list(zip(agreed_cells(game, found), found.ties, strict=True))
        if game.assistant_moves == (
            "",
        ):  # outcomes, not pairs of moves: of those that pay the same, the first stands for all
            cells = list({(game.user[at], game.assistant[at]): (cell, at) for cell, at in reversed(cells)}.values())[
                ::-1
            ]
        said = [f"{cell_label(cell)} ({pair(game.user[at], game.assistant[at])})" for cell, at in cells]
        more = len(said) - _MOST_TIES
        return " or ".join([*said[:_MOST_TIES], *([f"{more} more"] if more > 0 else [])])
    return f"{play(agreement(game, found))} ({pair(found.user_payoff, found.assistant_payoff)})"


# -- the matrix -------------------------------------------------------------------------------------------------------------


def _stage(solved: MatrixSolution) -> StageMatrix:
    game = solved.game
    agreed = [cell for found in solved.bargaining.values() for cell in agreed_cells(game, found)]
    cell = solved.choice.cell
    return StageMatrix(
        user_moves=game.user_moves,
        assistant_moves=game.assistant_moves,
        user=game.user,
        assistant=game.assistant,
        made=None if cell is None else (game.user_moves.index(cell[0]), game.assistant_moves.index(cell[1])),
        nash=pure_nash_cells(game.user, game.assistant),
        pareto=pareto_cells(game.user, game.assistant),
        holds="",
        whose="",
        more=(
            Mark("★", "gain", f"{solved.welfare} optimum", _mask(game, solved.optimum)),
            Mark("■", "loss", "bargaining", _mask(game, agreed)),
        ),
    )


def _mask(game: Bimatrix, cells: Iterable[tuple[str, str]]) -> NDArray[np.bool_]:
    wanted = set(cells)
    return np.array([[(row, column) in wanted for column in game.assistant_moves] for row in game.user_moves])


def _parts(stage: StageMatrix, width: int) -> Iterator[tuple[int, int]]:
    """Yield runs of columns that fit, as many in each as there is room for."""
    first, count = 0, len(stage.assistant_moves)
    while first < count:
        last = count
        while last > first + 1 and not fits(_columns(stage, first, last), width):
            last -= 1
        yield first, last
        first = last


def _columns(stage: StageMatrix, first: int, last: int) -> StageMatrix:
    made = stage.made
    return dataclasses.replace(
        stage,
        assistant_moves=stage.assistant_moves[first:last],
        user=stage.user[:, first:last],
        assistant=stage.assistant[:, first:last],
        nash=stage.nash[:, first:last],
        pareto=stage.pareto[:, first:last],
        more=tuple(mark._replace(cells=mark.cells[:, first:last]) for mark in stage.more),
        made=(made[0], made[1] - first) if made is not None and first <= made[1] < last else None,
    )


# -- the facts --------------------------------------------------------------------------------------------------------------


def _cells(cells: Iterable[tuple[str, str]]) -> str:
    return ", ".join(map(cell_label, cells))


def _equilibria(solved: MatrixSolution) -> Iterator[Fact]:
    game, found = solved.game, solved.nash
    pure = sum(one.is_pure for one in found)
    if solved.complete:
        exact = "exact" if all(one.exact for one in found) else "each checked to 1e-9"
        if len(found) == 1:
            yield "equilibria", f"one, {'pure' if pure else 'mixed'} ({exact})"
        else:
            corners = "; corners of connected sets: what mixes two that share a strategy is one too"
            kind, more = ("extreme", corners) if _connected(found) else ("in all", "")
            yield "equilibria", f"{len(found)} {kind}, {pure} of them pure ({exact}){more}"
    else:
        yield "equilibria", "too large to list all; one of them:"
    for one in found[:_MOST_EQUILIBRIA]:
        strategies = f"{mixture(game.user_moves, one.user)} against {mixture(game.assistant_moves, one.assistant)}"
        if one.is_pure:
            strategies = cell_label((mixture(game.user_moves, one.user), mixture(game.assistant_moves, one.assistant)))
        yield "", f"{strategies} ({pair(one.user_payoff, one.assistant_payoff)})"
    if len(found) > _MOST_EQUILIBRIA:
        yield "", f"… and {len(found) - _MOST_EQUILIBRIA} more: --json"


def _connected(found: Sequence[Equilibrium]) -> bool:
    """Return whether any two share a side's strategy, so that all between them are equilibria as well."""
    return any(len({getattr(one, role) for one in found}) < len(found) for role in ("user", "assistant"))


def _correlated(welfare: tuple[float, float] | None) -> str:
    if welfare is None:
        return f"not looked for: the game has more than {MOST_CORRELATED} cells"
    return f"U + L {span(*welfare)} over all correlated equilibria"


def _dominance(label: str, found: Dominance) -> Iterator[Fact]:
    if not found.log:
        yield label, "removes nothing"
        return
    for number, removal in enumerate(found.log):
        yield "" if number else label, f"{removal.round}. {_removal(removal)}"
    left = f"{', '.join(found.user_moves)} against {', '.join(found.assistant_moves)}"
    yield "", f"left: {left}"


def _removal(removal: Removal) -> str:
    by = removal.by if isinstance(removal.by, str) else mixture(list(removal.by), removal.by.values())
    better = "is always better" if removal.kind == "strict" else "is never worse and sometimes better"
    return f"the {removal.role} drops {removal.move}: {by} {better}"


def _stackelberg(solved: MatrixSolution) -> Iterator[Fact]:
    for number, (role, found) in enumerate(solved.stackelberg.items()):
        said = f"{role} leads: {_led(solved.game, found)}"
        mixed = None if solved.commitment is None else solved.commitment[role]
        if mixed is not None and _leads_to(mixed) > _leads_to(found) + 1e-9:
            said += f"; with chance {_led(solved.game, mixed)}"
        yield "" if number else "Stackelberg", said
    if solved.commitment is None:
        yield "", f"with chance: not looked for, a side has more than {MOST_MIXING} moves"


def _led(game: Bimatrix, found: Stackelberg) -> str:
    first, second = (game.user_moves, game.assistant_moves)[:: 1 if found.leader == "user" else -1]
    payoffs = pair(found.user_payoff, found.assistant_payoff)
    return f"{mixture(first, found.commitment)}, answered by {second[found.response]} ({payoffs})"


def _leads_to(found: Stackelberg) -> float:
    """Return what the leader gets."""
    return found.user_payoff if found.leader == "user" else found.assistant_payoff


def _efficiency(
    found: Efficiency | None, *, among: str = "in equilibrium", unknown: str = "not all equilibria are listed"
) -> str:
    if found is None:
        return f"unknown: {unknown}"
    ratios = (("anarchy", found.anarchy), ("of stability", found.stability))
    told = ", ".join(f"{name} {'undefined' if ratio is None else utils(ratio)}" for name, ratio in ratios)
    sums = f"U + L {utils(found.best)} at best, {_reached(found)} {among}"
    return f"price of {told} ({sums})" + (f"; {found.reason}" if found.reason else "")


def _reached(found: Efficiency) -> str:
    return span(found.worst_equilibrium, found.best_equilibrium)


def _taxonomy(found: Class2x2) -> Iterator[str]:
    kinds = ["symmetric" if found.symmetric else "not symmetric", *(["with ties"] if found.ties else [])]
    kinds += [f"{found.dominant} dominant move{'s' * (found.dominant != 1)}"]
    if found.conflict is not None:
        kinds.append(f"rank correlation of payoffs {utils(found.conflict)}")
    yield f"{found.name or 'unnamed'} ({', '.join(kinds)})"
    dilemma = found.dilemma
    if dilemma is not None:
        index = dilemma.cooperation_index
        verdict = "a social dilemma" if dilemma.is_social_dilemma else "no social dilemma"
        share = "" if index is None else f", cooperation index {utils(index)}"
        yield f"greed {utils(dilemma.greed)}, fear {utils(dilemma.fear)}{share}: {verdict}"
    if found.risk_dominant is not None:
        yield f"risk-dominant: {cell_label(found.risk_dominant)}"
