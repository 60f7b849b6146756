"""What is remembered on disk: where, under which names, and how it is written."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from gtalign_env.kernels import UserKernel

if TYPE_CHECKING:
    from gtalign_env.finite import FiniteScenario
    from gtalign_env.protocols import PricingPolicy

__all__ = ["cache_folder", "digest", "source_digest", "written"]

_FORMAT = 3


def cache_folder() -> Path:
    """Return where optima are remembered: ``gtalign/optima`` in ``$XDG_CACHE_HOME``, or in ``~/.cache``."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if home else Path.home() / ".cache") / "gtalign" / "optima"


def digest(
    scenario: FiniteScenario, kernels: Sequence[UserKernel], pricing: PricingPolicy, settings: Mapping[str, Any]
) -> str:
    """Return a name for everything that a result depends on: the game's arrays, the users, what is paid, and this library.

    What moves and states are called is not part of it, as optima hold their indices: whoever writes names puts them into
    ``settings``.

    Args:
        scenario: The game.
        kernels: The kinds of user with their shares.
        pricing: What the user pays.
        settings: All else, as plain data.

    Example:
        >>> from gtalign_env.registration import load, make_scenario
        >>> scenario = make_scenario("assist", questions=1)
        >>> one, two = (load("gtalign_env.agents.users:population_kernels")(who, scenario) for who in ("concise", "expert"))
        >>> names = [digest(scenario, who, scenario.pricing, {"tolerance": 1e-6}) for who in (one, one, two)]
        >>> names[0] == names[1], names[0] == names[2]
        (True, False)
    """
    from gtalign_env import __version__

    tables, made = scenario.tables, hashlib.sha256()
    known = [_FORMAT, __version__, source_digest(), scenario.retention_rate, dict(settings)]
    known.append([kernel.name for kernel in kernels])
    made.update(json.dumps(known, sort_keys=True).encode())
    arrays: list[Any] = [tables.next_state, tables.probability, tables.initial, tables.outcome.violation]
    arrays += [tables.user_act, tables.assistant_act, tables.user_mask, tables.assistant_mask]
    for kernel in kernels:
        paid = scenario.payoff_tables(kernel.user_type, pricing)
        arrays += [kernel.moves, kernel.follow, np.array([kernel.share, kernel.start]), paid.user, paid.assistant]
    for array in arrays:
        array = np.ascontiguousarray(array)
        made.update(f"{array.dtype}{array.shape}".encode())
        made.update(array.tobytes())
    return made.hexdigest()[:32]


@functools.cache
def source_digest(library: Path = Path(__file__).parents[1]) -> str:
    """Return a name for the code that finds results, read once per process: a solver that was changed finds its own.

    Args:
        library: The folder of ``gtalign_env``.

    Example:
        >>> source_digest() == source_digest(), len(source_digest())
        (True, 64)
    """
    made = hashlib.sha256()
    files = [
        library / "kernels.py",
        library / "tables.py",
        *library.glob("optimal/*.py"),
        *library.glob("welfare/*.py"),
    ]
    for file in sorted(files):
        with contextlib.suppress(OSError):  # installed without its sources: the version has to do
            content = file.read_bytes()
            made.update(f"{file.relative_to(library)}, {len(content)}:".encode())
            made.update(content)
    return made.hexdigest()


def written(place: Path, write: Callable[[IO[bytes]], Any]) -> bool:
    """Write a file whole or not at all, and return whether it is there: a disk that cannot be written to is no reason to fail.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> written(folder / "new" / "file", lambda file: file.write(b"all of it")), (folder / "new" / "file").read_bytes()
        (True, b'all of it')
        >>> written(folder / "new" / "file" / "no folder", lambda file: None)
        False
    """
    temporary = ""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place.parent, suffix=".part", delete=False) as file:
            temporary = file.name
            write(file)
        Path(temporary).replace(place)
    except OSError:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        return False
    return True
