"""Episodes: the whole record of one play, one line of JSON each.

The file is append-only and flushed per episode. A torn last line (a killed run) is reported and skipped, never fatal.
Everything downstream reads this format: replay, verification, re-scoring, export and training.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import warnings
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Self

import msgspec
import numpy as np

from gtalign_env.errors import FileFormatError, UsageError, require

__all__ = [
    "SCHEMA",
    "Episode",
    "EpisodeWriter",
    "SideRecord",
    "StepRecord",
    "TornLineWarning",
    "digest",
    "iter_episodes",
    "iter_lines",
    "load_episodes",
]

SCHEMA = "gtalign-episode/1"


class TornLineWarning(UserWarning):
    """The last line of an episode file is incomplete and was skipped."""


class SideRecord(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One player's part of one step."""

    digest: str
    """Digest of the observation that the player acted on."""
    action: Any = None
    """The action exactly as it was sent to the environment."""
    move: str = ""
    """The move that was made, by name; ``NO_OP`` when illegal, ``WAIT`` when it was not this player's turn."""
    announced: str = ""
    """The move that was announced with a text, where one was."""
    text: str = ""
    """What was said, exactly as the other player heard it."""
    items: dict[str, float] = msgspec.field(default_factory=dict)
    """The player's itemised payoff of this step, utils."""
    payoff: float = 0.0
    """Their exact sum."""
    illegal: bool = False
    """Whether the action was illegal and counted as a no-op."""
    model: dict[str, Any] = msgspec.field(default_factory=dict)
    """Raw model input and output, token counts, finish reason, errors — whatever the policy reports about this action."""
    seconds: float = 0.0
    """Wall-clock time the player took. Not part of what ``--verify`` compares."""


