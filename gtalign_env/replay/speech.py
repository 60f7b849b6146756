"""What both sides say in a step: moves told in words, or the words themselves, wrapped and folded."""

from __future__ import annotations

import dataclasses
import io

from rich.console import Console
from rich.text import Text

from gtalign_env.episode import Episode, SideRecord, StepRecord
from gtalign_env.render import assistant_words, one_line, question_words, reply_words, user_words
from gtalign_env.replay.bars import beside, pad
from gtalign_env.replay.chain import chain_lines
from gtalign_env.replay.story import Story
from gtalign_env.sanitize import clean_text
from gtalign_env.types import ASSISTANT, NO_OP, USER

__all__ = ["FOLD_LINES", "Folding", "fold", "odd_notes", "speech_lines", "user_move_read", "wrapped"]

FOLD_LINES = 9
"""Lines of an utterance that are shown before the rest is folded."""
_ILLEGAL = "makes no legal move"
_WIDE = 100
"""From this width on the two columns of written speech stand side by side without overlap."""
_WRAPPER = Console(file=io.StringIO(), width=80, color_system=None, _environ={})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Folding:
    """How much of a long text is shown."""

    full: bool = False
    lines: int = FOLD_LINES
    history: int = 1
    """Utterances shown before the present one (text view)."""
    blank: bool = True
    """Whether a blank line parts utterances."""
    stacked: bool = False
    """Whether both sides use the whole width, one below the other."""


def speech_lines(story: Story, step: int, width: int, folding: Folding) -> list[Text]:
    """Return the speech of one step, at most ``width`` columns: the user on the left, the assistant on the right."""
    if story.episode.view == "text":
        return _written(story, step, width, folding)
    return _told(story, step, width, stacked=folding.stacked)


def fold(text: str, width: int, folding: Folding, *, tokens: int = 0) -> list[Text]:
    """Wrap a text that anyone may have written; say what was left out.

    Args:
        text: Untrusted text.
        width: Columns.
        folding: How much to show.
        tokens: Tokens of the whole text, where they were counted; words are counted otherwise.

    Example:
        >>> [line.plain for line in fold("one two three four", 9, Folding(lines=1))]
        ['one two', '… +2 words']
    """
    safe = clean_text(text).expandtabs(4).strip("\n")
    if not safe.strip():
        return [Text("(says nothing)", style="muted")]
    lines = wrapped(Text(safe), width)
    if folding.full or len(lines) <= folding.lines + 1:
        return lines
    hidden = "\n".join(line.plain for line in lines[folding.lines :])
    words = max(len(hidden.split()), 1)
    count, unit = words, "word" if words == 1 else "words"
    if tokens:
        count, unit = max(round(tokens * len(hidden) / max(len(safe), 1)), 1), "tokens"
    return [*lines[: folding.lines], Text(f"… +{count} {unit}", style="muted")]


def wrapped(text: Text, width: int) -> list[Text]:
    """Return a text in lines of at most ``width`` cells; words that are longer are broken.

    Example:
        >>> [line.plain for line in wrapped(Text("a bc defghij"), 4)]
        ['a bc', 'defg', 'hij']
    """
    lines = list(text.wrap(_WRAPPER, width, overflow="fold"))
    for line in lines:
        line.rstrip()
    return lines


# -- the strategic view: moves in words -----------------------------------------------------------------------------------


def _told(story: Story, step: int, width: int, *, stacked: bool) -> list[Text]:
    record = story.episode.steps[step]
    if stacked:
        user = _bubble("user", story.user, _user_told(record), width)
        return [*user, Text(""), *_bubble("assistant", story.assistant, _assistant_told(record, width - 2), width)]
    left_width = (width - 2) // 2
    right_width = width - 2 - left_width
    user = _bubble("user", story.user, _user_told(record), left_width)
    assistant = _bubble("assistant", story.assistant, _assistant_told(record, right_width - 2), right_width)
    return beside(user, assistant, left_width, Text("  "))


def _user_told(record: StepRecord) -> list[Text]:
    said, then = user_words(record.user.move)
    lines = []
    if said:
        lines.append(Text(said, style="strong"))
    asked = question_words(record.public)
    if asked:
        lines.append(Text(asked, style="strong"))
    if asked:
        lines.append(Text(then, style="muted"))
    else:
        now = {"VQ": "asks vaguely", "DQ": "asks in detail", NO_OP: _ILLEGAL}.get(record.user.move, then)
        lines.append(Text(now, style="strong"))
    return lines + _said_before(record, "user") + _notes(record.user)


def _assistant_told(record: StepRecord, width: int) -> list[Text]:
    made = assistant_words(record.assistant.move)
    if record.assistant.move == NO_OP and not question_words(record.public):
        made = _ILLEGAL
    words = Text(made, style="strong")
    return [words, *_reply_result(record, width), *_said_before(record, "assistant"), *_notes(record.assistant)]


def _said_before(record: StepRecord, role: str) -> list[Text]:
    """Return a player's last message before this step, in games with talk."""
    said = str(record.public.get(f"{role}_said", "none"))
    return [] if said == "none" else [Text(f"before: {assistant_words(said)}", style="muted")]


