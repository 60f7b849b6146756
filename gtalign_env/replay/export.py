"""Write replays to files: plain text, SVG and HTML, the same bytes for the same episode.

Pages carry no scripts or fonts from elsewhere. ``auto`` follows the reader's own preference for dark or light.
"""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from gtalign_env.errors import UsageError
from gtalign_env.replay.frame import Look, frame_lines
from gtalign_env.replay.story import Story
from gtalign_env.replay.style import PALETTES, PAPER, ROLES, Scheme
from gtalign_env.replay.template import PAGE, PAGE_STYLE, SVG

__all__ = ["FORMATS", "Run", "episode_title", "export", "page_title", "runs", "to_html", "to_svg", "to_text"]

FORMATS: tuple[str, ...] = (".txt", ".svg", ".html")
_FONT = 14.0
_CELL = 8.43  # 0.602 em, the advance of nearly all monospaced fonts
_LINE = 19.0
_PAD = 22.0
_HEAD = 44.0
_NARROW = 46
"""Columns of the layout for narrow screens."""
# What XML 1.0 cannot hold even as a character reference; ``clean_text`` leaves the two noncharacters alone.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Run(NamedTuple):
    """A piece of a line in one style."""

    text: str
    classes: tuple[str, ...]


def export(
    path: str | Path,
    stories: Sequence[Story],
    *,
    width: int = 100,
    scheme: Scheme = "auto",
    look: Look,
    step: int | None = None,
) -> None:
    """Write episodes to a file; its ending says how.

    Args:
        path: ``.txt``, ``.svg`` (one episode) or ``.html``.
        stories: The episodes.
        width: Columns.
        scheme: Colours of pages.
        look: What is shown.
        step: Index of the only step to write; all of them when ``None``.

    Raises:
        UsageError: The ending is unknown, the folder is missing, or an SVG should hold several episodes.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise UsageError(f"--export {path}: expected a name that ends in {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise UsageError(f"--export {path}: the folder {path.parent} does not exist; create it first")
    if path.suffix == ".svg" and len(stories) != 1:
        raise UsageError(
            f"an SVG shows one episode, {len(stories)} were chosen: pick one with --episode N, or use .html"
        )
    if path.suffix == ".txt":
        content = to_text(stories, width=width, look=look, step=step)
    elif path.suffix == ".svg":
        content = to_svg(stories[0], width=width, scheme=scheme, look=look, step=step)
    else:
        content = to_html(stories, width=width, scheme=scheme, look=look, step=step)
    path.write_text(content, encoding="utf-8", newline="\n")


def episode_title(story: Story) -> str:
    """Return what an episode is called: who played what.

    Example:
        >>> from gtalign_env.episode import Episode
        >>> from gtalign_env.replay.story import tell
        >>> episode_title(tell(Episode(scenario="matrix", view="strategic", seed=0)))
        'user and assistant in gtalign/Matrix-v0'
    """
    return f"{story.user} and {story.assistant} in {story.scenario}"


def page_title(stories: Sequence[Story]) -> str:
    """Return the title of a page: that of its episode, or how many there are."""
    return episode_title(stories[0]) if len(stories) == 1 else f"{len(stories)} episodes of {stories[0].scenario}"


def runs(line: Text) -> list[Run]:
    """Return a line in pieces of one style each; later styles win, bold and the made move come on top.

    Example:
        >>> runs(Text.assemble(("U", "user"), " and ", ("L", "assistant")))
        [Run(text='U', classes=('user',)), Run(text=' and ', classes=()), Run(text='L', classes=('assistant',))]
    """
    plain = line.plain
    styles: list[list[str]] = [[str(line.style)] if line.style else [] for _ in plain]
    for span in line.spans:
        for at in range(span.start, min(span.end, len(plain))):
            styles[at].append(str(span.style))
    found: list[Run] = []
    for char, names in zip(plain, styles, strict=True):
        classes = _classes(names)
        if found and found[-1].classes == classes:
            found[-1] = Run(found[-1].text + char, classes)
        else:
            found.append(Run(char, classes))
    return found


def _classes(names: Iterable[str]) -> tuple[str, ...]:
    color, extra = "", []
    for name in names:
        if name in ROLES:
            color = name
        elif name in ("strong", "made") and name not in extra:
            extra.append(name)
    return tuple(filter(None, [color, *extra]))


# -- text -----------------------------------------------------------------------------------------------------------------


def to_text(stories: Sequence[Story], *, width: int, look: Look, step: int | None = None) -> str:
    """Return all frames as plain text."""
    frames = [[line.plain.rstrip() for line in lines] for _, _, lines in _frames(stories, width, look, step)]
    return "\n\n".join("\n".join(lines) for lines in frames) + "\n"


def _frames(
    stories: Sequence[Story], width: int, look: Look, only: int | None
) -> Iterator[tuple[Story, int, list[Text]]]:
    for story in stories:
        for step in range(story.frames) if only is None else [only]:
            yield story, step, frame_lines(story, step, width, look)
            look = dataclasses.replace(look, hints=False)  # once is enough


# -- SVG ------------------------------------------------------------------------------------------------------------------


def to_svg(story: Story, *, width: int, scheme: Scheme, look: Look, step: int | None = None) -> str:
    """Return one episode as a picture: a card for every frame, one below the other."""
    frames = [lines for _, _, lines in _frames([story], width, look, step)]
    columns = max(line.cell_len for lines in frames for line in lines)
    card_width = columns * _CELL + 2 * _PAD
    y = _HEAD
    cards = []
    for lines in frames:
        height = len(lines) * _LINE + 2 * _PAD - 8
        cards.append(f'<rect class="card" x="16" y="{y:g}" width="{card_width:.1f}" height="{height:.1f}" rx="10"/>')
        for number, line in enumerate(lines):
            cards += _svg_line(line, 16 + _PAD, y + _PAD + number * _LINE)
        y += height + 16
    title = _escape(episode_title(story))
    return SVG.format(
        width=f"{card_width + 32:.0f}",
        height=f"{y:.0f}",
        title=title,
        description=_escape(f"{len(frames)} frames; payoffs of both sides in utils"),
        style=_svg_style(scheme),
        body="\n".join(cards),
    )


def _svg_line(line: Text, x: float, y: float) -> Iterator[str]:
    column = 0
    for run in runs(line):
        cells = cell_len(run.text)
        left = x + column * _CELL
        length = cells * _CELL
        if "made" in run.classes:
            yield f'<rect class="ink" x="{left:.1f}" y="{y:.1f}" width="{length:.1f}" height="{_LINE - 1:g}" rx="2"/>'
        if run.text.strip():
            lead = len(run.text) - len(run.text.lstrip(" "))
            body = run.text.strip(" ")
            at, width = left + lead * _CELL, cell_len(body) * _CELL
            names = " ".join(("t", *run.classes))
            yield (
                f'<text class="{names}" x="{at:.1f}" y="{y + 14:.1f}" textLength="{width:.1f}" '
                f'lengthAdjust="spacingAndGlyphs">{_escape(body)}</text>'
            )
        column += cells


def _svg_style(scheme: Scheme) -> str:
    def rules(name: str) -> str:
        fills = "".join(f".{part}{{fill:{color}}}" for part, color in {**PAPER[name], **PALETTES[name]}.items())
        return f".t{{fill:{PAPER[name]['ink']}}}{fills}.made{{fill:{PAPER[name]['card']}}}"

    if scheme != "auto":
        return rules(scheme)
    return f"{rules('light')}\n@media (prefers-color-scheme: dark){{{rules('dark')}}}"


# -- HTML -----------------------------------------------------------------------------------------------------------------


def to_html(stories: Sequence[Story], *, width: int, scheme: Scheme, look: Look, step: int | None = None) -> str:
    """Return the episodes as one self-contained page: all frames below each other, or step by step with the arrow keys."""
    sections = []
    wide = _frames(stories, width, look, step)
    narrow = _frames(stories, _NARROW, dataclasses.replace(look, stacked=True), step)
    for number, ((story, place, lines), (_, _, stacked)) in enumerate(zip(wide, narrow, strict=True)):
        if place == 0 and len(stories) > 1:
            sections.append(
                f'<h2 id="episode-{story.index + 1}">{story.index + 1}. {_escape(episode_title(story))}</h2>'
            )
        body = f'<pre class="wide">{_html_lines(lines)}</pre><pre class="narrow">{_html_lines(stacked)}</pre>'
        label = f"episode {story.index + 1}, step {place + 1}"
        sections.append(f'<section id="frame-{number + 1}" aria-label="{label}">{body}</section>')
    return PAGE.format(
        title=_escape(page_title(stories)),
        style=PAGE_STYLE.replace("/*colors*/", _html_colors(scheme)),
        scheme="dark light" if scheme == "auto" else scheme,
        body="\n".join(sections),
    )


def _html_lines(lines: Sequence[Text]) -> str:
    return "\n".join("".join(_html_run(run) for run in runs(line)).rstrip() for line in lines)


def _html_run(run: Run) -> str:
    text = _escape(run.text)
    return f'<span class="{" ".join(run.classes)}">{text}</span>' if run.classes else text


def _html_colors(scheme: Scheme) -> str:
    def variables(name: str) -> str:
        colors = "".join(f"--{part}:{color};" for part, color in {**PAPER[name], **PALETTES[name]}.items())
        return f":root{{{colors}}}"

    classes = "".join(f".{role}{{color:var(--{role})}}" for role in ROLES)
    if scheme != "auto":
        return variables(scheme) + "\n" + classes
    return f"{variables('light')}\n@media (prefers-color-scheme: dark){{{variables('dark')}}}\n{classes}"


def _escape(text: str) -> str:
    return html.escape(_NOT_XML.sub("\ufffd", text))
