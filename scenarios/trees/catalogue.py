"""The trees as scenarios: one factory per registered id, all with the options of talk."""

from __future__ import annotations

from collections.abc import Callable

from gtalign_env.finite import FiniteScenario
from gtalign_env.scenarios.talk.config import Talk
from gtalign_env.scenarios.trees.compiled import tree_scenario
from gtalign_env.scenarios.trees.games import TREES
from gtalign_env.types import Role

__all__ = ["draco", "escalation", "hot_cold", "monopoly", "trigame"]


def _factory(name: str) -> Callable[..., FiniteScenario]:
    """Return the function that makes a game's scenario; it must stand in this module under the game's name."""
    game = TREES[name]

    def make(
        *, talk: int = 0, first_speaker: Role = "user", personality: str = "rational", caution: int = 0
    ) -> FiniteScenario:
        manner = Talk(rounds=talk, first_speaker=first_speaker, personality=personality, caution=caution)
        options = manner.options()
        return tree_scenario(
            game.tree, name=name, description=game.description, talk=manner, config=options, recipe=(make, options)
        )

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"""Make the scenario. {game.description}

    Args:
        talk: Rounds of talk before every move, 0 to 16.
        first_speaker: Who speaks first in every round of talk: user or assistant.
        personality: What players are told about themselves in their briefing; see ``PERSONALITIES``.
        caution: What they are told about trusting words, 0 to 6; see ``CAUTIONS``.

    Raises:
        UsageError: An option is out of range.
    """
    return make


escalation = _factory("escalation")
monopoly = _factory("monopoly")
hot_cold = _factory("hot_cold")
draco = _factory("draco")
trigame = _factory("trigame")
