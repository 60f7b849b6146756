"""Cross-play: every player of one list against every player of another, and what the results mean as a game.

The mean payoffs are themselves a bimatrix: the meta-game, in which each side chooses whom to send. Its equilibria say which
players hold against each other; the bootstrap says whether that conclusion would survive other episodes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gtalign_env.env import GameEnv
from gtalign_env.episode import Episode
from gtalign_env.errors import UsageError
from gtalign_env.games import Bimatrix, Equilibrium
from gtalign_env.games.cells import pure_nash_cells
from gtalign_env.metrics import Interval, bootstrap
from gtalign_env.play import episode_seeds, play_episode
from gtalign_env.protocols import Persona, Policy

__all__ = ["CrossPlay", "Standing", "cross_play", "meta_equilibria"]

Floats = NDArray[np.float64]
Chair = Literal["user", "assistant", "both"]
MOST_LISTED = 12
"""Players of a side, strictly dominated ones apart, up to which all equilibria of a meta-game are looked for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standing:
    """How a player did against everybody, itself included."""

    player: str
    chair: Chair
    """Where it sat."""
    score: float
    """Mean payoff per episode over all opponents and all its chairs, utils."""
    interval: Interval | None
    """Of the score, over episodes; ``None`` where one episode was played."""
    as_user: float | None
    """Mean payoff in the user's chair."""
    as_assistant: float | None
    """Mean payoff in the assistant's chair."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class CrossPlay:
    """Payoffs of everybody against everybody, on the same episode seeds.

    Raises:
        UsageError: Two players of a side have one name, or the payoffs do not fit.

    Example:
        >>> played = CrossPlay(users=("C", "D"), assistants=("C", "D"),
        ...                    payoffs=np.array([[[[3, 3]], [[0, 5]]], [[[5, 0]], [[1, 1]]]]))
        >>> played.meta_game().pure_nash(), played.ranking()[0].player
        ([('D', 'D')], 'D')
    """

    users: tuple[str, ...]
    """Who sat in the user's chair."""
    assistants: tuple[str, ...]
    """Who sat in the assistant's chair."""
    payoffs: Floats
    """(users, assistants, episodes, 2): payoff of each side per episode, utils; the same seed in the same place."""

    def __post_init__(self) -> None:
        """Check the names and the shape."""
        for chair, names in (("user", self.users), ("assistant", self.assistants)):
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise UsageError(
                    f"cross-play: {twice!r} sits in the {chair}'s chair twice: give each player a name of its own"
                )
        payoffs = np.asarray(self.payoffs, dtype=np.float64)
        shape = (len(self.users), len(self.assistants), payoffs.shape[2] if payoffs.ndim == 4 else 0, 2)
        if payoffs.shape != shape or not payoffs.size or not np.isfinite(payoffs).all():
            raise UsageError(
                f"cross-play: expected finite payoffs of shape (users, assistants, episodes, 2), here ({shape[0]}, {shape[1]}, "
                f"≥ 1, 2), got shape {payoffs.shape}"
            )
        object.__setattr__(self, "payoffs", payoffs)

    @property
    def means(self) -> Floats:
        """(users, assistants, 2): mean payoff of each side, utils."""
        means: Floats = self.payoffs.mean(axis=2)
        return means

    def meta_game(self) -> Bimatrix:
        """Return the game in which each side chooses whom to send."""
        means = self.means
        return Bimatrix(means[..., 0], means[..., 1], self.users, self.assistants)

    def resampled(self, rng: np.random.Generator, resamples: int = 2000) -> Floats:
        """Return bootstrap means, shape (resamples, users, assistants, 2); whole seeds are drawn, all pairs together."""
        episodes = self.payoffs.shape[2]
        counts = rng.multinomial(episodes, np.full(episodes, 1.0 / episodes), size=resamples)  # (resamples, episodes)
        drawn: Floats = np.einsum("re,uaes->ruas", counts.astype(np.float64), self.payoffs) / episodes
        return drawn

    def intervals(self, rng: np.random.Generator, *, level: float = 0.95, resamples: int = 2000) -> Floats:
        """Return percentile bootstrap intervals of the means, shape (2, users, assistants, 2): low, high."""
        tail = (1.0 - level) / 2.0
        bounds: Floats = np.quantile(self.resampled(rng, resamples), [tail, 1.0 - tail], axis=0)
        return bounds

    def stability(self, rng: np.random.Generator, *, resamples: int = 2000, tolerance: float = 1e-9) -> float:
        """Return the share of bootstrap resamples in which the meta-game has the same set of pure equilibria.

        It says whether the conclusion would flip in another run with other episodes; 1 where nothing is left to chance.
        """
        means, drawn = self.means, self.resampled(rng, resamples)
        found = pure_nash_cells(means[..., 0], means[..., 1], tolerance=tolerance)
        again = pure_nash_cells(drawn[..., 0], drawn[..., 1], tolerance=tolerance)
        return float((again == found).all(axis=(1, 2)).mean())

    def ranking(self, rng: np.random.Generator | None = None, *, level: float = 0.95) -> tuple[Standing, ...]:
        """Return all players, the best first; the two chairs apart where not everybody sat in both.

        Args:
            rng: Draws the resamples of the intervals; there are none without it.
            level: Of the intervals.
        """
        user = dict(zip(self.users, self.payoffs[..., 0].mean(axis=1), strict=True))  # (episodes,) for each
        assistant = dict(zip(self.assistants, self.payoffs[..., 1].mean(axis=0), strict=True))
        if set(self.users) == set(self.assistants):
            seats: list[tuple[str, Chair]] = [(name, "both") for name in self.users]
        else:
            seats = [*((name, "user") for name in self.users), *((name, "assistant") for name in self.assistants)]
        standings = [
            _standing(
                name,
                chair,
                (None if chair == "assistant" else user[name], None if chair == "user" else assistant[name]),
                rng,
                level,
            )
            for name, chair in seats
        ]
        return tuple(sorted(standings, key=lambda standing: (standing.chair != "user", -standing.score)))


