"""A finite population of types, from which θ is drawn."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from gtalign_env.errors import UnknownNameError, UsageError
from gtalign_env.types import UserType

__all__ = ["UserMix", "resolve_type"]


class UserMix:
    """A finite population: named types and their shares.

    Args:
        users: A type's name, a type, a mapping from name or type to weight, or a list of types (equal shares).
        known: The named types.

    Raises:
        UnknownNameError: A name is not among ``known``.
        UsageError: A weight is negative or not finite, or nothing has weight.

    Example:
        >>> mix = UserMix({"a": 3.0, "b": 1.0}, {"a": UserType(name="a"), "b": UserType(name="b")})
        >>> mix.shares, mix.draw(np.random.default_rng(0)).name
        ((0.75, 0.25), 'a')
    """

    def __init__(self, users: Any, known: Mapping[str, UserType]) -> None:
        if isinstance(users, (str, UserType)):
            users = {users: 1.0}
        elif not isinstance(users, Mapping):
            try:
                users = dict.fromkeys(users, 1.0)
            except TypeError:
                raise UsageError(f"users: expected a type, a list of types or shares by type, got {users!r}") from None
        types, weights = [], []
        for user, weight in users.items():
            if isinstance(user, str):
                if user not in known:
                    raise UnknownNameError("user type", user, known)
                user = known[user]
            if not isinstance(user, UserType):
                raise UsageError(f"users: expected names or UserType objects, got {user!r}")
            if not isinstance(weight, (int, float)) or not math.isfinite(weight) or weight < 0:
                raise UsageError(f"users: the share of {user.name!r} must be a finite number >= 0, got {weight!r}")
            types.append(user)
            weights.append(float(weight))
        if not sum(weights) > 0:
            raise UsageError("users: expected at least one type with a positive share")
        self.types: tuple[UserType, ...] = tuple(types)
        self.shares: tuple[float, ...] = tuple(weight / sum(weights) for weight in weights)
        self._cumulative = np.cumsum(self.shares).tolist()

    def draw(self, rng: Any) -> UserType:
        """Draw a type."""
        return self.types[min(bisect.bisect_right(self._cumulative, rng.random()), len(self.types) - 1)]


def resolve_type(user_type: Any, known: Mapping[str, UserType]) -> UserType:
    """Return the type that a reset option means: a name, a dict of θ's fields, or a type.

    Raises:
        UnknownNameError: The name is not known.
        UsageError: The dict has an unknown field or a value out of range, or it is something else.

    Example:
        >>> resolve_type({"ideal_tokens": 60}, {}).ideal_tokens
        60.0
    """
    if isinstance(user_type, UserType):
        return user_type
    if isinstance(user_type, str):
        if user_type not in known:
            raise UnknownNameError("user type", user_type, known)
        return known[user_type]
    if isinstance(user_type, Mapping):
        return UserType.from_mapping(user_type)
    raise UsageError(f"option 'user_type': expected a name or a dict of θ's fields, got {user_type!r}")
