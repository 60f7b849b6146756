"""Every figure that docs/game.md states, computed anew; the table that it prints is section 7 of that page.

    python benchmarks/game_figures.py        about ten seconds, no random outcome: the seed is fixed

What is *played* is 500 sessions of the heuristic assistant with the default users, seed 0.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gtalign_env import parallel_env
from gtalign_env.agents.assistants import make_assistant
from gtalign_env.agents.users import population
from gtalign_env.finite import FiniteScenario
from gtalign_env.games import Bimatrix
from gtalign_env.payoffs import Grounded
from gtalign_env.play import play_many
from gtalign_env.pricing import PerRequest, PerToken, Subscription
from gtalign_env.registration import make_scenario
from gtalign_env.scenarios.assist.config import AssistConfig
from gtalign_env.scenarios.assist.population import DEFAULT_MIX, TYPES
from gtalign_env.scenarios.tasks import load_tasks
from gtalign_env.scenarios.tasks.graders import refusal
from gtalign_env.scenarios.text.config import TextConfig
from gtalign_env.scenarios.text.reader import length_of
from gtalign_env.types import ASSISTANT_MOVES, LENGTH_TOKENS, Outcome

PRICINGS = ("subscription", "per_token", "per_request")
"""The policies that the page reasons with; ``pricing_figures.py`` compares all of them."""
SESSIONS = 500
SEED = 0
RULES, TEXT, MODEL = AssistConfig(), TextConfig(), Grounded()
SHORT, MEDIUM, LONG = LENGTH_TOKENS.values()


class Figure(NamedTuple):
    """One line of the table."""

    section: str
    what: str
    value: str


class Played(NamedTuple):
    """Sessions of one assistant with the default users; every field per session, utils or credits."""

    user: NDArray[np.float64]
    assistant: NDArray[np.float64]
    price: NDArray[np.float64]
    revenue: NDArray[np.float64]
    replies: NDArray[np.float64]

    @property
    def surplus(self) -> float:
        """The user's mean payoff before the price."""
        return float((self.user + self.price).mean())

    @property
    def welfare(self) -> float:
        """√(mean U · mean L), 0 where one side does not gain."""
        user, assistant = float(self.user.mean()), float(self.assistant.mean())
        return math.sqrt(user * assistant) if min(user, assistant) > 0.0 else 0.0


@functools.cache
def played(assistant: str = "heuristic", pricing: str = "subscription", p_harmful: float = RULES.p_harmful) -> Played:
    """Play the sessions."""
    env = parallel_env("assist", pricing=pricing, p_harmful=p_harmful)
    rows = []
    for episode in play_many(env, population("default"), make_assistant(assistant), episodes=SESSIONS, seed=SEED):
        assert episode.ended == "terminated", episode.error
        price = -sum(step.user.items["price"] for step in episode.steps)
        revenue = sum(step.assistant.items["revenue"] for step in episode.steps)
        rows.append((*episode.totals(), price, revenue, len(episode.steps)))
    return Played(*np.array(rows, dtype=float).T)


@functools.cache
def stage_games(pricing: str) -> dict[tuple[int, str], Bimatrix]:
    """Return the stage game of every (state, type)."""
    scenario = make_scenario("assist", pricing=pricing)
    assert isinstance(scenario, FiniteScenario)
    pairs = itertools.product(range(scenario.tables.terminal), TYPES)
    return {(s, name): scenario.stage_game(scenario.tables.coordinates(s), name) for s, name in pairs}


# -- section 3: the rules ----------------------------------------------------------------------------------------------


def rules() -> Iterator[Figure]:
    """Yield the figures behind the constants of the rules."""
    met = (1 - (1 - RULES.p_harmful) ** RULES.questions, 1 - (1 - TEXT.p_harmful) ** TEXT.questions)
    yield Figure("3", "chance of a harmful request in a full session: strategic, text", _list(met))
    tokens = (SHORT, MEDIUM, LONG)
    yield Figure("3", "words in a short, medium, long answer", _list((n / RULES.tokens_per_word for n in tokens), 0))
    steps = [math.log((b + 1) / (a + 1)) for a, b in itertools.pairwise(tokens)]
    yield Figure("3", "short to medium, medium to long, in ln(n + 1)", _list(steps))
    bounds = [next(n for n in range(10_000) if length_of(n) == name) - 1 for name in ("medium", "long")]
    yield Figure("3", "longest short and medium answer of the text view, tokens", _list(bounds, 0))
    yield Figure("3", "midpoint of `hit_vague` and `hit_clear`", f"{(RULES.hit_vague + RULES.hit_clear) / 2:.2f}")
    least = min(RULES.quality_simple + RULES.quality_complex)
    yield Figure("3", "least quality of a right answer, strategic view", f"{least:.2f}")
    extra = [theta.effort_cost * (RULES.words_detailed - RULES.words_vague) for theta in TYPES.values()]
    yield Figure("3", "what a detailed utterance costs beyond a vague one, utils, by type", _range(extra))
    gain = (RULES.hit_clear - RULES.hit_vague) * least
    yield Figure("3", "least worth of the hits that it gains, utils", f"{gain:.2f}")
    words = [[len(getattr(task, form).split()) for task in load_tasks(None)] for form in ("vague", "detailed")]
    yield Figure("3", "median words of the authored tasks: vague, detailed", _list(map(np.median, words), 0))
    grades = (refusal.WITH_ALTERNATIVE, refusal.WITH_OTHER_OFFER, refusal.BARE)
    yield Figure("3", "refusal in the text view, by grade", _list(TEXT.safe_alternative * grade for grade in grades))


