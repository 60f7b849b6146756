"""Which divisions a negotiation is about: named sets of games, or games that people write down."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.games.division import ITEMS, Division
from gtalign_env.games.division_space import TOTAL, all_divisions, select_divisions
from gtalign_env.scenarios.negotiation.state import MOST_OF_A_KIND

__all__ = ["CONTEXTS", "load_contexts", "read_context"]

CONTEXTS: dict[str, str] = {
    "all": "every game of the space (5,295)",
    "selected": "the hard ones, by the rule of select_divisions (989)",
    "fair": "the hard ones that have an envy-free allocation (788)",
}
"""Named sets of games."""

_FIELDS = ("counts", "user_values", "assistant_values")


def load_contexts(contexts: Any) -> tuple[Division, ...]:
    """Return the games that an option names.

    Args:
        contexts: A name in ``CONTEXTS``, one game, or a list of games (see ``read_context``).

    Raises:
        UnknownNameError: No set has this name.
        UsageError: It is neither a name nor games, or a game is none of deal-or-no-deal.

    Example:
        >>> len(load_contexts("fair"))
        788
    """
    if isinstance(contexts, str):
        return _named(contexts)
    if isinstance(contexts, (Division, Mapping)):
        contexts = [contexts]
    if not isinstance(contexts, Sequence) or not contexts:
        raise UsageError(f"option 'contexts': expected {', '.join(CONTEXTS)} or a list of games, got {contexts!r}")
    return tuple(read_context(context) for context in contexts)


@functools.cache
def _named(name: str) -> tuple[Division, ...]:
    if name not in CONTEXTS:
        raise UnknownNameError("set of contexts", name, CONTEXTS)
    if name == "all":
        return all_divisions()
    hard = select_divisions(all_divisions())
    return hard if name == "selected" else tuple(game for game in hard if game.envy_free.any())


def read_context(context: Any) -> Division:
    """Return one game.

    Args:
        context: A ``Division``, or a mapping with ``counts``, ``user_values`` and ``assistant_values``.

    Raises:
        UsageError: It is none of these, or breaks the rules: three kinds, one to four items of each, all together worth 10.

    Example:
        >>> read_context({"counts": [1, 1, 3], "user_values": [1, 3, 2], "assistant_values": [1, 0, 3]}).difficulty
        -4
    """
    if isinstance(context, Mapping) and set(context) == set(_FIELDS):
        context = Division(*(context[field] for field in _FIELDS))
    if not isinstance(context, Division):
        raise UsageError(f"context: expected a Division or a dict with {', '.join(_FIELDS)}, got {context!r}")
    if len(context.counts) != len(ITEMS) or max(context.counts) > MOST_OF_A_KIND or context.total != TOTAL:
        raise UsageError(
            f"context: expected {len(ITEMS)} kinds of items, one to {MOST_OF_A_KIND} of each, worth {TOTAL} together, "
            f"got counts {context.counts} worth {context.total}"
        )
    return context
