"""Welfare RL in one of several processes, started by torchrun: ``python llm_process.py settings.json``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gtalign_env.training.llm import distributed
from gtalign_env.training.llm.config import LLMConfig
from gtalign_env.training.llm.trainer import Run


def main() -> None:
    """Run what the file says, and leave a file for each process."""
    given = json.loads(Path(sys.argv[1]).read_text())
    folder = Path(given["folder"])
    run = Run(LLMConfig(**given["config"]), folder)
    told: list[dict[str, float]] = []
    run.train(lambda figures: told.append({name: figures[name] for name in ("user", "assistant") if name in figures}))
    found = {"told": told, "size": run.world.size, "sampler": run.sampler.name, "version": run.sampler.version}
    folder.joinpath(f"process-{run.world.rank}.json").write_text(json.dumps(found))
    distributed.leave()


if __name__ == "__main__":
    main()
