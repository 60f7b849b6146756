"""``gtalign persona``: list, make, check and try simulated people."""

from __future__ import annotations

import argparse
import copy
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtalign_env.cli.common import (
    Progress,
    add_json,
    add_lead,
    add_seed,
    at_least,
    make_console,
    new_parser,
    print_json,
)
from gtalign_env.cli.voices import voice_head, voice_table
from gtalign_env.errors import FileFormatError, GtalignError, UsageError
from gtalign_env.types import USER

if TYPE_CHECKING:
    from rich.console import Console

    from gtalign_env.agents.users import Fidelity
    from gtalign_env.env import GameEnv
    from gtalign_env.episode import Episode, StepRecord
    from gtalign_env.protocols import Persona, Policy

__all__ = ["add_parser", "run"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def add_parser(subparsers: Any) -> None:
    """Add the verb to the program."""
    parser = new_parser(
        subparsers,
        "persona",
        summary="make, check and try personas",
        description="Personas are simulated people: who they are, how they behave, how they talk (docs/personas.md).",
        examples=[
            "gtalign persona list",
            "gtalign persona new grumpy             write grumpy.toml, ready to be changed",
            "gtalign persona check grumpy.toml      errors name file, line, key and what was expected",
            "gtalign persona try grumpy.toml        a short game with it, shown",
        ],
    )
    verbs = parser.add_subparsers(title="what to do", metavar="ACTION", dest="action", required=True)
    listing = new_parser(
        verbs,
        "list",
        summary="list the personas that come with the package",
        description="List the personas that come with the package, and their shares in the population 'default'.",
        examples=["gtalign persona list", "gtalign persona list --json"],
    )
    add_json(listing)
    new = new_parser(
        verbs,
        "new",
        summary="write a template",
        description="Write a persona that works at once, with every key explained.",
        examples=["gtalign persona new grumpy", "gtalign persona new grumpy --python -o people/grumpy.py"],
    )
    new.add_argument("name", metavar="NAME", help="letters, digits, _ and -")
    new.add_argument("--python", action="store_true", help="a class instead of a card")
    new.add_argument("-o", "--out", metavar="PATH", help="where to (NAME.toml or NAME.py)")
    new.add_argument("--force", action="store_true", help="overwrite a file that exists")
    check = new_parser(
        verbs,
        "check",
        summary="check a persona's file",
        description="Check persona files. Exit code 1 when one is not right.",
        examples=["gtalign persona check grumpy.toml", "gtalign persona check people/grumpy.py:Grumpy other.toml"],
    )
    check.add_argument("files", nargs="+", metavar="FILE", help="card.toml or file.py[:Class]")
    _add_try(verbs)


def _add_try(verbs: Any) -> None:
    parser = new_parser(
        verbs,
        "try",
        summary="play a short game with a persona",
        description="Play a short game of the persona with the heuristic assistant, first by moves, then in words.\n"
        "In words the assistant knows the reference answers, so that there is something to react to.\n"
        "With --voice a model speaks for the persona, and what it says is compared with what the script would do.",
        examples=[
            "gtalign persona try grumpy.toml",
            "gtalign persona try hurried --text --seed 3",
            "gtalign persona try hurried --voice transformers:PATH --episodes 20",
            "gtalign persona try hurried --voice openai:MODEL --lead model --json",
        ],
    )
    parser.add_argument("file", metavar="FILE", help="card.toml, file.py[:Class], or a name of 'persona list'")
    parser.add_argument("--strategic", action="store_true", help="only the moves")
    parser.add_argument("--text", action="store_true", help="only the conversation")
    parser.add_argument("--questions", type=at_least(1), default=3, metavar="N", help="questions in the session (3)")
    add_seed(parser)
    voice = parser.add_argument_group("a model's voice")
    voice.add_argument(
        "--voice", metavar="BACKEND", help="the model, e.g. transformers:PATH (or fake:voice, without one)"
    )
    add_lead(voice)
    voice.add_argument("--episodes", type=at_least(1), metavar="N", help="sessions to compare (8)")
    add_json(voice)


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    return {"list": _list, "new": _new, "check": _check, "try": _try}[args.action](args)


# -- list -------------------------------------------------------------------------------------------------------------


def _list(args: argparse.Namespace) -> int:
    from rich.table import Table
    from rich.text import Text

    from gtalign_env.agents.users import DEFAULT_SHARES
    from gtalign_env.registration import PERSONAS

    rows = [
        {"id": name, "description": PERSONAS.description(name), "default_share": DEFAULT_SHARES.get(name, 0.0)}
        for name in PERSONAS
    ]
    if args.json:
        print_json(rows)
        return 0
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("persona", no_wrap=True, style="cyan")
    table.add_column("default", justify="right", no_wrap=True)
    table.add_column("what to expect")
    for row in rows:
        share = f"{row['default_share']:.0%}" if row["default_share"] else "–"
        table.add_row(Text(str(row["id"])), share, Text(str(row["description"])))
    make_console().print(table)
    return 0


# -- new --------------------------------------------------------------------------------------------------------------


def _new(args: argparse.Namespace) -> int:
    from gtalign_env.cli import persona_templates
    from gtalign_env.registration import PERSONAS

    if not _NAME.fullmatch(args.name):
        raise UsageError(
            f"persona name: expected letters, digits, '_' and '-', beginning with a letter, got {args.name!r}"
        )
    suffix = ".py" if args.python else ".toml"
    path = Path(args.out or f"{args.name}{suffix}")
    if path.suffix != suffix:
        raise UsageError(f"-o: expected a name ending in {suffix}, got {str(path)!r}")
    if path.exists() and not args.force:
        raise UsageError(f"{path} exists: choose another name with -o, or overwrite it with --force")
    if args.name in PERSONAS:
        print(
            f"gtalign: note: {args.name!r} is also a shipped persona; --users {args.name} means that one",
            file=sys.stderr,
        )
    class_name = "".join(part.capitalize() for part in re.split(r"[_-]", args.name))
    template = persona_templates.CLASS if args.python else persona_templates.CARD
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(template.format(name=args.name, path=path, class_name=class_name), encoding="utf-8")
    spec = f"{path}:{class_name}" if args.python else str(path)
    print(f"wrote {path}\nchange it, then:  gtalign persona check {spec}\n                  gtalign persona try {spec}")
    return 0


# -- check ------------------------------------------------------------------------------------------------------------


def _check(args: argparse.Namespace) -> int:
    failures = 0
    for spec in args.files:
        place = Path(re.sub(r"(\.py):\w+$", r"\1", spec))
        if place.suffix not in (".toml", ".py"):
            raise UsageError(f"{place}: expected a persona's card (.toml) or class (.py)")
        if not place.is_file():
            raise UsageError(f"{place}: there is no such file")
        try:
            persona = _checked(spec)
        except GtalignError as error:
            failures += 1
            print(_located(error), file=sys.stderr)
            continue
        print(f"{spec}: ok ({persona.name}: {persona.description})")
    return 1 if failures else 0


def _checked(spec: str) -> Persona:
    """Load a persona and let it play one short session in each view, so that what it overrides has run."""
    import numpy as np

    from gtalign_env.agents.users import load_persona
    from gtalign_env.types import UserType

    persona = load_persona(spec)
    theta = persona.sample_type(np.random.default_rng(0))
    if theta is not None and not isinstance(theta, UserType):
        raise UsageError(f"{spec}: sample_type() must return a UserType or None, got {theta!r}")
    for view in ("assist", "assist_text"):
        episode = _play(persona, view, questions=2, seed=0)
        if episode.ended == "error":
            raise UsageError(
                f"{spec}: a session of {view!r} failed with {episode.error['type']}: {episode.error['message']}"
            )
    return persona


def _located(error: GtalignError) -> str:
    """Return an error in the form that editors understand: ``file:line: …``."""
    if not isinstance(error, FileFormatError) or error.line is None:
        return str(error)
    problem = str(error).partition(": ")[2] if error.key is None else str(error).partition(f"key {error.key!r}: ")[2]
    key = "" if error.key is None else f"{error.key}: "
    return f"{error.path}:{error.line}: {key}{problem}"


# -- try --------------------------------------------------------------------------------------------------------------


def _try(args: argparse.Namespace) -> int:
    from gtalign_env.agents.users import load_persona

    if args.voice is not None:
        return _try_voice(args)
    if args.lead or args.episodes or args.json:
        raise UsageError("--lead, --episodes and --json are for a voice: expected --voice BACKEND with them")
    persona = load_persona(args.file)
    console = make_console()
    views = {"assist": args.strategic or not args.text, "assist_text": args.text or not args.strategic}
    _introduce(console, persona)
    code = 0
    for view, wanted in views.items():
        if wanted:
            episode = _play(persona, view, questions=args.questions, seed=args.seed)
            if view == "assist":
                _show_moves(console, episode)
            else:
                _show_words(console, persona, episode)
            code = max(code, _sum_up(console, episode))
    return code


def _play(persona: Persona, view: str, *, questions: int, seed: int) -> Episode:
    from gtalign_env.env import parallel_env
    from gtalign_env.play import play_episode

    env = parallel_env(view, questions=questions)
    return play_episode(env, persona, _partner(env), seed=seed)


def _partner(env: GameEnv) -> Policy:
    from gtalign_env.agents.assistants import Knowledge, OracleAssistant, make_assistant

    source = getattr(env.scenario, "source", None)
    return make_assistant("heuristic") if source is None else OracleAssistant(Knowledge(source))


def _try_voice(args: argparse.Namespace) -> int:
    """Let a model speak for the persona in some sessions; show the first, and how faithful all of them are."""
    from gtalign_env.agents.users import VoicedPersona, fidelity, load_persona
    from gtalign_env.env import parallel_env
    from gtalign_env.play import episode_seeds
    from gtalign_env.play_batch import play_batch

    if args.strategic:
        raise UsageError("--voice speaks, and --strategic shows moves only: expected one of them")
    voiced = VoicedPersona(load_persona(args.file), args.voice, lead=args.lead or "script", on_failure="script")
    env = parallel_env("assist_text", questions=args.questions)
    seeds = episode_seeds(args.seed, args.episodes or 8)
    played = {}
    with Progress("sessions", len(seeds)) as progress:
        for episode in play_batch(lambda: copy.deepcopy(env), voiced, _partner(env), seeds):
            played[episode.seed] = episode
            progress.advance()
    episodes = [played[seed] for seed in seeds]
    found = fidelity(episodes, env, seed=args.seed)
    failures = sum(episode.ended == "error" for episode in episodes)
    if args.json:
        print_json({"persona": voiced.name, "lead": voiced.lead, "failures": failures, **found.as_dict()})
        return 1 if failures else 0
    console = make_console()
    _introduce(console, voiced)
    _show_words(console, voiced.persona, episodes[0])
    code = _sum_up(console, episodes[0])
    _show_fidelity(console, found)
    return max(code, 1 if failures else 0)


def _show_fidelity(console: Console, found: Fidelity) -> None:
    from rich.text import Text

    console.print(Text(f"\nThe voice against the script · {voice_head(found)}", style="bold"))
    console.print(voice_table(found))


def _introduce(console: Console, persona: Persona) -> None:
    from rich.panel import Panel
    from rich.text import Text

    console.print(
        Panel(Text(persona.description), title=Text(persona.name, style="bold"), title_align="left", expand=False)
    )


def _theta_line(episode: Episode) -> str:
    theta = episode.reset_options["user_type"]
    return (
        f"type {theta['name']!r}: wants {theta['ideal_tokens']:.0f} tokens, "
        f"loses {theta['too_long']:.2f} too long / {theta['too_short']:.2f} too short, patience {theta['patience']:.0f}"
    )


def _show_moves(console: Console, episode: Episode) -> None:
    from rich.table import Table
    from rich.text import Text

    console.print(Text(f"\nBy moves · {_theta_line(episode)}", style="bold"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, style in (("", "dim"), ("on the table", ""), ("assistant", "magenta"), ("reacts & asks on", "cyan")):
        table.add_column(name, no_wrap=True, style=style)
    for name in ("quality", "U", "L"):
        table.add_column(name, justify="right")
    for number, step in enumerate(episode.steps, start=1):
        place = f"{step.public.get('clarity', '')} {step.public.get('kind', '')}"
        quality = "–" if not step.outcome or not step.outcome["answered"] else f"{step.outcome['quality']:.2f}"
        payoffs = (f"{step.user.payoff:+.2f}", f"{step.assistant.payoff:+.2f}")
        table.add_row(str(number), place, step.assistant.move, step.user.move, quality, *payoffs)
    console.print(table)


def _show_words(console: Console, persona: Persona, episode: Episode) -> None:
    from rich.text import Text

    console.print(Text(f"\nIn words · {_theta_line(episode)}", style="bold"))
    _say(console, persona.name, "cyan", episode.opening, "the opening question belongs to the task")
    for step in episode.steps:
        is_user = step.to_move == USER
        speaker, style = (persona.name, "cyan") if is_user else ("assistant", "magenta")
        side = step.user if is_user else step.assistant
        _say(console, speaker, style, side.text, f"{side.move}{_felt(step)}")


def _felt(step: StepRecord) -> str:
    items = ", ".join(f"{name} {amount:+.2f}" for name, amount in step.user.items.items() if abs(amount) >= 0.005)
    return f" · U {step.user.payoff:+.2f} ({items})" if items else f" · U {step.user.payoff:+.2f}"


def _say(console: Console, speaker: str, style: str, words: str, note: str) -> None:
    from rich.padding import Padding
    from rich.text import Text

    line = Text.assemble((f"{speaker}  ", f"bold {style}"), (note, "dim"))
    shown = words if len(words) <= 420 else f"{words[:400].rstrip()} … [{len(words.split())} words]"
    console.print(line)
    console.print(Padding(Text(shown), (0, 0, 1, 2)))


def _sum_up(console: Console, episode: Episode) -> int:
    from rich.text import Text

    if episode.ended == "error":
        where = episode.error["where"]
        console.print(
            Text(f"ended in an error of {where}: {episode.error['type']}: {episode.error['message']}", style="red")
        )
        return 1
    user = sum(step.user.payoff for step in episode.steps)
    assistant = sum(step.assistant.payoff for step in episode.steps)
    console.print(Text(f"session: user {user:+.2f}, assistant {assistant:+.2f} utils", style="bold"))
    return 0
