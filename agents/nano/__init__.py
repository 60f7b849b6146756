"""Nano: the small language model that comes with the package, and how it plays.

It knows the small tasks (``load_tasks("small")``) and nothing else, and speaks the reasoning chain with five moves of its own.
``CARD.md`` says how it was made and what it can do; ``gtalign train nano`` makes it anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gtalign_env.agents.chain import ChainAssistant, ChainBudget
from gtalign_env.agents.chain.context import Steer
from gtalign_env.agents.nano.settings import BLOCK_TOKENS, MOVES, TEMPERATURE, is_nano
from gtalign_env.errors import UsageError
from gtalign_env.protocols import Backend, Sampling, Scenario
from gtalign_env.types import Role

__all__ = ["BLOCK_TOKENS", "FOLDER", "MOVES", "TEMPERATURE", "NanoAssistant", "is_nano", "make_nano", "nano_backend"]

FOLDER = Path(__file__).parent
"""Where the shipped model is."""


def nano_backend(
    what: str = "",
    *,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int = 64,
    max_context: int | None = None,
) -> Backend:
    """Return the engine of nano.

    Args:
        what: The folder of another nano, as ``gtalign train nano`` writes it; the shipped one where empty.
        device: See ``TransformersBackend``.
        dtype: See ``TransformersBackend``.
        batch_size: See ``TransformersBackend``.
        max_context: See ``TransformersBackend``.

    Raises:
        MissingExtraError: torch or transformers is not installed.
        ModelError: There is no model in the folder.
    """
    from gtalign_env.agents.backends.transformers import TransformersBackend

    made = TransformersBackend(
        what or FOLDER, device=device, dtype=dtype, batch_size=batch_size, max_context=max_context, bos=False
    )
    made.name = f"nano:{Path(what).expanduser().resolve().name}" if what else "nano"
    return made


class NanoAssistant(ChainAssistant):
    """Nano in the assistant's chair: a chain in a chat."""

    def sit(self, scenario: Scenario, role: Role) -> None:
        """Take the assistant's chair.

        Raises:
            UsageError: It is the user's chair, or a game without words, of which nano has never seen one.
        """
        if scenario.view != "text":
            raise UsageError(
                f"assistant {self.name!r} speaks in chats only, such as gtalign/AssistText-v0 with the tasks 'small', and "
                f"{scenario.name!r} is a game of moves; take 'heuristic', or train a policy: gtalign train strategic"
            )
        super().sit(scenario, role)


def make_nano(
    what: str = "", *, sampling: Sampling | None = None, steer: Steer | None = None, **options: Any
) -> ChainAssistant:
    """Return nano as an assistant: a chain with its own moves, temperature and budget, unless it is told otherwise.

    Args:
        what: See ``nano_backend``.
        sampling: See ``ChainAssistant``.
        steer: See ``ChainAssistant``.
        **options: Settings of a chain (``ChainSettings``); all others are passed to the engine, e.g. ``device="cpu"``.

    Raises:
        MissingExtraError: torch or transformers is not installed.
    """
    engine = {name: options.pop(name) for name in ("device", "dtype", "batch_size", "max_context") if name in options}
    settings = {"moves": MOVES, "budget": ChainBudget(**BLOCK_TOKENS), **options}
    ChainAssistant.check(settings)
    return NanoAssistant(
        nano_backend(what, **engine),
        sampling=Sampling(temperature=TEMPERATURE) if sampling is None else sampling,
        steer=steer,
        **settings,
    )
