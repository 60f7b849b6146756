"""What all players that need no model share: they sit down, look, decide, and say what they mean to do."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from gtalign_env.errors import UsageError
from gtalign_env.games import Bimatrix, GameTree
from gtalign_env.protocols import Info, Observation, Scenario
from gtalign_env.registration import SCENARIOS
from gtalign_env.specs import to_spec
from gtalign_env.types import Role

__all__ = ["TALKS", "MatrixPlayer", "Player"]

TALKS: tuple[str, ...] = ("honest", "silent", "deceive")
"""What a player may do where talk comes before moves."""
_SAY, _SILENT, _WAIT = "SAY_", "SILENT", "WAIT"  # as in every scenario with talk or turns
_FORMS: dict[type, tuple[str, str]] = {Bimatrix: ("a known bimatrix", "matrix"), GameTree: ("a known tree", "tree")}
"""Forms of a game in words, and the kind of scenario that has them."""


@dataclasses.dataclass(kw_only=True, eq=False)
class Player(abc.ABC):
    """A player of either chair that reads the rules of the game and nothing else.

    It sits down (``sit``), begins an episode (``reset``) and moves (``act``); equal seeds give equal play. Where talk comes
    before moves it decides first and then speaks of it: a move that was announced honestly is the move that is made. What
    the other one says does not move it: talk is cheap.

    Subclasses set ``kind`` and ``plays`` and define ``study`` and ``decide``.
    """

    talk: str = "honest"
    """Before a move of its own: ``honest`` announces it, ``silent`` says nothing, ``deceive`` announces another one."""
    name: str = dataclasses.field(init=False, default="")
    """What records call it: the string from which it is made."""
    kind: ClassVar[str] = ""
    """The name it is registered by."""
    plays: ClassVar[tuple[type, ...]] = ()
    """Forms of game that it can play."""

    def __post_init__(self) -> None:
        """Check the settings; a subclass with settings of its own checks them and then calls this."""
        if self.talk not in TALKS:
            raise UsageError(
                f"player {self.kind!r}: talk must be {', '.join(TALKS[:-1])} or {TALKS[-1]}, got {self.talk!r}"
            )
        self.name = self.kind
        self.name = to_spec(self)
        self._scenario: Any = None
        self._role: Role = "user"
        self.reset(0)

    # -- the protocols Sitter and Policy ------------------------------------------------------------------------------

    def sit(self, scenario: Scenario, role: Role) -> None:
        """Take a chair and think the game through.

        Raises:
            UsageError: This player cannot play this game.
        """
        if scenario is self._scenario and role == self._role:
            return
        game = getattr(scenario, "game", None)
        if scenario.view != "strategic" or not isinstance(game, self.plays):
            raise UsageError(f"player {self.name!r} cannot play {scenario.name!r}: it needs {_wanted(self.plays)}")
        self._scenario = None  # a study that fails leaves no chair half taken
        self.study(game, role)
        self._scenario, self._role = scenario, role
        self._names: tuple[str, ...] = scenario.moves(role)

    def reset(self, seed: int) -> None:
        """Begin a new episode."""
        self.rng = np.random.default_rng(seed)
        self._meant: str | None = None

    def act(self, observation: Observation, info: Info) -> int:
        """Return the index of a legal move, of a thing to say, or of ``WAIT``.

        Raises:
            UsageError: Nobody told this player which game it plays.
        """
        self.watch(observation, info)
        legal = {self._names[i]: int(i) for i in np.flatnonzero(observation["action_mask"][: len(self._names)])}
        if not legal or set(legal) == {_WAIT}:
            return legal.get(_WAIT, 0)
        if any(name.startswith(_SAY) for name in legal):
            return self._speak(legal)
        move, self._meant = self._meant or self.decide(), None
        return legal[move] if move in legal else min(legal.values())

    def watch(self, observation: Observation, info: Info) -> None:
        """Take in what has happened, at every step in which this player is not asked to act.

        Raises:
            UsageError: Nobody told this player which game it plays.
        """
        if self._scenario is None:
            raise UsageError(
                f"player {self.name!r} has not sat down: call sit(scenario, role) first, as gtalign_env.play does"
            )
        shown: tuple[int | None, int | None] = self._scenario.last_moves(np.asarray(observation["observation"]))
        self.look(*(shown if self._role == "user" else shown[::-1]))

    # -- what a kind of player defines --------------------------------------------------------------------------------

    @abc.abstractmethod
    def study(self, game: Any, role: Role) -> None:
        """Prepare for a game, once for each chair that is taken.

        Raises:
            UsageError: The game has the right form, and still this player cannot play it.
        """

    @abc.abstractmethod
    def decide(self) -> str:
        """Return the name of the move to make now."""

    def look(self, mine: int | None, theirs: int | None) -> None:  # noqa: B027 - not every player has to remember
        """Take in the moves of the last step, as indices of the scenario; ``None`` for an illegal one, or at the start."""

    def may_decide(self) -> bool:
        """Return whether the talk at hand comes before a move of this player's own."""
        return True

    def feint(self, meant: str) -> str | None:
        """Return the move to announce in place of the one that is meant; ``None`` where there is no other."""
        return None

    # -- inside -------------------------------------------------------------------------------------------------------

    def _speak(self, legal: Mapping[str, int]) -> int:
        """Return what to say: nothing, unless a move of one's own is ahead."""
        word: str | None = None
        if self.talk != "silent" and self.may_decide():
            if self._meant is None:
                self._meant = self.decide()
            word = self._meant if self.talk == "honest" else self.feint(self._meant)
        said = legal.get(f"{_SAY}{word}")
        return legal.get(_SILENT, min(legal.values())) if said is None else said


class MatrixPlayer(Player):
    """A player of bimatrix games, played once or again and again; it remembers every round.

    A move of the other player that the rules do not allow is remembered as ``None``.
    """

    plays = (Bimatrix,)

    def reset(self, seed: int) -> None:
        """Begin a new episode."""
        super().reset(seed)
        self.mine: list[int] = []
        """Own moves so far, as rows of the game."""
        self.theirs: list[int | None] = []
        """The other player's moves in the same rounds."""

    def sit(self, scenario: Scenario, role: Role) -> None:
        """Take a chair and learn how the game's moves are numbered there."""
        super().sit(scenario, role)
        game = self._scenario.game
        own, other = (game.user_moves, game.assistant_moves)[:: 1 if role == "user" else -1]
        theirs: Role = "assistant" if role == "user" else "user"
        self._own = dict(enumerate(own))
        self._row = {index: own.index(name) for index, name in enumerate(scenario.moves(role)) if name in own}
        self._column = {index: other.index(name) for index, name in enumerate(scenario.moves(theirs)) if name in other}

    def look(self, mine: int | None, theirs: int | None) -> None:
        """Remember the round that has just been played, if one has: words and waiting are none."""
        if mine in self._row:
            self.mine.append(self._row[mine])
            self.theirs.append(None if theirs is None else self._column.get(theirs))

    def decide(self) -> str:
        """Return the name of the chosen row."""
        return str(self._own[self.choose()])

    @abc.abstractmethod
    def choose(self) -> int:
        """Return the row to play now."""


def _wanted(plays: tuple[type, ...]) -> str:
    """Return in words which games have what a player needs."""
    forms = " or ".join(_FORMS[form][0] for form in plays)
    ids = [spec.id for form in plays for spec in SCENARIOS.values() if spec.kind == _FORMS[form][1]]
    kinds = " and ".join(_FORMS[form][1] for form in plays)
    return f"{forms}, as scenarios of the kind {kinds} have ({', '.join(ids[:3])}, …)"
