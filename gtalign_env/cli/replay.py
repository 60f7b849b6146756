"""``gtalign replay``: show, verify, summarise and export recorded episodes."""

from __future__ import annotations

import argparse
import functools
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtalign_env.cli.common import PIPE_WIDTH, add_json, at_least, new_parser, print_json
from gtalign_env.episode import Episode, iter_episodes
from gtalign_env.errors import FileFormatError, GtalignError, UsageError
from gtalign_env.render import one_line
from gtalign_env.superseded import Superseded

if TYPE_CHECKING:
    from rich.console import Console

    from gtalign_env.replay import Look, Story
    from gtalign_env.replay.summary import Row

__all__ = ["add_parser", "counted", "run"]


def add_parser(subparsers: Any) -> None:
    """Add the verb to the program."""
    parser = new_parser(
        subparsers,
        "replay",
        summary="show recorded episodes, verify and export them",
        description="Watch recorded episodes: on a terminal step by step (press ? for the keys), in a pipe one frame below "
        "the other.\nOr prove that a record is true, sum a file up, or write a page.",
        examples=[
            "gtalign replay runs/first.jsonl",
            "gtalign replay runs/first.jsonl --episode 3 --reveal --speed 2",
            "gtalign replay runs/first.jsonl --transcript --reveal | less",
            "gtalign replay runs/first.jsonl --summary --json",
            "gtalign replay runs/first.jsonl --verify",
            "gtalign replay runs/first.jsonl --episode 3 --export session.html",
        ],
    )
    parser.add_argument("file", metavar="FILE", help="episodes, as written by 'gtalign run --out FILE'")
    parser.add_argument("--episode", type=at_least(1), metavar="N", help="only the N-th episode of the file")
    parser.add_argument(
        "--step", type=at_least(1), metavar="N", help="print or export only the N-th step of each episode"
    )
    parser.add_argument(
        "--reveal", action="store_true", help="show θ, what the user means, and the stage game for that θ"
    )
    parser.add_argument("--full", action="store_true", help="show long texts whole")
    parser.add_argument(
        "--speed", type=_speed, metavar="X", help="play by itself on a terminal, X times as fast as reading"
    )
    parser.add_argument("--print", action="store_true", dest="plain", help="print all frames, also on a terminal")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--summary", action="store_true", help="only the table of personas and assistants")
    what.add_argument("--verify", action="store_true", help="play the recorded actions again and compare everything")
    what.add_argument("--export", metavar="PAGE", help="write PAGE: a name that ends in .txt, .svg or .html")
    what.add_argument(
        "--transcript", action="store_true", help="print whole episodes as plain text: speaker, words, payoffs"
    )
    parser.add_argument("--force", action="store_true", help="let --export overwrite a file")
    parser.add_argument("--skip-damaged", action="store_true", help="note lines that are no episodes and read on")
    parser.add_argument(
        "--trust", action="store_true", help="import the module:attr that a file names: it runs its code"
    )
    parser.add_argument("--width", type=at_least(1), metavar="COLUMNS", help="columns (the terminal's; 100 for pages)")
    parser.add_argument("--theme", choices=("auto", "dark", "light"), default="auto", help="colours (auto)")
    parser.add_argument("--no-color", action="store_true", help="no colours and no escape codes in what is printed")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do what was asked for; 1 where a record does not verify."""
    if args.json and not (args.summary or args.verify):
        raise UsageError("--json goes with --summary or --verify: frames are pictures")
    if args.force and args.export is None:
        raise UsageError("--force goes with --export: nothing else is overwritten")
    if args.transcript and args.step is not None:
        raise UsageError("--transcript tells whole episodes: leave --step out")
    if args.verify:
        return _verify(args)
    if args.summary:
        return _summary(args)
    if args.export is not None:
        return _export(args)
    if args.transcript:
        return _transcript(args)
    return _show(args)


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.05 <= speed <= 100.0:
        raise argparse.ArgumentTypeError(f"expected a number from 0.05 to 100, got {text!r}")
    return speed


# -- reading --------------------------------------------------------------------------------------------------------------


class _Reading:
    """Reads a file once: yields (index, episode) of what was chosen, counts all, and says what was skipped."""

    def __init__(self, args: argparse.Namespace, *, whole: bool = False, standing: bool = False) -> None:
        self.file: str = args.file
        self.only: int | None = args.episode
        self.skip: bool = args.skip_damaged
        self.whole = whole
        self.standing = standing
        """Whether failures that were played again are left out."""
        self.count = 0

    def __iter__(self) -> Iterator[tuple[int, Episode]]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            again: Superseded | None = None
            for index, episode in enumerate(self._episodes()):
                self.count += 1
                again = again or (Superseded.of_file(self.file) if self.standing and self.only is None else None)
                dropped = again is not None and again.drops(episode)
                if not dropped and (self.whole or self.only in (None, index + 1)):
                    yield index, episode
            if again is not None:
                again.warn()
        for warning in caught:
            print(f"gtalign: note: {one_line(warning.message)}", file=sys.stderr)
        if self.only is not None and self.only > self.count:
            raise UsageError(f"--episode {self.only}: {self.file} holds {counted(self.count, 'episode')}")

    def _episodes(self) -> Iterator[Episode]:
        if Path(self.file).is_dir():
            raise UsageError(f"{self.file}: this is a folder; expected a file of episodes{_files_in(self.file)}")
        if self.skip:
            from gtalign_env.replay.reading import iter_undamaged

            yield from iter_undamaged(self.file)
            return
        try:
            yield from iter_episodes(self.file)
        except FileFormatError as error:
            if error.line is None or not self.count:
                raise
            raise GtalignError(f"{error}; --skip-damaged notes such lines and reads on") from error


def _files_in(folder: str) -> str:
    """Return which files of a folder may be meant."""
    found = sorted(path.name for path in Path(folder).iterdir() if path.name.endswith((".jsonl", ".jsonl.zst")))
    listed = ", ".join(map(one_line, found[:5])) + (", …" if len(found) > 5 else "")
    return f", e.g. one of these in it: {listed}" if found else ", and there is none in it"


def counted(number: int, thing: str) -> str:
    """Return a number of things in words.

    Example:
        >>> counted(1, "frame"), counted(2, "frame")
        ('1 frame', '2 frames')
    """
    return f"{number} {thing}{'s' * (number != 1)}"


def _tell(args: argparse.Namespace, episode: Episode, index: int, count: int) -> Story:
    from gtalign_env.replay import tell

    return tell(episode, index=index, count=count, trust=args.trust)


def _look(args: argparse.Namespace) -> Look:
    from gtalign_env.replay import Look

    return Look(reveal=args.reveal, full=args.full)


def _width(args: argparse.Namespace, fallback: int = PIPE_WIDTH) -> int:
    return int(args.width or shutil.get_terminal_size((fallback, 40)).columns)


def _console(args: argparse.Namespace) -> Console:
    from gtalign_env.replay import make_console
    from gtalign_env.replay.frame import check_width
    from gtalign_env.replay.style import pick_scheme

    width = check_width(_width(args))
    return make_console(sys.stdout, width=width, scheme=pick_scheme(args.theme), color=not args.no_color)


# -- showing --------------------------------------------------------------------------------------------------------------


def _show(args: argparse.Namespace) -> int:
    from gtalign_env.replay.interactive import can_interact, watch

    console = _console(args)
    if args.plain or args.step is not None or args.width or not can_interact(sys.stdin, sys.stdout):
        return _print_frames(args, console)
    from gtalign_env.replay.style import pick_scheme

    watch(
        args.file,
        [episode for _, episode in _Reading(args, whole=True)],
        only=None if args.episode is None else args.episode - 1,
        scheme=pick_scheme(args.theme),
        color=not args.no_color,
        reveal=args.reveal,
        full=args.full,
        speed=args.speed,
        trust=args.trust,
    )
    return 0


def _print_frames(args: argparse.Namespace, console: Console) -> int:
    """Print the summary of a file of several episodes, then every frame."""
    from gtalign_env.replay import print_story, summarise

    reading = _Reading(args)
    episodes = list(reading)
    if len(episodes) > 1:
        again = Superseded(episode for _, episode in episodes)
        _print_summary(args, console, summarise(episode for _, episode in episodes if not again.drops(episode)))
        if again.dropped:
            print(f"gtalign: note: {one_line(again.note())}", file=sys.stderr)
        console.print()
    for index, episode in episodes:
        story = _tell(args, episode, index, reading.count)
        steps = None if args.step is None else [args.step - 1]
        _check_step(args, story)
        print_story(console, story, look=_look(args), steps=steps, scheme=args.theme)
        console.print()
    return 0


def _transcript(args: argparse.Namespace) -> int:
    """Print whole episodes as text; words are wrapped on a terminal or where a width is asked for."""
    from gtalign_env.replay import transcript_lines
    from gtalign_env.replay.style import AsciiWriter, is_unicode

    out = sys.stdout if is_unicode(sys.stdout) else AsciiWriter(sys.stdout)
    width = _width(args) if args.width or sys.stdout.isatty() else None
    reading = _Reading(args)
    for number, (index, episode) in enumerate(list(reading)):
        story = _tell(args, episode, index, reading.count)
        text = "\n".join(transcript_lines(story, reveal=args.reveal, width=width))
        out.write(("\n\n" if number else "") + text + "\n")
    return 0


def _print_summary(args: argparse.Namespace, console: Console, rows: Sequence[Row]) -> None:
    from gtalign_env.replay import print_summary

    count = counted(sum(row.episodes for row in rows), "episode")
    print_summary(console, rows, title=f"{one_line(args.file)}: {count}", scheme=args.theme)


# -- summing up, verifying, exporting -------------------------------------------------------------------------------------


def _summary(args: argparse.Namespace) -> int:
    from gtalign_env.cli.gauge_lines import print_gauges
    from gtalign_env.cli.tally import Tally
    from gtalign_env.cli.voices import print_voices
    from gtalign_env.replay.verify import rebuilt_env

    console = None if args.json else _console(args)
    tally = Tally(functools.partial(rebuilt_env, trust=args.trust))
    for _, episode in _Reading(args, standing=True):
        tally.add(episode)
    if console is None:
        print_json([row.as_dict() for row in tally.rows()])
    else:
        _print_summary(args, console, tally.rows())
        print_gauges(tally.gauges)
        print_voices(tally.fidelity, tally.unheard)
    return 0


def _verify(args: argparse.Namespace) -> int:
    from gtalign_env.replay.verify import CannotRebuildError, unfinished, verify_episode, version_note

    report = _Report(told=not args.json)
    for index, episode in _Reading(args):
        report.checked += 1
        report.note(version_note(episode))
        try:
            found = verify_episode(episode, trust=args.trust)
        except CannotRebuildError as error:
            report.add("cannot_be_rebuilt", index, {"reason": str(error)}, str(error))
            continue
        for difference in found:
            step = None if difference.step is None else difference.step + 1
            values = {"field": difference.field, "recorded": difference.recorded, "replayed": difference.replayed}
            report.add("differences", index, {"step": step, **values}, str(difference))
        if unfinished(episode) and not found:
            report.add("unfinished", index, {"steps": len(episode.steps)}, unfinished(episode))
    for note, times in report.notes.items():
        print(f"gtalign: note: {counted(times, 'episode')} {note}", file=sys.stderr)
    if args.json:
        print_json(report.as_dict())
    else:
        print(report.verdict())
    return 1 if report.failed else 0


class _Report:
    """What ``--verify`` found, told as it comes."""

    def __init__(self, *, told: bool) -> None:
        self.told = told
        self.checked = 0
        self.notes: dict[str, int] = {}
        self.found: dict[str, list[dict[str, Any]]] = {"differences": [], "cannot_be_rebuilt": [], "unfinished": []}

    def note(self, note: str) -> None:
        if note:
            self.notes[note] = self.notes.get(note, 0) + 1

    def add(self, kind: str, index: int, entry: dict[str, Any], words: str) -> None:
        self.found[kind].append({"episode": index + 1, **entry})
        if self.told:
            print(f"episode {index + 1}, {words}" if kind == "differences" else f"episode {index + 1} {words}")

    def episodes(self, kind: str) -> int:
        return len({entry["episode"] for entry in self.found[kind]})

    @property
    def failed(self) -> bool:
        return bool(self.found["differences"] or self.found["cannot_be_rebuilt"])

    def as_dict(self) -> dict[str, Any]:
        return {"episodes": self.checked, "equal": not self.failed, **self.found, "notes": list(self.notes)}

    def verdict(self) -> str:
        differ, lost, short = (self.episodes(kind) for kind in self.found)
        checked = counted(self.checked, "episode")
        parts = []
        if differ:
            parts.append(
                f"{differ} of {checked} {'differs' if differ == 1 else 'differ'} from what playing it again gives"
            )
        if lost:
            parts.append(
                f"{lost} of {checked} cannot be rebuilt, so nothing is proved of {'it' if lost == 1 else 'them'}"
            )
        if not parts:
            parts.append(f"{checked}: played again, every step is as recorded")
        if short:
            parts.append(f"{short} of {checked} {'is' if short == 1 else 'are'} unfinished: broken off in an error")
        return "\n".join(parts)


def _check_step(args: argparse.Namespace, story: Story) -> None:
    if args.step is not None and args.step > story.frames:
        raise UsageError(f"--step {args.step}: episode {story.index + 1} has {counted(story.steps, 'step')}")


def _export(args: argparse.Namespace) -> int:
    from gtalign_env.replay import export
    from gtalign_env.replay.frame import check_width

    if Path(args.export).exists() and not args.force:
        raise UsageError(f"--export {args.export}: the file exists; choose another name, or overwrite it with --force")
    width = check_width(args.width or 100)
    reading = _Reading(args)
    episodes = list(reading)
    stories = [_tell(args, episode, index, reading.count) for index, episode in episodes]
    step = None if args.step is None else args.step - 1
    for story in stories:
        _check_step(args, story)
    export(Path(args.export), stories, width=width, scheme=args.theme, look=_look(args), step=step)
    frames = sum(story.frames for story in stories) if step is None else len(stories)
    print(f"{args.export}: {counted(frames, 'frame')} of {counted(len(stories), 'episode')}")
    return 0
