"""Talk before play: rounds of messages that bind nobody, laid over any compiled game of open rules.

``config`` holds the options, ``manners`` the personalities and cautions, ``compiled`` the table transformer, ``game`` puts a
scenario together, ``briefing`` tells its rules in words.
"""

from __future__ import annotations

from gtalign_env.scenarios.talk.config import Talk
from gtalign_env.scenarios.talk.manners import CAUTIONS, PERSONALITIES

__all__ = ["CAUTIONS", "PERSONALITIES", "Talk"]
