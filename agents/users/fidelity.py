"""How faithful a voice is: what a model said for a persona, against what its scripted twin would have done.

Everything is read from the records of voiced play: there the twin has seen the same conversation at every line. What a
line amounts to is decided by the text view's own reader.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from gtalign_env.agents.users.leaks import find_leaks
from gtalign_env.env import GameEnv
from gtalign_env.episode import Episode
from gtalign_env.errors import UsageError
from gtalign_env.metrics import Interval, bootstrap
from gtalign_env.types import ASSISTANT, USER, UserMove, UserType

__all__ = ["Fidelity", "FidelityMeter", "Rate", "fidelity"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rate:
    """How often something happened.

    Example:
        >>> str(Rate(count=1, of=4)), str(Rate(count=0, of=0))
        ('1 of 4 (25%)', '—')
    """

    count: int
    of: int
    """Cases in which it could have happened."""
    interval: Interval | None = None
    """Of the share, with whole episodes drawn; ``None`` where there are not two episodes with such cases."""

    @property
    def share(self) -> float | None:
        """The share in [0, 1]; ``None`` where there was no case."""
        return self.count / self.of if self.of else None

    def __str__(self) -> str:
        """Say it in a few words."""
        if self.share is None:
            return "—"
        spread = f", {self.interval.low:.0%} to {self.interval.high:.0%}" if self.interval is not None else ""
        return f"{self.count} of {self.of} ({self.share:.0%}{spread})"

    def as_dict(self) -> dict[str, Any]:
        """Return count, cases, share and the interval's bounds, for JSON."""
        bounds = None if self.interval is None else [self.interval.low, self.interval.high]
        return {"count": self.count, "of": self.of, "share": self.share, "interval": bounds}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fidelity:
    """What a voice keeps of its persona."""

    episodes: int
    lines: int
    """Lines that the voice was to say."""
    same_move: Rate
    """Lines that the reader takes for the twin's very move."""
    same_form: Rate
    """Lines as vague, as detailed or as final as the twin's."""
    same_reaction: Rate
    """Lines with the twin's reaction, where neither leaves."""
    leaks: Rate
    """Attempts at a line that gave θ or the part away (``leaks.find_leaks``), said or not; a persona that discloses has none."""
    told_early: Rate
    """Lines with particulars that nobody had asked for, where the twin stays vague."""
    premature_ends: Rate
    """Lines that end the session where the twin goes on."""
    late_ends: Rate
    """Lines that go on where the twin ends the session."""
    unusable: Rate
    """Attempts at a line that came back empty or failed."""
    fell_back: Rate
    """Lines that the script had to say."""

    def as_dict(self) -> dict[str, Any]:
        """Return everything in plain JSON types."""
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value.as_dict() if isinstance(value, Rate) else value for name, value in found.items()}


class _Line(NamedTuple):
    """One line of a voice, and what its twin would have done."""

    episode: int
    attempts: list[Mapping[str, str]]
    fell_back: bool
    said: bool
    """Whether the voice said anything that can be read."""
    read: UserMove
    twin: UserMove
    asked: bool
    """Whether the assistant had asked something."""
    leaks: list[bool]


def fidelity(
    episodes: Iterable[Episode], env: GameEnv, *, seed: int = 0, level: float = 0.95, resamples: int = 1000
) -> Fidelity:
    """Compare a voice with its scripted twin, line by line.

    Args:
        episodes: Records of voiced play; lines of other users in them do not count.
        env: An environment of the game that they were played in.
        seed: Of the intervals' draws.
        level: Of the intervals, in (0, 1).
        resamples: How many samples an interval is made from.

    Raises:
        UsageError: No voice speaks in these records, or the game is played by moves.

    Example:
        >>> from gtalign_env import parallel_env
        >>> from gtalign_env.agents.assistants import make_assistant
        >>> from gtalign_env.agents.users import load_persona
        >>> from gtalign_env.play import play_many
        >>> env = parallel_env("assist_text", questions=2)
        >>> played = play_many(env, load_persona("concise@fake:voice"), make_assistant("fake:rules"), episodes=2)
        >>> found = fidelity(played, env)
        >>> found.episodes, found.leaks.count, found.unusable.count
        (2, 0, 0)
    """
    meter = FidelityMeter(seed=seed, level=level, resamples=resamples)
    _check_view(env)
    for episode in episodes:
        meter.add(episode, env)
    found = meter.result()
    if found is None:
        raise UsageError(
            "fidelity: no voice speaks in these episodes: expected users such as concise@transformers:PATH"
        )
    return found


