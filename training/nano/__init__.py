"""The recipe of nano, the small model that comes with the package."""

from __future__ import annotations
