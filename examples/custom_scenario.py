"""A game of your own: from two payoff matrices to a registered environment, checked and played.

Run it: python examples/custom_scenario.py
"""

from __future__ import annotations

from typing import Any

import gtalign_env
from gtalign_env.registration import make_scenario
from gtalign_env.scenarios.matrix.repeated import repeated_matrix
from gtalign_env.testing import check_env
from gtalign_env.types import ASSISTANT, USER


def trust(*, rounds: int = 5, temptation: int = 4) -> Any:
    """Return the rules: the user confides or keeps to itself, the assistant honours what it is told or exploits it.

    Args:
        rounds: How often it is played.
        temptation: What the assistant gains by exploiting a user who confides.
    """
    return repeated_matrix(
        name="trust",
        description="Confide or keep to yourself; honour or exploit.",
        user_moves=("confide", "withhold"),
        assistant_moves=("honour", "exploit"),
        user=[[3, -1], [0, 0]],
        assistant=[[2, temptation], [0, 0]],
        rounds=rounds,
    )


def main() -> None:
    """Register the game, check it and play it."""
    gtalign_env.register_scenario(
        "example/Trust-v0", trust, view="strategic", kind="matrix", description="Trust and temptation, repeated."
    )
    check_env(lambda: gtalign_env.parallel_env("example/Trust-v0", rounds=3))
    print("check_env has nothing to object to.")

    game = make_scenario("example/Trust-v0")
    moves = {USER: game.moves("user"), ASSISTANT: game.moves("assistant")}
    env = gtalign_env.parallel_env("example/Trust-v0")
    env.reset(seed=0)
    totals = {USER: 0.0, ASSISTANT: 0.0}
    last_reply = moves[ASSISTANT].index("honour")
    while env.agents:
        # The user trusts as long as it was not let down; the assistant is honest until the last round.
        confide = moves[USER].index("confide" if last_reply == moves[ASSISTANT].index("honour") else "withhold")
        last_reply = moves[ASSISTANT].index("exploit" if env.steps == 4 else "honour")
        _, rewards, *_ = env.step({USER: confide, ASSISTANT: last_reply})
        print(f"round {env.steps}: {moves[USER][confide]:>8} / {moves[ASSISTANT][last_reply]:<8} {rewards}")
        for agent, reward in rewards.items():
            totals[agent] += reward
    print(f"sum: {totals}")


if __name__ == "__main__":
    main()