def _reply_result(record: StepRecord, width: int) -> list[Text]:
    mark, words = reply_words(record.outcome)
    tokens = (record.outcome or {}).get("tokens_out", 0.0)
    if not words:
        return []
    style = {"✓": "gain", "✗": "loss", "!": "alert", "?": "muted"}[mark]
    line = Text.assemble((f"{mark} {words}", style))
    if not tokens:
        return [line]
    cost = Text(f"{tokens:.0f} tokens", style="muted")
    together = Text.assemble(line, (" · ", "muted"), cost)
    return [together] if together.cell_len <= width else [line, cost]


def odd_notes(side: SideRecord) -> list[str]:
    """Return what was odd about an action: illegal, another move than the one announced, or a model that failed.

    Example:
        >>> odd_notes(SideRecord(digest="", illegal=True))
        ['! illegal move, counted as none']
    """
    notes = []
    if side.illegal:
        notes.append("! illegal move, counted as none")
    if side.announced and side.announced != side.move:
        notes.append(f"! announced {one_line(side.announced)}, made {one_line(side.move)}")
    if side.model.get("error"):
        notes.append(f"! model: {one_line(side.model['error'])}")
    return notes


def _notes(side: SideRecord) -> list[Text]:
    return [Text(note, style="alert") for note in odd_notes(side)]


# -- the text view: the words themselves ----------------------------------------------------------------------------------


def _written(story: Story, step: int, width: int, folding: Folding) -> list[Text]:
    """Return the last utterances before this step, shortened, and below them what is said now."""
    record = story.episode.steps[step]
    speaker = USER if record.to_move == USER else ASSISTANT
    shorter = dataclasses.replace(folding, full=False, lines=max(folding.lines // 3, 2))  # it was shown before
    lines = []
    heard = _heard(story.episode, step)
    for agent, side, before in heard[max(len(heard) - folding.history, 0) :]:
        new = step == 0  # the opening was not shown before
        lines += _utterance(story, agent, side, width, folding if new else shorter, said_in=before, muted=not new)
        lines += [Text("")] if folding.blank else []
    return lines + _utterance(story, speaker, _side(record, speaker), width, folding, said_in=record, now=True)


def _heard(episode: Episode, step: int) -> list[tuple[str, SideRecord, StepRecord | None]]:
    """Return what was said before a step: speaker, words, and the step in which it was said (none for the opening)."""
    heard: list[tuple[str, SideRecord, StepRecord | None]] = []
    if episode.opening:
        heard.append((USER, SideRecord(digest="", text=episode.opening), None))
    turns = [record for record in episode.steps[:step] if record.to_move in (USER, ASSISTANT)]
    return heard + [(record.to_move, _side(record, record.to_move), record) for record in turns]


def _tokens(record: StepRecord | None) -> int:
    return int(((record.outcome if record else None) or {}).get("tokens_out", 0.0))


def _side(record: StepRecord, agent: str) -> SideRecord:
    return record.user if agent == USER else record.assistant


def _utterance(
    story: Story,
    agent: str,
    side: SideRecord,
    width: int,
    folding: Folding,
    *,
    said_in: StepRecord | None,
    now: bool = False,
    muted: bool = False,
) -> list[Text]:
    """Return one bubble, the user's at the left edge, the assistant's at the right one; wide screens have true columns."""
    column = (width - 2) // 2 if width >= _WIDE else width - (4 if folding.stacked else max(width // 5, 12))
    role, name = ("user", story.user) if agent == USER else ("assistant", story.assistant)
    body = fold(side.text, column - 2, folding, tokens=_tokens(said_in) if agent == ASSISTANT else 0)
    if muted:
        for line in body:
            line.stylize("muted")
    if now and said_in is not None:
        body += _made(agent, side, said_in, column - 2) + _notes(side)
        body += chain_lines(side.model.get("chain"), full=folding.full)
    lines = _bubble(role, name, body, column)
    indent = 0 if agent == USER else width - column
    return [Text.assemble(" " * indent, line) for line in lines]


def _made(agent: str, side: SideRecord, record: StepRecord, width: int) -> list[Text]:
    """Return how the words were read: as which move, and what came of it."""
    words = assistant_words(side.move) if agent == ASSISTANT else user_move_read(side.move)
    code = one_line(side.move)
    line = Text(code, style="muted") if words in ("", code) else Text.assemble(words, (f" [{code}]", "muted"))
    return [line] + (_reply_result(record, width) if agent == ASSISTANT else [])


def user_move_read(move: str) -> str:
    """Return how a user's words were read, in words; empty for a move of another game.

    Example:
        >>> user_move_read("DQ_too_long"), user_move_read("VQ_none"), user_move_read("raise")
        ('put in detail; says: too long', 'put vaguely', '')
    """
    form, _, reaction = move.partition("_")
    how = {"VQ": "put vaguely", "DQ": "put in detail", "LEAVE": "leaves"}.get(form, "")
    said = {"thanks": "thanks", "too_long": "too long", "too_short": "too short", "off_target": "not what was meant"}
    if move == NO_OP:
        return "put vaguely"
    return f"{how}; says: {said[reaction]}" if how and reaction in said else how


def _bubble(role: str, name: str, body: list[Text], width: int) -> list[Text]:
    """Return lines behind a coloured bar, under the speaker's role and name."""
    head = Text.assemble((role.upper(), role), ("  " + name, "muted"))
    head.stylize("strong", 0, len(role))
    lines: list[Text] = [pad(head, width - 2) if head.cell_len > width - 2 else head]
    for line in body:
        lines += wrapped(line, width - 2) if line.cell_len > width - 2 else [line]
    return [Text.assemble(("▌", role), " ", line) for line in lines]
