"""On which line of a TOML text a key stands. ``tomllib`` does not say, so the text is scanned once more for it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

__all__ = ["Lines", "error_line"]

Path = tuple[str | int, ...]
_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PIECE = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_IN_TABLE = re.compile(r"""[{,]\s*([A-Za-z0-9_-]+)\s*=""")
_STRING = re.compile(r'"(?:[^"\\n]|\\.)*"|\'[^\'\n]*\'')
_AT_LINE = re.compile(r"at line (\d+)")


class Lines:
    r"""Where the keys and sections of a TOML text stand.

    Args:
        text: Text that ``tomllib`` has read without complaint.

    Example:
        >>> lines = Lines('name = "x"\n[[types]]\nideal_tokens = 60\n[[types]]\nweight = 2')
        >>> lines.of("name"), lines.of("types", 1, "weight"), lines.of("types", 0, "patience")
        (1, 5, 2)
    """

    def __init__(self, text: str) -> None:
        self._found: dict[Path, int] = {}
        for path, number in _scan(text):
            self._found.setdefault(path, number)

    def of(self, *path: str | int) -> int:
        """Return the line of a key, or of the nearest thing around it (1 when there is none)."""
        for end in range(len(path), 0, -1):
            if path[:end] in self._found:
                return self._found[path[:end]]
        return 1


def error_line(error: tomllib.TOMLDecodeError, text: str) -> int:
    r"""Return the line at which ``tomllib`` gave up; the last one when it reached the end.

    Example:
        >>> try:
        ...     _ = tomllib.loads("a = 1\nb = ")
        ... except tomllib.TOMLDecodeError as error:
        ...     error_line(error, "a = 1\nb = ")
        2
    """
    at = _AT_LINE.search(str(error))
    return int(at[1]) if at else max(1, len(text.splitlines()))


def _scan(text: str) -> Iterator[tuple[Path, int]]:
    """Yield (path, line) of every section and key; inside a value of several lines only the keys of inline tables."""
    section: Path = ()
    counts: dict[Path, int] = {}
    owner: Path = ()
    depth, fence = 0, ""
    for number, line in enumerate(text.splitlines(), start=1):
        if fence:
            fence = "" if fence in line else fence
            continue
        header = _HEADER.match(line) if depth == 0 else None
        if header is not None:
            section = _names(header[2])
            if header[1] == "[[":
                counts[section] = counts.get(section, -1) + 1
                yield section, number
                section = (*section, counts[section])
            else:
                section = _inside(section, counts)
            for end in range(1, len(section) + 1):
                yield section[:end], number
            continue
        key = _KEY.match(line) if depth == 0 else None
        if key is not None:
            owner = (*section, *_names(key[1]))
            for end in range(len(section) + 1, len(owner) + 1):
                yield owner[:end], number
        value = line[key.end() :] if key is not None else line
        for mark in ('"""', "'''"):
            if value.count(mark) % 2:
                fence = mark
        bare = _STRING.sub("''", value).partition("#")[0]
        for inner in _IN_TABLE.findall(bare):
            yield (*owner, inner), number
        depth = max(0, depth + sum(bare.count(mark) for mark in "[{") - sum(bare.count(mark) for mark in "]}"))


def _names(dotted: str) -> Path:
    return tuple(piece.strip("\"'") for piece in _PIECE.findall(dotted))


def _inside(section: Path, counts: dict[Path, int]) -> Path:
    """Put the index of the latest ``[[entry]]`` behind its name in a dotted section."""
    for end in range(1, len(section)):
        if section[:end] in counts:
            return (*section[:end], counts[section[:end]], *section[end:])
    return section
