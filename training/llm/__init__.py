"""Learning in the text view: language models that get better at leaving both sides better off.

Groups of games are played (``rollout``), turned into rows with both sides' payoffs (``trajectory``), compared within their groups
(``estimators``), and learned from (``losses``, ``trainer``). ``gtalign train llm`` is the same from the command line.

Modules are imported where they are needed: some want PyTorch, some transformers as well.
"""
