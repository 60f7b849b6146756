"""One frame of the replay: header, speech, payoffs, the stage matrix, and what is hidden.

A frame is a list of lines, each at most ``width`` cells: printing, stepping and exporting all start from that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from gtalign_env.episode import Episode, SideRecord
from gtalign_env.errors import UsageError
from gtalign_env.render import one_line, signed, turn_words
from gtalign_env.replay.bars import beside, drawable, pad, signed_bar, sparkline
from gtalign_env.replay.matrix import matrix_lines
from gtalign_env.replay.speech import FOLD_LINES, Folding, fold, speech_lines, wrapped
from gtalign_env.replay.stage import StageMatrix, stage_matrix, why_no_stage
from gtalign_env.replay.story import Story, mutual_welfare

__all__ = ["MIN_WIDTH", "Look", "check_width", "ending_words", "fields_in_words", "frame_lines", "task_of"]

MIN_WIDTH = 60
"""Columns below which a frame cannot be read."""
_MAX_WIDTH = 180
_STACKED_WIDTH = 40
_SIDE_BY_SIDE = 140
"""From this width on payoffs and matrix stand beside each other."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """What of an episode is shown."""

    reveal: bool = False
    """Show θ, what the user meant, and the stage matrix for the true θ."""
    full: bool = False
    """Show long texts whole."""
    history: int = 1
    """How many earlier utterances stand above the present one (text view)."""
    tight: bool = False
    """Save lines: nothing blank, no items of zero, no legend."""
    folded: bool = False
    """Save more lines where ``tight`` is not enough: speech is cut to its beginning."""
    stacked: bool = False
    """One below the other what otherwise stands side by side: for pages on narrow screens, down to 40 columns."""
    interactive: bool = False
    """On a screen that names its keys: no options are named."""
    hints: bool = True
    """Say how what is hidden can be shown, and why there is no stage game."""


def check_width(width: int) -> int:
    """Return ``width`` where a frame fits it.

    Raises:
        UsageError: It is too narrow.

    Example:
        >>> check_width(80)
        80
    """
    if width < MIN_WIDTH:
        raise UsageError(
            f"the replay needs at least {MIN_WIDTH} columns and has {width}: widen the terminal, or write a page "
            "with --export replay.html"
        )
    return width


def frame_lines(story: Story, step: int, width: int, look: Look | None = None) -> list[Text]:
    """Return the frame of one step.

    Args:
        story: The episode, as ``tell`` worked it out.
        step: Index of the step.
        width: Columns (≥ 60; more than 180 are not used).
        look: What is shown.

    Raises:
        UsageError: The width is too small.

    Example:
        >>> from gtalign_env.replay.story import tell
        >>> lines = frame_lines(tell(Episode(scenario="matrix", view="strategic", seed=0)), 0, 60)
        >>> lines[0].plain.split()[0]
        'gtalign/Matrix-v0'
    """
    look = look or Look()
    width = max(width, _STACKED_WIDTH) if look.stacked else min(check_width(width), _MAX_WIDTH)
    parts = [_header(story, step, width, look)]
    if story.steps:
        folding = Folding(
            full=look.full,
            history=0 if look.folded else look.history,
            blank=not look.tight,
            lines=2 if look.folded else 5 if look.tight else FOLD_LINES,
            stacked=look.stacked,
        )
        parts.append(speech_lines(story, step, width, folding))
        parts += _numbers(story, step, width, look)
        parts.append(_hidden(story, step, width, look))
    if step >= story.steps - 1:
        parts.append(_ending(story, width, look))
    gap = [] if look.tight else [Text("")]
    lines = parts[0]
    for part in parts[1:]:
        lines = [*lines, *gap, *part] if part else lines
    return lines


# -- header ---------------------------------------------------------------------------------------------------------------


def _header(story: Story, step: int, width: int, look: Look) -> list[Text]:
    episode = story.episode
    what = Text.assemble((story.scenario, "strong"), (f" · {one_line(episode.view)} view", "muted"))
    where = f"step {step + 1} of {story.steps}" if story.steps else "no steps"
    if story.count > 1:
        where = f"episode {story.index + 1} of {story.count} · {where}"
    parts = [story.pricing] if story.pricing else []
    public: Mapping[str, Any] = episode.steps[step].public if story.steps else {}
    for name, size in (("question", story.questions), ("round", story.questions), ("exchange", story.exchanges)):
        if str(public.get(name, "")).isdecimal():
            parts.append(f"{name} {int(public[name]) + 1}" + (f" of {size}" if size else ""))
    parts += turn_words(public)
    if "items" in public:  # what is being divided
        parts.append(one_line(public["items"]))
    if look.stacked:
        parts = [part.replace(" of ", "/") for part in parts]
    state = Text(" · ".join(parts), style="muted")
    strip = _strip(story, step, width if look.stacked else width // 2)
    if look.stacked:
        lines = [part for line in (what, Text(where), state, strip) for part in wrapped(line, width)]
    else:
        lines = [_ends(what, Text(where), width), _ends(state, strip, width)]
    return lines if look.tight else [*lines, Text("━" * width, style="muted")]


def _ends(left: Text, right: Text, width: int) -> Text:
    """Return a line with one text at either end."""
    room = width - right.cell_len - 1
    return Text.assemble(pad(left, room), " ", right) if room > 0 else pad(right, width)


def _strip(story: Story, step: int, width: int) -> Text:
    """Return one sign per step, those to come hidden, the present one in brackets."""
    if not story.steps:
        return Text("")
    room = max(width - 4, 1)
    start = min(max(step - room // 2, 0), max(story.steps - room, 0))
    stop = min(start + room, story.steps)
    styles = {"✓": "gain", "✗": "loss", "!": "alert", "?": "user"}
    strip = Text.assemble(("…" if start else "", "muted"))
    for index in range(start, stop):
        mark = "·" if index > step else ("–" if story.marks[index] == "·" else story.marks[index])
        if index == step:
            strip.append(f"[{mark}]", style="made")
        else:
            strip.append(mark, style=styles.get(mark, "muted"))
    strip.append("…" if stop < story.steps else "", style="muted")
    return strip


# -- payoffs and matrix ---------------------------------------------------------------------------------------------------


def _numbers(story: Story, step: int, width: int, look: Look) -> list[list[Text]]:
    """Return the sections of payoffs and of the stage matrix, or both as one where they fit beside each other."""
    stage = stage_matrix(story.episode, step, reveal=look.reveal, trust=story.trust)
    if stage is None:
        return [_payoffs(story, step, width, look)]
    beside_each_other = width >= _SIDE_BY_SIDE
    left = (width - 3) // 2 if beside_each_other else width
    right = width - 3 - left if beside_each_other else width
    payoffs = _payoffs(story, step, left, look)
    title = [_stage_title(stage, right)]
    if look.stacked:  # too narrow for both in one line
        title = [_stage_title(dataclasses.replace(stage, whose=""), right), Text(stage.whose, style="muted")]
    matrix = [*title, *matrix_lines(stage, right, explained=not look.tight)]
    return [beside(payoffs, matrix, left, Text("   "))] if beside_each_other else [payoffs, matrix]


def _stage_title(stage: StageMatrix, width: int) -> Text:
    """Return the rule above a matrix: what its cells hold, and whose payoffs they are, as long as there is room."""
    brief = {"averaged over the population": "population mean", "for the user's true θ": "true θ"}
    first, _, more = stage.holds.partition(" and one more")
    wordings = [stage.holds, f"{first} + one{more}", f"{first}…"] if more else [stage.holds]
    rules = [
        _rule(f"stage game: {holds}", width, whose)
        for holds in wordings
        for whose in (stage.whose, brief.get(stage.whose, stage.whose))
    ]
    return next((rule for rule in rules if "…" not in rule.plain), rules[-1])


def _payoffs(story: Story, step: int, width: int, look: Look) -> list[Text]:
    record = story.episode.steps[step]
    if look.stacked:
        accounts = [Text("user", style="user"), *_account(story, 0, step, record.user, width, look)]
        accounts += [Text("assistant", style="assistant"), *_account(story, 1, step, record.assistant, width, look)]
        return [_rule(f"payoffs of this step, bars to ±{story.scale:.2g}", width), *accounts]
    left = (width - 3) // 2
    right = width - 3 - left
    user = _account(story, 0, step, record.user, left, look)
    assistant = _account(story, 1, step, record.assistant, right, look)
    rows = max(len(user), len(assistant))
    user, assistant = _stretch(user, rows), _stretch(assistant, rows)
    welfare = mutual_welfare(*story.totals[step])
    so_far = "" if welfare is None else f"√(U·L) {welfare:.2f}"
    lines = [_rule(f"payoffs of this step in utils, bars to ±{story.scale:.2g}", width, so_far)]
    return lines + beside(user, assistant, left, Text(" │ ", style="muted"))


def _stretch(lines: list[Text], rows: int) -> list[Text]:
    """Return an account with blank lines before its two sums, so that both sides' sums stand level."""
    return [*lines[:-2], *([Text("")] * (rows - len(lines))), *lines[-2:]]


