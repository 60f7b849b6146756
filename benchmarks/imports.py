"""How long ``import gtalign_env`` takes in a fresh process, and what it must not pull in."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any

NAME = "import"
DESCRIPTION = "seconds for 'import gtalign_env', and that PyTorch stays out"
REQUIRED = 0.5
"""Seconds that the import may take."""

_PROBE = """
import json, sys, time
started = time.perf_counter()
import gtalign_env
seconds = time.perf_counter() - started
print(json.dumps({"seconds": seconds, "heavy": sorted({"torch", "transformers", "vllm"} & set(sys.modules))}))
"""


def measure(*, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return the median time of several fresh processes (the first one, which fills the disk cache, does not count)."""
    repeats = 3 if quick else 7
    found = []
    for repeat in range(repeats + 1):
        done = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout))
        say(f"import: process {repeat + 1} of {repeats + 1}")
    seconds = [probe["seconds"] for probe in found[1:]]
    median = statistics.median(seconds)
    heavy = sorted({name for probe in found for name in probe["heavy"]})
    return [
        {
            "name": "import gtalign_env",
            "value": median,
            "unit": "s",
            "required": f"< {REQUIRED:g}",
            "ok": median < REQUIRED,
            "repeats": seconds,
        },
        {
            "name": "heavy modules imported",
            "value": len(heavy),
            "unit": "",
            "required": "none",
            "ok": not heavy,
            "note": ", ".join(heavy),
        },
    ]
