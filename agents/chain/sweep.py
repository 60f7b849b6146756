"""A price from zero to high, on one set of stated matrices: what is chosen at every point, and what that is worth.

The matrices are recorded ones; at every rate each is steered to the new pricing and chosen from again: by a criterion
(``by_criterion``), or by the model itself (``gtalign_env.agents.chain.resuming.ByModel``), which is the published way.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from gtalign_env.agents.chain.steering import PriceSteering, direction
from gtalign_env.agents.chain.sweep_result import Sweep, SweepPoint
from gtalign_env.agents.chain.tokens import TokenStatistics
from gtalign_env.errors import GtalignError, UsageError
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.gauges import ChainTurn, matching_move
from gtalign_env.payoffs import make_payoff_model, overhead
from gtalign_env.pricing import make_pricing
from gtalign_env.protocols import PricingPolicy
from gtalign_env.solution.criteria import Play, choose, welfare_of
from gtalign_env.specs import to_spec
from gtalign_env.types import Outcome
from gtalign_env.welfare import make_welfare

__all__ = ["RATES", "Decide", "by_criterion", "rate_setting", "sweep", "token_statistics"]

RATES: Mapping[str, str] = {
    "freemium": "fee",
    "outcome_based": "bonus",
    "per_character": "rate",
    "per_request": "fee",
    "per_token": "rate_out",
    "subscription": "fee",
    "two_part": "rate_out",
}
"""The setting of each pricing that a sweep moves, where nothing else is asked for."""
_BY_LENGTH = {("per_token", "rate_out"), ("two_part", "rate_out"), ("per_character", "rate")}
"""Settings that are paid for every token (or character) of the reply: where ``direction`` applies."""

Decide: TypeAlias = Callable[[Sequence[ChainTurn], Sequence[Bimatrix]], list[tuple[Play, ...] | None]]
"""Chooses in each matrix (stated in that turn): cells with their chances, or ``None`` where no choice came."""


def sweep(
    sessions: Iterable[Iterable[ChainTurn]],
    rates: Sequence[float],
    *,
    pricing: str | PricingPolicy = "per_token",
    setting: str | None = None,
    criterion: str = "welfare:cobb_douglas",
    decide: Decide | None = None,
    chosen_by: str = "",
    player: str = "",
    tokens: TokenStatistics | None = None,
    sensitivity: float = 1.0,
    scale: float = 1.0,
    margin: float = 0.0,
    pricing_from: str | PricingPolicy | None = None,
) -> Sweep:
    """Choose from the same stated matrices at every rate of a price.

    Args:
        sessions: The turns of each episode, in order (see ``gauges.chain_turns``).
        rates: Values of the setting, in credits.
        pricing: The pricing that is steered to; its other settings stay.
        setting: Which of its settings moves; the usual one of ``RATES`` when ``None``.
        criterion: What chooses, and by whose welfare function choices are valued.
        decide: What chooses instead; the criterion when ``None``.
        chosen_by: Its name.
        player: Who stated the matrices. Those of several players are better swept one by one: each has its own tokens.
        tokens: The model's statistics; made of the turns themselves when ``None``.
        sensitivity: As in ``steer``.
        scale: As in ``steer``; stated payoffs are divided by it.
        margin: Hysteresis: the switching cost against the choice of the turn before in the same session, in stated units.
        pricing_from: What the models were told; what each record says when ``None``.

    Raises:
        UsageError: A setting is unknown or out of range, or there is no rate.

    Example:
        >>> stated = Bimatrix([[2.0, 2.0]], [[1.0, 1.2]], ["VQ"], ["DA_long", "DA_short"])
        >>> turn = ChainTurn(prompt="p", matrix=stated, pricing="subscription")
        >>> made = sweep([[turn]], [0.0, 0.01], criterion="stackelberg:assistant")
        >>> [point.shares for point in made.points], made.points[-1].switched, made.as_claimed
        ([{'DA_short': 1.0}, {'DA_long': 1.0}], 1.0, True)
    """
    to = make_pricing(pricing)
    field = setting or rate_setting(to)
    policies = [_at_rate(to, field, rate) for rate in _checked(rates)]
    told = None if pricing_from is None else make_pricing(pricing_from)
    choose(Bimatrix([[1.0]], [[1.0]]), criterion)  # refuses what is no criterion
    recorded = [list(session) for session in sessions]
    usable = [[turn for turn in session if _usable(turn, told)] for session in recorded]
    seen = token_statistics(itertools.chain(*recorded)) if tokens is None else tokens
    run = _Run(
        sessions=[session for session in usable if session],
        told=told,
        seen=seen,
        sensitivity=sensitivity,
        scale=scale,
        margin=margin,
        decide=decide or by_criterion(criterion),
        value=make_welfare(welfare_of(criterion)),
    )
    before = run.choices(None)
    points = [run.point(rate, policy, before) for rate, policy in zip(rates, policies, strict=True)]
    moves = dict.fromkeys(name for turn in run.turns for name in _stated(turn).assistant_moves)
    claims = decide is None and margin == 0.0 and (to.name, field) in _BY_LENGTH
    return Sweep(
        setting=f"{to_spec(to).partition(':')[0]}:{field}",
        chosen_by=chosen_by or criterion,
        welfare=welfare_of(criterion),
        turns=len(run.turns),
        skipped=sum(map(len, recorded)) - len(run.turns),
        points=tuple(points),
        tokens_by_move={name: seen.expected(name) for name in moves},
        claim=direction(criterion, sensitivity=sensitivity) if claims else None,
        player=player,
        against=tuple(sorted({to_spec(run.told_to(turn)) for turn in run.turns})),
    )


def by_criterion(criterion: str) -> Decide:
    """Return what chooses by a criterion; a matrix to which it does not apply stays undecided.

    Example:
        >>> by_criterion("nash")([ChainTurn(prompt="")], [Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]], "CD", "CD")])
        [(('D', 'D', 1.0),)]
    """

    def decide(_turns: Sequence[ChainTurn], matrices: Sequence[Bimatrix]) -> list[tuple[Play, ...] | None]:
        return [_chosen(matrix, criterion) for matrix in matrices]

    return decide


def _chosen(matrix: Bimatrix, criterion: str) -> tuple[Play, ...] | None:
    try:
        return choose(matrix, criterion).play or None
    except GtalignError:
        return None


def rate_setting(pricing: PricingPolicy) -> str:
    """Return the setting of a pricing that a sweep moves.

    Raises:
        UsageError: The pricing is not a shipped one: it has to be named.

    Example:
        >>> from gtalign_env.pricing import PerToken
        >>> rate_setting(PerToken())
        'rate_out'
    """
    if pricing.name not in RATES:
        raise UsageError(f"pricing {pricing.name!r}: say which of its settings is the rate (setting=…, --setting)")
    return RATES[pricing.name]


def token_statistics(turns: Iterable[ChainTurn], *, weight: float = 2.0) -> TokenStatistics:
    """Return the statistics of recorded turns: tokens of each reply, by the move that was made.

    Example:
        >>> seen = token_statistics([ChainTurn(prompt="", made="CQ", outcome={"tokens_out": 35.0})], weight=1.0)
        >>> seen.expected("CQ")
        30.0
    """
    found = TokenStatistics(weight=weight)
    for turn in turns:
        if turn.made and turn.outcome is not None and turn.outcome.get("tokens_out"):
            found.add(turn.made, float(turn.outcome["tokens_out"]))
    return found


# -- one sweep at work ----------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Run:
    sessions: Sequence[Sequence[ChainTurn]]
    told: PricingPolicy | None
    seen: TokenStatistics
    sensitivity: float
    scale: float
    margin: float
    decide: Decide
    value: Any

    @property
    def turns(self) -> list[ChainTurn]:
        """All turns: the first of each session, then the second ones, as choices are made."""
        return [turn for batch in self._batches() for turn in batch]

    def _batches(self) -> list[list[ChainTurn]]:
        """Turns that can be decided at once: with hysteresis a turn waits for the one before it."""
        if not self.margin:
            return [list(itertools.chain(*self.sessions))]
        longest = max(map(len, self.sessions), default=0)
        return [[session[at] for session in self.sessions if at < len(session)] for at in range(longest)]

    def choices(self, to: PricingPolicy | None) -> list[tuple[Bimatrix, tuple[Play, ...] | None]]:
        """Return each turn's matrix and choice at one price; ``None`` leaves the matrices as they were stated."""
        made: list[tuple[Bimatrix, tuple[Play, ...] | None]] = []
        last: dict[int, str] = {}
        for at, batch in enumerate(self._batches()):
            living = [place for place, session in enumerate(self.sessions) if not self.margin or at < len(session)]
            held = [last.get(place, "") for place in living] if self.margin else [""] * len(batch)
            matrices = [self._steered(turn, to, move) for turn, move in zip(batch, held, strict=True)]
            plays = self.decide(batch, matrices)
            made += zip([self._steered(turn, to, "") for turn in batch], plays, strict=True)
            if self.margin:
                last |= {place: max(play, key=_chance)[1] for place, play in zip(living, plays, strict=True) if play}
        return made

    def told_to(self, turn: ChainTurn) -> PricingPolicy:
        """Return the pricing under which a turn's matrix was stated."""
        return self.told or make_pricing(turn.told or turn.pricing)

    def _steered(self, turn: ChainTurn, to: PricingPolicy | None, held: str) -> Bimatrix:
        told = self.told_to(turn)
        steering = PriceSteering(
            pricing_from=told,
            pricing_to=told if to is None else to,
            sensitivity=self.sensitivity,
            scale=self.scale,
            margin=self.margin,
        )
        return steering.apply(
            _stated(turn), self.seen, last=held, first=bool((turn.outcome or {}).get("opens_session"))
        )

    def point(
        self, rate: float, to: PricingPolicy, before: Sequence[tuple[Bimatrix, tuple[Play, ...] | None]]
    ) -> SweepPoint:
        """Return what is chosen at one rate."""
        rows = []
        shares: collections.defaultdict[str, float] = collections.defaultdict(float)
        moved, known = [], []
        for turn, (matrix, play), (_, unsteered) in zip(self.turns, self.choices(to), before, strict=True):
            if play is None:
                continue
            rows.append(self._worth(matrix, play))
            for column, chance in _columns(play).items():
                shares[column] += chance
            if unsteered is not None:
                moved.append(_distance(_columns(play), _columns(unsteered)))
            came = self._came(turn, to)
            made = matching_move(matrix.assistant_moves, turn.made)
            if came is not None and made is not None:
                known.append((_columns(play).get(matrix.assistant_moves[made], 0.0), *came))
        n = len(rows)
        if not n:
            return SweepPoint(rate=rate, n=0, undecided=len(before))
        tokens, user, assistant, welfare = np.mean(rows, axis=0).tolist()
        weight = sum(chance for chance, _, _ in known)
        return SweepPoint(
            rate=rate,
            n=n,
            undecided=len(before) - n,
            switched=sum(moved) / len(moved) if moved else None,
            tokens=tokens,
            user=user,
            assistant=assistant,
            welfare=welfare,
            shares={move: shares[move] / n for move in sorted(shares, key=lambda move: -shares[move])},
            realised=weight,
            realised_user=sum(chance * came for chance, came, _ in known) / weight if weight else None,
            realised_assistant=sum(chance * came for chance, _, came in known) / weight if weight else None,
        )

    def _worth(self, matrix: Bimatrix, play: tuple[Play, ...]) -> tuple[float, float, float, float]:
        """Return expected tokens, both payoffs and welfare of a choice."""
        cells = np.array(matrix.cells([(row, column) for row, column, _ in play]))
        chances = np.array([chance for _, _, chance in play])
        user, assistant = (chances @ side[tuple(cells.T)] / self.scale for side in (matrix.user, matrix.assistant))
        tokens = chances @ self.seen.vector([column for _, column, _ in play])
        return float(tokens), float(user), float(assistant), float(self.value(float(user), float(assistant)))

    def _came(self, turn: ChainTurn, to: PricingPolicy) -> tuple[float, float] | None:
        """Return what a turn's reply came to, had it been paid for at this price."""
        if turn.realised is None or turn.outcome is None:
            return None
        try:
            outcome, model = Outcome(**turn.outcome), make_payoff_model(turn.payoff or "grounded")
            paid = make_pricing(turn.pricing or self.told or "")
        except (TypeError, UsageError):
            return None
        price = to.price(outcome) - paid.price(outcome)
        user = -price * (self.sensitivity if turn.sensitivity is None else turn.sensitivity)
        assistant = price - (overhead(to, outcome) - overhead(paid, outcome)) + model.retention(user)
        return turn.realised[0] + float(user), turn.realised[1] + float(assistant)


