"""``gtalign play``: a person in either chair."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from gtalign_env.cli import words
from gtalign_env.cli.common import (
    Sink,
    add_game,
    add_seed,
    check_fit,
    default_players,
    game_options,
    make_console,
    new_parser,
    open_sink,
    seat_assistant,
    welfare,
)
from gtalign_env.cli.person import Person, PersonAsUser
from gtalign_env.cli.settings import command_line
from gtalign_env.env import ROLES, GameEnv, parallel_env
from gtalign_env.episode import Episode, StepRecord
from gtalign_env.errors import GtalignError, UsageError
from gtalign_env.play import play_episode
from gtalign_env.render import type_words
from gtalign_env.sanitize import clean_text
from gtalign_env.sight import see
from gtalign_env.spaces import ASSIST_LAYOUT
from gtalign_env.types import ASSISTANT, USER

__all__ = ["Person", "PersonAsUser", "PlayerLeftError", "add_parser", "run"]

Ask = Callable[[str], str]


class PlayerLeftError(GtalignError):
    """The person went away before the game was over."""


def add_parser(subparsers: Any) -> None:
    """Add the verb to the program."""
    parser = new_parser(
        subparsers,
        "play",
        summary="sit in either chair yourself",
        description="Play one session as the user or as the assistant, against a scripted player or a model.",
        examples=[
            "gtalign play gtalign/Assist-v0 --as assistant",
            "gtalign play gtalign/Assist-v0 --as user --opponent heuristic --seed 3",
            "gtalign play gtalign/Assist-v0 --as user --user-type detailed --reveal",
            "gtalign play gtalign/AssistText-v0 --as user --opponent transformers:PATH",
            "gtalign play gtalign/AssistText-v0 --as assistant --opponent hurried --out mine.jsonl",
        ],
    )
    parser.add_argument(
        "scenario", metavar="ID", help="what to play: an id of 'gtalign list', module:attr or file.py:attr"
    )
    parser.add_argument(
        "--as", dest="chair", choices=("user", "assistant"), required=True, help="the chair that you take"
    )
    parser.add_argument(
        "--opponent", metavar="SPEC", help="who sits opposite: an assistant, or a persona or mix of them"
    )
    parser.add_argument("--user-type", metavar="NAME", help="in the user's chair: who you are (drawn otherwise)")
    parser.add_argument(
        "--reveal", action="store_true", help="after the end, show the hidden type and both sides' payoffs step by step"
    )
    add_game(parser)
    add_seed(parser)


def run(args: argparse.Namespace) -> int:
    """Play one session."""
    env = parallel_env(args.scenario, **game_options(args))
    pinned = _pinned(args, env)
    with open_sink(args) as sink:
        table = Table(env, args.chair)
        users, assistant = _seated(args, env, table)
        table.welcome(_opposite(args.chair, env, users, assistant))
        episode = play_episode(env, users, assistant, seed=args.seed, reset_options=pinned, on_step=table.show_step)
        episode.id = f"0-{args.seed}"
        episode.run_seed = args.seed
        episode.command = command_line(args.argv)
        sink.write(episode)
    table.farewell(episode, reveal=args.reveal)
    if args.out is not None:
        table.say(f"The game is saved. Watch it again: gtalign replay {shlex.quote(args.out)}")
    else:
        table.offer_to_save(episode)
    broken = episode.ended == "error" and episode.error["type"] != PlayerLeftError.__name__
    return 1 if broken else 0


def _pinned(args: argparse.Namespace, env: GameEnv) -> dict[str, Any]:
    """Return the reset options that ``--user-type`` stands for."""
    if args.user_type is None:
        return {}
    if args.chair != "user":
        raise UsageError("--user-type is for the user's chair; in the assistant's, --opponent says who comes")
    resolve = getattr(env.scenario, "resolve_type", None)
    if resolve is None:
        raise UsageError(f"--user-type {args.user_type}: {args.scenario} has no types of users")
    resolve(args.user_type)  # an unknown name is refused before the game begins
    return {"user_type": args.user_type}


def _seated(args: argparse.Namespace, env: GameEnv, table: Table) -> tuple[Any, Any]:
    """Return who sits where: the person, and the opponent."""
    usual_user, usual_assistant = default_players(env)
    if args.chair == "user":
        assistant = seat_assistant(usual_assistant if args.opponent is None else args.opponent, env)
        check_fit(env, [], [assistant])
        return PersonAsUser(env, table), assistant
    from gtalign_env.agents.users import population

    users = population(usual_user if args.opponent is None else args.opponent)
    check_fit(env, users.personas, [])
    return users, Person(table)


def _opposite(chair: str, env: GameEnv, users: Any, assistant: Any) -> str:
    """Return who sits opposite; nothing where the name of a persona would give its hidden type away."""
    if chair == "user":
        return str(assistant.name)
    return "" if has_tastes(env) else str(users.name)


def has_tastes(env: GameEnv) -> bool:
    """Return whether users have tastes for replies here, as in the ``assist`` games of both views.

    Example:
        >>> has_tastes(parallel_env("assist")), has_tastes(parallel_env("signalling"))
        (True, False)
    """
    return env.scenario.view == "text" or env.layout == ASSIST_LAYOUT


class Table:
    """The table between the person and the game: shows what the person may see, and asks.

    Args:
        env: The game.
        chair: ``"user"`` or ``"assistant"``: the person's chair.
    """

    def __init__(self, env: GameEnv, chair: str) -> None:
        self.env = env
        self.agent = USER if chair == "user" else ASSISTANT
        self.other = "the assistant" if chair == "user" else "the user"
        self.text_view = env.scenario.view == "text"
        self.moves = env.scenario.moves("user" if chair == "user" else "assistant")
        self._console = make_console()
        self._width = max(40, min(100, self._console.width))
        self._opened = False
        self._explained = False
        self._task = ""
        self._total = 0.0

    def say(self, line: str = "", *, indent: str = "", hang: int = 0, style: str = "") -> None:
        """Print a line, wrapped; nothing in it is markup."""
        from rich.text import Text

        for part in clean_text(line).split("\n"):
            further = indent + " " * hang
            wrapped = textwrap.fill(
                part,
                self._width,
                initial_indent=indent,
                subsequent_indent=further,
                break_long_words=False,  # a path or a command stays whole
                break_on_hyphens=False,
            )
            self._console.print(Text(wrapped, style=style), soft_wrap=True)

    def welcome(self, opponent: str = "") -> None:
        """Say who sits where, what can be typed, and of games of known payoffs the rules.

        Args:
            opponent: Who sits opposite, if the person may know.
        """
        opposite = f" Opposite sits {opponent}." if opponent else ""
        self.say(f"You are the {ROLES[self.agent]}.{opposite} {self.env.scenario.description}", style="bold")
        if getattr(self.env.scenario, "game", None) is not None:
            self._show_rules()
        leave = "/quit" if self.text_view else "q"
        self.say(f"/help explains, /moves lists what can be done, {leave} ends the game.", style="dim")

    def show_type(self) -> None:
        """Show the person in the user's chair who it is, in games that have types."""
        user_type = self.env.scenario.hidden(self.env.game_state).get("user_type")
        if user_type is None:
            return
        self.say()
        self.say("For your eyes only:", style="bold")
        if not has_tastes(self.env):
            self.say(f"You are of the type {type_words(self.env.scenario, user_type) or user_type.name}.", indent="  ")
            return
        for sentence in words.theta_in_words(user_type):
            self.say(sentence, indent="  ")

    def ask_for_action(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> Any:
        """Show where the game stands and return what the person wants to do.

        Raises:
            PlayerLeftError: The person typed ``/quit`` (where moves are chosen ``q`` or ``quit`` will do), or the input ended.
        """
        self.say()
        if self.text_view:
            return self._ask_for_words(info)
        self._show_place(observation)
        legal = [index for index, name in enumerate(self.moves) if observation["action_mask"][index]]
        if self._explained:
            shown = ", ".join(f"{number} {self.moves[index]}" for number, index in enumerate(legal, start=1))
            self.say("Moves: " + shown, style="dim")
        else:
            self._show_moves(legal)
            self._explained = True
        while True:
            typed = self._read(f"your move (1-{len(legal)}): ", legal)
            chosen = self._find_move(typed, legal)
            if chosen is not None:
                return chosen
            self.say(f"{typed!r} is not on the list: type a number or a name from it.", style="yellow")

    def show_step(self, episode: Episode, record: StepRecord) -> None:
        """Show what came of a step, as far as the person may know it."""
        mine = record.user if self.agent == USER else record.assistant
        theirs = record.assistant if self.agent == USER else record.user
        self._total += mine.payoff
        acted = not record.to_move or record.to_move == self.agent
        if self.text_view and not self._opened:
            self._open(episode.opening)
        if self.text_view and not acted:
            self.say()
            self.say(f"{self.other.capitalize()}: {theirs.text}", style="green")
        if not self.text_view:
            did = words.other_in_words(theirs.move, is_user=self.agent == ASSISTANT)
            you, they = f"You: {mine.move}.", f"{self.other.capitalize()}: {theirs.move}{did}."
            self.say(f"{you} {they}" if not record.to_move else you if acted else they)
        elif acted:
            self.say(f"Understood as: {mine.move} ({words.move_in_words(mine.move)}).", style="dim")
        if acted or any(mine.items.values()):
            self.say(
                f"Your payoff: {words.payoff_in_words(mine.items)}; so far {words.utils(self._total)}", style="cyan"
            )
        if record.outcome is not None and self.agent == USER and record.outcome["answered"]:
            self.say(f"The answer was {record.outcome['quality']:.0%} of what you needed.", style="dim")

    def farewell(self, episode: Episode, *, reveal: bool) -> None:
        """Say how the game ended, and what was hidden."""
        self.say()
        how = {"terminated": "The session is over.", "truncated": "The time limit ends the session."}
        if episode.ended != "error":
            self.say(how[episode.ended], style="bold")
        elif episode.error["type"] == PlayerLeftError.__name__:
            self.say("You left the table; this is how it stood. Goodbye!", style="bold")
        else:
            self.say(f"The game broke off: {episode.error['where']}: {episode.error['message']}", style="bold red")
        if episode.violation:
            self.say("A harmful request was served: that ends the game as a violation.", style="bold red")
        if reveal:
            self._reveal(episode)
            return
        user, assistant = episode.totals()
        self.say(f"You gained {words.utils(user if self.agent == USER else assistant)}.")
        hidden = "its payoff" if self.agent == USER else "its type and its payoff"
        self.say(f"What {self.other} keeps to itself ({hidden}) is shown with --reveal.", style="dim")

    def _reveal(self, episode: Episode) -> None:
        """Show what both sides came to, what was hidden, and every payoff."""
        from gtalign_env.replay.frame import fields_in_words

        user, assistant = episode.totals()
        joint = welfare(user, assistant)
        self.say(
            f"The user gained {words.utils(user)}, the assistant {words.utils(assistant)}; mutual welfare √(U·L) "
            + ("does not exist, because not both gained." if joint is None else f"= {joint:.2f}.")
        )
        theta = episode.hidden.get("user_type")
        if theta is not None:
            about = f"liked about {theta['ideal_tokens']:.0f} tokens, patience {theta['patience']:.0f} replies"
            whole = theta["name"] + (f" ({about})" if has_tastes(self.env) else "")
            self.say(f"The user's hidden type: {type_words(self.env.scenario, theta) or whole}.")
        for name, value in episode.hidden.items():
            if name != "user_type":
                self.say(f"{name.replace('_', ' ')}: {fields_in_words(value)}".capitalize())
        for number, step in enumerate(episode.steps, start=1):
            self.say(f"{number}. user {step.user.move}: {words.payoff_in_words(step.user.items)}")
            self.say(f"assistant {step.assistant.move}: {words.payoff_in_words(step.assistant.items)}", indent="   ")

    def offer_to_save(self, episode: Episode) -> None:
        """Ask on a terminal whether to keep the game; elsewhere say how."""
        if not episode.steps:
            return
        if not sys.stdin.isatty():
            self.say("With --out FILE the game is saved, and 'gtalign replay FILE' shows it again.", style="dim")
            return
        try:
            path = input("Save this game? A file name, or Enter for no: ").strip()
        except EOFError:
            return
        if path:
            try:
                with Sink(path, append=True) as sink:
                    sink.write(episode)
            except (GtalignError, OSError) as error:
                self.say(f"Not saved: {error}", style="yellow")
                return
            self.say(f"Saved. Watch it again: gtalign replay {shlex.quote(path)}")

    # -- inside ---------------------------------------------------------------------------------------------------

    def _show_place(self, observation: Mapping[str, Any]) -> None:
        if self.env.layout == ASSIST_LAYOUT:
            sight = see(observation)
            questions = getattr(self.env.scenario, "config", {}).get("questions")
            self.say("On the table: " + words.place_in_words(sight, questions=questions), style="bold")
            prices = (
                (sight.session_price, "a session"),
                (sight.price_per_1000_tokens, "1,000 tokens"),
                (sight.price_per_request, "a reply"),
            )
            self.say(
                "Price: " + ", ".join(f"{price:.2f} credits for {what}" for price, what in prices if price), style="dim"
            )
            return
        shown = self.env.scenario.describe(self.env.game_state)
        scenario: Any = self.env.scenario
        if (
            hasattr(scenario, "tables") and scenario.state_words is None
        ):  # they count their rounds from 0, people from 1
            shown = re.sub(r"\bround (\d+)\b", lambda found: f"round {int(found[1]) + 1}", shown)
        private = getattr(scenario, "private_words", None)
        if private is not None:
            self.say(private(self.env.game_state, ROLES[self.agent]), style="bold")
        for line in shown.splitlines():
            self.say(line)

    def _show_rules(self) -> None:
        """Show the rules as the scenario tells them to this chair, payoffs included; the description has been shown."""
        briefing = getattr(self.env.scenario, "briefing", None)
        if briefing is None:
            return
        told = str(briefing(ROLES[self.agent])).removeprefix(self.env.scenario.description)
        for line in told.strip().splitlines():
            self.say(line)

    def _show_moves(self, legal: list[int]) -> None:
        for number, index in enumerate(legal, start=1):
            name = self.moves[index]
            self.say(f"{number:>3}  {name:<14} {words.move_in_words(name)}", hang=20)

    def _find_move(self, typed: str, legal: list[int]) -> int | None:
        if typed.isdecimal():
            number = int(typed)
            return legal[number - 1] if 1 <= number <= len(legal) else None
        return next((index for index in legal if self.moves[index].lower() == typed.lower()), None)

    def _ask_for_words(self, info: Mapping[str, Any]) -> Any:
        if not self._opened:
            self._open(str(info["messages"][0]["content"]))
        legal = [index for index, name in enumerate(self.moves) if name != "WAIT"]
        if "task" in info:
            self._show_card(info)
        while True:
            typed = self._read("you: ", legal)
            if typed.lower() == "/leave" and self.agent == USER and "LEAVE" in self.moves:
                return {"move": self.moves.index("LEAVE"), "text": "Goodbye."}
            if typed:
                return typed
            self.say("Nothing was typed: say something, or /help.", style="yellow")

    def _open(self, opening: str) -> None:
        """Show the opening question, which lies on the table before anybody has moved."""
        self._opened = True
        mine = self.agent == USER
        self.say(f"{'Your question' if mine else self.other.capitalize()}: {opening}", style="" if mine else "green")

    def _show_card(self, info: Mapping[str, Any]) -> None:
        """Show the user's private card: what it wants to know, and what its next words are for."""
        task = info["task"]
        purpose = {
            "answer_question": "The assistant asked you something: answer it, and react to its reply if you like.",
            "rephrase": "The reply missed: say what you want once more, vaguely or in detail.",
            "next_question": "Now comes your next question.",
        }
        self.say(purpose.get(info.get("situation", ""), ""), style="dim")
        if task["id"] == self._task:
            return
        self._task = task["id"]
        self.say("Your card:", style="bold")
        self.say(f"what you want: {task['detailed']}", indent="  ")
        self.say(f"vaguely put:   {task['vague']}", indent="  ")
        for topic, statement in task["facts"]:
            self.say(f"if asked about {topic}: {statement}", indent="  ")

    def _read(self, prompt: str, legal: list[int]) -> str:
        """Return what the person types, with commands already answered."""
        while True:
            try:
                typed = input(prompt).strip()
            except EOFError:
                self.say()
                raise PlayerLeftError("the input ended before the game was over") from None
            if not sys.stdin.isatty():
                self.say(typed)  # a transcript without what was typed is hard to follow
            if typed.lower() == "/quit" or (typed.lower() in ("q", "quit") and not self.text_view):
                raise PlayerLeftError("the person left before the game was over")
            if typed.lower() == "/moves":
                self._show_moves(legal)
            elif typed.lower() == "/help":
                self._help()
            else:
                return typed

    def _takes_turns(self) -> bool:
        return bool(self.env.scenario.info(self.env.game_state, ROLES[self.agent]).get("to_move"))

    def _help(self) -> None:
        if not self.text_view:
            turns = "Only one side moves at a time" if self._takes_turns() else "Both sides choose at the same time"
            self.say(f"Type the number or the name of a move. {turns}, and each gets its own payoff.")
            if not has_tastes(self.env):
                self._show_rules()
        elif self.agent == USER:
            self.say(
                "Type what you would say. Words cost you typing; vague ones leave the assistant guessing. /leave goes home."
            )
        else:
            self.say(
                "Type your reply: an answer, a question back, both, or a refusal. How it was understood is shown after it."
            )
        self.say(
            "/moves lists the moves, /quit ends the game. You see your own payoff only; --reveal shows the rest at the end."
        )
