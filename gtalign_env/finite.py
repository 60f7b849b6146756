"""Play any compiled game: the one-game engine over ``GameTables``.

The state is explicit and immutable; ``FiniteScenario.step`` is a pure function of it, of both actions and of one random
number. The batched engine and the exact solver read the same tables.
"""

from __future__ import annotations

import bisect
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gtalign_env.errors import UsageError
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.ledger import Ledger
from gtalign_env.mix import UserMix, resolve_type
from gtalign_env.pricing import make_pricing
from gtalign_env.protocols import PricingPolicy, Step
from gtalign_env.spaces import Layout
from gtalign_env.stage import mean_game, stage_game
from gtalign_env.tables import GameTables, PayoffTables
from gtalign_env.types import ASSISTANT, NUMERIC_TYPE_FIELDS, USER, Outcome, Payoffs, Role, UserType, View

__all__ = ["FiniteScenario", "FiniteState"]

_NONE = -1
_AGENT_OF: dict[str, str] = {"user": USER, "assistant": ASSISTANT, "": ""}
_KEPT_LEDGERS = 32
"""Ledgers that a scenario remembers, about 2 MB each for ``assist``; those of its own mix are kept besides."""


class FiniteState(NamedTuple):
    """Everything that an episode of a finite game needs to go on."""

    public: int
    """Index into the tables; the last one is the end."""
    ledger: Ledger
    """Payoffs and observations for this episode's θ and pricing; θ is private to the user."""
    last_user_move: int = _NONE
    last_assistant_move: int = _NONE
    last_quality: float = 0.0
    """Quality of the last reply, known to the user only."""
    user_total: float = 0.0
    """Sum of the user's payoffs so far, utils."""

    @property
    def user_type(self) -> UserType:
        """θ: private to the user."""
        return self.ledger.user_type

    @property
    def pricing(self) -> PricingPolicy:
        """What the user pays."""
        return self.ledger.pricing


