"""The game in plain words, for people who sit down to play it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gtalign_env.games.division import offer_words
from gtalign_env.render import assistant_words, user_words
from gtalign_env.sight import Sight
from gtalign_env.types import LENGTH_TOKENS, UserType

__all__ = ["move_in_words", "other_in_words", "payoff_in_words", "place_in_words", "theta_in_words", "utils"]

_ACTS = {
    "DA": "answer directly",
    "AQ": "answer, and ask one follow-up question",
    "CQ": "ask a clarifying question instead of answering",
    "DECLINE": "decline, and offer a safe alternative",
    "VQ": "go on vaguely (cheap to type)",
    "DQ": "go on in detail (understood better)",
    "LEAVE": "leave after this reply",
    "WAIT": "wait: it is not this player's turn",
    "ACCEPT": "accept the offer",
    "REJECT": "turn the offer down",
    "HALT": "end the talk",
    "SILENT": "say nothing",
    "NO_OP": "nothing that the rules allow",
}
_REACTIONS = {
    "none": "",
    "thanks": "say thanks",
    "too_long": "complain: too long",
    "too_short": "complain: too short",
    "off_target": "complain: missed the point",
}
_ITEMS = {
    "value": "worth of the answer",
    "length": "length that does not fit",
    "reading": "reading",
    "effort": "typing",
    "time": "time",
    "price": "price paid",
    "revenue": "revenue",
    "tokens": "tokens",
    "reputation": "reputation",
    "retention": "how the user fared",
    "cell": "payoff of the cell",
    "deal": "worth of the deal",
    "leaf": "payoff of the end",
}


def utils(number: float) -> str:
    """Return a payoff with its sign.

    Example:
        >>> utils(0.5), utils(-0.25), utils(0.0)
        ('+0.50', '−0.25', '0.00')
    """
    shown = f"{abs(number):.2f}"
    if float(shown) == 0.0:
        return "0.00"
    return ("+" if number > 0 else "−") + shown


def move_in_words(name: str) -> str:
    """Return what a move means, by its name; the name itself where there is nothing to say.

    Example:
        >>> move_in_words("DA_short")
        'answer directly, in about 60 tokens'
        >>> move_in_words("VQ_too_long"), move_in_words("honour")
        ('go on vaguely (cheap to type); complain: too long', 'honour')
        >>> move_in_words("KEEP_1_2_0"), move_in_words("ACCEPT"), move_in_words("SAY_stag")
        ('keep 1 book and 2 hats', 'accept the offer', 'announce stag')
    """
    act, _, manner = name.partition("_")
    words = _ACTS.get(name) or _ACTS.get(act)
    if act == "SAY":
        return f"announce {manner}"
    if words is None:
        kept = offer_words(name)
        return f"keep {kept}" if kept else name
    if manner in LENGTH_TOKENS:
        return f"{words}, in about {LENGTH_TOKENS[manner]} tokens"
    return f"{words}; {_REACTIONS[manner]}" if _REACTIONS.get(manner) else words


def other_in_words(name: str, *, is_user: bool) -> str:
    """Return what the other player's move amounts to, in brackets; nothing where the name says it all.

    Example:
        >>> other_in_words("CQ", is_user=False), other_in_words("honour", is_user=False)
        (' (asks a clarifying question)', '')
        >>> other_in_words("VQ_thanks", is_user=True)
        ' (“Thanks.” will put the next one vaguely)'
    """
    said = " ".join(filter(None, user_words(name))) if is_user else assistant_words(name)
    return "" if said == name else f" ({said})"


def payoff_in_words(items: Mapping[str, float]) -> str:
    """Return an itemised payoff in one line; items of nothing are left out.

    Example:
        >>> payoff_in_words({"value": 0.9, "length": 0.0, "time": -0.05})
        '+0.85  (worth of the answer +0.90, time −0.05)'
    """
    parts = [f"{_ITEMS.get(name, name)} {utils(amount)}" for name, amount in items.items() if utils(amount) != "0.00"]
    total = utils(sum(items.values()))
    return f"{total}  ({', '.join(parts)})" if parts else total


def place_in_words(sight: Sight, *, questions: int | None = None) -> str:
    """Return what lies on the table.

    Args:
        sight: What a player sees.
        questions: Questions in a session, where that is known.

    Example:
        >>> import gtalign_env
        >>> from gtalign_env.sight import see
        >>> observations, _ = gtalign_env.parallel_env("assist").reset(seed=0, options={"task": "simple"})
        >>> place_in_words(see(observations["assistant_0"]), questions=4).startswith("Question 1 of 4, a simple one, put")
        True
    """
    if sight.kind is None:
        return "The session is over."
    sort = "a request that must be declined" if sight.kind == "harmful" else f"a {sight.kind} one"
    put = {"vague": "put vaguely", "muddled": "explained, but not quite", "clear": "put clearly"}[
        sight.clarity or "vague"
    ]
    fresh = "new" if sight.exchange == 0.0 else "still open after a reply"
    which = "A question" if questions is None else f"Question {round(sight.progress * questions) + 1} of {questions}"
    return f"{which}, {sort}, {put} ({fresh})."


def theta_in_words(theta: UserType | Mapping[str, Any]) -> list[str]:
    """Return a user's hidden type as sentences to that user.

    Example:
        >>> theta_in_words(UserType(name="brisk", ideal_tokens=60.0))[0]
        'You are of the type "brisk": a reply of about 60 tokens (45 words) suits you best.'
    """
    if not isinstance(theta, UserType):
        theta = UserType.from_mapping(theta)
    worse = "too long" if theta.too_long > theta.too_short else "too short"
    if theta.too_long == theta.too_short:
        worse = "of the wrong length either way"
    fitting = (
        f"a reply of about {theta.ideal_tokens:.0f} tokens ({0.75 * theta.ideal_tokens:.0f} words) suits you best."
    )
    lengths = f"Twice as long costs you {0.693 * theta.too_long:.2f}, half as long {0.693 * theta.too_short:.2f}"
    reading, typing = 100 * theta.reading_cost, 10 * theta.effort_cost
    return [
        f'You are of the type "{theta.name}": {fitting}',
        f"{lengths}: what bothers you more is a reply that is {worse}.",
        (
            f"A perfect answer is worth {theta.value:.2f}. Reading 100 tokens costs {reading:.2f}, typing 10 words "
            f"{typing:.2f}, every reply you wait for {1 / theta.patience:.2f}, paying one credit {theta.price_sensitivity:.2f}."
        ),
    ]
