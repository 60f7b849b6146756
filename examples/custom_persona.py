"""A persona of your own, as a class: it learns to expect little, and says so.

    python examples/custom_persona.py

It plays a session by moves and one in words, then twenty more sessions with two assistants for comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gtalign_env import parallel_env
from gtalign_env.agents.assistants import Knowledge, OracleAssistant, make_assistant
from gtalign_env.agents.users import ScriptedPersona, Wording
from gtalign_env.play import play_episode, play_many
from gtalign_env.sight import Sight
from gtalign_env.types import USER, UserMove, UserType


class Sceptic(ScriptedPersona):
    """Believes nothing at first; every good answer makes it a little more talkative."""

    name = "sceptic"
    description = "Asks in half-sentences until somebody earns its trust."
    types = UserType(name="sceptic", ideal_tokens=110, too_long=0.25, too_short=0.15, patience=18)
    wording = Wording(
        thanks=("Hm. Correct.", "I checked. It holds."), off_target=("As expected: no.", "Thought so. Wrong.")
    )
    trust = 0.0

    def reset(self, seed: int) -> None:
        """Begin a new session without any trust."""
        super().reset(seed)
        self.trust = 0.0

    def choose(self, sight: Sight, info: Mapping[str, Any]) -> UserMove:
        """React as usual, but put things in detail only as far as trust goes."""
        self.trust = min(1.0, self.trust + 0.4) if self.heard.quality > 0.5 else self.trust / 2
        usual = super().choose(sight, info)
        if usual.form == "LEAVE":
            return usual
        return UserMove("DQ" if self.rng.random() < self.trust else "VQ", usual.reaction)

    def say(self, move: UserMove, info: Mapping[str, Any]) -> str:
        """Say it, with a raised eyebrow while there is little trust."""
        words = super().say(move, info)
        return words if self.trust > 0.5 else f"{words} (I have my doubts.)"


def main() -> None:
    """Play."""
    persona = Sceptic()
    moves = parallel_env("assist")
    episode = play_episode(moves, persona, make_assistant("heuristic"), seed=3)
    print(f"By moves ({episode.ended}):")
    for step in episode.steps:
        print(
            f"  {step.assistant.move:10} {step.user.move:15} U {step.user.payoff:+.2f}  L {step.assistant.payoff:+.2f}"
        )

    words = parallel_env("assist_text", questions=2)
    source = words.scenario.source  # type: ignore[attr-defined]
    episode = play_episode(words, persona, OracleAssistant(Knowledge(source)), seed=3)
    print(f"\nIn words ({episode.ended}):\n  sceptic: {episode.opening}")
    for step in episode.steps:
        who, side = ("sceptic", step.user) if step.to_move == USER else ("assistant", step.assistant)
        print(f"  {who}: {side.text[:110]}{'…' if len(side.text) > 110 else ''}")

    print("\nTwenty sessions each:")
    for spec in ("heuristic", "fixed:DA_long"):
        payoffs = [
            sum(step.user.payoff for step in episode.steps)
            for episode in play_many(moves, persona, make_assistant(spec), episodes=20, seed=1)
        ]
        print(f"  {spec:14} mean U {sum(payoffs) / len(payoffs):+.2f}")


if __name__ == "__main__":
    main()