class FidelityMeter:
    """The same, episode by episode, for runs that are still going on.

    Args:
        seed: As in ``fidelity``.
        level: As in ``fidelity``.
        resamples: As in ``fidelity``.

    Example:
        >>> FidelityMeter().result() is None
        True
    """

    def __init__(self, *, seed: int = 0, level: float = 0.95, resamples: int = 1000) -> None:
        self._settings = (seed, level, resamples)
        self._lines: list[_Line] = []
        self._episodes = self._voiced = 0

    def add(self, episode: Episode, env: GameEnv) -> None:
        """Count one episode; it is played again in ``env``, an environment of its game, to read what was said.

        Raises:
            UsageError: The game is played by moves.
        """
        self._episodes += 1
        if _is_voiced(episode):
            _check_view(env)
            found = list(_lines(self._episodes, episode, env))
            self._voiced += bool(found)
            self._lines += found

    def result(self) -> Fidelity | None:
        """Return what was found; ``None`` where no voice speaks."""
        if not self._lines:
            return None
        seed, level, resamples = self._settings
        rng = np.random.default_rng(seed)

        def rate(cases: Iterable[tuple[Hashable, bool]]) -> Rate:
            return _rate(list(cases), rng, level, resamples)

        lines = self._lines
        said = [line for line in lines if line.said]
        staying = [line for line in said if "LEAVE" not in (line.read.form, line.twin.form)]
        vague = [line for line in said if line.twin.form == "VQ" and not line.asked]
        tries = [(line.episode, attempt["problem"]) for line in lines for attempt in line.attempts]
        return Fidelity(
            episodes=self._voiced,
            lines=len(lines),
            same_move=rate((line.episode, line.read == line.twin) for line in said),
            same_form=rate((line.episode, line.read.form == line.twin.form) for line in said),
            same_reaction=rate((line.episode, line.read.reaction == line.twin.reaction) for line in staying),
            leaks=rate((line.episode, leak) for line in lines for leak in line.leaks),
            told_early=rate((line.episode, line.read.form == "DQ") for line in vague),
            premature_ends=rate(
                (line.episode, line.read.form == "LEAVE") for line in said if line.twin.form != "LEAVE"
            ),
            late_ends=rate((line.episode, line.read.form != "LEAVE") for line in said if line.twin.form == "LEAVE"),
            unusable=rate((episode, problem in ("failed", "empty")) for episode, problem in tries),
            fell_back=rate((line.episode, line.fell_back) for line in lines),
        )


def _is_voiced(episode: Episode) -> bool:
    return any("voice" in call for call in (_failed(episode), *(step.user.model for step in episode.steps)))


def _failed(episode: Episode) -> Mapping[str, Any]:
    return episode.failed_call if episode.error.get("where") == USER else {}


def _check_view(env: GameEnv) -> None:
    if env.scenario.view != "text":
        raise UsageError("fidelity: expected an environment of the text view: in the other one nobody speaks")


def _lines(number: int, episode: Episode, env: GameEnv) -> Iterator[_Line]:
    """Yield an episode's voiced lines; the game is played again, because reading takes the state of the table."""
    failed = _failed(episode)
    _, infos = env.reset(seed=episode.seed, options=dict(episode.reset_options))
    for step in episode.steps:
        if "voice" in step.user.model:
            yield _line(number, step.user.model["voice"], env, infos[USER])
        _, _, _, _, infos = env.step({USER: step.user.action, ASSISTANT: step.assistant.action})
    if "voice" in failed:
        yield _line(number, failed["voice"], env, infos[USER])


def _line(number: int, voice: Mapping[str, Any], env: GameEnv, info: Mapping[str, Any]) -> _Line:
    twin, line = UserMove.parse(voice["twin_move"]), str(voice["line"])
    task = info["task"]
    told = [task["vague"], task["detailed"], *(statement for _, statement in task["facts"])]
    made_up = [] if voice["discloses"] else [attempt["line"] for attempt in voice["attempts"] if attempt["line"]]
    theta: UserType = env.hidden()["user_type"]
    return _Line(
        episode=number,
        attempts=voice["attempts"],
        fell_back=bool(voice["fell_back"]),
        said=bool(line),
        read=_read(env, line) if line else twin,
        twin=twin,
        asked=info["situation"] == "answer_question",
        leaks=[bool(find_leaks(made, theta, told=told)) for made in made_up],
    )


def _read(env: GameEnv, line: str) -> UserMove:
    """Return the move that the text view reads from a line here; a transition is pure, so the game does not notice."""
    done = env.scenario.step(env.game_state, {"move": None, "text": line}, None, np.random.default_rng(0))
    return UserMove.parse(done.events["move"])


def _rate(cases: list[tuple[Hashable, bool]], rng: np.random.Generator, level: float, resamples: int) -> Rate:
    hits = [float(hit) for _, hit in cases]
    groups = [group for group, _ in cases]
    interval, count = None, len(set(groups))
    if count > 1 and min(hits) < max(hits):
        interval = bootstrap(hits, rng, groups=groups, level=level, resamples=resamples, method="percentile")
    elif count > 1:
        interval = _one_sided(hits[0], count, level)
    return Rate(count=int(sum(hits)), of=len(hits), interval=interval)


def _one_sided(share: float, episodes: int, level: float) -> Interval:
    """Return the exact interval (Clopper & Pearson 1934) of a share of 0 or 1 in independent episodes.

    Resamples of cases that are all alike have no spread, and would make a few episodes look like certainty.
    """
    far = 1.0 - ((1.0 - level) / 2.0) ** (1.0 / episodes)
    low, high = (1.0 - far, 1.0) if share else (0.0, far)
    return Interval(estimate=share, low=low, high=high, level=level, method="clopper-pearson", resamples=0)