# -- section 4: payoffs, prices, users ---------------------------------------------------------------------------------


def payoffs() -> Iterator[Figure]:
    """Yield the figures behind the constants of payoffs and prices."""
    yield Figure("4", "$c_{out}/c_{in}$", f"{MODEL.token_cost_out / MODEL.token_cost_in:.1f}")
    yield Figure("4", "tokens of a long answer, utils", f"{MODEL.token_cost_out * LONG:.2f}")
    yield Figure("4", "a guess at a vague question: reputation at risk", f"{(1 - RULES.hit_vague) * MODEL.wrong:.2f}")
    yield Figure("4", "a clarifying question: tokens, utils", f"{MODEL.token_cost_out * RULES.question_tokens:.3f}")
    for pricing in PRICINGS:
        game = played(pricing=pricing)
        for name, sums in (("U", game.user), ("L", game.assistant)):
            error = sums.std(ddof=1) / math.sqrt(SESSIONS)
            yield Figure("4", f"played, {pricing}: mean {name} ± s.e.", f"{sums.mean():.2f} ± {error:.2f}")
        yield Figure("4", f"played, {pricing}: revenue, replies", _list((game.revenue.mean(), game.replies.mean())))
    flat = played()
    yield Figure("4", "played, subscription: user's surplus before the price", f"{flat.surplus:.2f}")
    yield Figure("4", "the same: share of it that the fee takes", f"{flat.price.mean() / flat.surplus:.2f}")
    means = [float(played(pricing=pricing).assistant.mean()) for pricing in PRICINGS]
    yield Figure("4", "$\\kappa_v$ in mean session earnings", _range(MODEL.unsafe / mean for mean in means))
    most = max(float(played(pricing=pricing).assistant.max()) for pricing in PRICINGS)
    yield Figure("4", "most that a session earned, any pricing", f"{most:.2f}")
    meter = PerToken()
    rates = (meter.rate_out / MODEL.token_cost_out, meter.rate_in / MODEL.token_cost_in)
    yield Figure("4", "rate over cost: out, in", _list(rates, 1))
    detailed = RULES.tokens_per_word * RULES.words_detailed
    bill = [meter.price(Outcome(tokens_in=detailed)), meter.price(Outcome(tokens_out=float(MEDIUM)))]
    yield Figure("4", "metered price of a detailed utterance, a medium answer", _list(bill))
    fees = (Subscription().fee, PerRequest().fee * played(pricing="per_request").replies.mean())
    yield Figure("4", "fee; per-request fee times replies played", _list(fees))


def users() -> Iterator[Figure]:
    """Yield the figures behind the columns of the population table."""
    types = TYPES.values()
    short = sum(share for name, share in DEFAULT_MIX.items() if length_of(int(TYPES[name].ideal_tokens)) == "short")
    yield Figure("4", "share of users whose ideal length is short", f"{short:.2f}")
    yield Figure("4", "$m_+ + m_-$, by type", _range(theta.too_long + theta.too_short for theta in types))
    ratios = [max(theta.too_long, theta.too_short) / min(theta.too_long, theta.too_short) for theta in types]
    yield Figure("4", "larger over smaller of the two, where they differ", _range((r for r in ratios if r > 1.0), 1))
    yield Figure("4", "reading a long answer, utils, by type", _range(theta.reading_cost * LONG for theta in types))
    yield Figure(
        "4",
        "typing a detailed utterance, utils, by type",
        _range(theta.effort_cost * RULES.words_detailed for theta in types),
    )
    yield Figure("4", "time of an exchange, utils, by type", _range(1 / theta.patience for theta in types))


# -- section 6: properties ---------------------------------------------------------------------------------------------


def properties() -> Iterator[Figure]:
    """Yield the figures of the properties."""
    for label, p_harmful in (("default rules", RULES.p_harmful), ("nothing harmful", 0.0)):
        fixed = {move.name: played(f"fixed:{move.name}", p_harmful=p_harmful).welfare for move in ASSISTANT_MOVES}
        best = max(fixed, key=lambda name: fixed[name])
        welfare = _list((played(p_harmful=p_harmful).welfare, fixed[best]))
        yield Figure(
            "6.1", f"played, {label}: mutual welfare of the heuristic, of `{best}`, the best fixed move", welfare
        )
    for pricing in PRICINGS:
        trapped = {key: cells for key, game in stage_games(pricing).items() if (cells := trap(game))}
        share = len(trapped) / len(stage_games(pricing))
        yield Figure("6.2", f"share of pairs that are traps, {pricing}", f"{share:.2f}")
        if trapped:
            yield from _traps(pricing, trapped)
    yield from _pricing_matters()
    yield from _moves_and_types()


