"""Record a session, watch it, prove the record, and write it as a page.

Run it: python examples/record_and_replay.py [FOLDER]

The folder (a temporary one when none is named) gets ``session.jsonl`` and ``session.html``. Then step through the session
yourself: gtalign replay FOLDER/session.jsonl
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import gtalign_env
import gtalign_env.agents
from gtalign_env.episode import EpisodeWriter, load_episodes
from gtalign_env.play import play_episode
from gtalign_env.registration import ASSISTANTS, PERSONAS
from gtalign_env.replay import Look, export, make_console, print_story, tell, verify_episode


def main() -> None:
    """Play, record, read back, show, verify, export."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="gtalign-"))
    path = folder / "session.jsonl"

    env = gtalign_env.parallel_env("gtalign/Assist-v0", questions=2, pricing="per_token")
    episode = play_episode(env, PERSONAS.get("hurried")(), ASSISTANTS.get("heuristic")(), seed=11)
    path.unlink(missing_ok=True)
    with EpisodeWriter(path) as writer:
        writer.write(episode)

    (recorded,) = load_episodes(path)
    story = tell(recorded)
    print_story(make_console(sys.stdout, width=80), story, look=Look(reveal=True))

    differences = verify_episode(recorded)
    print(f"\nplayed again: {len(differences)} differences")
    recorded.steps[0].user.items["value"] += 0.5  # a record that somebody has improved
    print(f"after a forgery: {verify_episode(recorded)[0]}")

    export(folder / "session.html", [story], look=Look(reveal=True))
    print(f"\nwrote {path} and {folder / 'session.html'}")


if __name__ == "__main__":
    main()