class StepRecord(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One step of the environment."""

    user: SideRecord
    assistant: SideRecord
    outcome: dict[str, float] | None = None
    """The outcome's fields, where a reply was given in this step."""
    public: dict[str, Any] = msgspec.field(default_factory=dict)
    """What both players knew of the state before the step (question, kind, clarity, …), for display."""
    events: dict[str, Any] = msgspec.field(default_factory=dict)
    """E.g. ``{"violation": true}``."""
    to_move: str = ""
    """Whose turn it was; empty when both moved at once."""


class Episode(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The whole record of one play."""

    schema: str = msgspec.field(default_factory=lambda: SCHEMA)  # a factory's value is always written
    id: str = ""
    """Unique within a run: ``<index>-<seed>``, and ``.2`` behind it where the episode was played again after an error."""
    scenario: str
    """Id or ``module:attr``."""
    view: str
    env_options: dict[str, Any] = msgspec.field(default_factory=dict)
    """Options that rebuild the environment with ``parallel_env(scenario, **env_options)``."""
    config: dict[str, Any] = msgspec.field(default_factory=dict)
    """The game's resolved settings, defaults included, as the scenario states them."""
    reset_options: dict[str, Any] = msgspec.field(default_factory=dict)
    """Options of this episode's ``reset`` (θ as a dict of its fields, task, pricing)."""
    seed: int
    """Seed of this episode's ``reset``."""
    run_seed: int | None = None
    """Seed of the run from which the episode's seed follows (see ``play.episode_seeds``), where there was a run."""
    players: dict[str, str] = msgspec.field(default_factory=dict)
    """Who sat where: ``{"user_0": "persona:concise", "assistant_0": "heuristic"}``."""
    opening: str = ""
    """The opening utterance (text view)."""
    tasks: list[dict[str, Any]] = msgspec.field(default_factory=list)
    """The session's tasks (text view), in order."""
    hidden: dict[str, Any] = msgspec.field(default_factory=dict)
    """What the game hid from the assistant: θ as a dict of its fields."""
    steps: list[StepRecord] = msgspec.field(default_factory=list)
    ended: str = ""
    """``"terminated"``, ``"truncated"`` or ``"error"``."""
    violation: bool = False
    error: dict[str, str] = msgspec.field(default_factory=dict)
    """``{"type", "message", "where"}`` when a player failed; never scored as 0."""
    failed_call: dict[str, Any] = msgspec.field(default_factory=dict)
    """What was sent in the step that failed: actions, or the failing player's raw model input and output."""
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    command: str = ""
    created: str = ""
    """UTC time, ISO 8601. Not part of what ``--verify`` compares."""
    seconds: float = 0.0

    def totals(self) -> tuple[float, float]:
        """Return both players' payoff sums (user, assistant), utils.

        Example:
            >>> Episode(scenario="s", view="strategic", seed=0).totals()
            (0.0, 0.0)
        """
        return sum((s.user.payoff for s in self.steps), 0.0), sum((s.assistant.payoff for s in self.steps), 0.0)


_decoder = msgspec.json.Decoder(Episode)
_BEGINNING = b'{"schema":"gtalign-episode/'
_LONE = re.compile("[\ud800-\udfff]")


def digest(observation: Any) -> str:
    """Return a short stable digest of an observation (arrays, strings, numbers, dicts and lists of them).

    Example:
        >>> digest({"a": np.zeros(2, dtype=np.float32)}) == digest({"a": np.zeros(2, dtype=np.float32)})
        True
    """
    hasher = hashlib.blake2b(digest_size=8)
    _feed(hasher, observation)
    return hasher.hexdigest()


def _feed(hasher: Any, value: Any) -> None:
    """Hash ``value`` so that different things give different bytes: everything says how long it is, or where it ends."""
    if isinstance(value, dict):
        hasher.update(f"{{{len(value)}:".encode())
        for key in sorted(value, key=str):
            _feed(hasher, str(key))
            _feed(hasher, value[key])
    elif isinstance(value, (list, tuple)):
        hasher.update(f"[{len(value)}:".encode())
        for item in value:
            _feed(hasher, item)
    elif isinstance(value, str):
        encoded = value.encode("utf-8", "surrogatepass")  # repr() would change with the Unicode tables of a Python
        hasher.update(f'"{len(encoded)}:'.encode() + encoded)
    elif isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        hasher.update(str(array.dtype).encode() + str(array.shape).encode())
        hasher.update(np.ascontiguousarray(array).tobytes() + b";")
    else:
        hasher.update(repr(value).encode() + b";")


def _plain(value: Any) -> Any:
    """Turn what JSON does not know into what it knows."""
    if isinstance(value, np.generic):
        return value.item()
    return value.tolist() if isinstance(value, np.ndarray) else str(value)


class EpisodeWriter:
    """Append episodes to a ``.jsonl`` file, one flushed line each.

    Args:
        path: The file (``.zst`` at the end compresses; each episode is its own frame).
        append: Go on with an existing file instead of refusing it. An episode that a killed run has left incomplete at the
            end is cut off first.

    Raises:
        UsageError: The file exists and ``append`` is false, or its folder does not exist.
        FileFormatError: ``append`` was asked for and the file is no episode file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "run.jsonl"
        >>> with EpisodeWriter(path) as writer:
        ...     writer.write(Episode(scenario="s", view="strategic", seed=3))
        >>> load_episodes(path)[0].seed
        3
    """

    def __init__(self, path: str | Path, *, append: bool = False) -> None:
        self.path = Path(path)
        if self.path.is_dir():
            raise UsageError(f"{self.path}: expected a file name for episodes, this is a folder")
        if not self.path.parent.is_dir():
            raise UsageError(f"{self.path}: the folder {self.path.parent} does not exist; create it first")
        if self.path.exists() and self.path.stat().st_size and not append:
            raise UsageError(
                f"{self.path}: the file exists; choose another name, or append to it on purpose (--append)"
            )
        self._compress = (
            require("zstandard", feature="writing .zst files", extra="zst").ZstdCompressor().compress
            if self.path.suffix == ".zst"
            else None
        )
        if append and self.path.exists() and self.path.stat().st_size:
            _prepare_to_append(self.path)
        self._file: BinaryIO = self.path.open("ab")

    def write(self, episode: Episode) -> None:
        """Append one episode and flush it to the operating system."""
        try:
            line = msgspec.json.encode(episode, enc_hook=_plain) + b"\n"
        except UnicodeEncodeError:  # half a character, from a broken tokenizer
            line = msgspec.json.encode(_mended(msgspec.to_builtins(episode, enc_hook=_plain))) + b"\n"
        self._file.write(line if self._compress is None else self._compress(line))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the file."""
        self.close()


def _prepare_to_append(path: Path) -> None:
    """Cut off an episode that a killed run has left incomplete; refuse a file that holds something else."""
    zst = path.suffix == ".zst"
    whole, rest, first = 0, b"", b""
    for line, end in _frames(path) if zst else _offsets(path):
        first = first or line.strip()
        whole, rest = (end, b"") if line.endswith(b"\n") else (whole, line)
    if not first.startswith(_BEGINNING):
        raise FileFormatError(path, "expected a file of episodes to append to; choose another name")
    if rest and not zst and _is_episode(rest):  # only the end of the line is missing
        with path.open("ab") as file:
            file.write(b"\n")
    elif rest:
        os.truncate(path, whole)


def _is_episode(line: bytes) -> bool:
    try:
        _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _mended(value: Any) -> Any:
    """Replace what cannot be encoded, however deep it lies."""
    if isinstance(value, str):
        return _LONE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    return [_mended(item) for item in value] if isinstance(value, (list, tuple)) else value


def iter_episodes(path: str | Path) -> Iterator[Episode]:
    """Read a file of episodes one by one.

    Args:
        path: A ``.jsonl`` or ``.jsonl.zst`` file.

    Yields:
        The episodes in the order of the file. A torn last line is skipped with a ``TornLineWarning``.

    Raises:
        FileFormatError: The file is missing, empty or no episode file, or a line other than the last is damaged.
    """
    path = Path(path)
    if not path.is_file():
        there = "this is a folder" if path.is_dir() else "this is no ordinary file"
        problem = there if path.exists() else "there is no such file"
        raise FileFormatError(path, f"{problem}; expected episodes as written by 'gtalign run --out'")
    found = 0
    with contextlib.closing(iter_lines(path)) as lines:
        pending: tuple[int, bytes, Exception] | None = None
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                episode = _decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                if line.endswith(b"\n"):
                    raise _damaged(path, number, line, error) from error
                pending = (number, line, error)
                continue
            if episode.schema != SCHEMA:
                raise FileFormatError(path, f"expected schema {SCHEMA!r}, got {episode.schema!r}", line=number)
            found += 1
            yield episode
    if pending is not None:
        if found == 0:
            raise _damaged(path, *pending)
        warnings.warn(
            TornLineWarning(f"{path}, line {pending[0]}: the last line is incomplete and was skipped"), stacklevel=2
        )
    elif found == 0:
        raise FileFormatError(path, "the file holds no episode")


def load_episodes(path: str | Path) -> list[Episode]:
    """Read all episodes of a file (see ``iter_episodes``)."""
    return list(iter_episodes(path))


def iter_lines(path: Path) -> Generator[bytes]:
    """Yield the lines of a file with their ends, whatever they hold; only the last may lack one.

    Example:
        >>> list(iter_lines(Path(os.devnull)))
        []
    """
    if path.suffix != ".zst":
        with path.open("rb") as file:
            yield from file
        return
    left = b""
    for content, _ in _frames(path):
        *whole, left = (left + content).splitlines(keepends=True) or [b""]
        yield from whole
        if left.endswith(b"\n"):
            yield left
            left = b""
    if left:
        yield left


def _offsets(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yield the lines of a file, each with the offset behind it."""
    end = 0
    with path.open("rb") as file:
        for line in file:
            end += len(line)
            yield line, end


def _frames(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yield what each frame of a ``.zst`` file holds, with the offset behind it; the last may be torn."""
    zstandard = require("zstandard", feature="reading .zst files", extra="zst")
    frame, parts, end, chunk = None, list[bytes](), 0, b""
    with path.open("rb") as file:
        while chunk := chunk or file.read(1 << 16):
            frame = frame or zstandard.ZstdDecompressor().decompressobj()
            try:
                parts.append(frame.decompress(chunk))
            except zstandard.ZstdError as error:
                raise FileFormatError(path, f"expected zstandard-compressed episodes: {error}") from error
            end, chunk = end + len(chunk) - len(frame.unused_data), frame.unused_data
            if frame.eof:
                yield b"".join(parts), end
                frame, parts = None, []
    if frame is not None:
        yield (
            b"".join(parts) + b"\x00",
            end,
        )  # no JSON ends so: a torn frame reads as a torn line, even where nothing came out


def _damaged(path: Path, number: int, line: bytes, error: Exception) -> FileFormatError:
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
        found = msgspec.json.decode(line)
        if number == 1 and isinstance(found, dict) and "config" in found and "schema" not in found:
            return FileFormatError(
                path,
                "this is a training log (of 'gtalign train …'), not episodes; expected what 'gtalign run --out' wrote",
            )
    return FileFormatError(path, f"expected an episode of schema {SCHEMA!r}: {error}", line=number)
