"""The assistant that states the payoffs it believes in, has them solved, and does what it announced."""

from __future__ import annotations

import copy
import dataclasses
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from gtalign_env.agents.assistants.llm import SYSTEM_PROMPT, mixed_seed, overlong, problem_of, without_prefix
from gtalign_env.agents.backends import make_backend
from gtalign_env.agents.chain.context import ChainContext, Steer
from gtalign_env.agents.chain.failures import ChainFailure
from gtalign_env.agents.chain.moves import ChainMoves
from gtalign_env.agents.chain.prompt import instructions
from gtalign_env.agents.chain.record import chain_call, plain_call
from gtalign_env.agents.chain.seat import Seat, TextSeat, take_seat
from gtalign_env.agents.chain.settings import ChainSettings
from gtalign_env.agents.chain.solving import Solved, solve_stated
from gtalign_env.agents.chain.steering import PriceSteering
from gtalign_env.agents.chain.stray import own_text
from gtalign_env.agents.chain.tokens import TokenStatistics
from gtalign_env.agents.chain.writer import ChainWriter, Draft, ask_engine
from gtalign_env.errors import ModelError, UsageError
from gtalign_env.gauges import matching_move
from gtalign_env.protocols import Backend, Generation, Info, Observation, Sampling, Scenario
from gtalign_env.types import ASSISTANT, Role

__all__ = ["ChainAssistant", "make_chain_assistant"]

_RETRY_TEMPERATURE = 0.7
"""A model that takes the likeliest token each time would fail again in the same way."""
_FINAL = ("engine", "prompt_too_long")
"""Failures that another attempt would meet again."""
_SILENT = ChainFailure(kind="silent", block="response", message="the model wrote nothing that could be said")
_SETTINGS = frozenset(field.name for field in dataclasses.fields(ChainSettings))


@dataclasses.dataclass(kw_only=True, eq=False)
class _Turn:
    """One game's turn: all attempts at its chain."""

    place: int
    moves: ChainMoves
    """Rows and columns of its matrix."""
    messages: list[dict[str, str]]
    context: ChainContext
    drafts: list[Draft] = dataclasses.field(default_factory=list)
    kept: bool | None = None
    """Whether the announced move was made."""

    @property
    def draft(self) -> Draft:
        return self.drafts[-1]