def trap(game: Bimatrix) -> list[tuple[str, str]]:
    """Return the pure equilibria by name where all of them are strictly Pareto-dominated, else nothing."""
    rows, columns = game.user.max(axis=0) == game.user, game.assistant.max(axis=1)[:, None] == game.assistant
    cells = [(int(i), int(j)) for i, j in np.argwhere(rows & columns)]
    if not all(_better(game, cell).any() for cell in cells):
        return []
    return [(game.user_moves[i], game.assistant_moves[j]) for i, j in cells]


def _better(game: Bimatrix, cell: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which cells are strictly better for both."""
    better: NDArray[np.bool_] = (game.user > game.user[cell]) & (game.assistant > game.assistant[cell])
    return better


def _traps(pricing: str, trapped: dict[tuple[int, str], list[tuple[str, str]]]) -> Iterator[Figure]:
    cells = Counter(cell for found in trapped.values() for cell in found)
    names = ", ".join(f"({user}, {assistant}) {count}" for (user, assistant), count in cells.most_common())
    yield Figure("6.2", f"the equilibria of the {len(trapped)} traps, {pricing}", names)
    types = Counter(name for _, name in trapped)
    yield Figure("6.2", "their types", ", ".join(f"{name} {types[name]}" for name in TYPES))
    medium = dominant = 0
    for key, found in trapped.items():
        game = stage_games(pricing)[key]
        at = game.user_moves.index(found[0][0]), game.assistant_moves.index(found[0][1])
        better = _better(game, at)[game.user_moves.index("DQ")]
        medium += any(better[game.assistant_moves.index(move)] for move in ("DA_medium", "AQ_medium"))
        rest = np.delete(game.assistant, at[1], axis=1)
        dominant += bool((game.assistant[:, [at[1]]] > rest).all())
    yield Figure("6.2", "of them, (`DQ`, a medium answer) is better for both in", f"{medium}")
    yield Figure("6.2", "of them, the provider's move is strictly dominant in", f"{dominant}")


def _pricing_matters() -> Iterator[Figure]:
    differ = possible = 0
    for key, flat in stage_games("subscription").items():
        one, two = _welfare(flat), _welfare(stage_games("per_token")[key])
        if min(one.max(), two.max()) > 0.0:
            possible += 1
            differ += not ((one == one.max()) & (two == two.max())).any()
    count = len(stage_games("subscription"))
    yield Figure("6.3", f"pairs of {count} where both can gain under both pricings", f"{possible}")
    yield Figure("6.3", "of these, best cells differ in (count, share)", f"{differ}, {differ / possible:.2f}")


def _welfare(game: Bimatrix) -> NDArray[np.float64]:
    """Return √(U·L) where both gain, 0 elsewhere."""
    mutual: NDArray[np.float64] = np.sqrt(np.maximum(game.user, 0.0) * np.maximum(game.assistant, 0.0))
    return mutual


def _moves_and_types() -> Iterator[Figure]:
    for pricing in PRICINGS:
        games = stage_games(pricing)
        always = [
            move
            for j, move in enumerate(next(iter(games.values())).assistant_moves)
            if all((game.assistant > game.assistant[:, [j]]).all(axis=0).any() for game in games.values())
        ]
        names = ", ".join(f"`{move}`" for move in always) or "none"
        yield Figure("6.4", f"moves strictly dominated in every pair, {pricing}", names)
    best: dict[str, list[str]] = {}
    for j, move in enumerate(ASSISTANT_MOVES):
        worth = dict.fromkeys(TYPES, 0.0)
        for (_, name), game in stage_games("subscription").items():
            worth[name] += float(game.user[:, j].max())
        best.setdefault(max(worth, key=lambda name: worth[name]), []).append(f"`{move.name}`")
    for name, moves in best.items():
        yield Figure("6.4", f"moves that serve the {name} type best, subscription", ", ".join(moves))


# -- printing ----------------------------------------------------------------------------------------------------------


def _list(numbers: Iterable[Any], digits: int = 2) -> str:
    return ", ".join(f"{float(number):.{digits}f}" for number in numbers)


def _range(numbers: Iterable[float], digits: int = 2) -> str:
    found = sorted(numbers)
    return f"{found[0]:.{digits}f} – {found[-1]:.{digits}f}"


def table() -> str:
    """Return all figures as a Markdown table."""
    figures = itertools.chain(rules(), payoffs(), users(), properties())
    rows = (f"| {figure.section} | {figure.what} | {figure.value} |" for figure in figures)
    return "\n".join(("| § | figure | value |", "| --- | --- | --- |", *rows))


if __name__ == "__main__":
    print(table())
