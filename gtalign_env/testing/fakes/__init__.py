"""Stand-ins for tests: a small environment, a language-model engine without a model, a player that follows a script."""

from __future__ import annotations

from gtalign_env.testing.fakes.backend import FakeBackend
from gtalign_env.testing.fakes.env import GenericEnv, GenericState
from gtalign_env.testing.fakes.policy import ScriptedPolicy

__all__ = ["FakeBackend", "GenericEnv", "GenericState", "ScriptedPolicy"]