def _standing(
    name: str, chair: Chair, scores: tuple[Floats | None, Floats | None], rng: np.random.Generator | None, level: float
) -> Standing:
    user, assistant = scores
    per_episode = np.mean([score for score in scores if score is not None], axis=0)  # (episodes,)
    sure = rng is not None and len(per_episode) > 1
    return Standing(
        player=name,
        chair=chair,
        score=float(per_episode.mean()),
        interval=bootstrap(per_episode, rng, level=level) if sure and rng is not None else None,
        as_user=None if user is None else float(user.mean()),
        as_assistant=None if assistant is None else float(assistant.mean()),
    )


def meta_equilibria(game: Bimatrix) -> tuple[tuple[Equilibrium, ...], bool]:
    """Return equilibria of a meta-game, and whether these are all extreme ones.

    Strictly dominated players are left out first: no equilibrium sends them. Where more than ``MOST_LISTED`` of a side are left,
    or the rest is too large to search (see ``Bimatrix.nash``), it is all pure equilibria, or where there is none, one that mixes.

    Example:
        >>> found, all_of_them = meta_equilibria(Bimatrix([[1, -1], [-1, 1]], [[-1, 1], [1, -1]]))
        >>> len(found), all_of_them
        (1, True)
    """
    left = game.dominance("strict")
    rows, columns = (_places(game.user_moves, left.user_moves), _places(game.assistant_moves, left.assistant_moves))
    if max(len(rows), len(columns)) <= MOST_LISTED:
        kept = np.ix_(rows, columns)
        try:
            found = Bimatrix(game.user[kept], game.assistant[kept]).nash()
        except UsageError:  # too large after all
            pass
        else:
            return tuple(_widened(one, game.shape, rows, columns) for one in found), True
    cells = np.argwhere(pure_nash_cells(game.user, game.assistant))
    pure = tuple(_pure(game, int(row), int(column)) for row, column in cells)
    return pure or (game.find_nash(),), False


def _places(names: Sequence[str], kept: Sequence[str]) -> list[int]:
    return [place for place, name in enumerate(names) if name in set(kept)]


def _widened(found: Equilibrium, shape: tuple[int, int], rows: list[int], columns: list[int]) -> Equilibrium:
    """Return an equilibrium of some rows and columns as one of the whole game."""
    sides = []
    for chances, places, count in ((found.user, rows, shape[0]), (found.assistant, columns, shape[1])):
        whole: list[Fraction | float] = [Fraction(0)] * count
        for place, chance in zip(places, chances, strict=True):
            whole[place] = chance
        sides.append(tuple(whole))
    return dataclasses.replace(found, user=sides[0], assistant=sides[1])


def _pure(game: Bimatrix, row: int, column: int) -> Equilibrium:
    rows, columns = game.shape
    return Equilibrium(
        user=tuple(float(i == row) for i in range(rows)),
        assistant=tuple(float(j == column) for j in range(columns)),
        user_payoff=float(game.user[row, column]),
        assistant_payoff=float(game.assistant[row, column]),
        exact=False,
    )


def cross_play(
    env: GameEnv,
    users: Sequence[Persona],
    assistants: Sequence[Policy],
    *,
    episodes: int,
    seed: int = 0,
) -> Iterator[tuple[int, int, Episode]]:
    """Play everybody against everybody on the same episode seeds.

    Args:
        env: The game.
        users: Who sits in the user's chair, one after the other.
        assistants: Who sits in the assistant's chair.
        episodes: How many each pair plays.
        seed: Seed of the run; the seeds of the episodes follow from it.

    Yields:
        Place of the user, place of the assistant, and the record, as each episode is finished.

    Example:
        >>> from gtalign_env import parallel_env
        >>> from gtalign_env.registration import ASSISTANTS, PERSONAS
        >>> people, helpers = [PERSONAS.get("concise")()], [ASSISTANTS.get("fixed")(), ASSISTANTS.get("heuristic")()]
        >>> [place[:2] for place in cross_play(parallel_env("assist"), people, helpers, episodes=1)]
        [(0, 0), (0, 1)]
    """
    for row, persona in enumerate(users):
        for column, assistant in enumerate(assistants):
            for episode_seed in episode_seeds(seed, episodes):
                yield row, column, play_episode(env, persona, assistant, seed=episode_seed)
