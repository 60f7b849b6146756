"""Two players who move at random, on the parallel API: the loop that every learner starts from.

Run it: python examples/random_agents.py
"""

from __future__ import annotations

import gtalign_env

EPISODES = 200


def main() -> None:
    """Play some sessions and print what each side gained."""
    env = gtalign_env.parallel_env("gtalign/Assist-v0", pricing="per_token")
    for number, agent in enumerate(env.possible_agents):
        env.action_space(agent).seed(number)
    totals = dict.fromkeys(env.possible_agents, 0.0)
    steps = 0
    for episode in range(EPISODES):
        observations, _ = env.reset(seed=episode)
        while env.agents:
            # The mask says which moves are legal; a masked move would count as doing nothing.
            actions = {
                agent: env.action_space(agent).sample(observations[agent]["action_mask"]) for agent in env.agents
            }
            observations, rewards, *_ = env.step(actions)  # then: terminations, truncations, infos
            steps += 1
            for agent, reward in rewards.items():
                totals[agent] += reward  # infos[agent]["payoff"] itemises it
    for agent, total in totals.items():
        print(f"{agent}: {total / EPISODES:+.2f} utils per session")
    print(f"{steps / EPISODES:.1f} exchanges per session")


if __name__ == "__main__":
    main()
