"""Proximal policy optimisation with one value per stream of reward. The whole algorithm is this file.

A learner is paid in *streams* that stay apart up to the last moment: the two sides' payoffs (``ser``), or one number per episode
(``esr``), and what it costs to break the safety constraint, if that is priced. Every stream has its own value head and its own
advantages; the objective's gradient at the running means of both returns says what they weigh.

Source: Schulman et al. (2017), "Proximal policy optimization algorithms"; Schulman et al. (2016), "High-dimensional continuous
control using generalized advantage estimation"; the weights are those of a welfare function's gradient (``training.objectives``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gtalign_env.agents.assistants.trained_history import History
from gtalign_env.agents.assistants.trained_net import Network
from gtalign_env.env import ROLES
from gtalign_env.training.errors import TrainingError
from gtalign_env.training.objectives import Objective, make_objective
from gtalign_env.training.strategic.config import Config
from gtalign_env.training.strategic.rollout import Arena
from gtalign_env.types import ASSISTANT

__all__ = ["Learner", "sample"]

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class Learner:
    """One chair that learns.

    Shapes: T steps (the horizon), N games, D inputs, A moves, H streams.

    Args:
        config: The settings.
        arena: Where it plays.
        agent: Its chair.
    """

    def __init__(self, config: Config, arena: Arena, agent: str) -> None:
        self.config, self.agent = config, agent
        spec = config.objective if agent == ASSISTANT else config.user_objective
        self.objective: Objective = make_objective(spec, config.aggregation)
        self.priced = agent == ASSISTANT and config.safety == "penalty"
        self.heads = (2 if self.objective.aggregation == "ser" else 1) + self.priced
        self.history = History(arena.scenario.layout, ROLES[agent], config.input, arena.games)
        self.net = Network(
            self.history.size,
            arena.moves(agent),
            self.heads,
            width=config.width,
            recurrent=config.input == "recurrent",
            hidden=arena.hidden_size(agent),
        )
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=config.learning_rate, eps=1e-5, fused=True)
        self.memory = self.net.memory(arena.games)
        self.returns: NDArray[np.float64] = np.zeros((int(arena.price_of[-1]) + 1, 2))
        """Running means of both sides' returns per episode, by price."""
        self.known: NDArray[np.bool_] = np.zeros(len(self.returns), dtype=bool)
        """Whether an episode has ended, so that ``returns`` mean something."""
        self._allocate(arena)

    def _allocate(self, arena: Arena) -> None:
        steps, games, moves = self.config.horizon, arena.games, arena.moves(self.agent)
        self.fed: Floats = np.zeros((steps, games, self.history.size), dtype=np.float32)
        self.hidden: Floats = np.zeros((steps, games, arena.hidden_size(self.agent)), dtype=np.float32)
        self.legal: NDArray[np.bool_] = np.zeros((steps, games, moves), dtype=bool)
        self.starts: Floats = np.zeros((steps, games), dtype=np.float32)
        self.moves: Ints = np.zeros((steps, games), dtype=np.int64)
        self.chances: Floats = np.zeros((steps, games), dtype=np.float32)
        self.rewards: Floats = np.zeros((steps, games, self.heads), dtype=np.float32)
        self.ended: Floats = np.zeros((steps, games), dtype=np.float32)
        self.values: Floats = np.zeros((steps + 1, games, self.heads), dtype=np.float32)
        self.beyond: Floats = np.zeros((steps, games, self.heads), dtype=np.float32)
        """What was still to come where a game was cut off by its time limit; else 0."""
        self.prices: Ints = np.zeros((steps, games), dtype=np.int64)
        self.finished: list[NDArray[np.float64]] = []

    # -- playing ------------------------------------------------------------------------------------------------------

    def begin(self, games: Ints | None = None) -> None:
        """Start a block of play.

        Args:
            games: Games in which this learner itself plays: these it learns from, and their returns count; all when ``None``.
        """
        self.first_memory = self.memory
        self.finished = []
        self.own = np.arange(self.moves.shape[1]) if games is None else games
        self._counts = np.isin(np.arange(self.moves.shape[1]), self.own)

    def act(self, t: int, arena: Arena, rng: np.random.Generator) -> Ints:
        """Return a move for every game, (N,), and note what it was decided by."""
        observations, self.legal[t] = arena.seen(self.agent)
        self.fed[t] = self.history.see(observations)
        self.starts[t] = self.history.starts(observations)
        self.hidden[t] = arena.hidden(self.agent)
        logits, self.values[t] = self._evaluate(self.fed[t], self.hidden[t], self.legal[t], self.starts[t])
        self.moves[t], self.chances[t] = sample(logits, rng)
        chosen: Ints = self.moves[t]
        return chosen

    def receive(self, t: int, arena: Arena) -> None:
        """Take in what a step has paid."""
        self.prices[t] = arena.price_of[arena.kinds]
        counted = arena.ended & self._counts
        self.finished.append(np.column_stack([self.prices[t, counted], arena.totals[counted]]))
        self.ended[t] = arena.ended
        if self.objective.aggregation == "ser":
            self.rewards[t, :, :2] = arena.payoffs
        else:
            over = arena.ended & ~arena.cut
            self.rewards[t, :, 0] = 0.0
            self.rewards[t, over, 0] = self.objective.value(*arena.totals[over].T)
        if self.priced:
            self.rewards[t, :, -1] = -self.config.penalty * arena.violations
        self.beyond[t] = 0.0
        if arena.cut.any():
            values = self._worth(arena.last(self.agent), arena.hidden(self.agent, last=True))
            self.beyond[t, arena.cut] = values[arena.cut]

    def end(self, arena: Arena) -> None:
        """Value where the block of play stops, and bring the running means up to date."""
        self.values[-1] = self._worth(arena.seen(self.agent)[0], arena.hidden(self.agent))
        finished = np.concatenate(self.finished)
        for price in np.unique(finished[:, 0]).astype(np.int64):
            own = finished[finished[:, 0] == price, 1:]
            share = self.config.forget if self.known[price] else 0.0
            self.returns[price] = share * self.returns[price] + (1.0 - share) * own.mean(axis=0)
            self.known[price] = True

    def _worth(self, observations: Floats, hidden: Floats) -> Floats:
        """Return values, (N, H), without remembering what was seen."""
        legal = np.ones((len(observations), self.legal.shape[2]), dtype=bool)
        kept, memory = self.history.state(), self.memory
        fed, starts = self.history.see(observations), self.history.starts(observations).astype(np.float32)
        _, values = self._evaluate(fed, hidden, legal, starts)
        self.history.restore(kept)
        self.memory = memory
        return values

    def _evaluate(self, fed: Floats, hidden: Floats, legal: NDArray[np.bool_], starts: Floats) -> tuple[Floats, Floats]:
        with torch.no_grad():
            arrays = (torch.from_numpy(array)[None] for array in (fed, legal))
            logits, shown, self.memory = self.net(*arrays, self.memory, torch.from_numpy(starts)[None])
            values = self.net.values(shown, torch.from_numpy(hidden)[None])
        return logits[0].numpy(), values[0].numpy()

    # -- learning -----------------------------------------------------------------------------------------------------

    def stream_weights(self) -> NDArray[np.float64]:
        """Return what the streams weigh, (prices, H): the gradient of the mean over prices of W, but for one common factor.

        Payoffs' weights sum to 1 over the two sides, in the mean over prices; what a violation costs is on top.
        """
        weights = np.ones((len(self.returns), self.heads))
        if self.objective.aggregation == "ser":
            pairs = np.array([self.objective.weights(*pair) for pair in self.returns.tolist()])
            weights[:, :2] = pairs / pairs.sum(axis=1).mean()
        return weights

    def advantages(self) -> Floats:
        """Return generalised advantages of every stream, (T, N, H); the discount is 1, and a cut-off game goes on in value."""
        found = np.zeros_like(self.rewards)
        last = np.zeros_like(self.rewards[0])
        for t in reversed(range(len(found))):
            goes_on = (1.0 - self.ended[t])[:, None]
            error = self.rewards[t] + self.beyond[t] + goes_on * self.values[t + 1] - self.values[t]
            last = found[t] = error + self.config.gae * goes_on * last
        return found

    def learn(self, progress: float, rng: np.random.Generator, *, step: int) -> dict[str, float]:
        """Learn from the games of the block that this learner has played itself.

        Args:
            progress: Share of training that is done, in [0, 1): what the schedules go by.
            rng: Deals games into minibatches.
            step: Steps played so far, for messages.

        Returns:
            Figures for the log.

        Raises:
            TrainingError: A payoff, a loss or a gradient is not finite; the network is as it was before the bad step.
        """
        config = self.config
        if not np.isfinite(self.rewards).all():
            raise TrainingError(f"a payoff of {self.agent} is not finite", step=step, seed=config.seed)
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * (1.0 - progress)
        own = self.own
        streams = self.advantages()
        joint = (streams * self.stream_weights().astype(np.float32)[self.prices]).sum(axis=-1)[:, own]  # (T, N)
        advantages = np.zeros(self.moves.shape, dtype=np.float32)
        advantages[:, own] = (joint - joint.mean()) / (joint.std() + 1e-8)
        targets = streams + self.values[:-1]
        arrays = [self.fed, self.hidden, self.legal, self.starts, self.moves, self.chances, advantages, targets]
        batch = [torch.from_numpy(array) for array in arrays]
        figures: list[tuple[float, ...]] = []
        for _ in range(config.epochs):
            for part in np.array_split(rng.permutation(own), min(config.minibatches, len(own))):
                index = torch.from_numpy(part)
                rows = [array[:, index] for array in batch]
                figures.append(self._descend(rows, self.first_memory[index], progress, step))
        names = ("policy_loss", "value_loss", "entropy", "kl", "gradient")
        return dict(zip(names, np.mean(figures, axis=0).tolist(), strict=True))

    def _descend(self, rows: list[torch.Tensor], memory: torch.Tensor, progress: float, step: int) -> tuple[float, ...]:
        """Take one gradient step on some games."""
        config = self.config
        fed, hidden, legal, starts, moves, chances, advantages, targets = rows
        logits, shown, _ = self.net(fed, legal, memory, starts)
        values = self.net.values(shown, hidden)
        logs = logits.log_softmax(-1)
        change = logs.gather(-1, moves[..., None])[..., 0] - chances
        ratio = change.exp()
        gain = torch.min(ratio * advantages, ratio.clamp(1.0 - config.clip, 1.0 + config.clip) * advantages).mean()
        entropy = -(logs.exp() * logs).sum(-1).mean()
        misfit = (values - targets).square().mean()
        loss = config.value_weight * misfit - gain - config.entropy * (1.0 - progress) * entropy
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), config.max_gradient, foreach=True)
        if not (torch.isfinite(norm) and torch.isfinite(loss)):
            cause = "a gradient" if torch.isfinite(loss) else "the loss"
            raise TrainingError(f"{cause} of {self.agent} is not finite", step=step, seed=config.seed)
        self.optimizer.step()
        return (-gain.item(), misfit.item(), entropy.item(), (ratio - 1.0 - change).mean().item(), norm.item())

    # -- resuming -----------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return all that is needed to go on exactly, between two blocks of play."""
        return {
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": self.history.state(),
            "memory": self.memory,
            "returns": self.returns,
            "known": self.known,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history.restore(state["history"])
        self.memory, self.returns, self.known = state["memory"], state["returns"], state["known"]


def sample(logits: Floats, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Draw a move per row of logits, (N,), with the logarithm of its chance, (N,).

    Example:
        >>> sample(np.array([[0.0, -1e9]], dtype=np.float32), np.random.default_rng(0))[0].tolist()
        [0]
    """
    logs = logits - logits.max(axis=1, keepdims=True)
    chances = np.exp(logs)
    summed = np.cumsum(chances, axis=1)
    drawn = rng.random((len(logits), 1)) * summed[:, -1:]
    moves: Ints = (summed <= drawn).sum(axis=1)
    moves = np.where(moves < logits.shape[1], moves, chances.argmax(axis=1))  # a draw that rounding put beyond the last
    return moves, (logs[np.arange(len(logs)), moves] - np.log(summed[:, -1])).astype(np.float32)
