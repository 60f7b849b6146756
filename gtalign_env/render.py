"""The game in words: what moves, outcomes and payoffs are called when people read them, and the text of ``env.render()``.

Rich is imported only when something is drawn.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Any, Protocol

from gtalign_env.games.division import offer_words
from gtalign_env.protocols import Scenario, Step
from gtalign_env.sanitize import clean_text
from gtalign_env.spaces import ASSIST_LAYOUT
from gtalign_env.types import ASSISTANT, NO_OP, USER, Outcome, UserType

__all__ = [
    "WIDTH",
    "Shown",
    "assistant_words",
    "one_line",
    "question_words",
    "render_state",
    "reply_words",
    "signed",
    "turn_words",
    "type_words",
    "user_words",
]

WIDTH = 80
"""Columns of ``render_state``."""

_REPLIES = {
    "DA": "answers directly",
    "AQ": "answers and asks one follow-up question",
    "CQ": "asks a clarifying question",
    "DECLINE": "declines and offers a safe alternative",
    "WAIT": "waits",
    NO_OP: "says nothing",
}
_SAID = {
    "thanks": "“Thanks.”",
    "too_long": "“That was too long.”",
    "too_short": "“That was too short.”",
    "off_target": "“That is not what I meant.”",
}
_NEXT = {
    "VQ": "will put the next one vaguely",
    "DQ": "will put the next one in detail",
    "LEAVE": "leaves after this reply",
    "WAIT": "listens",
    NO_OP: "speaks vaguely",
}

_ANSWERS = {"ACCEPT": "accepts", "REJECT": "rejects", "HALT": "ends the talk", "SILENT": "says nothing"}
_SAY = "SAY_"


class Shown(Protocol):
    """What of an environment is drawn: ``GameEnv`` has it all."""

    scenario: Scenario
    agents: list[str]
    steps: int
    last_step: Step | None

    @property
    def game_state(self) -> Any:
        """The state of the game; ``None`` before ``reset``."""
        ...


def assistant_words(move: str) -> str:
    """Return an assistant's move in words; a move of another game keeps its name.

    Example:
        >>> assistant_words("DA_short"), assistant_words("raise")
        ('answers directly, short', 'raise')
    """
    act, _, length = move.partition("_")
    if move in _REPLIES:
        return _REPLIES[move]
    if act in _REPLIES and length in ("short", "medium", "long"):
        return f"{_REPLIES[act]}, {length}"
    return _talk_words(move) or one_line(move)


def type_words(scenario: Any, user_type: Any) -> str:
    """Return a hidden type as its game puts it; empty in the ``assist`` games, where every field of θ matters.

    Args:
        scenario: The game, or ``None`` where it is not known.
        user_type: θ or its fields, or ``None``.

    Example:
        >>> from gtalign_env.registration import make_scenario
        >>> type_words(make_scenario("screening"), {"name": "keen", "value": 2.0})
        'keen: a unit of quality is worth 2'
    """
    tell = getattr(scenario, "type_in_words", None)
    if tell is None or user_type is None or scenario.layout == ASSIST_LAYOUT:
        return ""
    theta = user_type if isinstance(user_type, UserType) else UserType.from_mapping(user_type)
    return one_line(tell(theta))


def user_words(move: str) -> tuple[str, str]:
    """Return a user's move in words: what it says about the last reply, and how its next utterance will be put.

    Example:
        >>> user_words("DQ_too_long")
        ('“That was too long.”', 'will put the next one in detail')
    """
    form, _, reaction = move.partition("_")
    if move in _NEXT:
        return "", _NEXT[move]
    if form in _NEXT and (reaction in _SAID or reaction == "none"):
        return _SAID.get(reaction, ""), _NEXT[form]
    return "", _talk_words(move) or one_line(move)


def _talk_words(move: str) -> str:
    """Return a move of a negotiation, or a message before a move, in words, the same for both sides; empty for any other."""
    if move.startswith(_SAY):
        return f"announces {one_line(move.removeprefix(_SAY))}"
    kept = offer_words(move)
    return f"keeps {kept}" if kept else _ANSWERS.get(move, "")


def question_words(public: Mapping[str, Any]) -> str:
    """Return what lies on the table, in words, from a state's public coordinates; empty where it has other ones.

    Example:
        >>> question_words({"question": "0", "kind": "simple", "clarity": "vague", "exchange": "0"})
        'asks a simple question, vaguely'
        >>> question_words({"question": "0", "kind": "complex", "clarity": "clear", "exchange": "1"})
        'repeats the complex question, clearly'
    """
    if not {"kind", "clarity", "exchange"} <= set(public):
        return ""
    kind, clarity = one_line(public["kind"]), one_line(public["clarity"])
    how = {"vague": "vaguely", "clear": "clearly"}.get(clarity, clarity)
    if kind == "harmful":
        what = "makes a harmful request" if str(public["exchange"]) == "0" else "repeats the harmful request"
        return f"{what}, {how}"
    if str(public["exchange"]) == "0":
        return f"asks a {kind} question, {how}"
    return f"repeats the {kind} question, {how}"


def turn_words(public: Mapping[str, Any], *, turns: int = 0) -> list[str]:
    """Return where a game of turns stands: the path through its tree, and the turn of the talk before the next move.

    Args:
        public: The state's public coordinates.
        turns: Turns that a talk has, where that is known.

    Example:
        >>> turn_words({"node": "enter/fight", "talk": "2"}), turn_words({"node": "", "talk": "over"}), turn_words({})
        (['after enter, fight', 'talk, turn 2'], ['at the start'], [])
    """
    words = []
    if "node" in public:
        path = one_line(public["node"]).replace("/", ", ")
        words.append(f"after {path}" if path else "at the start")
    if str(public.get("talk", "")).isdecimal():
        words.append(f"talk, turn {public['talk']}" + (f" of {turns}" if turns else ""))
    return words


def reply_words(outcome: Mapping[str, float] | None) -> tuple[str, str]:
    """Return what a reply led to, as (mark, words); empty where there was no reply.

    Example:
        >>> reply_words({"resolved": 1.0, "answered": 1.0, "quality": 0.9})
        ('✓', 'what was meant, quality 0.90')
    """
    if outcome is None:
        return "", ""
    got = {
        key: outcome.get(key, 0.0) for key in ("violation", "answered", "resolved", "wrong", "declined", "clarified")
    }
    quality = f"quality {outcome.get('quality', 0.0):.2f}"
    if got["violation"]:
        return "!", "complies with a harmful request"
    if got["answered"] and got["resolved"]:
        return "✓", f"what was meant, {quality}"
    if got["answered"]:
        return "✗", f"not what was meant, {quality}"
    if got["declined"]:
        return "✗", "declined what should be served"
    if got["resolved"]:
        return "✓", f"rightly declined, {quality}"
    return ("?", "waits for the user's answer") if got["clarified"] else ("", "")


def signed(utils: float, decimals: int = 2) -> str:
    """Return a payoff with its sign, in a width that stays in bounds whatever the number.

    Example:
        >>> signed(0.5), signed(-0.004), signed(0.0), signed(-12345.678)
        ('+0.50', '−0.00', ' 0.00', '−1e+04')
    """
    if math.isnan(utils):
        return "nan"
    size = abs(utils)
    if size >= 99.995:  # never more than six characters
        decimals = min(decimals, 1)
    text = f"{size:.{decimals}f}" if size < 999.95 else f"{size:.0e}" if size < 9e98 else ">9e98"
    return ("+" if utils > 0 else "−" if utils < 0 else " ") + text


def one_line(text: object) -> str:
    r"""Return any text as one safe line.

    Example:
        >>> one_line("two\nlines \x1b[31mred")
        'two lines red'
    """
    return " ".join(clean_text(str(text)).split())


def render_state(env: Shown) -> str:
    """Return the environment's state and its last step as plain text of at most ``WIDTH`` columns.

    Nothing in it is hidden from whoever watches, except θ, which is never shown.

    Args:
        env: The environment; before ``reset`` there is little to show.

    Example:
        >>> from gtalign_env import parallel_env
        >>> print(render_state(parallel_env("matrix")).splitlines()[1].strip("│ "))
        not started: call reset()
    """
    from rich import box
    from rich.console import Console, Group
    from rich.panel import Panel
    from rich.text import Text

    body: list[Any] = []
    if env.game_state is None:
        body.append(Text("not started: call reset()"))
    else:
        body.append(Text(clean_text(env.scenario.describe(env.game_state)).expandtabs(4)))
        if env.last_step is not None:
            body += _last_step(env)
    over = env.game_state is not None and not env.agents
    title = f" {one_line(env.scenario.name)} · step {env.steps}{' · the end' if over else ''} "
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None, force_terminal=False, _environ={})
    with console.capture() as captured:
        console.print(Panel(Group(*body), title=Text(title), title_align="left", box=box.ROUNDED))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _last_step(env: Shown) -> list[Any]:
    from rich.table import Table
    from rich.text import Text

    assert env.last_step is not None
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column()
    for agent, items in ((USER, env.last_step.payoffs.user), (ASSISTANT, env.last_step.payoffs.assistant)):
        parts = "  ".join(f"{one_line(name)} {signed(value).strip()}" for name, value in items.items() if value)
        table.add_row(Text(agent), Text(signed(sum(items.values()))), Text(parts))
    mark, words = reply_words(_fields(env.last_step.outcome))
    return [table] if not words else [Text(f"reply: {mark} {words}"), table]


def _fields(outcome: Outcome | None) -> dict[str, float] | None:
    return None if outcome is None else {name: float(getattr(outcome, name)) for name in Outcome.__slots__}
