"""Our games for the trainers of others: TRL, verl, verifiers.

Every one of them learns from one number for a game and from one sequence of tokens; ours (``training.llm``) keeps both sides'
payoffs and every turn apart. So each adapter says what is lost on the way. None of these libraries is needed
to import this package.
"""

from __future__ import annotations
