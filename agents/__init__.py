"""Who plays: personas and model-voiced users, assistants from fixed rules to language models, and their backends.

Nothing here knows a concrete scenario or how anybody learns: players see observations, masks and messages, and
answer with actions. A scenario never imports a player; the two meet by registered names.
"""

if __name__ != "gtalign_env.agents":
    raise ImportError(
        f"this folder is the package 'gtalign_env.agents', but it was imported as {__name__!r}, which would make a "
        "second copy of every class in it: write 'import gtalign_env.agents'"
    )