def _usable(turn: ChainTurn, told: PricingPolicy | None) -> bool:
    if turn.matrix is None:
        return False
    try:
        return told is not None or make_pricing(turn.told or turn.pricing) is not None
    except UsageError:
        return False


def _stated(turn: ChainTurn) -> Bimatrix:
    assert turn.matrix is not None
    return turn.matrix


def _at_rate(pricing: PricingPolicy, field: str, rate: float) -> PricingPolicy:
    fields = [one.name for one in dataclasses.fields(pricing)] if dataclasses.is_dataclass(pricing) else list[str]()
    if field not in fields or field == "name":
        raise UsageError(f"pricing {pricing.name!r}: it has no setting {field!r}; expected one of {', '.join(fields)}")
    made: PricingPolicy = dataclasses.replace(pricing, **{field: float(rate)})  # type: ignore[type-var]
    return made


def _checked(rates: Sequence[float]) -> Sequence[float]:
    if not len(rates):
        raise UsageError("rates: expected at least one rate, got none")
    return rates


def _columns(play: tuple[Play, ...]) -> dict[str, float]:
    chances: collections.defaultdict[str, float] = collections.defaultdict(float)
    for _, column, chance in play:
        chances[column] += chance
    return chances


def _distance(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    return sum(abs(one.get(move, 0.0) - other.get(move, 0.0)) for move in {*one, *other}) / 2.0


def _chance(play: Play) -> float:
    return play[2]
