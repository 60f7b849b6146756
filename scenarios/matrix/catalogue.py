"""The matrix games as scenarios: one factory per registered id.

Every factory takes the same options (``golden_balls`` its jackpot instead of a variant):

* ``variant``: which payoffs, ``"classic"`` or one of the game's others;
* ``rounds``: how often the game is played, 1 to 1,000;
* ``talk``, ``first_speaker``, ``personality``, ``caution``: see ``scenarios.talk.config.Talk``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.scenarios.matrix.games import CLASSIC, MATRICES, Matrix, MatrixGame, cells
from gtalign_env.scenarios.matrix.repeated import repeated_matrix
from gtalign_env.scenarios.options import is_number
from gtalign_env.scenarios.talk.config import Talk
from gtalign_env.types import Role

__all__ = [
    "battle_of_sexes",
    "chicken",
    "duopoly",
    "golden_balls",
    "iesds",
    "imbalanced_actions",
    "odd_even",
    "prisoners_dilemma",
    "radio_station",
    "rock_paper_scissors",
    "stag_hunt",
    "wait_go",
    "weakly_dominated",
]

_MOST_JACKPOT = 1e9


def _factory(game: MatrixGame) -> Callable[..., FiniteScenario]:
    """Return the function that makes a game's scenario; it must stand in this module under the game's name."""

    def make(
        *,
        variant: str = CLASSIC,
        rounds: int = 1,
        talk: int = 0,
        first_speaker: Role = "user",
        personality: str = "rational",
        caution: int = 0,
    ) -> FiniteScenario:
        if not isinstance(variant, str) or variant not in game.variants:
            raise UnknownNameError(f"variant of {game.name!r}", variant, game.variants)
        manner = Talk(rounds=talk, first_speaker=first_speaker, personality=personality, caution=caution)
        return _scenario(game, make, game.variants[variant], rounds, manner, {"variant": variant})

    make.__name__ = make.__qualname__ = game.name
    make.__doc__ = f"""Make the scenario. {game.description}

    Args:
        variant: Which payoffs: {", ".join(game.variants)}.
        rounds: How often the game is played, 1 to 1,000.
        talk: Rounds of talk before every move, 0 to 16.
        first_speaker: Who speaks first in every round of talk: user or assistant.
        personality: What players are told about themselves in their briefing; see ``PERSONALITIES``.
        caution: What they are told about trusting words, 0 to 6; see ``CAUTIONS``.

    Raises:
        UsageError: An option is out of range, or the tables would not fit.
    """
    return make


def _scenario(
    game: MatrixGame,
    factory: Callable[..., FiniteScenario],
    payoffs: tuple[Matrix, Matrix],
    rounds: int,
    talk: Talk,
    own: dict[str, Any],
) -> FiniteScenario:
    """Return the scenario of a game; ``own`` are the options that are not talk's or the number of rounds."""
    options = {**own, "rounds": rounds, **talk.options()}
    return repeated_matrix(
        name=game.name,
        description=game.description,
        user_moves=game.user_moves,
        assistant_moves=game.assistant_moves,
        user=payoffs[0],
        assistant=payoffs[1],
        rounds=rounds,
        talk=talk,
        config=options,
        recipe=(factory, options),
    )


prisoners_dilemma = _factory(MATRICES["prisoners_dilemma"])
stag_hunt = _factory(MATRICES["stag_hunt"])
battle_of_sexes = _factory(MATRICES["battle_of_sexes"])
wait_go = _factory(MATRICES["wait_go"])
duopoly = _factory(MATRICES["duopoly"])
rock_paper_scissors = _factory(MATRICES["rock_paper_scissors"])
iesds = _factory(MATRICES["iesds"])
imbalanced_actions = _factory(MATRICES["imbalanced_actions"])
weakly_dominated = _factory(MATRICES["weakly_dominated"])
radio_station = _factory(MATRICES["radio_station"])
chicken = _factory(MATRICES["chicken"])
odd_even = _factory(MATRICES["odd_even"])


def golden_balls(
    *,
    jackpot: float = 1000.0,
    rounds: int = 1,
    talk: int = 0,
    first_speaker: Role = "user",
    personality: str = "rational",
    caution: int = 0,
) -> FiniteScenario:
    """Make the scenario: split or steal a jackpot; one thief takes all, two take nothing.

    Stealing weakly dominates; Van den Assem, van Dolder and Thaler (2012) studied people who play it for large stakes.

    Args:
        jackpot: What lies on the table, utils, above 0 and at most 1,000,000,000.
        rounds: How often the game is played, 1 to 1,000.
        talk: Rounds of talk before every move, 0 to 16.
        first_speaker: Who speaks first in every round of talk: user or assistant.
        personality: What players are told about themselves in their briefing; see ``PERSONALITIES``.
        caution: What they are told about trusting words, 0 to 6; see ``CAUTIONS``.

    Raises:
        UsageError: An option is out of range, or the tables would not fit.

    Example:
        >>> golden_balls(jackpot=500).game.user.tolist()
        [[250.0, 0.0], [500.0, 0.0]]
    """
    if not is_number(jackpot, _MOST_JACKPOT) or jackpot == 0:
        raise UsageError(
            f"option 'jackpot': expected a number above 0 and at most {_MOST_JACKPOT:,.0f}, got {jackpot!r}"
        )
    payoffs = cells([(jackpot / 2, jackpot / 2), (0.0, jackpot)], [(jackpot, 0.0), (0.0, 0.0)])
    game = MatrixGame(
        name="golden_balls",
        description="Split or steal a jackpot: one thief takes all, two take nothing.",
        user_moves=("split", "steal"),
        assistant_moves=("split", "steal"),
        variants={CLASSIC: payoffs},
    )
    talking = Talk(rounds=talk, first_speaker=first_speaker, personality=personality, caution=caution)
    return _scenario(game, golden_balls, payoffs, rounds, talking, {"jackpot": float(jackpot)})
