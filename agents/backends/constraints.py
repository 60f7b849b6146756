"""Holding a completion to a grammar, token by token, with llguidance: which tokens may come next, and when it is done.

vLLM has llguidance of its own; here it serves the transformers backend.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gtalign_env.agents.backends.json_grammar import json_grammar
from gtalign_env.errors import ModelError, require

__all__ = ["Grammars", "Guide"]

_FEATURE = "holding a model to a JSON schema"
_KEPT = 32


class Guide:
    """The way of one completion through a grammar."""

    def __init__(self, matcher: Any) -> None:
        self._matcher = matcher

    @property
    def done(self) -> bool:
        """Whether the text is complete: nothing can follow but the end."""
        return bool(self._matcher.is_stopped())

    @property
    def error(self) -> str:
        """What went wrong inside the grammar engine; empty while all is well."""
        return _reason(self._matcher.get_error())

    def allowed(self, size: int) -> npt.NDArray[np.bool_]:
        """Return which of ``size`` tokens may come next, shape (size,)."""
        packed = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        bits = np.unpackbits(packed, bitorder="little")[:size].astype(np.bool_)
        return np.pad(bits, (0, size - len(bits)))

    def accept(self, token: int) -> None:
        """Take a step; a token that was not allowed leaves an ``error``."""
        self._matcher.consume_token(token)


class Grammars:
    """Makes guides for one tokenizer. The tokenizer is read, and a grammar compiled, when first needed, and kept.

    Args:
        tokenizer: A fast tokenizer of transformers.
        size: Number of tokens the model chooses among.
        ends: Ids that end a text.

    Example:
        >>> Grammars(tokenizer=None, size=9, ends=frozenset([1])).guide("{")
        Traceback (most recent call last):
        ...
        gtalign_env.errors.UsageError: json_schema: expected the JSON text of a schema: Expecting property name enclosed
        in double quotes: line 1 column 2 (char 1)
    """

    def __init__(self, tokenizer: Any, *, size: int, ends: frozenset[int]) -> None:
        self._tokenizer = tokenizer
        self._size = size
        self._ends = sorted(ends)
        self._vocabulary: Any = None
        self._compiled: dict[str, Any] = {}

    def guide(self, schema: str) -> Guide:
        """Return a fresh guide through the JSON texts of a schema.

        Raises:
            UsageError: That is no JSON schema.
            MissingExtraError: llguidance is not installed.
            ModelError: llguidance cannot read the schema, or this tokenizer.
        """
        grammar = json_grammar(schema)
        if grammar not in self._compiled:
            matcher = self._compile(grammar)
            while len(self._compiled) >= _KEPT:
                del self._compiled[next(iter(self._compiled))]
            self._compiled[grammar] = matcher
        return Guide(self._compiled[grammar].deep_copy())

    def _compile(self, grammar: str) -> Any:
        llguidance: Any = require("llguidance", feature=_FEATURE, extra="hf")
        if self._vocabulary is None:
            self._vocabulary = self._read_vocabulary()
        matcher = llguidance.LLMatcher(self._vocabulary, llguidance.LLMatcher.grammar_from_lark(grammar), log_level=0)
        if matcher.is_error():
            raise ModelError(f"this JSON schema cannot be used to constrain a model: {_reason(matcher.get_error())}")
        return matcher

    def _read_vocabulary(self) -> Any:
        hf: Any = require("llguidance.hf", feature=_FEATURE, extra="hf")
        size = max(self._size, len(self._tokenizer))
        try:
            return hf.from_tokenizer(self._tokenizer, n_vocab=size, eos_token=self._ends or None)
        except Exception as error:  # what a tokenizer lacks comes out as a ValueError, or as a panic of the Rust side
            raise ModelError(f"this tokenizer cannot be held to a JSON schema: {_reason(str(error))}") from error


def _reason(text: str) -> str:
    """Return the first line of a message; behind it llguidance prints its inner state."""
    return next((line.strip()[:300] for line in text.splitlines() if line.strip()), "")
