"""``gtalign demo``: a minute that shows what this is. Needs the core package only: no model, no PyTorch."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtalign_env.cli.common import Progress, Sink, add_seed, at_least, make_console, new_parser, seat_assistant, welfare
from gtalign_env.cli.screen import Trimmed, first_steps
from gtalign_env.cli.settings import command_line
from gtalign_env.cli.tally import Tally, number
from gtalign_env.env import parallel_env
from gtalign_env.episode import Episode
from gtalign_env.errors import UsageError
from gtalign_env.play import episode_seeds, play_episode
from gtalign_env.replay.frame import MIN_WIDTH
from gtalign_env.replay.summary import Row
from gtalign_env.types import ASSISTANT, USER

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = [
    "ASSISTANTS",
    "add_parser",
    "comparison_table",
    "comparison_tables",
    "in_a_sentence",
    "most_telling",
    "run",
]

ASSISTANTS: tuple[str, ...] = ("fixed:DA_short", "fixed:DA_long", "fixed:AQ_medium", "fixed:CQ", "random", "heuristic")
"""Who is compared."""
STRATEGIC = "gtalign/Assist-v0"
TEXT = "gtalign/AssistText-v0"
TALKS: tuple[tuple[str, str], ...] = (
    ("concise", "heuristic"),
    ("detailed", "heuristic"),
    ("concise", "fixed:DA_long"),
    ("expert", "heuristic"),
)
"""Persona and assistant of the sessions in natural language."""
ROUNDS = 20
"""Sessions of every persona with every assistant."""
HERO = "heuristic"
_CODES = (
    "DA answers directly, AQ answers and asks one follow-up question, CQ asks a clarifying question instead; short, medium "
    "and long say how much. An assistant named after a move always makes that one; 'random' makes any legal move; "
    "'heuristic' reads reactions and asks when it pays."
)
_FIRST, _NEXT = 13, 11
"""Columns that the users' names and each assistant take in the comparison."""
_SIDE_BY_SIDE = 84
"""Columns from which commands have their explanation beside them."""
_WITH_A_MODEL = "gtalign run gtalign/AssistText-v0 --assistant transformers:PATH --episodes 4 --out run.jsonl"

Rows = Sequence[Row]


def add_parser(subparsers: Any) -> None:
    """Add the verb to the program."""
    parser = new_parser(
        subparsers,
        "demo",
        summary="watch scripted people and assistants play, compare them, replay the most telling episode",
        description="Scripted people meet scripted assistants: who is left better off with whom? Ends with a comparison and "
        "the\nreplay of a telling session. All sessions are kept in runs/demo.jsonl (an older one is replaced).",
        examples=["gtalign demo", "gtalign demo --seed 7 --no-replay", "gtalign demo --seconds 20"],
    )
    parser.add_argument(
        "--seconds",
        type=at_least(1),
        default=60,
        metavar="N",
        help="stop playing after so many seconds, come what may (60)",
    )
    parser.add_argument("--no-replay", action="store_true", help="do not show a session at the end")
    add_seed(parser)


def run(args: argparse.Namespace) -> int:
    """Play, compare, replay."""
    console = make_console()
    if console.width < MIN_WIDTH:
        raise UsageError(f"the demo needs at least {MIN_WIDTH} columns and has {console.width}: widen the terminal")
    out = Path("runs", "demo.jsonl")
    out.parent.mkdir(exist_ok=True)
    out.unlink(missing_ok=True)
    _heading(console, "A conversation is a game with two payoffs")
    _say(
        console,
        "A user with a hidden taste (short answers or long ones, patience or none) brings four questions. The assistant "
        "answers, asks back or declines. Each side has a payoff of its own: U for the user, L for the provider of the assistant.",
    )
    _say(console, _CODES)
    deadline = time.monotonic() + args.seconds
    command = command_line(args.argv)
    with Sink(out) as sink:
        talks = _talks(sink, args.seed, command)  # first, so that they stand at the head of the file
        tally = _tournament(sink, args.seed, deadline, command)
    rows = tally.rows()
    for table in comparison_tables(rows, console.width):
        console.print(table)
    _say(console, in_a_sentence(rows))
    _heading(console, "The same game in natural language")
    _show_talks(console, talks)
    console.print()
    telling = most_telling([episode for _, episode in talks])
    if telling is not None and not args.no_replay:
        place = next(place for place, episode in talks if episode is telling)
        _replay(console, telling, place, sink.written)
    _goodbye(console, out, sink.written)
    return 1 if tally.errors or any(episode.ended == "error" for _, episode in talks) else 0


