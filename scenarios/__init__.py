"""Which game is played: the rules, tasks, moves and payoffs of each scenario, and where its tasks come from.

Nothing here knows who plays. A scenario names its moves and states what they lead to; personas, assistants and
trainers live in the rooms next door.
"""

if __name__ != "gtalign_env.scenarios":
    raise ImportError(
        f"this folder is the package 'gtalign_env.scenarios', but it was imported as {__name__!r}, which would make a "
        "second copy of every class in it: write 'import gtalign_env.scenarios'"
    )
