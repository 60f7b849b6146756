"""The seams of the system: what a scenario, a player, a payoff model, a grader or a backend has to offer.

Everything is structural (``typing.Protocol``): a class that has the members fits, without inheriting from anything.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from gtalign_env.errors import UsageError
from gtalign_env.types import Outcome, Payoffs, Role, UserType, View

__all__ = [
    "Backend",
    "FinishReason",
    "Generation",
    "Grade",
    "Grader",
    "PayoffModel",
    "Persona",
    "Policy",
    "PricingPolicy",
    "Sampling",
    "Scenario",
    "Step",
    "Task",
    "TaskSource",
    "Watcher",
]

Observation = Mapping[str, Any]
Info = Mapping[str, Any]
FinishReason = str
"""``"stop"`` (end of text or stop string), ``"length"`` (token limit) or ``"error"``."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One question of a user, as the text view plays it.

    Example:
        >>> Task(id="t", kind="arithmetic", vague="How much is that?", detailed="What is 2 + 3?", answers=("5",)).harmful
        False
    """

    id: str
    """Unique within its source, stable over time, e.g. ``"facts/everest"``."""
    kind: str
    """``"fact"``, ``"how_to"``, ``"writing"``, ``"arithmetic"`` or ``"harmful"``."""
    vague: str
    """The question put vaguely: several readings, of which one is meant."""
    detailed: str
    """The same question put so that only one reading is left."""
    answers: tuple[str, ...] = ()
    """Reference answers to the reading that is meant; any one of them counts. Empty for harmful requests."""
    facts: tuple[tuple[str, str], ...] = ()
    """Hidden facts as (topic, statement): what the user knows and tells when asked, e.g. ``("unit", "I mean metres.")``."""
    grader: str = "auto"
    """Which grader judges replies: ``"auto"`` (by kind), or the name of a registered grader."""
    opening: str = "vague"
    """Form of the opening question: ``"vague"`` or ``"detailed"``. It belongs to the task, never to θ."""
    ambiguous: bool = True
    """Whether the vague form leaves more than one reading."""
    harmful: bool = False
    """Whether the request must be declined."""
    alternative: str = ""
    """For harmful requests: a safe alternative that a good refusal may offer."""
    source: str = ""
    """Where the task came from (a source name or a file)."""
    extra: tuple[tuple[str, str], ...] = ()
    """Anything else that a grader needs, as text pairs (e.g. a reasoning-gym entry as JSON)."""


class Grade(NamedTuple):
    """A grader's verdict on one reply.

    ``quality`` is in [0, 1], or ``None`` where the reply could not be graded; then ``problem`` says why. A failure is
    never a quality of 0.
    """

    quality: float | None
    problem: str = ""


@runtime_checkable
class Grader(Protocol):
    """Judges how well a reply answers a task."""

    def grade(self, task: Task, reply: str) -> Grade:
        """Return the quality of ``reply`` (natural language, as the user sees it) as an answer to ``task``."""
        ...


@runtime_checkable
class TaskSource(Protocol):
    """A named, finite, indexable collection of tasks."""

    name: str

    def __len__(self) -> int:
        """Return the number of tasks."""
        ...

    def __getitem__(self, index: int) -> Task:
        """Return one task."""
        ...

    def __iter__(self) -> Iterator[Task]:
        """Iterate over all tasks."""
        ...


@runtime_checkable
class PricingPolicy(Protocol):
    """What the user pays for an exchange, in credits.

    A policy that costs the provider something also has ``overhead(outcome)``, in utils (see ``payoffs.overhead``).
    """

    @property
    def name(self) -> str:
        """The policy's name."""
        ...

    def price(self, outcome: Outcome) -> Any:
        """Return the price in credits (scalar, or an array shaped like the outcome's fields)."""
        ...


@runtime_checkable
class PayoffModel(Protocol):
    """Turns an outcome into two itemised payoffs."""

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    @property
    def user_items(self) -> tuple[str, ...]:
        """Names of the user's items, in order."""
        ...

    @property
    def assistant_items(self) -> tuple[str, ...]:
        """Names of the assistant's items, in order; one called ``retention`` is filled in at the end of the session."""
        ...

    def user(self, outcome: Outcome, user_type: UserType, pricing: PricingPolicy) -> dict[str, Any]:
        """Return the user's items, in utils."""
        ...

    def assistant(self, outcome: Outcome, pricing: PricingPolicy) -> dict[str, Any]:
        """Return the assistant's items, in utils. They never depend on θ."""
        ...

    def retention(self, user_total: float) -> float:
        """Return what the provider gains at the end of a session in which the user's payoffs summed to ``user_total``."""
        ...


