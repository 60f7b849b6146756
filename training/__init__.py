"""Who learns: rollouts, objectives, the strategic and the language-model trainers, evaluation and reports.

This room may use every other one except the command line. Payoffs of the two sides stay apart until a named
objective joins them.
"""

if __name__ != "gtalign_env.training":
    raise ImportError(
        f"this folder is the package 'gtalign_env.training', but it was imported as {__name__!r}, which would make a "
        "second copy of every class in it: write 'import gtalign_env.training'"
    )
