"""Episodes of the text view with chains in them, made by hand: what a model stated, announced and did."""

from __future__ import annotations

from typing import Any

from gtalign_env.episode import Episode, SideRecord, StepRecord
from gtalign_env.types import ASSISTANT, USER

MATRIX: dict[str, Any] = {
    "user": [[1.0, 4.0, 1.0], [0.0, 3.0, 2.0]],
    "assistant": [[1.0, 0.0, 0.0], [1.0, 3.0, 1.0]],
    "user_moves": ["VQ", "DQ"],
    "assistant_moves": ["DA", "AQ", "CQ"],
}
"""The paper's example: by the welfare √(U·L) the best cell is DQ_AQ, worth (3, 3)."""


def reply(
    made: str,
    *,
    chain: dict[str, Any] | None = None,
    announced: str = "",
    user: float = 0.0,
    assistant: float = 0.0,
    clarity: str = "vague",
    kind: str = "simple",
    prompt: str = "Who?",
    question: int = 0,
    **outcome: float,
) -> StepRecord:
    """Return a step in which the assistant replied."""
    messages = [{"role": "system", "content": "Play."}, {"role": "user", "content": prompt}]
    model = {"conversation": messages, **({} if chain is None else {"chain": chain})}
    return StepRecord(
        user=SideRecord(digest="u", move="WAIT", payoff=user, items={"value": user}),
        assistant=SideRecord(
            digest="a",
            move=made,
            announced=announced,
            text=f"({made})",
            payoff=assistant,
            items={"revenue": assistant, "retention": 0.0},
            model=model,
        ),
        outcome={"tokens_out": 100.0, "quality": 0.0, "wrong": 0.0, "opens_session": 0.0, **outcome},
        public={"question": str(question), "kind": kind, "clarity": clarity, "exchange": "0"},
        events={"violation": True} if outcome.get("violation") else {},
        to_move=ASSISTANT,
    )


def turn_of_user(move: str, *, user: float = 0.0) -> StepRecord:
    """Return a step in which the user spoke."""
    return StepRecord(
        user=SideRecord(digest="u", move=move, text="…", payoff=user, items={"effort": user}),
        assistant=SideRecord(digest="a", move="WAIT", items={"revenue": 0.0, "retention": 0.0}),
        to_move=USER,
    )


def session(*steps: StepRecord, **fields: Any) -> Episode:
    """Return an episode that was played to its end."""
    given: dict[str, Any] = {
        "scenario": "gtalign/AssistText-v0",
        "view": "text",
        "seed": 0,
        "players": {USER: "persona:concise", ASSISTANT: "fake:chain"},
        "config": {"payoff": "grounded", "pricing": "subscription"},
        "hidden": {"user_type": {"name": "t", "price_sensitivity": 2.0}},
        "ended": "terminated",
        **fields,
    }
    return Episode(steps=list(steps), **given)


def chain(**fields: Any) -> dict[str, Any]:
    """Return what a chain leaves behind in a record."""
    return {
        "mode": "solver",
        "criterion": "welfare:cobb_douglas",
        "matrix": MATRIX,
        "solution": {"name": "welfare:cobb_douglas", "cell": ["DQ", "AQ"], "drawn": ["DQ", "AQ"]},
        "tokens": {"thinking": 20, "payoff": 60, "analyze": 0, "response": 10},
        "blocks": {"thinking": "It is vague."},
        **fields,
    }