class FiniteScenario:
    """A ``Scenario`` over compiled tables. Immutable apart from caches.

    Args:
        name: The scenario's name.
        description: One sentence for lists.
        tables: The compiled game.
        payoffs: Evaluates the payoff tables for a type and a pricing policy.
        retention: What the provider gains at the end, from the user's total.
        mix: The population from which θ is drawn.
        known_types: Types that ``reset`` options may name.
        pricing: The default pricing policy.
        has_types: Whether θ matters; if not, it has no slots in observations.
        own_types: Whether only ``known_types`` mean anything: personas of other types leave the draw of θ to the scenario.
        type_words: Tells in a few words what a type means in this game; the fields in which types differ when ``None``.
        config: What ``describe`` and records show as the game's settings.
        user_acts: Name and act of the rows of the stage game; all moves when ``None``.
        continuation: What follows an exchange in the stage game (see ``stage_game``).
        recipe: A factory and its keyword arguments from which an equal scenario is rebuilt when unpickled.
        pinnable: Coordinates of the opening that the reset option ``task`` may pin; all when ``None``.
        game: The game in its own form (a ``Bimatrix``, a ``GameTree``, …), where it is common knowledge; what solvers and
            symbolic players read.
        movers: Who is to move in each state, in games with turns: shape (S,), ``"user"``, ``"assistant"`` or ``""`` for both.
            Whoever waits has one legal move, ``WAIT``.
        assistant_acts: Name and act of the columns of the stage game; all moves when ``None``.
        state_words: Tells a public state in words; its coordinates are listed when ``None``.
        briefing: Tells a player the rules in words; the description and the moves when ``None``.
    """

    view: View = "strategic"

    def __init__(
        self,
        *,
        name: str,
        description: str,
        tables: GameTables,
        payoffs: Callable[[UserType, PricingPolicy], PayoffTables],
        retention: Callable[[float], float],
        mix: UserMix,
        known_types: Mapping[str, UserType],
        pricing: PricingPolicy,
        has_types: bool = True,
        own_types: bool = False,
        type_words: Callable[[UserType], str] | None = None,
        config: Mapping[str, Any] | None = None,
        user_acts: Mapping[str, int] | None = None,
        continuation: tuple[int, NDArray[np.int32]] | None = None,
        recipe: tuple[Callable[..., FiniteScenario], Mapping[str, Any]] | None = None,
        pinnable: Sequence[str] | None = None,
        game: Any = None,
        movers: Sequence[Role | Literal[""]] | None = None,
        assistant_acts: Mapping[str, int] | None = None,
        state_words: Callable[[int], str] | None = None,
        briefing: Callable[[Role], str] | None = None,
    ) -> None:
        self.name = name
        self.description = description
        self.tables = tables
        self.mix = mix
        self.known_types = dict(known_types)
        self.pricing = pricing
        self.config = dict(config or {})
        self.has_types = has_types
        self.own_types = own_types
        self._type_words = type_words
        self.user_acts = dict(user_acts or _acts(tables.user_moves, tables.user_act))
        self.assistant_acts = dict(assistant_acts or _acts(tables.assistant_moves, tables.assistant_act))
        self.state_words = state_words
        self._briefing = briefing
        self._continuation = continuation
        self._pinnable = tuple(tables.axes if pinnable is None else pinnable)
        self.recipe = recipe
        self.game = game
        self._to_move = [] if movers is None else [_AGENT_OF[mover] for mover in movers]
        self.to_move: tuple[str, ...] = tuple(self._to_move)
        self._located: dict[bytes, int] | None = None
        self._evaluate = payoffs
        self.retention = self._retention = retention
        self._ledgers: OrderedDict[tuple[UserType, PricingPolicy], Ledger] = OrderedDict()
        self._usual: dict[int, Ledger] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._padded: dict[tuple[Role, int], list[NDArray[np.int8]]] = {}
        self.layout = self._make_layout()
        self._at = {slot: self.layout[slot].start for slot in self.layout.slots}
        self._index_tables()

    def _index_tables(self) -> None:
        """Turn what every step looks up into flat lists: reading a list is several times faster than reading an array."""
        tables = self.tables
        self._legal: dict[Role, list[list[int]]] = {
            "user": tables.user_mask.tolist(),
            "assistant": tables.assistant_mask.tolist(),
        }
        shape = tables.next_state.shape
        self._strides = (shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3])
        self._next: list[int] = tables.next_state.reshape(-1).tolist()
        self._cumulative: list[list[float]] = (
            np.cumsum(tables.probability, axis=-1).reshape(-1, shape[3]).tolist()
            if shape[3] > 1
            else [[1.0]] * math.prod(shape[:3])  # nothing is left to chance: one list serves every entry
        )
        self._user_act: list[int] = tables.user_act.tolist()
        self._assistant_act: list[int] = tables.assistant_act.tolist()
        self._initial: list[float] = np.cumsum(tables.initial).tolist()
        self._terminal = tables.terminal

    def __deepcopy__(self, memo: dict[int, Any]) -> FiniteScenario:
        """Scenarios do not change, so a copy of an environment shares them."""
        return self

    def __reduce__(self) -> Any:
        """Pickle the recipe instead of megabytes of tables."""
        if self.recipe is None:
            return super().__reduce__()
        return _rebuild, (self.recipe[0], dict(self.recipe[1]))

    # -- the Scenario protocol ------------------------------------------------------------------------------------

    def moves(self, role: Role) -> tuple[str, ...]:
        """Return the role's move names by index."""
        return self.tables.user_moves if role == "user" else self.tables.assistant_moves

    def reset(self, rng: Any, options: Mapping[str, Any]) -> FiniteState:
        """Draw the first state; ``options`` may pin ``user_type``, ``task`` and ``pricing``."""
        # Options are checked before anything is drawn: a refused reset leaves the generator as it was.
        pinned = None if options.get("user_type") is None else self.resolve_type(options["user_type"])
        pricing = self.pricing if options.get("pricing") is None else make_pricing(options["pricing"])
        if options.get("task") is not None:
            self.opening(options["task"], 0)
        drawn = self.mix.draw(rng)
        public = bisect.bisect_right(self._initial, rng.random())
        if options.get("task") is not None:
            public = self.opening(options["task"], public)
        if pinned is not None or pricing is not self.pricing:
            user_type = drawn if pinned is None else pinned
            return FiniteState(public, self.ledger(user_type, pricing))
        ledger = self._usual.get(id(drawn))  # types of the mix live as long as the scenario; hashing one takes its time
        if ledger is None:
            ledger = self._usual[id(drawn)] = self.ledger(drawn, pricing)
        return FiniteState(public, ledger)

    def observation_size(self) -> int:
        """Return the length of the observation vector."""
        return self.layout.size

    def observe(self, state: FiniteState, role: Role) -> NDArray[np.float32]:
        """Return the role's observation; only the user's holds anything private."""
        at = self._at
        vector: NDArray[np.float32] = state.ledger.rows[role][state.public].copy()
        if state.last_user_move >= 0:
            vector[at["last_user_move"] + state.last_user_move] = 1.0
        if state.last_assistant_move >= 0:
            vector[at["last_assistant_move"] + state.last_assistant_move] = 1.0
        if role == "user":
            vector[at["private"]] = state.last_quality
            vector[at["private"] + 1] = 0.5 + 0.5 * math.tanh(state.user_total)
        return vector

    def action_mask(self, state: FiniteState, role: Role) -> NDArray[np.int8]:
        """Return which moves are legal."""
        table = self.tables.user_mask if role == "user" else self.tables.assistant_mask
        mask: NDArray[np.int8] = table[state.public].copy()
        return mask

    def padded_mask(self, state: FiniteState, role: Role, width: int) -> NDArray[np.int8]:
        """Return ``action_mask`` with zeros up to ``width``."""
        table = self._padded.get((role, width))
        if table is None:
            own = self.tables.user_mask if role == "user" else self.tables.assistant_mask
            table = list(np.pad(own, ((0, 0), (0, width - own.shape[1]))))  # S rows of width
            self._padded[role, width] = table
        mask: NDArray[np.int8] = table[state.public].copy()
        return mask

    def is_legal(self, state: FiniteState, role: Role, index: int) -> bool:
        """Return whether ``action_mask`` has a 1 at ``index``, without building it."""
        return self._legal[role][state.public][index] == 1

    def step(self, state: FiniteState, user_action: int | None, assistant_action: int | None, rng: Any) -> Step:
        """Resolve one exchange: reply, outcome, payoffs, next utterance."""
        user = -1 if user_action is None else user_action
        assistant = -1 if assistant_action is None else assistant_action
        strides = self._strides
        first = state.public * strides[0] + self._user_act[user] * strides[1]
        first += self._assistant_act[assistant] * strides[2]
        cumulative = self._cumulative[first // strides[2]]
        branch = min(bisect.bisect_right(cumulative, rng.random()), strides[2] - 1)
        index = first + branch
        following = self._next[index]
        tables = state.ledger.payoffs
        items = state.ledger.flat[index].tolist()  # the user's, then the assistant's
        count = len(tables.user_items)
        outcome = self._outcomes.get(index) or self._outcome(index)
        total = state.user_total + sum(items[:count])
        ended = following == self._terminal
        payoffs = Payoffs(
            dict(zip(tables.user_items, items)),  # noqa: B905 - ends with the user's names
            dict(zip(tables.assistant_items, items[count:], strict=True)),
        )
        if ended and "retention" in payoffs.assistant:
            payoffs.assistant["retention"] = self._retention(total)
        after = FiniteState(following, state.ledger, user, assistant, outcome.quality, total)
        return Step(after, payoffs, outcome, ended, {"violation": True} if outcome.violation else {})

    def info(self, state: FiniteState, role: Role) -> dict[str, Any]:
        """Return whose turn it is, in games with turns; all else is in the observation."""
        if self._to_move and self._to_move[state.public]:
            return {"to_move": self._to_move[state.public]}
        return {}

    def hidden(self, state: FiniteState) -> dict[str, Any]:
        """Return θ."""
        return {"user_type": state.ledger.user_type} if self.has_types else {}

    def describe(self, state: FiniteState) -> str:
        """Return the public state in words."""
        where = self.tables.coordinates(state.public)
        words = ", ".join(f"{name} {value}" for name, value in where.items()) or "the session is over"
        if where and self.state_words is not None:
            words = self.state_words(state.public)
        for label, move, names in (
            ("user", state.last_user_move, self.tables.user_moves),
            ("assistant", state.last_assistant_move, self.tables.assistant_moves),
        ):
            words += f"\n{label}: {names[move] if move >= 0 else '—'}"
        return words

    def briefing(self, role: Role) -> str:
        """Return the rules of the game in plain words, as a player in this chair should hear them before it plays.

        Example:
            >>> from gtalign_env.registration import make_scenario
            >>> print(make_scenario("assist").briefing("assistant").splitlines()[-1])
            Your moves: DA_short, DA_medium, DA_long, AQ_short, AQ_medium, AQ_long, CQ, DECLINE.
        """
        if self._briefing is not None:
            return self._briefing(role)
        return f"{self.description}\nYou are the {role}.\nYour moves: {', '.join(self.moves(role))}."

    def type_in_words(self, user_type: UserType) -> str:
        """Return a type's name and what it means in this game.

        Example:
            >>> from gtalign_env.registration import make_scenario
            >>> scenario = make_scenario("signalling")
            >>> scenario.type_in_words(scenario.known_types["high"])
            'high: worth 3 to the assistant, and a degree costs 0.75'
        """
        if self._type_words is not None:
            return f"{user_type.name}: {self._type_words(user_type)}"
        fields = [name for name in NUMERIC_TYPE_FIELDS if len({getattr(one, name) for one in self.mix.types}) > 1]
        meant = ", ".join(f"{name.replace('_', ' ')} {getattr(user_type, name):g}" for name in fields)
        return f"{user_type.name}: {meant}" if meant else user_type.name

    # -- what solvers and batched engines use ---------------------------------------------------------------------

    @property
    def retention_rate(self) -> float:
        """What the provider gains at the end, per util that the user gained.

        Raises:
            UsageError: Its gain is not proportional to the user's.

        Example:
            >>> from gtalign_env.registration import make_scenario
            >>> round(make_scenario("assist").retention_rate, 9)
            0.35
        """
        far = 2.0**20  # so large that the rounding of payoffs does not show
        rate = self._retention(far) / far
        if any(abs(self._retention(total) - rate * total) > 1e-6 for total in (-far, -1.0, 0.0, 1.0)):
            raise UsageError(f"scenario {self.name!r}: its retention is not proportional to what the user gained")
        return rate

    def resolve_type(self, user_type: Any) -> UserType:
        """Return the type that a reset option means: a name, a dict of θ's fields, or a type."""
        return resolve_type(user_type, self.known_types)

    def payoff_tables(self, user_type: UserType, pricing: PricingPolicy) -> PayoffTables:
        """Return the itemised payoff tables for a type and a pricing policy (cached)."""
        return self.ledger(user_type, pricing).payoffs

    def ledger(self, user_type: UserType, pricing: PricingPolicy) -> Ledger:
        """Return payoffs and observation rows for a type and a pricing policy; the most recent ones are kept."""
        pair = (user_type, pricing)
        found = self._ledgers.get(pair)
        if found is None:
            found = self._ledgers[pair] = Ledger(self, self._evaluate(user_type, pricing), user_type, pricing)
            if len(self._ledgers) > _KEPT_LEDGERS:
                self._ledgers.popitem(last=False)
        else:
            self._ledgers.move_to_end(pair)
        return found

    def locate(self, observation: NDArray[Any]) -> int:
        """Return the public state that an observation shows.

        Args:
            observation: The vector that ``observe`` returns for either role, shape (size,).

        Raises:
            UsageError: The vector is no observation of this game, or several states look alike.

        Example:
            >>> from gtalign_env import parallel_env
            >>> env = parallel_env("matrix", rounds=3)
            >>> _ = env.reset(seed=0)
            >>> seen, *_ = env.step({"user_0": 1, "assistant_0": 2})
            >>> env.scenario.locate(seen["assistant_0"]["observation"])
            1
        """
        if self._located is None:
            rows = np.ascontiguousarray(self.tables.features, dtype=np.float32)
            self._located = {row.tobytes(): state for state, row in enumerate(rows)}
        if len(self._located) < len(self.tables.features):
            raise UsageError(
                f"scenario {self.name!r}: several states look alike, so an observation does not tell which it is"
            )
        vector = np.asarray(observation, dtype=np.float32)
        key = (
            np.ascontiguousarray(vector[self.layout["public"]]).tobytes()
            if vector.shape == (self.layout.size,)
            else b""
        )
        if key not in self._located:
            raise UsageError(f"scenario {self.name!r}: expected an observation of this game, got {observation!r}")
        return self._located[key]

    def last_moves(self, observation: NDArray[Any]) -> tuple[int | None, int | None]:
        """Return the indices of the last moves (user's, assistant's) that an observation shows; ``None`` before the first.

        Example:
            >>> from gtalign_env import parallel_env
            >>> env = parallel_env("matrix", rounds=3)
            >>> _ = env.reset(seed=0)
            >>> seen, *_ = env.step({"user_0": 1, "assistant_0": 2})
            >>> env.scenario.last_moves(seen["assistant_0"]["observation"])
            (1, 2)
        """
        shown = [observation[self.layout[slot]] for slot in ("last_user_move", "last_assistant_move")]
        user, assistant = (int(slot.argmax()) if slot.any() else None for slot in shown)
        return user, assistant

    def stage_game(
        self,
        public: Mapping[str, str],
        user_type: Any = None,
        pricing: str | PricingPolicy | None = None,
    ) -> Bimatrix:
        """Return the bimatrix of one exchange, as the analyst sees it.

        Args:
            public: The public state's coordinates by name.
            user_type: θ, as ``reset`` takes it; the average over the population when ``None``.
            pricing: The pricing policy; the scenario's own when ``None``.

        Raises:
            UsageError: There is no such state, or only one player is to move in it.
        """
        policy = self.pricing if pricing is None else make_pricing(pricing)
        state = self.tables.index(**public)
        if self._to_move and self._to_move[state]:
            raise UsageError(
                f"scenario {self.name!r}: only {self._to_move[state]} is to move in {dict(public)}: there is no bimatrix of "
                "one exchange; the whole game is in 'scenario.game'"
            )
        types = self.mix.types if user_type is None else (self.resolve_type(user_type),)
        shares = self.mix.shares if user_type is None else (1.0,)
        games = [
            stage_game(
                self.tables,
                self.payoff_tables(theta, policy),
                state,
                user_acts=self.user_acts,
                assistant_acts=self.assistant_acts,
                continuation=self._continuation,
                retention_rate=self._retention(1.0),
            )
            for theta in types
        ]
        return mean_game(games, shares)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _outcome(self, index: int) -> Outcome:
        place = np.unravel_index(index, self.tables.next_state.shape)
        table = self.tables.outcome
        made = Outcome(**{name: float(getattr(table, name)[place]) for name in Outcome.__slots__})
        self._outcomes[index] = made
        return made

    def opening(self, task: Any, drawn: int) -> int:
        """Return the opening state with the coordinates that ``task`` pins: a kind's name, or a dict of coordinates."""
        pins = {"kind": task} if isinstance(task, str) else task
        if not isinstance(pins, Mapping) or not set(pins) <= set(self._pinnable):
            axes = ", ".join(self._pinnable)
            raise UsageError(f"option 'task': expected a kind of question or a dict over {axes}, got {task!r}")
        return self.tables.index(**{**self.tables.coordinates(drawn), **pins})

    def _make_layout(self) -> Layout:
        slots = {
            "role": 1,
            "public": self.tables.features.shape[1],
            "last_assistant_move": len(self.tables.assistant_moves),
            "last_user_move": len(self.tables.user_moves),
            "pricing": 3,
            "private": 2,
        }
        if self.has_types:
            slots["theta"] = len(NUMERIC_TYPE_FIELDS)
        return Layout(slots)


def _acts(moves: Sequence[str], acts: NDArray[np.int32]) -> dict[str, int]:
    return {move: int(acts[index]) for index, move in enumerate(moves)}


def _rebuild(factory: Callable[..., FiniteScenario], options: dict[str, Any]) -> FiniteScenario:
    return factory(**options)
