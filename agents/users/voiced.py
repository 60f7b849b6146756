"""A persona with the voice of a language model.

The scripted persona, the *twin*, is always there: it sees the same conversation and decides what it would do. With
``lead="script"`` its move is made, and the model finds the words; with ``lead="model"`` the model does what it likes, and the
text view reads the move from its words. Either way the record holds both, so that ``fidelity`` can compare them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Literal
from weakref import WeakValueDictionary

import numpy as np

from gtalign_env.agents.backends import RulesBackend, make_backend
from gtalign_env.agents.backends.asking import asked
from gtalign_env.agents.backends.prompts import NOTHING
from gtalign_env.agents.users.leaks import find_leaks
from gtalign_env.agents.users.stage import CURTAIN, brief, cue, open_cue, plain_voice
from gtalign_env.errors import ModelError, UsageError
from gtalign_env.protocols import Backend, Generation, Persona, Policy, Sampling, Scenario
from gtalign_env.registration import BACKENDS
from gtalign_env.sanitize import clean_text
from gtalign_env.types import USER_MOVES, Role, UserType

__all__ = ["VoicedPersona", "VoicedUser", "make_voice", "split_voice"]

Lead = Literal["script", "model"]
OnFailure = Literal["error", "script"]

FAKE = "fake:voice"
"""The voice without a model: it says what it is told to, in plain words."""

_LONGEST = 1000
"""Characters of a line at most; the rest is cut off, at a sentence's end where there is one."""
_SPEAKER = re.compile(r"\s*(?:\*\*)?(?:user|me|person|you|human)(?:\*\*)?\s*:(?:\*\*)?\s*", re.IGNORECASE)
_OTHER = re.compile(r"\n\s*(?:\*\*)?(?:assistant|user|human|ai|bot)(?:\*\*)?\s*:.*", re.IGNORECASE | re.DOTALL)
_loaded: WeakValueDictionary[str, Backend] = WeakValueDictionary()  # one model, however many personas it speaks for


class VoicedPersona:
    """A persona whose words come from a backend.

    Args:
        persona: The scripted persona.
        backend: The engine, or its spec: ``"transformers:PATH"``, …, or ``"fake:voice"`` for plain words without a model.
        lead: Who decides the move, the ``"script"`` or the ``"model"``.
        sampling: How the backend samples; the seed is mixed with that of the episode.
        retries: How often a line that is empty, failed or gives θ away is asked for again.
        on_failure: What happens then: ``"error"`` ends the episode with a typed error, ``"script"`` says the twin's line, and
            the record says so.

    Raises:
        UsageError: An argument is not what it should be.

    Example:
        >>> from gtalign_env.agents.users import load_persona
        >>> persona = VoicedPersona(load_persona("concise"), "fake:voice")
        >>> persona.name
        'concise@fake:voice'
    """

    def __init__(
        self,
        persona: Persona,
        backend: Backend | str,
        *,
        lead: Lead = "script",
        sampling: Sampling | None = None,
        retries: int = 2,
        on_failure: OnFailure = "error",
    ) -> None:
        if isinstance(persona, VoicedPersona):
            raise UsageError(f"{persona!r} has a voice already: expected a scripted persona")
        if lead not in ("script", "model"):
            raise UsageError(f"lead: expected 'script' or 'model', got {lead!r}")
        if on_failure not in ("error", "script"):
            raise UsageError(f"on_failure: expected 'error' or 'script', got {on_failure!r}")
        if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
            raise UsageError(f"retries: expected an integer >= 0, got {retries!r}")
        if sampling is not None and not isinstance(sampling, Sampling):
            raise UsageError(f"sampling: expected gtalign_env.protocols.Sampling(…), got {sampling!r}")
        self.persona = persona
        self.backend = _engine(backend)
        self.lead = lead
        self.sampling = sampling or Sampling(max_tokens=96, temperature=0.7)
        self.retries = retries
        self.on_failure = on_failure
        self.name: str = f"{persona.name}@{self.backend.name}"
        self.description = persona.description

    def __repr__(self) -> str:
        """Return the class and the name."""
        return f"<VoicedPersona {self.name!r}>"

    def sample_type(self, rng: Any) -> UserType | None:
        """Draw a type, as the scripted persona does."""
        return self.persona.sample_type(rng)

    def policy(self, user_type: UserType) -> VoicedUser:
        """Return a fresh player with this type."""
        return VoicedUser(self, user_type)