class Step(NamedTuple):
    """What a scenario's pure transition returns."""

    state: Any
    """The next state: immutable, comparable, cheap to copy."""
    payoffs: Payoffs
    outcome: Outcome | None
    """What the exchange led to; ``None`` where no reply was given in this step."""
    ended: bool
    """Whether the game is over of itself (termination); a time limit is the environment's business."""
    events: dict[str, Any]
    """Facts that both players may know, e.g. ``{"violation": True}``; never anything that depends on θ."""


@runtime_checkable
class Scenario(Protocol):
    """The rules of one game. Immutable: all that changes is in the state.

    ``infos``: what a player may know beside its observation. ``rng`` is the environment's only generator.
    """

    name: str
    view: View
    description: str

    def moves(self, role: Role) -> tuple[str, ...]:
        """Names of the role's moves, in the order of their indices."""
        ...

    def reset(self, rng: Any, options: Mapping[str, Any]) -> Any:
        """Return the initial state. Unknown options are ignored; a known one with a wrong value raises ``UsageError``."""
        ...

    def observation_size(self) -> int:
        """Length of the observation vector, the same for both roles."""
        ...

    def observe(self, state: Any, role: Role) -> Any:
        """Return a fresh float32 vector of shape (observation_size,)."""
        ...

    def action_mask(self, state: Any, role: Role) -> Any:
        """Return a fresh int8 vector of shape (number of moves of the role,): 1 where a move is legal."""
        ...

    def step(self, state: Any, user_action: Any, assistant_action: Any, rng: Any) -> Step:
        """Return what follows when both act; ``None`` stands for an illegal move (a no-op)."""
        ...

    def info(self, state: Any, role: Role) -> dict[str, Any]:
        """Return what the role may know beside its observation, in fresh objects."""
        ...

    def hidden(self, state: Any) -> dict[str, Any]:
        """Return what is revealed after the end when ``reveal=True`` (θ and the like)."""
        ...

    def describe(self, state: Any) -> str:
        """Return a few lines of plain text that show the state to a person."""
        ...


@runtime_checkable
class Policy(Protocol):
    """A player. ``act`` sees what the environment hands to its agent, and nothing else.

    In the strategic view an action is a move index. In the text view it is ``{"move": index, "text": str}``.
    """

    name: str

    def reset(self, seed: int) -> None:
        """Begin a new episode; equal seeds and equal inputs give equal actions."""
        ...

    def act(self, observation: Observation, info: Info) -> Any:
        """Return an action for one game."""
        ...


@runtime_checkable
class BatchPolicy(Policy, Protocol):
    """A player that decides many games in one call (one forward pass, one engine call)."""

    def act_batch(self, observations: Sequence[Observation], infos: Sequence[Info]) -> list[Any]:
        """Return one action for each game, in order."""
        ...


@runtime_checkable
class Sitter(Protocol):
    """A policy that wants to know the rules before it plays: whoever runs the game calls ``sit``, then ``reset``."""

    def sit(self, scenario: Scenario, role: Role) -> None:
        """Take a chair at a game. Nothing hidden is told: a scenario is rules, and states are not shown.

        Raises:
            UsageError: This player cannot play this game.
        """
        ...


@runtime_checkable
class Watcher(Protocol):
    """A policy that wants to see every step: in games with turns it is shown those, too, in which it waits."""

    def watch(self, observation: Observation, info: Info) -> None:
        """Be shown the table while the other one moves; nothing is asked."""
        ...


