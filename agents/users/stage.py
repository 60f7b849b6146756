"""What a model is told that speaks for a persona: who the person is, and what this line has to do.

The person is described in words: how long replies should be, how much patience there is. No figure and no name of a
type goes into the prompt of a persona that keeps θ to itself, so that there is none to be repeated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gtalign_env.agents.users.card import Wording
from gtalign_env.agents.users.speech import told_facts
from gtalign_env.types import UserMove, UserType

__all__ = ["CURTAIN", "brief", "cue", "open_cue", "plain_voice"]

CURTAIN = "[For you alone, not said by the assistant]"
"""Above what this line has to do."""

_PART = (
    "You play a person who is talking to an assistant. You are that person, in every line; you are not the assistant, "
    "you answer none of your own questions, and you never mention that you play somebody."
)
_LENGTHS = (
    (40.0, "one sentence"),
    (90.0, "two or three sentences"),
    (200.0, "a paragraph"),
    (400.0, "some paragraphs"),
)
_PATIENCE = ((12.0, "You have no patience at all."), (18.0, "You have little patience."))
_FELT = {
    "thanks": "Let it be heard that the reply helped you.",
    "too_long": "Let it be heard that the reply was too long for you.",
    "too_short": "Let it be heard that the reply was too short for you.",
    "off_target": "Let it be heard that the reply is not what you meant.",
}
_LEAVE = "Say goodbye. Ask nothing more."
_EVADE = "You were asked something. Answer it evasively, with no particulars at all."
_TELL = "You were asked something. Answer it, in your own words, with this:"
_ASK_VAGUELY = "Ask this, in your own words, and with no more particulars than stand here:"
_ASK_CLEARLY = "Ask this, in your own words, and leave none of its particulars out:"
_AGAIN = "Your question is still open."
_QUOTED = re.compile("«(.*?)»", re.DOTALL)


def brief(persona: Any, user_type: UserType) -> str:
    """Return who the model has to be, as the first message of its conversation.

    Args:
        persona: The scripted persona; its description, manner of writing and ``discloses`` are used where it has them.
        user_type: θ, of which only words get in, unless the persona discloses it.

    Example:
        >>> from gtalign_env.agents.users import load_persona
        >>> text = brief(load_persona("concise"), UserType(ideal_tokens=60.0))
        >>> "two or three sentences" in text, "60" in text
        (True, False)
    """
    lines = [
        _PART,
        f"Who you are: {getattr(persona, 'description', '')}",
        f"What you like best are replies of {_bucket(_LENGTHS, user_type.ideal_tokens, 'a page or more')}.",
        _bucket(_PATIENCE, user_type.patience, ""),
        _manner(getattr(persona, "wording", None)),
    ]
    if getattr(persona, "discloses", False):
        lines.append(f"You may say how long you want replies to be: about {round(user_type.ideal_tokens / 1.3)} words.")
    else:
        lines.append("Never give a number of words for what you want, and never say what kind of user you are.")
    lines.append("Write one line, the next thing that this person says, and nothing around it.")
    return "\n".join(filter(None, lines))


def cue(move: UserMove, info: Mapping[str, Any], heard: str) -> str:
    """Return what the next line has to do, where the move is decided already.

    Args:
        move: The user's move.
        info: What the environment tells the user: ``task`` and ``situation``.
        heard: The assistant's last message.

    Example:
        >>> task = {"vague": "How tall is it?", "detailed": "How tall is K2?", "facts": []}
        >>> print(cue(UserMove("VQ", "too_long"), {"task": task, "situation": "next_question"}, ""))
        - Let it be heard that the reply was too long for you.
        - Ask this, in your own words, and with no more particulars than stand here: «How tall is it?»
    """
    if move.form == "LEAVE":
        return f"- {_LEAVE}"
    task, situation = info["task"], info.get("situation")
    lines = [_FELT[move.reaction]] if move.reaction in _FELT else []
    detailed = move.form == "DQ"
    if situation == "answer_question":
        known = told_facts(task.get("facts") or (), heard, str(task["detailed"]), str(task["vague"]))
        lines.append(f"{_TELL} «{known}»" if detailed else _EVADE)
    else:
        lines += [_AGAIN] if situation == "rephrase" else []
        lines.append(f"{_ASK_CLEARLY} «{task['detailed']}»" if detailed else f"{_ASK_VAGUELY} «{task['vague']}»")
    return "\n".join(f"- {line}" for line in lines)


def open_cue(info: Mapping[str, Any], *, can_leave: bool = True) -> str:
    """Return what the next line is about, where the model decides what to do.

    Example:
        >>> task = {"vague": "How tall is it?", "detailed": "How tall is K2?", "facts": [["unit", "In metres."]]}
        >>> print(open_cue({"task": task, "situation": "next_question"}))
        - React to the reply as you are, or do not.
        - Then ask on, vaguely («How tall is it?») or with all particulars («How tall is K2?»), as you are.
        - What you know, and tell only when you are asked for it: In metres.
        - Or say goodbye, if you have had enough.
    """
    task, situation = info["task"], info.get("situation")
    ways = f"vaguely («{task['vague']}») or with all particulars («{task['detailed']}»), as you are"
    then = {
        "answer_question": f"Then answer what you were asked, evasively or in full; you want to know this: «{task['detailed']}».",
        "rephrase": f"Your question is still open: put it again, {ways}.",
    }.get(str(situation), f"Then ask on, {ways}.")
    facts = " ".join(str(statement) for _, statement in task.get("facts") or ())
    lines = ["React to the reply as you are, or do not.", then]
    lines += [f"What you know, and tell only when you are asked for it: {facts}"] if facts else []
    lines += ["Or say goodbye, if you have had enough."] if can_leave else []
    return "\n".join(f"- {line}" for line in lines)


_SAID = {
    _FELT["thanks"]: "Thanks, that helps.",
    _FELT["too_long"]: "That was too long for me.",
    _FELT["too_short"]: "That was too short for me.",
    _FELT["off_target"]: "That is not what I meant.",
    _LEAVE: "I'll leave it there. Bye.",
    _EVADE: "You know, just the usual one.",
}


def plain_voice(conversation: Sequence[Mapping[str, str]]) -> str:
    """Say what the cue at the end of a conversation asks for, without a model: the fake among the voices.

    Example:
        >>> plain_voice([{"role": "user", "content": "- Ask this: «How tall is it?»"}])
        'How tall is it?'
    """
    _, _, cues = conversation[-1]["content"].rpartition(CURTAIN)
    parts = [said for sentence, said in _SAID.items() if sentence in cues]
    return " ".join([*parts, *_QUOTED.findall(cues)[:1]])


def _bucket(steps: Sequence[tuple[float, str]], value: float, beyond: str) -> str:
    return next((words for limit, words in steps if value <= limit), beyond)


def _manner(wording: Wording | None) -> str:
    """Return how a persona writes: the tone of its card, and a few of its lines."""
    if not isinstance(wording, Wording):
        return ""
    tone = wording.tone
    habits = [
        "all in lower case" if tone.lower_case else "",
        "with typing errors" if tone.typos > 0.0 else "",
        "without a full stop at the end" if not tone.final_stop else "",
    ]
    how = ", ".join(filter(None, habits))
    lines = [phrases[0] for phrases in (wording.thanks, wording.off_target, wording.leave) if phrases]
    return f"How you write{f' ({how})' if how else ''}, for example: {' / '.join(lines)}"