class VoicedUser:
    """The player that a ``VoicedPersona`` becomes once it has a type. It plays the text view.

    ``last_call`` says what went into the last line and what came out. In ``last_call["voice"]``: ``line`` (what the model said
    last), ``fell_back`` (whether the twin's line was said instead), ``attempts`` (each with its ``line`` and ``problem``:
    ``""``, ``"failed"``, ``"empty"`` or ``"leak"``, and, where it
    was not said, with what was sampled) and the twin's ``twin_move`` and ``twin_line``.
    """

    def __init__(self, cast: VoicedPersona, user_type: UserType) -> None:
        self.name = cast.name
        self.backend = cast.backend
        self.user_type = user_type
        self.twin: Policy = cast.persona.policy(user_type)
        self.last_call: dict[str, Any] = {}
        self._cast = cast
        self._discloses = bool(getattr(cast.persona, "discloses", False))
        self._brief = brief(cast.persona, user_type)
        self._seeds = np.random.default_rng(0)

    def sit(self, scenario: Scenario, role: Role) -> None:
        """Take a chair at a game in words.

        Raises:
            UsageError: The game is played by moves.
        """
        if scenario.view != "text":
            raise UsageError(f"persona {self.name!r} speaks with a model's voice and plays the text view only")

    def reset(self, seed: int) -> None:
        """Begin a new episode."""
        self.twin.reset(seed)
        self.last_call = {}
        self._seeds = np.random.default_rng([self._cast.sampling.seed, seed])

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> Any:
        """Return what the person does and says.

        Raises:
            ModelError: The model failed, wrote nothing or gave θ away, as often as it was asked.
            UsageError: The persona does not play this game.
        """
        self.last_call = {}
        scripted = self.twin.act(observation, info)
        if not isinstance(scripted, Mapping) or "task" not in info:
            raise UsageError(f"persona {self.name!r} plays the text view of the 'assist' games only")
        if int(scripted["move"]) >= len(USER_MOVES):
            return scripted  # it waits
        voice: dict[str, Any] = {
            "lead": self._cast.lead,
            "discloses": self._discloses,
            "twin_move": USER_MOVES[int(scripted["move"])].name,
            "twin_line": str(scripted["text"]),
            "line": "",
            "fell_back": False,
            "attempts": [],
        }
        problem = self._speak(observation, info, int(scripted["move"]), voice)
        if problem and self._cast.on_failure == "error":
            raise ModelError(f"{self.name} has no line for the user: {problem}")
        if problem:
            voice["fell_back"] = True
            return dict(scripted)
        return voice["line"] if self._cast.lead == "model" else {"move": scripted["move"], "text": voice["line"]}

    def _speak(self, observation: Mapping[str, Any], info: Mapping[str, Any], move: int, voice: dict[str, Any]) -> str:
        """Ask for a line until there is one that can be said; return what was wrong with the last, if anything."""
        conversation = self._conversation(observation, info, move)
        said = "it was not asked"
        for _ in range(1 + self._cast.retries):
            sampling = dataclasses.replace(self._cast.sampling, seed=int(self._seeds.integers(2**31)))
            (made,) = asked(self.backend, [conversation], sampling)
            line = _line(made.text)
            problem, said = self._problem(made, line, info)
            voice["line"] = line
            call = _recorded(made, self.backend.name, sampling)
            sampled = (
                {key: call[key] for key in ("token_ids", "logprobs")} if problem else {}
            )  # what is said stands outside
            voice["attempts"].append({"line": line, "problem": problem, **sampled})
            self.last_call = {**call, "voice": voice}
            if not problem:
                return ""
        return said

    def _problem(self, made: Generation, line: str, info: Mapping[str, Any]) -> tuple[str, str]:
        """Return what keeps a line from being said: a word for the record, and a sentence."""
        if made.finish_reason == "error" and made.error != NOTHING:
            return "failed", made.error or "the model failed and does not say why"
        if not line:
            return "empty", "the model wrote nothing that could be said"
        task = info["task"]
        told = [task["vague"], task["detailed"], *(statement for _, statement in task.get("facts") or ())]
        leaks = () if self._discloses else find_leaks(line, self.user_type, told=told)
        return ("leak", f"the line gives away what a user keeps to itself ({', '.join(leaks)})") if leaks else ("", "")

    def _conversation(self, observation: Mapping[str, Any], info: Mapping[str, Any], move: int) -> list[dict[str, str]]:
        """Return the conversation as the model has it: the brief first, its own lines as the assistant's, the cue last."""
        heard = [dict(message) for message in info["messages"]]
        last = next((message["content"] for message in reversed(heard) if message["role"] == "user"), "")
        if self._cast.lead == "script":
            task = cue(USER_MOVES[move], info, last)
        else:
            task = open_cue(info, can_leave=bool(observation["action_mask"][len(USER_MOVES) - 1]))
        if not heard or heard[-1]["role"] != "user":
            heard.append({"role": "user", "content": ""})
        heard[-1]["content"] = f"{heard[-1]['content']}\n\n{CURTAIN}\n{task}".lstrip()
        return [{"role": "user", "content": self._brief}, *heard]


