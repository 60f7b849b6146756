"""What every test shares: no network, no stray settings, reproducible examples, and figures in the report."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
FIGURE = "figure: "

# A run started in the background of a script inherits an ignored Ctrl-C, and so would every child that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "gtalign",
    deadline=None,
    max_examples=30,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("gtalign")


@pytest.fixture(autouse=True)
def quiet_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give every test the same surroundings: no network, no keys, no terminal settings, no files in the user's cache."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    for name in (
        "ALL_PROXY",
        "COLUMNS",
        "FORCE_COLOR",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "LINES",
        "NO_COLOR",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "all_proxy",
        "http_proxy",
        "https_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    connect = socket.socket.connect

    def only_local(self: socket.socket, address: Any) -> None:
        inside = self.family == socket.AF_UNIX or (isinstance(address, tuple) and address[0] in ("127.0.0.1", "::1"))
        if not inside:
            raise OSError(f"tests have no network; something tried to reach {address!r}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_local)


@pytest.fixture
def shared_dir() -> Path:
    """The folder with the real questions and model outputs; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"the shared data are not here: expected the folder {SHARED}")
    return SHARED


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str, object], None]:
    """Return a function that puts a named figure (or a block of lines) into the test report and its summary."""

    def note(name: str, value: object) -> None:
        record_property(FIGURE + name, f"{value:.4g}" if isinstance(value, float) else str(value))

    return note


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests marked ``shared_data`` where the shared folder is absent, and say so."""
    if item.get_closest_marker("shared_data") is not None and not SHARED.is_dir():
        pytest.skip(f"the shared data are not here: expected the folder {SHARED}")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the figures that tests have noted, the reader's confusion matrix among them."""
    lines = [
        f"{name.removeprefix(FIGURE)}: {value}" if "\n" not in value else f"{name.removeprefix(FIGURE)}:\n{value}"
        for name, value in _figures(terminalreporter)
    ]
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.write_line(line)


def _figures(terminalreporter: Any) -> Iterator[tuple[str, str]]:
    """Yield the figures of all tests; with xdist they have come over as properties of the reports."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "call":
                yield from ((name, value) for name, value in report.user_properties if name.startswith(FIGURE))