def _tournament(sink: Sink, seed: int, deadline: float, command: str) -> Tally:
    """Let every persona meet every assistant: the same seeds for all, so the same tastes and the same questions."""
    from gtalign_env.agents.users import load_persona
    from gtalign_env.registration import PERSONAS

    env = parallel_env(STRATEGIC)
    personas = [load_persona(name) for name in PERSONAS if name != "random"]
    assistants = [seat_assistant(spec, env) for spec in ASSISTANTS]
    tally = Tally()
    with Progress("sessions", ROUNDS * len(personas) * len(assistants)) as progress:
        for round_seed in episode_seeds(seed, ROUNDS):
            for persona in personas:
                for assistant in assistants:
                    if time.monotonic() > deadline and tally.episodes >= len(personas) * len(assistants):
                        return tally
                    episode = play_episode(env, persona, assistant, seed=round_seed)
                    episode.run_seed, episode.command = seed, command
                    _keep(sink, episode)
                    tally.add(episode)
                    progress.advance()
    return tally


def _talks(sink: Sink, seed: int, command: str) -> list[tuple[int, Episode]]:
    """Play some sessions in natural language; return them with their places in the file."""
    from gtalign_env.agents.users import load_persona

    env = parallel_env(TEXT, questions=2)
    talks = []
    for episode_seed, (persona, assistant) in zip(episode_seeds(seed, len(TALKS)), TALKS, strict=True):
        episode = play_episode(env, load_persona(persona), seat_assistant(assistant, env), seed=episode_seed)
        place = sink.written
        episode.run_seed, episode.command = seed, command
        _keep(sink, episode)
        talks.append((place, episode))
    return talks


def _keep(sink: Sink, episode: Episode) -> None:
    episode.id = f"{sink.written}-{episode.seed}"
    sink.write(episode)


