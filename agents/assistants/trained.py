"""The player that ``gtalign train strategic`` has trained: it only plays, from its observations alone."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gtalign_env.agents.assistants.trained_history import History, unsafe_moves
from gtalign_env.errors import FileFormatError, UsageError, require
from gtalign_env.finite import FiniteScenario
from gtalign_env.protocols import Scenario
from gtalign_env.types import ASSISTANT, USER, Role

if TYPE_CHECKING:
    from gtalign_env.agents.assistants.trained_net import Network

__all__ = ["TrainedPlayer"]


class TrainedPlayer:
    """Plays the policy of a run, in the chair that it was trained for.

    It takes the likeliest move, and under the safety constraint it was trained with. In ``act_batch`` the same place in the
    list is the same game from call to call.

    Args:
        run: A run's folder, or its ``policy.pt``.
        greedy: Take the likeliest move; else draw moves from the policy.

    Raises:
        FileFormatError: There is no policy, or the file is none.
        UsageError: No run is named.
        MissingExtraError: PyTorch is not installed.

    Example:
        >>> TrainedPlayer("no/such/run")
        Traceback (most recent call last):
        gtalign_env.errors.FileFormatError: no/such/run/policy.pt: is missing: expected the folder of a run of 'gtalign train …'
    """

    def __init__(self, run: str | Path = "", *, greedy: bool = True) -> None:
        if not str(run):
            raise UsageError("trained: expected the folder of a run behind a colon, as in trained:runs/first")
        path = Path(run)
        self._path = path if path.suffix == ".pt" else path / "policy.pt"
        self.name = f"trained:{run}"
        self.greedy = greedy
        self._torch: Any = require("torch", feature="playing a trained policy", extra="train")
        self._saved = self._load()
        self._net: Network | None = None
        self._scenario: FiniteScenario | None = None
        self._role: Role = "assistant"
        self._memory: Any = None
        self.reset(0)

    def _load(self) -> dict[str, Any]:
        try:
            saved = self._torch.load(self._path, weights_only=True, map_location="cpu")
        except FileNotFoundError:
            raise FileFormatError(self._path, "is missing: expected the folder of a run of 'gtalign train …'") from None
        except Exception as error:  # PyTorch's own advice is to trust the file, which would run whatever is in it
            raise FileFormatError(
                self._path,
                "is no policy of a run: it is damaged, or another file than 'gtalign train strategic' has written",
            ) from error
        if not isinstance(saved, dict) or saved.get("format") != 1 or not isinstance(saved.get("players"), dict):
            raise FileFormatError(self._path, "is no policy of a run of 'gtalign train strategic'")
        return saved

    def __repr__(self) -> str:
        """Return the class and the name."""
        return f"<TrainedPlayer {self.name!r}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> TrainedPlayer:
        """Copies share the network, which only plays; each remembers its own games."""
        twin = copy.copy(self)
        twin.rng = copy.deepcopy(self.rng, memo)
        if self._net is not None:
            vars(twin).update(_history=copy.deepcopy(self._history, memo), _memory=self._memory.clone())
        return twin

    def sit(self, scenario: Scenario, role: Role) -> None:
        """Take a chair.

        Raises:
            UsageError: It was not trained for this chair, or for a game of this size.
        """
        if scenario is self._scenario and role == self._role:
            return
        from gtalign_env.agents.assistants.trained_net import Network

        agent = ASSISTANT if role == "assistant" else USER
        player = self._saved["players"].get(agent)
        if player is None:
            raise UsageError(f"player {self.name!r} was not trained for the {role}'s chair")
        if not isinstance(scenario, FiniteScenario):
            raise UsageError(
                f"player {self.name!r} was trained in the strategic view and cannot play {scenario.name!r}"
            )
        shape, moves = player["shape"], len(scenario.moves(role))
        size = History(scenario.layout, role, self._saved["input"], 1).size
        if scenario.name != self._saved["scenario"] or (size, moves) != (shape["inputs"], shape["moves"]):
            raise UsageError(
                f"player {self.name!r} was trained on {self._saved['scenario']!r}, not on {scenario.name!r}"
            )
        self._net = Network(**shape)
        self._net.load_state_dict(player["weights"])
        self._scenario, self._role, self._moves = scenario, role, moves
        masked = role == "assistant" and self._saved["safety"] == "mask"
        self._unsafe = unsafe_moves(scenario) if masked else None
        self._begin(1)

    def reset(self, seed: int) -> None:
        """Begin a new episode."""
        self.rng = np.random.default_rng(seed)
        if self._net is not None:
            self._begin(1)

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> int:
        """Return a move's index."""
        return self.act_batch([observation], [info])[0]

    def act_batch(self, observations: Sequence[Mapping[str, Any]], infos: Sequence[Mapping[str, Any]]) -> list[int]:
        """Return one move for each game.

        Raises:
            UsageError: Nobody told this player which game it plays.
        """
        if self._net is None:
            raise UsageError(
                f"player {self.name!r} has not sat down: call sit(scenario, role) first, as gtalign_env.play does"
            )
        if len(observations) != len(infos):
            raise UsageError(f"player {self.name!r}: got {len(observations)} observations and {len(infos)} infos")
        if not observations:
            return []
        torch, games = self._torch, len(observations)
        if games > self._history.games:
            self._grow(games)
        seen = np.stack([np.asarray(one["observation"], dtype=np.float32) for one in observations])
        legal = np.stack([np.asarray(one["action_mask"])[: self._moves] != 0 for one in observations])
        legal &= ~self._forbidden(seen)
        padding = self._history.games - games
        padded = np.pad(seen, ((0, padding), (0, 0)))
        starts = self._history.starts(padded).astype(np.float32)
        fed = self._history.see(padded)
        with torch.no_grad():
            logits, _, memory = self._net(
                torch.from_numpy(fed)[None, :games],
                torch.from_numpy(legal)[None],
                self._memory[:games],
                torch.from_numpy(starts)[None, :games],
            )
        self._memory = torch.cat([memory, self._memory[games:]])
        shown = logits[0].numpy()
        if not self.greedy:
            shown = shown + self.rng.gumbel(size=shown.shape)
        return [int(move) for move in shown.argmax(axis=1)]

    def _forbidden(self, seen: Any) -> Any:
        if self._unsafe is None or self._scenario is None:
            return np.zeros((len(seen), self._moves), dtype=bool)
        return self._unsafe[[self._scenario.locate(one) for one in seen]]

    def _begin(self, games: int) -> None:
        """Forget all games."""
        assert self._net is not None
        assert self._scenario is not None
        self._history = History(self._scenario.layout, self._role, self._saved["input"], games)
        self._memory = self._net.memory(games)

    def _grow(self, games: int) -> None:
        """Make room for more games, keeping what is known of the others."""
        kept, memory, count = self._history.state(), self._memory, self._history.games
        self._begin(games)
        fresh = self._history.state()
        for name, array in kept.items():
            fresh[name][:count] = array
        self._history.restore(fresh)
        self._memory[:count] = memory
