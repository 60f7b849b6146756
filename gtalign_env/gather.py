"""One engine for many games: what games that run side by side ask of it is gathered into few large calls.

Each game runs in a thread of its own and asks when it likes. The thread that owns the ``Desk`` runs the engine: as soon
as every game waits for an answer it takes all that was asked, and asks the engine in as few calls as possible. So an
engine never generates in two threads, and which requests share a call does not depend on the speed of the threads. A game
that keeps the others waiting for longer than the desk's patience misses the call, and nobody waits for it again until it asks.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import inspect
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from gtalign_env.errors import ModelError
from gtalign_env.protocols import (
    Backend,
    BatchPolicy,
    Continuation,
    Conversation,
    Generation,
    Info,
    Observation,
    Sampling,
)

__all__ = ["Desk", "GatheredBackend", "GatheredPolicy"]

Done = TypeVar("Done")
Ask = Callable[[list[Any]], list[Any]]
"""From rows to one answer for each of them."""


_FAREWELL = 1.0
"""Seconds that games get to notice that the desk is closed; a thread that is stuck is left to itself."""


class _Closed(BaseException):  # not an Exception: a player must not take it for its own failure
    """The desk was closed while a game was waiting."""


@dataclasses.dataclass(kw_only=True, eq=False, slots=True)
class _Request:
    """What one game asks, once."""

    game: int
    key: Any
    """Requests with equal keys can share a call."""
    ask: Ask
    rows: list[Any]
    ready: threading.Event = dataclasses.field(default_factory=threading.Event)
    answers: list[Any] = dataclasses.field(default_factory=list)
    error: BaseException | None = None


class Desk(Generic[Done]):
    """Where games that run side by side hand in their requests and their results.

    Args:
        patience: Seconds in which nothing has to happen before those who wait are served without those who still think.

    Example:
        >>> desk = Desk()
        >>> def double(rows):
        ...     return [2 * row for row in rows]
        >>> def game(number):
        ...     yield desk.ask(number, "double", double, [number])
        >>> sorted(desk.run([lambda n=n: game(n) for n in range(3)]))
        [[0], [2], [4]]
    """

    def __init__(self, *, patience: float = 0.25) -> None:
        self.patience = patience
        self.calls = 0
        """How often an engine was asked."""
        self._changed = threading.Condition()
        self._changes = 0
        self._playing: set[int] = set()  # games that have not come to their end
        self._awaited: set[int] = set()  # of these, those that the others wait for: they think, and are not late
        self._requests: list[_Request] = []  # not served yet
        self._unanswered: set[_Request] = set()  # these, and those that are being served
        self._results: collections.deque[tuple[int, Done]] = collections.deque()
        self._error: BaseException | None = None
        self._taken = 0
        self._offered = 0
        self._closed = False

    # -- for the thread that owns the engine ----------------------------------------------------------------------

    def run(self, games: Iterable[Callable[[], Iterator[Done]]]) -> Generator[Done]:
        """Run games side by side, serve what they ask, and yield their results as they come.

        Args:
            games: Functions that return iterators over results; each is run in a thread of its own, and asks under its place
                in this list. A game goes on only when its last result was taken, so memory holds one for each at most.

        Raises:
            BaseException: Whatever a game raised; the others are stopped.
        """
        threads = [
            threading.Thread(target=self._run, args=(number, game), daemon=True) for number, game in enumerate(games)
        ]
        self._playing = set(range(len(threads)))
        self._awaited = set(self._playing)
        try:
            for thread in threads:
                thread.start()
            while True:
                results, requests = self._next()
                yield from results
                if not results and not requests:
                    return
                for group in _grouped(requests):
                    self._serve(group)
                self._answer(requests)  # not before: what is finished while the engine is busy would lie about unsaved
        finally:
            self._close()
            until = time.monotonic() + _FAREWELL
            for thread in threads:
                if thread.ident is not None:
                    thread.join(timeout=max(0.0, until - time.monotonic()))

    def _next(self) -> tuple[list[Done], list[_Request]]:
        """Wait until there is something to do; return results, or else the requests to be served."""
        with self._changed:
            while not self._results and self._error is None and (self._awaited if self._requests else self._playing):
                before = self._changes
                self._changed.wait(self.patience if self._requests else None)
                if self._requests and self._changes == before:
                    self._awaited.clear()  # they are late
            if self._results:
                results = [result for _, result in self._results]
                self._awaited.update(game for game, _ in self._results)
                self._results.clear()
                self._taken += len(results)
                self._changed.notify_all()
                return results, []
            if self._error is not None:
                raise self._error
            requests, self._requests = sorted(self._requests, key=lambda request: request.game), []
            return [], requests

    def _serve(self, group: list[_Request]) -> None:
        """Ask the engine for a group; where the call fails as a whole, ask for each game alone, so that one fails alone."""
        rows = [row for request in group for row in request.rows]
        try:
            self.calls += 1
            answers = group[0].ask(rows)
            if len(answers) != len(rows):
                raise ModelError(f"expected {len(rows)} answers to {len(rows)} prompts, got {len(answers)}")
        except Exception as error:  # noqa: BLE001 - it belongs to the games that asked
            if len(group) == 1:
                group[0].error = error
            else:
                for request in group:
                    self._serve([request])
            return
        for request in group:
            request.answers, answers = answers[: len(request.rows)], answers[len(request.rows) :]

    def _answer(self, requests: list[_Request]) -> None:
        with self._changed:
            self._awaited |= self._playing & {request.game for request in requests}
            self._unanswered.difference_update(requests)
        for request in requests:
            request.ready.set()

    def _close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for request in self._unanswered:
            request.error = _Closed()
            request.ready.set()

    # -- for the games --------------------------------------------------------------------------------------------

    def ask(self, game: int, key: Any, ask: Ask, rows: list[Any]) -> list[Any]:
        """Hand in a request and wait for its answers.

        Args:
            game: Who asks, by its place among the games of ``run``; requests are put in this order.
            key: Requests with equal keys share a call.
            ask: Makes the call.
            rows: What is asked.

        Returns:
            One answer for each row.

        Raises:
            Exception: What the call raised for these rows.
        """
        request = _Request(game=game, key=key, ask=ask, rows=rows)
        with self._changed:
            self._check_open()
            self._requests.append(request)
            self._unanswered.add(request)
            self._rest(game)
        request.ready.wait()
        if request.error is not None:
            raise request.error
        return request.answers

    def _run(self, number: int, game: Callable[[], Iterator[Done]]) -> None:
        try:
            for result in game():
                self._offer(number, result)
        except _Closed:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again where the results are taken
            with self._changed:
                self._error = self._error or error
        finally:
            with self._changed:
                self._playing.discard(number)
                self._rest(number)

    def _offer(self, game: int, result: Done) -> None:
        with self._changed:
            self._check_open()
            self._results.append((game, result))
            self._offered += 1
            number = self._offered
            self._rest(game)
            self._changed.wait_for(lambda: self._taken >= number or self._closed)
            self._check_open()

    def _rest(self, game: int) -> None:
        self._awaited.discard(game)
        self._changes += 1
        self._changed.notify_all()

    def _check_open(self) -> None:
        if self._closed:
            raise _Closed


def _grouped(requests: Iterable[_Request]) -> list[list[_Request]]:
    groups: dict[Any, list[_Request]] = {}
    for request in requests:
        groups.setdefault(request.key, []).append(request)
    return list(groups.values())


class GatheredBackend:
    """A backend as one game sees it: what is asked of it goes over the desk. Everything else is the backend's own.

    A seed belongs to its row (see ``protocols.Backend``): a sampled completion is the same in any company, where the
    backend takes seeds row by row; where it does not, it follows from the seeds of all rows in the call.

    Args:
        backend: The engine.
        desk: Where the games of a batch meet.
        game: The game's number.

    Example:
        >>> from gtalign_env.agents.backends import make_backend
        >>> desk = Desk()
        >>> mine = GatheredBackend(make_backend("fake:echo"), desk, 0)
        >>> def game():
        ...     yield mine.generate([[{"role": "user", "content": "Hi"}]], Sampling())[0].text
        >>> list(desk.run([game]))
        ['Hi']
    """

    def __init__(self, backend: Backend, desk: Desk[Any], game: int) -> None:
        self.name = backend.name
        self._backend = backend
        self._desk = desk
        self._game = game

    def __getattr__(self, name: str) -> Any:
        """Return what the backend has beside the protocol."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._backend, name)

    def generate(
        self,
        conversations: Sequence[Conversation | Continuation],
        sampling: Sampling,
        *,
        seeds: Sequence[int] | None = None,
    ) -> list[Generation]:
        """Continue each conversation, together with those of the other games."""
        unseeded = dataclasses.replace(sampling, seed=0)
        own = [sampling.seed] * len(conversations) if seeds is None else seeds
        rows = list(zip(conversations, own, strict=True))
        ask = functools.partial(_generate, self._backend, unseeded)
        return self._desk.ask(self._game, (id(self._backend), unseeded), ask, rows) if rows else []

    def count_tokens(self, text: str) -> int:
        """Return the number of the engine's tokens in ``text``."""
        return self._backend.count_tokens(text)