def split_voice(spec: str) -> tuple[str, str] | None:
    """Split ``"persona@backend:what"``; ``None`` where a string names no voice.

    Example:
        >>> split_voice("concise@transformers:models/a@b"), split_voice("people/me@home.toml")
        (('concise', 'transformers:models/a@b'), None)
    """
    places = [spec.find(f"@{name}:") for name in BACKENDS]
    first = min((place for place in places if place > 0), default=0)
    return (spec[:first], spec[first + 1 :]) if first else None


def _engine(backend: Backend | str) -> Backend:
    if not isinstance(backend, str):
        return make_backend(backend)
    if backend not in _loaded:
        _loaded[backend] = made = make_voice(backend)
        return made
    return _loaded[backend]


def make_voice(spec: str, **options: Any) -> Backend:
    """Return the engine that a string names, ``"fake:voice"`` among them.

    Args:
        spec: See ``VoicedPersona``.
        **options: Of the engine, e.g. ``device="cpu"``.

    Raises:
        GtalignError: As ``gtalign_env.agents.backends.make_backend``.

    Example:
        >>> make_voice("fake:voice").name
        'fake:voice'
    """
    if spec != FAKE:
        return make_backend(spec, **options)
    if options:
        raise UsageError(f"backend {FAKE!r}: got an unexpected keyword argument {next(iter(options))!r}")
    made = RulesBackend(plain_voice)
    made.name = FAKE
    return made


def _line(text: str) -> str:
    """Return the one line that a person says: without a speaker's name, quotation marks, and what others say next."""
    said = clean_text(text).partition(CURTAIN)[0]
    said = _OTHER.sub("", said)
    while (prefix := _SPEAKER.match(said)) is not None:
        said = said[prefix.end() :]
    said = " ".join(said.split())
    if len(said) > 1 and said[0] + said[-1] in ('""', "“”", "«»") and not any(mark in said[1:-1] for mark in '"“”«»'):
        said = said[1:-1].strip()
    if len(said) <= _LONGEST:
        return said
    end = max(said.rfind(mark, 0, _LONGEST) for mark in ".?!")
    return said[: end + 1] if end > 0 else said[:_LONGEST]


def _recorded(made: Generation, backend: str, sampling: Sampling) -> dict[str, Any]:
    """Return what a record keeps of a call, in plain JSON types."""
    return {
        "backend": backend,
        "text": made.text,
        "prompt": made.prompt,
        "prompt_ids": list(made.prompt_ids),
        "prompt_tokens": made.prompt_tokens,
        "tokens": len(made.token_ids),
        "token_ids": list(made.token_ids),
        "logprobs": [round(logprob, 6) for logprob in made.logprobs],
        "finish_reason": made.finish_reason,
        "error": made.error,
        "note": made.note,
        "seconds": made.seconds,
        "seed": sampling.seed,
    }
