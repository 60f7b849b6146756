"""What a run of the conformance kit says: which checks ran, how they ended, how long they took."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Literal

from rich.table import Table
from rich.text import Text

from gtalign_env.errors import GtalignError

__all__ = ["CheckResult", "ConformanceError", "Report", "Status"]

Status = Literal["passed", "failed", "skipped"]
_STYLES: dict[Status, str] = {"passed": "green", "failed": "bold red", "skipped": "yellow"}


class ConformanceError(GtalignError, AssertionError):
    """A subject breaks the contract.

    The message is one sentence: which check, what was expected, what came, what to do.

    Args:
        check: Name of the check that failed.
        expected: What the contract asks for.
        came: What was found instead.
        cure: What to do about it.

    Example:
        >>> print(ConformanceError("rewards", expected="a finite float", came="nan", cure="look for a division by 0"))
        rewards: expected a finite float, came nan; look for a division by 0
    """

    def __init__(self, check: str, *, expected: str, came: str, cure: str) -> None:
        self.check = check
        self.expected = expected
        self.came = came
        self.cure = cure
        super().__init__(f"{check}: expected {expected}, came {came}; {cure}")

    def __reduce__(self) -> tuple[object, tuple[str, str, str, str]]:
        """Pickle by the four parts (errors travel between the processes of a test runner)."""
        return _rebuilt, (self.check, self.expected, self.came, self.cure)


def _rebuilt(check: str, expected: str, came: str, cure: str) -> ConformanceError:
    return ConformanceError(check, expected=expected, came=came, cure=cure)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CheckResult:
    """How one check ended."""

    name: str
    """The check's name, e.g. ``"no_aliasing"``."""
    status: Status
    """``"passed"``, ``"failed"`` or ``"skipped"`` (it does not apply here; ``detail`` says why)."""
    seconds: float
    """Wall-clock time of the check."""
    detail: str = ""
    """For failures the error's message, for skipped checks the reason."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The result of a run of the kit. Print it with ``rich.print``; ``str`` gives the same as plain lines.

    Example:
        >>> report = Report(subject="toy", results=(CheckResult(name="rewards", status="passed", seconds=0.25),))
        >>> report.ok, report.checks, report.seconds
        (True, ('rewards',), 0.25)
        >>> print(report)
        toy: 1 passed, 0 failed, 0 skipped in 0.2 s
          passed   rewards
    """

    subject: str
    """What was checked."""
    results: tuple[CheckResult, ...]
    """One entry per check, in the order they ran."""
    errors: tuple[ConformanceError, ...] = ()
    """The failures as exceptions, in the same order (none when everything passed)."""

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return not self.failed

    @property
    def checks(self) -> tuple[str, ...]:
        """Names of all checks, in the order they ran."""
        return tuple(result.name for result in self.results)

    @property
    def passed(self) -> tuple[CheckResult, ...]:
        """The checks that passed."""
        return self._with("passed")

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The checks that failed."""
        return self._with("failed")

    @property
    def skipped(self) -> tuple[CheckResult, ...]:
        """The checks that do not apply to this subject."""
        return self._with("skipped")

    @property
    def seconds(self) -> float:
        """Wall-clock time of all checks together."""
        return sum(result.seconds for result in self.results)

    def __str__(self) -> str:
        """Return the report as plain lines."""
        return "\n".join([self._headline(), *self._lines()])

    def __rich__(self) -> Table:
        """Return the report as a table for ``rich``."""
        table = Table(title=Text(self._headline()), title_justify="left", box=None, pad_edge=False)
        table.add_column("check", no_wrap=True)
        table.add_column("result", no_wrap=True)
        table.add_column("seconds", justify="right")
        table.add_column("detail", overflow="fold")
        for result in self.results:
            status = Text(result.status, style=_STYLES[result.status])
            table.add_row(Text(result.name), status, f"{result.seconds:.2f}", Text(result.detail))
        return table

    def _with(self, status: Status) -> tuple[CheckResult, ...]:
        return tuple(result for result in self.results if result.status == status)

    def _headline(self) -> str:
        counts = f"{len(self.passed)} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"
        return f"{self.subject}: {counts} in {self.seconds:.1f} s"

    def _lines(self) -> Iterator[str]:
        for result in self.results:
            detail = f" ({result.detail})" if result.detail else ""
            yield f"  {result.status:<8} {result.name}{detail}"
