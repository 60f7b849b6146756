"""Fakes for chains: the published example as a payoff block, backends that remember, refuse or fail, a seated assistant."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from gtalign_env.agents.chain import ChainAssistant, make_moves
from gtalign_env.protocols import Generation, Sampling
from gtalign_env.registration import make_scenario
from gtalign_env.types import ASSISTANT_MOVES

MOVES = make_moves("paper")
PAPER: dict[str, tuple[float, float]] = {
    "VQ|DA": (1, 1),
    "VQ|AQ": (4, 0),
    "VQ|CQ": (1, 0),
    "DQ|DA": (0, 1),
    "DQ|AQ": (3, 3),
    "DQ|CQ": (2, 1),
}
"""The published example: the pure equilibrium is VQ|DA, the welfare optimum DQ|AQ."""
ANSWER = "It is Paris."
BOTH = "It is Paris. Which year do you have in mind?"
QUESTION = "Which one do you mean?"


def payoffs(cells: dict[str, tuple[float, float]] = PAPER) -> str:
    """Return a payoff block's text."""
    return json.dumps({key: {"user": user, "assistant": assistant} for key, (user, assistant) in cells.items()})


def blocks(**changes: str) -> list[tuple[str, str]]:
    """Return the blocks that a fake writes, some changed."""
    made = {"thinking": "It may be either.", "payoff": payoffs(), "analyze": "Good.\nchoice: DQ|AQ", "response": BOTH}
    return list({**made, **changes}.items())


class Recording:
    """A backend that passes everything on and remembers it."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.name = "recording"
        self.calls: list[tuple[list[Any], Sampling]] = []

    def generate(self, conversations: Sequence[Any], sampling: Sampling) -> list[Generation]:
        """Pass a call on."""
        self.calls.append((list(conversations), sampling))
        made: list[Generation] = self.backend.generate(conversations, sampling)
        return made

    def count_tokens(self, text: str) -> int:
        """Count tokens."""
        return int(self.backend.count_tokens(text))


class Unruly(Recording):
    """A backend that holds no model to a schema, and says so."""

    def generate(self, conversations: Sequence[Any], sampling: Sampling) -> list[Generation]:
        """Refuse schemas."""
        made = super().generate(conversations, sampling)
        if not sampling.json_schema:
            return made
        return [Generation(text="", finish_reason="error", error="no schemas here") for _ in made]


class Failing(Recording):
    """A backend whose calls fail where ``fails`` says so, by number of the call and place."""

    def __init__(self, backend: Any, fails: Callable[[int, int], bool]) -> None:
        super().__init__(backend)
        self.fails = fails

    def generate(self, conversations: Sequence[Any], sampling: Sampling) -> list[Generation]:
        """Fail some rows."""
        made = super().generate(conversations, sampling)
        broken = Generation(text="", finish_reason="error", error="out of memory")
        return [broken if self.fails(len(self.calls) - 1, place) else row for place, row in enumerate(made)]


def info(said: str = "How far is it?", **more: Any) -> dict[str, Any]:
    """Return what the environment tells the assistant."""
    return {"messages": [{"role": "user", "content": said}], **more}


def seated(backend: Any, **settings: Any) -> ChainAssistant:
    """Return an assistant in a chat's chair, with the six published cells."""
    assistant = ChainAssistant(backend, **{"moves": MOVES, **settings})
    assistant.sit(make_scenario("assist_text"), "assistant")
    assistant.reset(0)
    return assistant


def index(name: str) -> int:
    """Return the index of one of the assistant's moves."""
    return [move.name for move in ASSISTANT_MOVES].index(name)
