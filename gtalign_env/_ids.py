"""The ids that come with the package, as strings: the core imports none of what they name."""

from __future__ import annotations

import gymnasium

from gtalign_env.registration import ASSISTANTS, BACKENDS, PERSONAS, register_scenario

__all__ = ["SINGLE_AGENT", "register_all"]

SINGLE_AGENT: dict[str, tuple[str, str]] = {
    "gtalign/Assistant-v0": (
        "assistant_env",
        'The assistant\'s chair for one learner; people sit opposite. scenario="gtalign/AssistText-v0" for the text view.',
    ),
    "gtalign/User-v0": (
        "user_env",
        'The user\'s chair for one learner; an assistant sits opposite. scenario="gtalign/AssistText-v0" for the text view.',
    ),
}
"""Gymnasium's ids: what makes them (in ``gtalign_env.single_agent``), and a description."""

_PERSONAS: dict[str, str] = {
    "concise": "Wants one line, and says so when it gets a page.",
    "detailed": "Wants the whole picture with the reasons, and is let down by one-liners.",
    "balanced": "Easy-going and fair: neither a telegram nor an essay.",
    "hurried": "Impatient: types with one thumb, hates being asked back, leaves when it drags.",
    "over_vague": "Never says which one it means, and answers questions with a wave of the hand.",
    "adversarial": "Games the assistant: calls every answer too short, then every long one too long.",
    "drifting": "Starts out brisk and grows curious: each question wants about twice the answer of the last.",
    "expert": "Precise: every question is fully specified, every wrong answer is noticed.",
    "thrifty": "Price-sensitive: counts every credit and every needless question.",
    "chatty": "Warm and wordy: thanks for everything, so its thanks mean little.",
    "random": "Uniform legal moves in any scenario: the baseline that listens to nothing.",
}
_ASSISTANTS: dict[str, tuple[str, str]] = {
    "heuristic": (
        "heuristic:HeuristicAssistant",
        "Asks when it pays, learns the wanted length from reactions, declines harm.",
    ),
    "fixed": ("fixed:FixedAssistant", "One move for ever: fixed:DA_short … fixed:AQ_long, fixed:CQ, fixed:DECLINE."),
    "random": ("random:RandomAssistant", "Uniform legal moves in any scenario."),
    "oracle": (
        "oracle:OracleAssistant",
        "Demos and tests only: plays the heuristic's moves with the reference answers in hand.",
    ),
}


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
    for id, (factory, _) in SINGLE_AGENT.items():
        if id not in gymnasium.registry:
            gymnasium.register(id, f"gtalign_env.single_agent:{factory}")
    for name, description in _PERSONAS.items():
        PERSONAS.register(name, f"gtalign_env.agents.users.shipped:{name}", description=description)
    for name, (entry, description) in _ASSISTANTS.items():
        ASSISTANTS.register(name, f"gtalign_env.agents.assistants.{entry}", description=description)
    BACKENDS.register(
        "transformers",
        "gtalign_env.agents.backends.transformers:TransformersBackend",
        description="A Hugging Face model or .gguf file in this process: transformers:PATH.",
    )
    BACKENDS.register(
        "fake",
        "gtalign_env.agents.backends.fake:fake_backend",
        description="Deterministic, without a model: fake:echo, fake:rules, fake:scripted=ONE|TWO.",
    )
