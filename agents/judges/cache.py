"""Verdicts that were given already: the same judge is not asked twice about the same reply."""

from __future__ import annotations

import json
from pathlib import Path

from gtalign_env.errors import FileFormatError, UsageError

__all__ = ["VerdictCache"]


class VerdictCache:
    """Marks and reasons by a digest of judge, rubric, task and reply; in memory, and in a file where one is named.

    The file is append-only JSON lines; a torn last line, of a run that was killed, is skipped.

    Args:
        path: The file; created with the first verdict. ``None`` keeps verdicts in memory only.

    Raises:
        FileFormatError: The file holds something else.
        UsageError: Its folder does not exist.

    Example:
        >>> cache = VerdictCache()
        >>> cache.put("7f", 4, "Right.")
        >>> cache.get("7f"), cache.get("80")
        ((4, 'Right.'), None)
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = None if path is None else Path(path)
        self._found: dict[str, tuple[int, str]] = {}
        if self.path is None:
            return
        if self.path.is_dir() or not self.path.resolve().parent.is_dir():
            raise UsageError(f"judge cache {self.path}: expected a file in a folder that exists")
        if self.path.exists():
            self._read(self.path)

    def __len__(self) -> int:
        """Return the number of verdicts."""
        return len(self._found)

    def get(self, key: str) -> tuple[int, str] | None:
        """Return (mark, reason), or ``None`` where there is no verdict."""
        return self._found.get(key)

    def put(self, key: str, mark: int, reason: str) -> None:
        """Keep a verdict; failures are never kept, so that they are tried again."""
        self._found[key] = (mark, reason)
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "mark": mark, "reason": reason}) + "\n")

    def _read(self, path: Path) -> None:
        content = path.read_bytes()
        whole, _, torn = content.rpartition(b"\n")
        for number, line in enumerate(whole.split(b"\n") if whole else (), start=1):
            try:
                row = json.loads(line)
                self._found[str(row["key"])] = (int(row["mark"]), str(row["reason"]))
            except (ValueError, KeyError, TypeError):
                raise FileFormatError(path, "expected a judge's verdict: key, mark, reason", line=number) from None
        if torn:  # what is appended next must begin a line
            with path.open("r+b") as file:
                file.truncate(len(content) - len(torn))
