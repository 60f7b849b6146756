"""A warm start in one of several processes, started by torchrun: ``python sft_process.py settings.json``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gtalign_env.training.llm import distributed
from gtalign_env.training.llm.sft import SFTConfig
from gtalign_env.training.llm.sft_run import SFTRun


def main() -> None:
    """Run what the file says, and leave a file for each process."""
    given = json.loads(Path(sys.argv[1]).read_text())
    folder = Path(given["folder"])
    run = SFTRun.resume(folder) if given.get("resume") else SFTRun(SFTConfig(**given["config"]), folder)
    losses: list[float] = []
    run.train(lambda figures: losses.append(figures["loss"]), until=given.get("until"))
    found = {"losses": losses, "seeds": [episode.seed for episode in run.choice.episodes], "size": run.world.size}
    folder.joinpath(f"process-{run.world.rank}.json").write_text(json.dumps(found))
    distributed.leave()


if __name__ == "__main__":
    main()