def _generate(backend: Backend, sampling: Sampling, rows: list[tuple[Any, int]]) -> list[Generation]:
    """Ask a backend for rows that differ in their seeds, in one call."""
    conversations, seeds = [conversation for conversation, _ in rows], [seed for _, seed in rows]
    seed = seeds[0]
    if sampling.temperature > 0.0 and len(set(seeds)) > 1:
        if _takes_seeds(type(backend)):
            return backend.generate(conversations, sampling, seeds=seeds)  # type: ignore[call-arg]
        seed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
    return backend.generate(conversations, dataclasses.replace(sampling, seed=seed))


@functools.cache
def _takes_seeds(kind: type) -> bool:
    try:
        return "seeds" in inspect.signature(kind.generate).parameters  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return False


class GatheredPolicy:
    """A player that is one and the same for all games, as one game sees it: all are asked in one ``act_batch``.

    Args:
        policy: The player; it has to say ``stateless = True``, because nobody tells it which game is which.
        desk: Where the games of a batch meet.
        game: The game's number.
    """

    def __init__(self, policy: BatchPolicy, desk: Desk[Any], game: int) -> None:
        self.name = policy.name
        self.last_call: dict[str, Any] = {}
        self._policy = policy
        self._desk = desk
        self._game = game

    def reset(self, seed: int) -> None:
        """Begin a new episode; there is nothing to forget."""
        self.last_call = {}

    def act(self, observation: Observation, info: Info) -> Any:
        """Return the player's action, decided together with those of the other games."""
        ask = functools.partial(_act, self._policy)
        ((action, self.last_call),) = self._desk.ask(self._game, id(self._policy), ask, [(observation, info)])
        return action


def _act(policy: BatchPolicy, rows: list[Any]) -> list[tuple[Any, dict[str, Any]]]:
    observations, infos = zip(*rows, strict=True)
    actions = policy.act_batch(observations, infos)
    calls = getattr(policy, "last_calls", None) or [{} for _ in actions]
    return [(action, dict(call)) for action, call in zip(actions, calls, strict=True)]
