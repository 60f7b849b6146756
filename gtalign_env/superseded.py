"""Records that a later one takes the place of: an episode that ended in an error and was played again (``--resume``).

The failure stays in the file, and whoever sums the file up counts the episode once.
"""

from __future__ import annotations

import contextlib
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import msgspec

from gtalign_env.episode import Episode, iter_episodes, iter_lines
from gtalign_env.errors import FileFormatError

__all__ = ["PlayedAgainWarning", "Superseded", "iter_standing"]


class PlayedAgainWarning(UserWarning):
    """A file holds failures of episodes that were played again; they were skipped."""


class _Head(msgspec.Struct):
    """The part of a record that says which episode it is; reading it alone is quick."""

    scenario: str
    seed: int
    ended: str = ""
    run_seed: int | None = None
    env_options: dict[str, Any] = msgspec.field(default_factory=dict)
    players: dict[str, str] = msgspec.field(default_factory=dict)


_decoder = msgspec.json.Decoder(_Head)


class Superseded:
    """Says of each record of a file, in their order, whether a later one takes its place.

    So it is where a record ended in an error, and run seed, game with its options, players and seed of a later one are the
    same. Records that no run made stand alone.

    Args:
        records: All records of the file.

    Example:
        >>> played = [Episode(scenario="s", view="text", seed=3, run_seed=0, ended=ended) for ended in ("error", "terminated")]
        >>> again = Superseded(played)
        >>> [again.drops(episode) for episode in played], again.note()
        ([True, False], '1 episode was played again after an error; the record of its failure does not count')
    """

    def __init__(self, records: Iterable[Episode | _Head]) -> None:
        self.dropped = 0
        """Records of which it was said so far."""
        self._later: Counter[bytes] = Counter()
        """How many records of an episode are still to come, from its first failure on."""
        self._begun: set[bytes] = set()
        for record in records:
            if record.run_seed is not None and (record.ended == "error" or _key(record) in self._later):
                self._later[_key(record)] += 1

    @classmethod
    def of_file(cls, path: str | Path) -> Self:
        """Read which records a file holds; lines that are none do not count."""
        return cls(_heads(Path(path)))

    def drops(self, episode: Episode) -> bool:
        """Return whether a later record takes this one's place; asked of each record once."""
        failed = episode.ended == "error"
        if episode.run_seed is None or not self._later:
            return False
        key = _key(episode)
        if key not in self._later or (not failed and key not in self._begun):
            return False
        self._begun.add(key)
        self._later[key] -= 1
        dropped = failed and self._later[key] > 0
        self.dropped += dropped
        return dropped

    def note(self) -> str:
        """Return what was left out, in words; empty where nothing was."""
        if self.dropped == 1:
            return "1 episode was played again after an error; the record of its failure does not count"
        told = f"{self.dropped} episodes were played again after an error; the records of their failures do not count"
        return told if self.dropped else ""

    def warn(self) -> None:
        """Warn of what was left out, if anything was."""
        if self.dropped:
            warnings.warn(PlayedAgainWarning(self.note()), stacklevel=2)


def iter_standing(path: str | Path) -> Iterator[Episode]:
    """Read a file of episodes one by one, without failures that were played again.

    Args:
        path: A ``.jsonl`` or ``.jsonl.zst`` file.

    Yields:
        The episodes in the order of the file; what was left out is told by a ``PlayedAgainWarning``.

    Raises:
        FileFormatError: As ``iter_episodes``.

    Example:
        >>> import tempfile
        >>> from gtalign_env.episode import EpisodeWriter
        >>> path = Path(tempfile.mkdtemp()) / "run.jsonl"
        >>> with EpisodeWriter(path) as writer:
        ...     writer.write(Episode(scenario="s", view="text", seed=3))
        >>> [episode.seed for episode in iter_standing(path)]
        [3]
    """
    again: Superseded | None = None
    for episode in iter_episodes(path):
        again = again or Superseded.of_file(path)  # not before: what is no file of episodes is said there
        if not again.drops(episode):
            yield episode
    if again is not None:
        again.warn()


def _heads(path: Path) -> Iterator[_Head]:
    with contextlib.suppress(FileFormatError):  # a frame that cannot be decompressed: what follows is not read either
        for line in iter_lines(path):
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                yield _decoder.decode(line)


def _key(record: _Head | Episode) -> bytes:
    which = (record.run_seed, record.scenario, record.env_options, record.players, record.seed)
    return msgspec.json.encode(which, order="sorted")
