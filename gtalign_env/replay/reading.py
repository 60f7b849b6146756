"""Read what can be read of a file of episodes that something else has written into."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import msgspec

from gtalign_env.episode import SCHEMA, Episode
from gtalign_env.errors import FileFormatError, require

__all__ = ["DamagedLineWarning", "iter_undamaged"]

_decoder = msgspec.json.Decoder(Episode)


class DamagedLineWarning(UserWarning):
    """A line of an episode file is no episode and was skipped."""


def iter_undamaged(path: str | Path) -> Iterator[Episode]:
    r"""Read a file of episodes one by one, skipping every line that is none.

    Args:
        path: A ``.jsonl`` or ``.jsonl.zst`` file.

    Yields:
        The episodes in the order of the file; each skipped line is told with a ``DamagedLineWarning``.

    Raises:
        FileFormatError: The file is missing, or none of its lines is an episode.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "run.jsonl"
        >>> line = msgspec.json.encode(Episode(scenario="s", view="strategic", seed=3)) + b"\n"
        >>> _ = path.write_bytes(line + line)
        >>> [episode.seed for episode in iter_undamaged(path)]
        [3, 3]
    """
    path = Path(path)
    if not path.is_file():
        problem = "this is a folder" if path.is_dir() else "there is no such file"
        raise FileFormatError(path, f"{problem}; expected episodes as written by 'gtalign run --out'")
    found = False
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            episode = _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            _skip(path, number, str(error))
            continue
        if episode.schema != SCHEMA:
            _skip(path, number, f"expected schema {SCHEMA!r}, got {episode.schema!r}")
            continue
        found = True
        yield episode
    if not found:
        raise FileFormatError(path, "no line of the file is an episode")


def _skip(path: Path, number: int, problem: str) -> None:
    warnings.warn(DamagedLineWarning(f"{path}, line {number} is no episode and was skipped: {problem}"), stacklevel=3)


def _lines(path: Path) -> Iterator[bytes]:
    if path.suffix != ".zst":
        with path.open("rb") as file:
            yield from file
        return
    left = b""
    for content in _decompressed(path):
        *whole, left = (left + content).split(b"\n")
        yield from whole
    yield left


def _decompressed(path: Path) -> Iterator[bytes]:
    """Yield what a ``.zst`` file holds, up to where it cannot be decompressed."""
    zstandard = require("zstandard", feature="reading .zst files", extra="zst")
    frame, rest = None, b""
    with path.open("rb") as file:
        while rest := rest or file.read(1 << 16):
            frame = frame or zstandard.ZstdDecompressor().decompressobj()
            try:
                yield frame.decompress(rest)
            except zstandard.ZstdError as error:
                warnings.warn(DamagedLineWarning(f"{path}: the rest cannot be decompressed: {error}"), stacklevel=3)
                return
            frame, rest = (None, frame.unused_data) if frame.eof else (frame, b"")
