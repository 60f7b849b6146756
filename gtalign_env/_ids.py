"""The ids that come with the package, as strings: the core imports none of what they name."""

from __future__ import annotations

import gymnasium

from gtalign_env.registration import register_scenario

__all__ = ["register_all"]


def register_all() -> None:
    """Register every shipped id with PettingZoo's registry and with Gymnasium's."""
    register_scenario(
        "gtalign/Assist-v0",
        "gtalign_env.scenarios.assist.scenario:assist",
        view="strategic",
        kind="session",
        description="A user with a latent preference brings several questions; the assistant answers, asks or declines.",
        short="assist",
    )
    register_scenario(
        "gtalign/AssistText-v0",
        "gtalign_env.scenarios.text.scenario:assist_text",
        view="text",
        kind="session",
        description="The same session in natural language: turns, transcripts, graded replies.",
        short="assist_text",
    )
    register_scenario(
        "gtalign/Matrix-v0",
        "gtalign_env.scenarios.matrix.paper:paper_matrix",
        view="strategic",
        kind="matrix",
        description="The paper's 2x3 example: vague or detailed questions against answers and clarifying questions.",
        short="matrix",
    )
    for id, factory in (("gtalign/Assistant-v0", "assistant_env"), ("gtalign/User-v0", "user_env")):
        if id not in gymnasium.registry:
            gymnasium.register(id, f"gtalign_env.single_agent:{factory}")