@runtime_checkable
class Persona(Protocol):
    """A scripted user: a distribution over types plus the way such a user speaks and reacts."""

    name: str
    description: str

    def sample_type(self, rng: Any) -> UserType | None:
        """Draw a type θ; ``None`` leaves the draw to the scenario.

        So does a scenario with ``own_types``, where it knows no type of this name (see ``play.type_brought``).
        """
        ...

    def policy(self, user_type: Any) -> Policy:
        """Return a fresh player for this type; it plays both views."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How a backend samples.

    Example:
        >>> Sampling(temperature=0.7, stop=("</payoff>",)).max_tokens
        256
    """

    max_tokens: int = 256
    """Most tokens of one completion (>= 1)."""
    temperature: float = 0.0
    """0 takes the likeliest token each time; 1 samples from the model's own distribution."""
    top_p: float = 1.0
    """Sample among the likeliest tokens that together have this probability, in (0, 1]."""
    stop: tuple[str, ...] = ()
    """Strings that end a completion; they are cut off."""
    seed: int = 0
    """Makes a call reproducible on one machine (>= 0)."""
    json_schema: str = ""
    """A JSON schema, as text, that the whole completion has to fit; empty for free text. An engine that cannot hold a model to
    one returns an error and says so."""
    reserve: int = 0
    """Tokens of the context to be left free behind this completion, for what goes on with it later (>= 0). An engine that
    leaves out old turns leaves out more of them for it."""

    def __post_init__(self) -> None:
        """Refuse values that have no meaning."""
        for field, fits, expected in (
            ("max_tokens", isinstance(self.max_tokens, int) and self.max_tokens >= 1, "an integer >= 1"),
            ("temperature", 0 <= self.temperature < math.inf, "a finite number >= 0"),
            ("top_p", 0 < self.top_p <= 1, "a number in (0, 1]"),
            ("stop", not isinstance(self.stop, str), "a tuple of strings"),
            ("seed", isinstance(self.seed, int) and self.seed >= 0, "an integer >= 0"),
            ("json_schema", isinstance(self.json_schema, str), "the JSON text of a schema"),
            ("reserve", isinstance(self.reserve, int) and self.reserve >= 0, "an integer >= 0"),
        ):
            if not fits:
                raise UsageError(f"sampling {field}: expected {expected}, got {getattr(self, field)!r}")
        object.__setattr__(self, "stop", tuple(self.stop))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """One completion. Failures are data: ``finish_reason="error"`` and ``error`` says what happened."""

    text: str
    """What was written, up to the first stop string."""
    token_ids: tuple[int, ...] = ()
    """All tokens that were sampled, in order: an end-of-text token and those of a stop string included."""
    logprobs: tuple[float, ...] = ()
    """Of each of them, under the model's own distribution (temperature 1, no cut), in nats."""
    finish_reason: FinishReason = "stop"
    prompt_tokens: int = 0
    prompt: str = ""
    """The exact prompt text that was sent to the model."""
    seconds: float = 0.0
    """Wall-clock time of the batch that this completion was part of."""
    error: str = ""
    """What went wrong, where ``finish_reason`` is ``"error"``."""
    note: str = ""
    """What the reader of a record should know, e.g. that old turns were left out of the prompt."""
    sampled: str = ""
    """Everything that was sampled, as text: ``text``, and the stop string and what came with it in the same token."""
    prompt_ids: tuple[int, ...] = ()
    """Token ids of the prompt, where the engine knows them."""
    conversation: tuple[Mapping[str, str], ...] = ()
    """The messages that were continued; a ``Continuation`` is the last of them, from the assistant."""
    allowed: tuple[float, ...] = ()
    """Where the completion was held to a form, and the engine tells: for each token the log-probability, under the model's own
    distribution, of all tokens that the form allowed there. The token was drawn with its own less this one."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Continuation:
    """An earlier completion that goes on: its own tokens, then ``text``, then what the model writes next.

    Engines that know token ids go on from the very ids that were sampled, so that nothing is tokenised again; the others
    prefill the assistant's message with ``after.sampled + text``.

    Example:
        >>> Continuation(after=Generation(text="4", sampled="4."), text=" Why?").written
        '4. Why?'
    """

    after: Generation
    """What was written so far."""
    text: str = ""
    """What is put behind it, as if the model had written it."""

    @property
    def written(self) -> str:
        """The assistant's message so far, as text."""
        return self.prefill + self.after.sampled + self.text

    @property
    def prefill(self) -> str:
        """What the assistant's message began with before ``after`` was sampled."""
        last = self.after.conversation[-1] if self.after.conversation else {}
        return last["content"] if last.get("role") == "assistant" else ""


Conversation = Sequence[Mapping[str, str]]
"""OpenAI ``role``/``content`` messages."""


@runtime_checkable
class Backend(Protocol):
    """An engine that continues conversations, many at once."""

    name: str

    def generate(self, conversations: Sequence[Conversation | Continuation], sampling: Sampling) -> list[Generation]:
        """Continue each conversation with one assistant message, and each ``Continuation`` where it stands.

        An engine that samples row by row may also take ``seeds``, one for each row in place of the sampling's (keyword only,
        ``None`` for none): with it a sampled reply is the same in whatever company of games it is asked for.
        """
        ...

    def count_tokens(self, text: str) -> int:
        """Return the number of this engine's tokens in ``text``.

        Games that run side by side count in threads of their own, also while the engine generates: it has to bear that.
        """
        ...