def comparison_tables(rows: Rows, width: int) -> list[Table]:
    """Return the comparison as one table, or as several with some of the assistants each where one would be too wide.

    Example:
        >>> len(comparison_tables([], 80))
        1
    """
    names = list(dict.fromkeys(row.assistant for row in rows))
    tables = -(-len(names) // max(1, (width - _FIRST) // _NEXT)) or 1
    each = -(-len(names) // tables) or 1
    parts = [names[start : start + each] for start in range(0, len(names), each)] or [[]]
    return [comparison_table(rows, part, heading=part is parts[0], note=part is parts[-1]) for part in parts]


def comparison_table(
    rows: Rows, assistants: Sequence[str] | None = None, *, heading: bool = True, note: bool = True
) -> Table:
    """Return a table of assistants by persona: welfare, and below it both payoffs. The best of each row is marked.

    Args:
        rows: Who did how well with whom.
        assistants: Those that get a column; all when ``None``. The best is the best of all of them in any case.
        heading: Whether the table has its title.
        note: Whether it explains its signs.

    Example:
        >>> comparison_table([]).row_count
        0
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if assistants is None:
        assistants = list(dict.fromkeys(row.assistant for row in rows))
    title = "Welfare √(U·L), and below it U|L: session means in utils" if heading else None
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1))
    table.add_column("user", no_wrap=True, overflow="ellipsis", min_width=11)
    for name in assistants:
        table.add_column(name.removeprefix("fixed:"), justify="right", no_wrap=True)
    for persona in dict.fromkeys(row.persona for row in rows):
        cells = {row.assistant: row for row in rows if row.persona == persona}
        best = max((row.welfare for row in cells.values() if row.welfare is not None), default=None)
        shown = [_cell(cells[name], best) if name in cells else Text("") for name in assistants]
        table.add_row(Text(persona), *shown)
    table.add_section()
    harm = {name: sum(row.violations for row in rows if row.assistant == name) for name in assistants}
    if rows:
        table.add_row(
            Text("served harm"), *(Text(str(count), style="red" if count else "green") for count in harm.values())
        )
    if note:
        table.caption = "* best for this user    — one side lost: no mutual welfare"
    return table


def _cell(row: Row, best: float | None) -> Any:
    from rich.text import Text

    if row.user is None:
        return Text("error", style="red")
    is_best = row.welfare is not None and row.welfare == best
    joint = number(row.welfare)
    head = Text(f"{'* ' if is_best else ''}{joint}", style="bold green" if is_best else "bold")
    both = f"{number(row.user, digits=1)}|{number(row.assistant_payoff, digits=1)}"
    return head.append(f"\n{both}", style="not bold dim" if not is_best else "not bold green")


def in_a_sentence(rows: Rows) -> str:
    """Return what the comparison shows, from its own figures.

    Example:
        >>> in_a_sentence([])
        'Too few sessions were finished to compare anything.'
    """
    by_persona: dict[str, dict[str, Row]] = {}
    for row in rows:
        by_persona.setdefault(row.persona, {})[row.assistant] = row
    names = dict.fromkeys(row.assistant for row in rows)
    means = {name: statistics.mean(_gain(cells, name) for cells in by_persona.values()) for name in names}
    habits = {name: mean for name, mean in means.items() if name.startswith("fixed:")}
    if not habits or not means.get(HERO):
        return "Too few sessions were finished to compare anything."
    wins = sum(_is_best(cells, HERO) for cells in by_persona.values())
    habit = max(habits, key=lambda name: habits[name])
    said = [
        f"Reading reactions and asking when it pays is best for {wins} of {len(by_persona)} users",
        f"The best fixed habit, {habit.removeprefix('fixed:')}, brings {100 * habits[habit] / means[HERO]:.0f} % of that welfare",
    ]
    if hard := [persona for persona, cells in by_persona.items() if not any(_gain(cells, name) for name in names)]:
        said.append(f"With {' and '.join(hard)} none of these assistants leaves both sides better off")
    return ". ".join(said) + "."


def _gain(cells: Mapping[str, Row], name: str) -> float:
    """Return an assistant's mutual welfare; 0 where there is none, as if it had served nobody."""
    return (cells[name].welfare or 0.0) if name in cells else 0.0


def _is_best(cells: Mapping[str, Row], name: str) -> bool:
    known = [row.welfare for row in cells.values() if row.welfare is not None]
    return name in cells and bool(known) and cells[name].welfare == max(known)


def most_telling(episodes: Sequence[Episode]) -> Episode | None:
    """Return the session that shows most: a question back that paid off, then high welfare, then many turns.

    Example:
        >>> most_telling([]) is None
        True
    """
    sound = [episode for episode in episodes if episode.ended != "error" and not episode.violation]
    return max(sound, key=_tells, default=None)


def _tells(episode: Episode) -> tuple[bool, float, int]:
    moves = [step.assistant.move for step in episode.steps]
    settled = any(step.outcome is not None and step.outcome.get("resolved", 0.0) > 0.0 for step in episode.steps)
    return ("CQ" in moves and settled, welfare(*episode.totals()) or 0.0, len(moves))


def _show_talks(console: Console, talks: Sequence[tuple[int, Episode]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("user", "assistant", "opening question", "turns", "U", "L"):
        table.add_column(name, justify="right" if name in ("turns", "U", "L") else "left")
    for _, episode in talks:
        totals = map(number, episode.totals())
        names = (episode.players[USER].removeprefix("persona:"), episode.players[ASSISTANT], episode.opening)
        table.add_row(*map(Text, (*names, str(len(episode.steps)), *totals)))
    console.print(table)
    note = "The assistants speak from a script and know the reference answers. A model in place of them:"
    console.print(Text(note, style="dim"))
    console.print(Text(f"  {_WITH_A_MODEL}"), soft_wrap=True)


def _goodbye(console: Console, out: Path, written: int) -> None:
    from rich.text import Text

    _heading(console, "Go on from here")
    for line in first_steps():
        console.print(Text(f"  {line}"), soft_wrap=True)
    for command, what in (
        (f"gtalign replay {out}", f"step through all {written} sessions"),
        ("gtalign play gtalign/AssistText-v0 --as user", "sit down yourself"),
        ("gtalign solve gtalign/Matrix-v0", "equilibria and optimum of a game, exactly"),
        ("gtalign persona new grumpy", "make a user of your own"),
        ("gtalign run gtalign/Assist-v0 --episodes 100", "more sessions, more figures"),
        ("gtalign list", "everything there is"),
    ):
        if console.width >= _SIDE_BY_SIDE:
            console.print(Text(f"  {command:<48}").append(what, style="dim"))
        else:
            console.print(Text(f"  {command}"), Text(f"      {what}", style="dim"), sep="\n")


def _heading(console: Console, words: str) -> None:
    from rich.text import Text

    console.print()
    console.print(Text(words, style="bold"))
    console.print()


def _say(console: Console, words: str) -> None:
    from rich.text import Text

    console.print(Text(words))


def _replay(console: Console, episode: Episode, place: int, count: int) -> None:
    """Show every frame of a session, as ``gtalign replay`` draws them."""
    import sys

    from gtalign_env.replay.frame import MIN_WIDTH, Look, frame_lines
    from gtalign_env.replay.story import tell
    from gtalign_env.replay.style import make_console as make_frame_console
    from gtalign_env.replay.style import pick_scheme

    _heading(console, f"A session to watch: number {place + 1} of {count}")
    width = max(MIN_WIDTH, min(console.width, 140))
    stream: Any = Trimmed(sys.stdout)
    screen = make_frame_console(stream, width=width, scheme=pick_scheme("auto"))
    moves = {step.assistant.move for step in episode.steps}
    said = {step.user.move.partition("_")[2] for step in episode.steps}
    if "CQ" in moves and said & {"too_long", "too_short", "off_target"}:
        _say(
            console,
            "Watch two things: what asking back is worth, and what a complaint changes in the replies after it.\n",
        )
    story = tell(episode, index=place, count=count)
    for step in range(story.frames):
        for line in frame_lines(story, step, width, Look(reveal=step == story.frames - 1, tight=True)):
            screen.print(line)
        screen.print()