class ChainAssistant:
    """Plays the assistant with a language model that reasons about both sides' payoffs before it speaks.

    The model states a matrix; a criterion (``mode="solver"``) or the model itself (``"self"``) picks a cell of it; the move of
    that cell is announced to the environment together with the reply, so that a record shows whether it was kept. All games
    of ``act_batch`` share one call of the engine for each stage. Nothing fails silently: ``last_call["chain"]`` holds every
    block, the matrix, the solution, every failure and what followed from it. A chain that fails is begun anew (``retries``),
    unless it was the engine that failed: a backend makes its calls again by itself, as often as that may help.

    Results follow from the seed given to ``reset``, the conversation and the engine. The statistics of tokens by move, for
    steering, start anew with each episode.

    Args:
        backend: The engine, or a spec such as ``"transformers:PATH"``.
        sampling: Temperature, top_p and seed; tokens and stops follow from the blocks.
        steer: Edits the stated matrix before it is solved. With ``PriceSteering`` the model is told the pricing that it steers
            from, whatever the user pays.
        statistics: Tokens by move that are known before the first episode.
        **settings: Fields of ``ChainSettings``.

    Raises:
        UsageError: An argument is not what it should be.

    Example:
        >>> assistant = ChainAssistant("fake:chain", moves="paper")
        >>> assistant.reset(seed=0)
        >>> assistant.act({}, {"messages": [{"role": "user", "content": "How far is it?"}]})["text"]
        'Which one do you mean?'
        >>> assistant.last_call["chain"]["matrix"]["assistant_moves"]
        ['DA', 'AQ', 'CQ']
    """

    def __init__(
        self,
        backend: Backend | str,
        *,
        sampling: Sampling | None = None,
        steer: Steer | None = None,
        statistics: TokenStatistics | None = None,
        **settings: Any,
    ) -> None:
        if sampling is not None and not isinstance(sampling, Sampling):
            raise UsageError(f"sampling: expected gtalign_env.protocols.Sampling(…), got {sampling!r}")
        self.settings = self.check(settings)
        self.backend = make_backend(backend)
        self.sampling = sampling or Sampling()
        self.steer = steer
        usual = self.settings.mode == "none" or self.settings.criterion == ChainSettings.criterion
        by = "" if usual else f"/{self.settings.criterion}"
        steered = f"+{steer.name}" if isinstance(steer, PriceSteering) else ""
        self.name = f"{self.backend.name}+{self.settings.mode}{by}{steered}"
        self.last_call: dict[str, Any] = {}
        self.last_calls: list[dict[str, Any]] = []
        self._known = copy.deepcopy(statistics) if statistics is not None else TokenStatistics()
        self._seat: Seat = TextSeat(self.settings.moves)
        self._begin(self.sampling.seed)

    @staticmethod
    def check(settings: Mapping[str, Any]) -> ChainSettings:
        """Return settings that make sense, before a model is loaded for them.

        Raises:
            UsageError: There is no such setting, or it has a wrong value.

        Example:
            >>> ChainAssistant.check({"criterion": "nash"}).mode
            'solver'
        """
        if unknown := sorted(settings.keys() - _SETTINGS):
            raise UsageError(
                f"chain: unknown settings {', '.join(unknown)}; expected some of {', '.join(sorted(_SETTINGS))}"
            )
        return ChainSettings(**settings)

    def __deepcopy__(self, memo: dict[int, Any]) -> ChainAssistant:
        """Copy the player, not the model: copies share the backend."""
        twin = copy.copy(self)
        for field in ("last_call", "last_calls", "statistics", "_last"):
            setattr(twin, field, copy.deepcopy(getattr(self, field), memo))
        return twin

    def sit(self, scenario: Scenario, role: Role) -> None:
        """Take the assistant's chair: learn which moves there are, and who reads them from words.

        Raises:
            UsageError: No chain can play this game.
        """
        self._seat = take_seat(scenario, role, self.settings.moves)

    def reset(self, seed: int) -> None:
        """Begin a new episode."""
        self._begin(mixed_seed(self.sampling.seed, seed))

    def act(self, observation: Observation, info: Info) -> Any:
        """Return move and reply; nothing, without asking the model, when it is not the assistant's turn.

        Raises:
            ModelError: No chain could be used, and ``on_failure`` is ``"error"``.
            UsageError: This game cannot be played.
        """
        return self.act_batch([observation], [info])[0]

    def act_batch(self, observations: Sequence[Observation], infos: Sequence[Info]) -> list[Any]:
        """Return one action for each game; all games share one call of the engine for each stage.

        Raises:
            ModelError: No chain could be used in some of the games; what was written in all of them is in ``last_calls``.
            UsageError: This game cannot be played, or the two lists differ in length.
        """
        if len(observations) != len(infos):
            raise UsageError(
                f"act_batch: expected as many infos as observations, got {len(infos)} and {len(observations)}"
            )
        if self.settings.on_mismatch != "record" and not self._seat.reads:
            raise UsageError(
                f"on_mismatch={self.settings.on_mismatch!r}: nobody here reads moves from words; call sit(scenario, role) with a "
                "scenario that has read_move(reply), or record mismatches"
            )
        self.last_call, self.last_calls = (
            {},
            [{} for _ in infos],
        )  # whatever is raised, nothing of an earlier turn stays
        actions = [self._seat.waiting for _ in infos]
        turns = [
            self._turn(place, observation, info)
            for place, (observation, info) in enumerate(zip(observations, infos, strict=True))
            if info.get("to_move", ASSISTANT) in ("", ASSISTANT)
        ]
        if self.settings.mode == "none":
            failures = self._speak_plainly(turns, actions)
        else:
            failures = self._play(turns, actions)
        self.last_call = self.last_calls[-1] if self.last_calls else {}
        if failures:
            where = f" in {len(failures)} of {len(turns)} games" if len(turns) > 1 else ""
            raise ModelError(f"{self.name} failed{where}: {failures[0]}")
        return actions

    # -- one tick ------------------------------------------------------------------------------------------------

    def _begin(self, seed: int) -> None:
        self._seed = seed
        self.last_call, self.last_calls = {}, []
        self.statistics = copy.deepcopy(self._known)
        self._last: dict[int, str] = {}

    def _turn(self, place: int, observation: Observation, info: Info) -> _Turn:
        messages = self._seat.messages(observation, info)
        speaks = self._seat.speaks
        first = all(line["role"] != "assistant" for line in messages) if speaks else place not in self._last
        context = ChainContext(
            observation=observation,
            info=info,
            tokens=self.statistics,
            last="" if first else self._last.get(place, ""),
            first=first,
        )
        return _Turn(place=place, moves=self._seat.cells(observation, info), messages=messages, context=context)

    def _play(self, turns: Sequence[_Turn], actions: list[Any]) -> list[str]:
        """Write all chains and act on them; return what failed."""
        self._write(turns)
        failed = []
        for turn in turns:
            draft = turn.draft
            self.last_calls[turn.place] = chain_call(turn.drafts, settings=self._recorded(), kept=turn.kept)
            if draft.failure is not None:
                failed.append(turn)
                continue
            assert draft.announced is not None
            announced = draft.announced[1]
            actions[turn.place] = self._seat.action(announced, self._said(draft), draft.made)
            self._last[turn.place] = announced
            if self._seat.speaks:
                self.statistics.add(draft.made or announced, self._tokens(draft.response))
        if self.settings.on_failure == "error":
            return [f"{turn.draft.failure.kind}: {turn.draft.failure.message}" for turn in failed if turn.draft.failure]
        return self._fall_back(failed, actions)

    def _tokens(self, reply: str) -> int:
        """Return a reply's tokens as they are priced; the engine's where the game does not say."""
        counted = self._seat.count_tokens(reply)
        return self.backend.count_tokens(reply) if counted is None else counted

    def _write(self, turns: Sequence[_Turn]) -> None:
        """Write the chains of all games; those with the same cells share one call of the engine for each stage."""
        alike: dict[ChainMoves, list[_Turn]] = {}
        for turn in turns:
            alike.setdefault(turn.moves, []).append(turn)
        for moves, group in alike.items():
            self._write_alike(moves, group)

    def _write_alike(self, moves: ChainMoves, turns: Sequence[_Turn]) -> None:
        writer = ChainWriter(
            self.backend,
            moves,
            mode=self.settings.mode,
            guided=self.settings.constrained,
            strict=self.settings.strict,
            speaks=self._seat.speaks,
            budget=self.settings.budget,
            solve=self._solve,
        )
        pending = list(turns)
        for attempt in range(self.settings.retries + 1):
            if not pending:
                return
            for turn in pending:
                turn.drafts.append(self._draft(turn, attempt))
            writer.write([turn.draft for turn in pending], self._sampling(attempt))
            for turn in pending:
                self._compare(turn, final=attempt == self.settings.retries)
            pending = [turn for turn in pending if turn.draft.failure and turn.draft.failure.kind not in _FINAL]

    def _draft(self, turn: _Turn, attempt: int) -> Draft:
        system = instructions(
            turn.moves,
            mode=self.settings.mode,
            criterion=self.settings.criterion,
            pricing=self._told(turn.context.observation),
            rules=self._seat.rules,
        )
        said = zlib.crc32(json.dumps(turn.messages).encode())
        return Draft(
            conversation=[{"role": "system", "content": system}, *turn.messages],
            context=turn.context,
            moves=turn.moves,
            seed=mixed_seed(self._seed, said, attempt),
        )

    def _told(self, observation: Observation) -> str:
        """Return what the model is told of prices; where it is steered, what it would be without."""
        told = self._seat.pricing(observation)
        return self.steer.told if told and isinstance(self.steer, PriceSteering) else told

    def _sampling(self, attempt: int = 0) -> Sampling:
        if attempt == 0:
            return dataclasses.replace(self.sampling, seed=self._seed)
        warm = max(self.sampling.temperature, _RETRY_TEMPERATURE)
        return dataclasses.replace(self.sampling, temperature=warm, seed=mixed_seed(self._seed, attempt))

    def _solve(self, draft: Draft) -> Solved | ChainFailure:
        """Steer and solve a stated matrix."""
        game, moves = draft.game, draft.moves
        assert game is not None
        assert moves is not None
        if self.steer is not None:
            game = draft.steered = self.steer(game, draft.context)
        return solve_stated(game, self.settings.criterion, moves, seed=draft.seed, steered=draft.steered is not None)

    def _said(self, draft: Draft) -> str:
        """Return what the game is told: the reply, or the whole message, where that is wanted."""
        return draft.whole if self._seat.raw else draft.response

    def _compare(self, turn: _Turn, *, final: bool) -> None:
        """Hold the reply against the announcement; whether a mismatch is a failure is a matter of the settings."""
        draft = turn.draft
        if draft.failure is not None or draft.announced is None:
            return
        if problem := overlong(self._said(draft)):  # nobody could read it: it cannot be said
            place = draft.text.rfind("<response>")
            draft.failure = ChainFailure(kind="too_long", block="response", position=place, message=problem)
            return
        announced = draft.announced[1]
        draft.made = self._seat.read(draft.response) if self._seat.speaks or draft.response else announced
        turn.kept = matching_move((announced,), draft.made) is not None if draft.made else None
        tolerated = self.settings.on_mismatch == "record" or (self.settings.on_mismatch == "retry" and final)
        if turn.kept is False and not tolerated:
            draft.failure = ChainFailure(
                kind="move_mismatch",
                block="response",
                position=draft.text.rfind("<response>"),
                message=f"announced {announced}, but the reply makes {draft.made}",
            )

    # -- without a chain -----------------------------------------------------------------------------------------

    def _fall_back(self, turns: Sequence[_Turn], actions: list[Any]) -> list[str]:
        """Reply without a chain where there is none that could be used; the record says so."""
        chains = {turn.place: self.last_calls[turn.place] for turn in turns}
        problems = self._speak_plainly(turns, actions)
        for place, call in chains.items():
            plain = self.last_calls[place]
            self.last_calls[place] = {**call, "plain": plain, "error": plain["error"]}
            failures = [*call["chain"]["failures"], *plain.pop("chain", {}).get("failures", ())]
            self.last_calls[place]["chain"] = {**call["chain"], "failures": failures, "fallback": "plain"}
        return problems

    def _speak_plainly(self, turns: Sequence[_Turn], actions: list[Any]) -> list[str]:
        asked = dataclasses.replace(self._sampling(), max_tokens=self.settings.budget.response)
        told = (
            f"{self._seat.rules}\nAnswer with the name of your move and nothing else."
            if self._seat.rules
            else SYSTEM_PROMPT
        )
        system = {"role": "system", "content": told}
        made = ask_engine(self.backend, [[system, *turn.messages] for turn in turns], asked) if turns else []
        failures = []
        for turn, generation in zip(turns, made, strict=True):
            call = plain_call(generation, settings=self._recorded())
            self.last_calls[turn.place] = {**call, "chain": {"mode": "none"}} if self.settings.mode == "none" else call
            failures += self._plain_action(turn, generation, actions)
        return failures

    def _plain_action(self, turn: _Turn, generation: Generation, actions: list[Any]) -> list[str]:
        """Act on a reply without a chain; return what is wrong with it."""
        reply, call = without_prefix(generation.text), self.last_calls[turn.place]
        problem = problem_of(generation, "")
        if not problem and self._seat.speaks:
            own = own_text("response", reply)  # a model of chains may write one all the same: it is not for the user
            if isinstance(own, ChainFailure):
                problem = f"{own.kind}: {own.message}"
            else:
                problem, reply = overlong(own[0]), own[0]
            if not problem and not reply:
                call.setdefault("chain", {})["failures"] = [
                    _SILENT.as_dict()
                ]  # the game goes on: it is the user's to judge
        if not problem:
            try:
                actions[turn.place] = self._seat.plain_action(reply)
                return []
            except ModelError as error:
                problem = str(error)
        call["error"] = problem
        return [problem]

    def _recorded(self) -> Mapping[str, Any]:
        return {
            "backend": self.backend.name,
            "seed": self._seed,
            "mode": self.settings.mode,
            "criterion": self.settings.criterion,
            **({"steering": self.steer.as_dict()} if isinstance(self.steer, PriceSteering) else {}),
        }


def make_chain_assistant(
    spec: str | Backend, *, sampling: Sampling | None = None, steer: Steer | None = None, **options: Any
) -> ChainAssistant:
    """Build a chain assistant from a backend's spec.

    Args:
        spec: ``"transformers:PATH"``, ``"fake:chain"``, …
        sampling: See ``ChainAssistant``.
        steer: See ``ChainAssistant``.
        **options: Fields of ``ChainSettings``; all others are passed to the backend, e.g. ``device="cuda"``.

    Example:
        >>> make_chain_assistant("fake:chain", mode="self", criterion="nash").name
        'fake:chain+self/nash'
    """
    settings = {name: value for name, value in options.items() if name in _SETTINGS}
    engine = {name: value for name, value in options.items() if name not in _SETTINGS}
    return ChainAssistant(make_backend(spec, **engine), sampling=sampling, steer=steer, **settings)
