"""Whole episodes as readable plain text: who said what, what each reply brought, and how it ended."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from gtalign_env.episode import StepRecord
from gtalign_env.render import assistant_words, one_line, question_words, reply_words, signed, user_words
from gtalign_env.replay.frame import ending_words, fields_in_words, task_of
from gtalign_env.replay.speech import odd_notes, user_move_read
from gtalign_env.replay.story import Story, mutual_welfare
from gtalign_env.sanitize import clean_text
from gtalign_env.types import USER

__all__ = ["transcript_lines"]


def transcript_lines(story: Story, *, reveal: bool = False, width: int | None = None) -> Iterator[str]:
    """Yield an episode as lines of plain text: ``SPEAKER: words``, the payoffs under each reply, and the end.

    Args:
        story: The episode, as ``tell`` worked it out.
        reveal: Also say θ and, for every question, its task and what the user means.
        width: Columns at which words are wrapped; lines stay whole when ``None``, as programs like them.

    Example:
        >>> from gtalign_env.episode import Episode
        >>> from gtalign_env.replay.story import tell
        >>> list(transcript_lines(tell(Episode(scenario="matrix", view="strategic", seed=0))))[0]
        'episode 1: user and assistant in gtalign/Matrix-v0'
    """
    for line in _lines(story, reveal):
        yield from _fitted(line, width)


def _lines(story: Story, reveal: bool) -> Iterator[str]:
    episode = story.episode
    place = f"episode {story.index + 1}" + (f" of {story.count}" if story.count > 1 else "")
    priced = f", {story.pricing}" if story.pricing else ""
    yield f"{place}: {story.user} and {story.assistant} in {story.scenario}{priced}"
    if reveal:
        for name, value in episode.hidden.items():
            is_type = name == "user_type"
            told = (is_type and story.theta) or fields_in_words(value)
            yield f"  [{'θ' if is_type else one_line(name)}: {told}]"
    shown = None
    for step, record in enumerate(episode.steps):
        task = task_of(episode, step) if reveal else None
        yield ""
        if task is not None and task is not shown:
            yield from _task_lines(task)
            yield ""
            shown = task
        if step == 0 and episode.opening:
            yield from _said("USER", episode.opening)
            yield ""
        if not record.to_move:
            yield from _told(story, step)
        else:
            yield from _written(story, step) if episode.view == "text" else _turn(story, step)
    yield ""
    yield from _end(story)


def _task_lines(task: dict[str, object]) -> Iterator[str]:
    yield f"  [task {one_line(task.get('id', '?'))}]"
    for label, key in (("means", "detailed"), ("accepted", "answers")):
        value = task.get(key)
        said = " | ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value or "")
        if said:
            yield f"  [{label}: {one_line(said)}]"


def _written(story: Story, step: int) -> Iterator[str]:
    """Yield one turn of a talk."""
    record = story.episode.steps[step]
    if record.to_move == USER:
        yield from _said("USER", record.user.text)
        read = user_move_read(record.user.move) or one_line(record.user.move)
        yield f"  ({'; '.join([read, *odd_notes(record.user)])})"
        return
    yield from _said("ASSISTANT", record.assistant.text)
    yield f"  ({_result(record)})"
    yield _payoffs(story, step)


def _told(story: Story, step: int) -> Iterator[str]:
    """Yield one exchange of moves."""
    record = story.episode.steps[step]
    said, then = user_words(record.user.move)
    asked = question_words(record.public)
    now = {"VQ": "asks vaguely", "DQ": "asks in detail"}.get(record.user.move, then)
    told = [said, asked, then] if asked else [said, now]
    yield "USER: " + "; ".join([*filter(None, told), *odd_notes(record.user)])
    yield f"ASSISTANT: {_result(record)}"
    yield _payoffs(story, step)


def _turn(story: Story, step: int) -> Iterator[str]:
    """Yield one turn of a game of moves: what the one that moved did, and what came of it."""
    record = story.episode.steps[step]
    if record.to_move == USER:
        told = "; ".join([*filter(None, user_words(record.user.move)), *odd_notes(record.user)])
    else:
        told = _result(record)
    yield f"{'USER' if record.to_move == USER else 'ASSISTANT'}: {told}"
    if record.user.payoff or record.assistant.payoff:
        yield _payoffs(story, step)


def _result(record: StepRecord) -> str:
    tokens = (record.outcome or {}).get("tokens_out", 0.0)
    parts = [assistant_words(record.assistant.move), " ".join(reply_words(record.outcome)).strip()]
    parts += [f"{tokens:.0f} tokens"] if tokens else []
    return "; ".join([*filter(None, parts), *odd_notes(record.assistant)])


def _said(speaker: str, text: str) -> Iterator[str]:
    first, *rest = clean_text(text).expandtabs(4).strip().splitlines() or ["(says nothing)"]
    yield f"{speaker}: {first.rstrip()}"
    for line in rest:
        yield f"  {line}".rstrip()


def _payoffs(story: Story, step: int) -> str:
    record = story.episode.steps[step]
    user, assistant = story.totals[step]
    now = f"user {signed(record.user.payoff).strip()}, assistant {signed(record.assistant.payoff).strip()}"
    return f"  payoffs: {now} (so far {signed(user).strip()}, {signed(assistant).strip()})"


def _end(story: Story) -> Iterator[str]:
    user, assistant = story.totals[-1] if story.totals else (0.0, 0.0)
    welfare = mutual_welfare(user, assistant)
    both = "none: not both gain" if welfare is None else f"{welfare:.2f}"
    yield f"the end: {ending_words(story.episode)}"
    yield f"  user {signed(user).strip()}, assistant {signed(assistant).strip()}, mutual welfare {both}"


def _fitted(line: str, width: int | None) -> list[str]:
    if width is None or not line:
        return [line]
    indent = "  " if line.startswith(("  ", "USER: ", "ASSISTANT: ")) else ""
    return textwrap.wrap(line, max(width, 20), subsequent_indent=indent, break_on_hyphens=False) or [""]