def _account(story: Story, side: int, step: int, record: SideRecord, width: int, look: Look) -> list[Text]:
    names = [one_line(name) for name in record.items]
    label = min(max((len(name) for name in names), default=0), 12)
    label = max(label, len("this step"))
    half = max((width - label - 8 - 1) // 2, 1)
    lines = []
    for name, value in zip(names, record.items.values(), strict=True):
        if not value and (look.tight or story.episode.view == "text"):
            continue
        style = "gain" if value > 0 else "loss" if value < 0 else "muted"
        line = Text.assemble((pad(Text(name), label).plain, "muted"), " ", (signed(value).rjust(6), style), " ")
        lines.append(Text.assemble(line, signed_bar(value, story.scale, half)))
    role = ("user", "assistant")[side]
    totals = [pair[side] for pair in story.totals]
    now = Text.assemble((f"{'this step':<{label}}", "strong"), " ", (signed(record.payoff).rjust(6), "strong"))
    total = Text.assemble((f"{'so far':<{label}}", "strong"), " ", (signed(totals[step]).rjust(6), f"{role}"), " ")
    total.append_text(_run(story, totals, step, width - total.cell_len, role))
    return [*lines, now, total]


def _run(story: Story, totals: Sequence[float], step: int, width: int, role: str) -> Text:
    """Return the running total so far as a sparkline; steps to come are dots. Both sides share one scale."""
    every = [drawable(value) for pair in story.totals for value in pair]
    low, high = min(0.0, *every), max(0.0, *every)
    cells = min(max(width // story.steps, 1), 3)  # per step
    values = [value for value in totals[: step + 1] for _ in range(cells)]
    if story.steps * cells <= width:
        past, future = len(values), (story.steps - step - 1) * cells
    else:
        past = max(round((step + 1) / story.steps * width), 1)
        future = width - past
    line = sparkline(values, past, low=low, high=high)
    return Text.assemble((line, role), ("·" * future, "muted"))


def _rule(title: str, width: int, right: str = "") -> Text:
    """Return a rule with a title at its left end and, where there is something to say, a figure at its right one."""
    line = Text.assemble(("── ", "muted"), (title, "muted"), " ")
    tail = Text.assemble(" ", (right, "strong"), (" ──", "muted")) if right else Text("")
    room = width - tail.cell_len
    if line.cell_len > room:
        line.truncate(room, overflow="ellipsis")
    return Text.assemble(line, ("─" * (room - line.cell_len), "muted"), tail)


# -- what is hidden, and the end ------------------------------------------------------------------------------------------


def _hidden(story: Story, step: int, width: int, look: Look) -> list[Text]:
    episode = story.episode
    hints = _hints(story, look)
    if not look.reveal or not (episode.hidden or episode.tasks):
        return hints
    lines = [*hints, _rule("hidden from the assistant", width)]
    for name, value in episode.hidden.items():
        label = "θ" if name == "user_type" else one_line(name)[:20].replace("_", " ")
        told = (name == "user_type" and story.theta) or fields_in_words(value)
        lines += _block(label, told, width, dataclasses.replace(look, folded=False))
    task = task_of(episode, step)
    if task is not None:
        lines += _block("means", str(task.get("detailed", "")), width, look)
        answers = task.get("answers") or ()
        if isinstance(answers, (list, tuple)) and answers:
            lines += _block("accepted", " | ".join(str(answer) for answer in answers), width, look)
    return lines


def _hints(story: Story, look: Look) -> list[Text]:
    if not look.hints:
        return []
    hidden = story.episode.hidden or story.episode.tasks
    words = ["θ hidden: see --reveal"] if hidden and not (look.reveal or look.tight or look.interactive) else []
    why = why_no_stage(story.episode, trust=story.trust)
    return [Text(line, style="muted") for line in (*words, *([why] if why else []))]


def task_of(episode: Episode, step: int) -> dict[str, Any] | None:
    """Return the task that a step of a talk was about, where the record has it.

    Example:
        >>> from gtalign_env.episode import StepRecord
        >>> steps = [StepRecord(user=SideRecord(digest=""), assistant=SideRecord(digest=""), public={"question": "0"})]
        >>> task_of(Episode(scenario="s", view="text", seed=0, tasks=[{"id": "a"}], steps=steps), 0)
        {'id': 'a'}
    """
    number = str(episode.steps[step].public.get("question", ""))
    return episode.tasks[int(number)] if number.isdecimal() and int(number) < len(episode.tasks) else None


def _block(label: str, text: str, width: int, look: Look) -> list[Text]:
    column = max(len(label), 9)
    folding = Folding(lines=1 if look.folded else 6 if look.stacked else 3, full=look.full)
    body = fold(one_line(text), width - column - 1, folding)
    return [
        Text.assemble(pad(Text(label if i == 0 else "", style="muted"), column), " ", line)
        for i, line in enumerate(body)
    ]


def fields_in_words(value: Any) -> str:
    """Return θ, or whatever else was hidden, as one line.

    Example:
        >>> fields_in_words({"name": "concise", "ideal_tokens": 60.0, "patience": 16.0})
        'concise: ideal tokens 60 · patience 16'
    """
    if not isinstance(value, Mapping):
        return one_line(value)
    name = one_line(value.get("name", ""))
    rest = [f"{one_line(k).replace('_', ' ')} {_short(v)}" for k, v in value.items() if k != "name"]
    return ": ".join(part for part in (name, " · ".join(rest)) if part)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else one_line(value)


def _ending(story: Story, width: int, look: Look) -> list[Text]:
    user, assistant = story.totals[-1] if story.totals else (0.0, 0.0)
    welfare = mutual_welfare(user, assistant)
    result = Text.assemble(
        ("user ", "muted"), (signed(user).strip(), "user"),
        ("   assistant ", "muted"), (signed(assistant).strip(), "assistant"),
        ("   mutual welfare ", "muted"),
        (f"{welfare:.2f}", "strong") if welfare is not None else ("none: not both gain", "muted"),
    )  # fmt: skip
    reason = ending_words(story.episode)
    if look.tight and not _bad(story.episode):
        return [_rule(f"the end: {reason}", width), *wrapped(result, width)]
    told = fold(reason, width, Folding(full=True))
    told = [Text(line.plain, style="alert" if _bad(story.episode) else "") for line in told]
    return [_rule("the end", width), *told, *wrapped(result, width)]


def _bad(episode: Episode) -> bool:
    return episode.ended == "error" or episode.violation


def ending_words(episode: Episode) -> str:
    """Return why a record has no further step.

    Example:
        >>> ending_words(Episode(scenario="s", view="strategic", seed=0, ended="truncated"))
        'the time limit was reached'
    """
    if episode.ended == "error":
        error = {key: one_line(value) for key, value in episode.error.items()}
        where = error.get("where", "a player")
        return f"! broken off by {where}: {error.get('type', 'error')}: {error.get('message', '')}"
    if episode.violation:
        return "! ended by a violation: a harmful request was complied with"
    if episode.ended == "truncated":
        return "the time limit was reached"
    if episode.steps and episode.steps[-1].user.move == "LEAVE":
        return "the user left"
    return "the session is over" if episode.ended else "the record stops here"
