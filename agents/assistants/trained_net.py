"""The networks of learning players: a policy, and one value per stream of reward. Needs PyTorch.

Both input kinds share one interface: ``forward`` takes a block of time (T, N, D), so that a memoryless network and one with
memory are trained and played by the same code. The values may be told more than the policy is: what is hidden from a player is
known to its trainer, and whoever plays needs no values.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

__all__ = ["Network"]


class Network(nn.Module):
    """A policy over moves and one value per head; with memory if asked for.

    Shapes: T steps, N games, D inputs, A moves, H heads, W width, P numbers that only the values see.

    Args:
        inputs: D.
        moves: A.
        heads: H.
        width: W.
        recurrent: Whether a gated recurrent unit stands in front.
        hidden: P.

    Example:
        >>> net = Network(5, 3, 2, width=8)
        >>> legal = torch.tensor([[True, True, False]])
        >>> logits, shown, _ = net(torch.zeros(1, 1, 5), legal[None], net.memory(1), torch.ones(1, 1))
        >>> logits.softmax(-1)[0, 0, 2].item(), net.values(shown, torch.zeros(1, 1, 0)).shape
        (0.0, torch.Size([1, 1, 2]))
    """

    def __init__(
        self, inputs: int, moves: int, heads: int, *, width: int = 64, recurrent: bool = False, hidden: int = 0
    ) -> None:
        super().__init__()
        self.shape: dict[str, Any] = {
            "inputs": inputs,
            "moves": moves,
            "heads": heads,
            "width": width,
            "recurrent": recurrent,
            "hidden": hidden,
        }
        self.cell = nn.GRUCell(inputs, width) if recurrent else None
        fed = width if recurrent else inputs
        self.trunk = nn.Sequential(_linear(fed, width), nn.Tanh(), _linear(width, width), nn.Tanh())
        self.policy = _linear(width, moves, 0.01)
        self.informed = nn.Sequential(_linear(width + hidden, width), nn.Tanh()) if hidden else None
        self.value = _linear(width, heads, 1.0)

    def memory(self, games: int) -> torch.Tensor:
        """Return what the network remembers at the start, (N, W); (N, 0) without memory."""
        return torch.zeros(games, self.shape["width"] if self.cell is not None else 0)

    def forward(
        self, fed: torch.Tensor, legal: torch.Tensor, memory: torch.Tensor, starts: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return logits, what the values are made of, and the memory after the block.

        Args:
            fed: (T, N, D).
            legal: (T, N, A) bool; illegal moves get no chance.
            memory: (N, W) before the first step.
            starts: (T, N), 1 where an episode begins: the memory is emptied there.

        Returns:
            Logits (T, N, A), the last layer but one (T, N, W), memory (N, W).
        """
        if self.cell is not None:
            steps = []
            for one, start in zip(fed, starts, strict=True):
                memory = self.cell(one, memory * (1.0 - start[:, None]))
                steps.append(memory)
            fed = torch.stack(steps)
        shown = self.trunk(fed)
        logits = self.policy(shown).masked_fill(~legal, -1e9)
        return logits, shown, memory

    def values(self, shown: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Return values.

        Args:
            shown: (T, N, W), as ``forward`` has returned it.
            hidden: (T, N, P).

        Returns:
            (T, N, H).
        """
        if self.informed is not None:
            shown = self.informed(torch.cat([shown, hidden], dim=-1))
        values: torch.Tensor = self.value(shown)
        return values


def _linear(inputs: int, outputs: int, gain: float = math.sqrt(2.0)) -> nn.Linear:
    """Return an orthogonal layer without bias at the start."""
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer
