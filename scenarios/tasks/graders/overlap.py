"""chrF: how much of a text's character n-grams another text shares (Popović, 2015).

Computed here, number for number as ``sacrebleu`` does with its default settings (character n-grams up to 6, β = 2,
whitespace left out), so that a grade does not depend on what is installed.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

__all__ = ["chrf"]

ORDER = 6
BETA = 2.0


def chrf(text: str, reference: str) -> float:
    """Return the chrF2 score of ``text`` against ``reference``, in [0, 1].

    Example:
        >>> chrf("the cat", "the cat"), chrf("xyz", "the cat")
        (1.0, 0.0)
    """
    grams, wanted = _text_grams("".join(text.split())), _reference_grams("".join(reference.split()))
    precision = recall = 0.0
    orders = 0
    for given, known in zip(grams, wanted, strict=True):
        total_given, total_known = given.total(), known.total()
        if total_given and total_known:
            shared = sum(min(count, known[gram]) for gram, count in given.items() if gram in known)
            precision += shared / total_given
            recall += shared / total_known
            orders += 1
    if not orders or not precision + recall:
        return 0.0
    precision, recall = precision / orders, recall / orders
    return (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)


def _grams(text: str) -> tuple[Counter[str], ...]:
    return tuple(Counter([text[i : i + n] for i in range(len(text) - n + 1)]) for n in range(1, ORDER + 1))


@lru_cache(maxsize=8)  # one reply is compared with several texts in a row
def _text_grams(text: str) -> tuple[Counter[str], ...]:
    return _grams(text)


@lru_cache(maxsize=256)
def _reference_grams(text: str) -> tuple[Counter[str], ...]:
    return _grams(text)
