"""Asking an engine: one answer for every row, or it says what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gtalign_env.errors import ModelError
from gtalign_env.protocols import Backend, Generation, Sampling

__all__ = ["asked"]


def asked(backend: Backend, rows: Sequence[Any], sampling: Sampling) -> list[Generation]:
    """Return what a backend makes of some rows.

    Raises:
        ModelError: It returned more or fewer answers than there are rows: nobody could tell which is whose.

    Example:
        >>> from gtalign_env.agents.backends.fake import EchoBackend
        >>> asked(EchoBackend(), [[{"role": "user", "content": "Hi"}]], Sampling())[0].text
        'Hi'
    """
    made = list(backend.generate(rows, sampling))
    if len(made) != len(rows):
        raise ModelError(f"{backend.name}: expected {len(rows)} answers to {len(rows)} prompts, got {len(made)}")
    return made
