"""Several processes, one training: FSDP2 under ``torchrun`` or ``accelerate launch``, with NCCL on GPUs and gloo on CPUs.

Every process runs the same program. Each plays its share of the games (``World.share``); all of them get all rows
(``gather_rows``), so that baselines and advantages are the same everywhere; each learns from its share of every mini-batch; and
gradients are averaged as FSDP does it. A loss whose denominator is that of the whole mini-batch is therefore multiplied by the
number of processes (``World.size``), and the update is that of one process, up to rounding.

Weights are sharded; whoever plays needs them whole: ``whole_weights`` gathers them one by one. What is saved is whole as
well, so a run may go on with another number of processes.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import torch

from gtalign_env.errors import UsageError

__all__ = [
    "World",
    "clip_gradients",
    "computed_in",
    "gather_rows",
    "is_main",
    "leave",
    "meet",
    "restore",
    "snapshot",
    "unwrapped",
    "whole_weights",
    "world",
    "wrap",
]

T = TypeVar("T")
_PATIENCE = datetime.timedelta(minutes=30)
"""For a collective: the slowest process may be playing its games meanwhile."""


class World(NamedTuple):
    """Which of how many processes this is.

    Example:
        >>> World(rank=1, size=2).share(["a", "b", "c"]), World().is_main
        (['b'], True)
    """

    rank: int = 0
    size: int = 1
    local: int = 0
    """The process's number on its machine: which GPU is its own."""

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        """Where this process's model belongs."""
        return torch.device("cuda", self.local) if torch.cuda.is_available() else torch.device("cpu")

    def share(self, things: Sequence[T]) -> list[T]:
        """Return this process's share: every ``size``-th thing."""
        return list(things[self.rank :: self.size])

    def rounds(self, count: int, most: int) -> int:
        """Return in how many passes of at most ``most`` things every process gets through its share of ``count``.

        It is the same number in all of them: each pass of a sharded model is a meeting of all processes.

        Example:
            >>> World(rank=1, size=2).rounds(9, most=2)
            3
        """
        largest = -(-count // self.size)
        return -(-largest // most)


def world() -> World:
    """Return which process this is, after joining the others where a launcher has started several.

    Raises:
        UsageError: The launcher's environment variables make no sense.

    Example:
        >>> world()
        World(rank=0, size=1, local=0)
    """
    try:
        size = int(os.environ.get("WORLD_SIZE", "1"))
        found = World(int(os.environ.get("RANK", "0")), size, int(os.environ.get("LOCAL_RANK", "0")))
    except ValueError as error:
        raise UsageError(f"RANK, LOCAL_RANK and WORLD_SIZE: expected numbers, as torchrun sets them: {error}") from None
    if size == 1:
        return World()
    import torch.distributed as dist

    if not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(found.local)
            dist.init_process_group("cpu:gloo,cuda:nccl", timeout=_PATIENCE)
        else:
            dist.init_process_group("gloo", timeout=_PATIENCE)
    return found


def is_main() -> bool:
    """Return whether this process writes files and speaks.

    Example:
        >>> is_main()
        True
    """
    return world().is_main


def leave() -> None:
    """Part from the other processes; alone, nothing happens.

    Example:
        >>> leave()
    """
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def meet() -> None:
    """Wait until all processes are here; alone, nothing happens.

    Example:
        >>> meet()
    """
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.barrier()


def wrap(model: Any, found: World, *, precision: str = "auto") -> Any:
    """Shard a model over all processes, block by block (FSDP2); alone, it stays as it is.

    Args:
        model: A transformers model, or one with adapters of peft; changed in place.
        found: The processes.
        precision: What passes are computed in (see ``computed_in``). Weights and sums of gradients stay as they are.

    Returns:
        The model itself.

    Example:
        >>> wrap(torch.nn.Linear(2, 2), World())
        Linear(in_features=2, out_features=2, bias=True)
    """
    if found.size == 1:
        return model
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    mesh = init_device_mesh(found.device.type, (found.size,))
    low = torch.bfloat16 if computed_in(model, found, precision) == "bfloat16" else None
    policy = MixedPrecisionPolicy(param_dtype=low, reduce_dtype=torch.float32 if low else None)
    base = unwrapped(model)
    blocks = set(getattr(base, "_no_split_modules", None) or ())
    for part in list(base.modules()):
        if type(part).__name__ in blocks:
            fully_shard(part, mesh=mesh, mp_policy=policy)
    fully_shard(base, mesh=mesh, mp_policy=policy)
    return model


def computed_in(model: Any, found: World, precision: str = "auto") -> str:
    """Return what passes of a model are computed in.

    Args:
        model: The model.
        found: The processes; one alone computes in what its weights are.
        precision: ``"float32"``, ``"bfloat16"``, or ``"auto"``: bfloat16 on GPUs.

    Raises:
        UsageError: There is no such precision.

    Example:
        >>> computed_in(torch.nn.Linear(2, 2), World())
        'float32'
    """
    if precision not in ("auto", "float32", "bfloat16"):
        raise UsageError(f"precision: expected auto, float32 or bfloat16, got {precision!r}")
    own = str(next(model.parameters()).dtype).removeprefix("torch.")
    if found.size == 1 or (precision == "auto" and found.device.type == "cpu"):
        return own
    return "bfloat16" if precision == "auto" else precision


def unwrapped(model: Any) -> Any:
    """Return the transformers model inside one with adapters of peft, its adapters in place; any other as it is.

    Example:
        >>> layer = torch.nn.Linear(2, 2)
        >>> unwrapped(layer) is layer
        True
    """
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def whole_weights(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every weight by its name in a saved model: gathered from all processes, adapters merged into what they change.

    All processes have to go through it together. Tied weights come once.

    Raises:
        UsageError: An adapter is on something else than a linear layer.

    Example:
        >>> [name for name, _ in whole_weights(torch.nn.Linear(2, 2))]
        ['weight', 'bias']
    """
    base = unwrapped(model)
    for name, weight in base.named_parameters():
        if ".lora_" in name or ".original_module." in name:
            continue
        whole = _whole(weight)
        layer, base_layer, leaf = name.rpartition(".base_layer.")
        if base_layer:
            if leaf == "weight":
                whole = whole + _change(base.get_submodule(layer), name).to(whole)
            name = f"{layer}.{leaf}"
        yield name.replace(".modules_to_save.default.", "."), whole


def _whole(weight: Any) -> torch.Tensor:
    found: torch.Tensor = weight.detach()
    return found.full_tensor() if hasattr(found, "full_tensor") else found


def _change(layer: Any, name: str) -> torch.Tensor:
    """Return what the active LoRA adapters add to a layer's weight, shape (out, in)."""
    changes = []
    for adapter in layer.active_adapters:
        if adapter not in layer.lora_A or layer.use_dora.get(adapter) or getattr(layer, "fan_in_fan_out", False):
            raise UsageError(
                f"{name}: expected plain LoRA adapters on linear layers; others cannot be put into an engine"
            )
        a, b = (_whole(part[adapter].weight) for part in (layer.lora_A, layer.lora_B))
        changes.append(layer.scaling[adapter] * (b @ a))
    return torch.stack(changes).sum(dim=0) if changes else torch.zeros(())


def snapshot(model: Any, optimizer: Any) -> dict[str, Any]:
    """Return weights and the optimiser's state, whole and on the CPU, by names; in other processes than the first empty.

    Frozen weights (those below adapters) are left out: they are where they came from.

    Example:
        >>> layer = torch.nn.Linear(2, 2)
        >>> sorted(snapshot(layer, torch.optim.AdamW(layer.parameters())))
        ['model', 'optimizer']
    """
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
    weights, state = get_state_dict(model, optimizer, options=options)
    return {"model": {name: _own(part) for name, part in weights.items()}, "optimizer": state}


def _own(part: Any) -> Any:
    """Return a copy: on the CPU a state dict would go on changing with the model."""
    return part.clone() if isinstance(part, torch.Tensor) else part


def restore(model: Any, optimizer: Any, state: Mapping[str, Any]) -> None:
    """Put back what ``snapshot`` returned, into any number of processes; each has to have the whole state.

    Example:
        >>> layer = torch.nn.Linear(2, 2)
        >>> optimizer = torch.optim.AdamW(layer.parameters())
        >>> restore(layer, optimizer, snapshot(layer, optimizer))
    """
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_state_dict

    options = StateDictOptions(full_state_dict=True, ignore_frozen_params=True, strict=False)
    set_state_dict(
        model, optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"], options=options
    )


def clip_gradients(model: Any, most: float) -> float:
    """Scale all gradients down to a norm of at most ``most``, and return the norm that they had, over all processes.

    Example:
        >>> layer = torch.nn.Linear(1, 1, bias=False)
        >>> layer.weight.grad = torch.tensor([[3.0]])
        >>> clip_gradients(layer, 1.0), round(layer.weight.grad.item(), 4)
        (3.0, 1.0)
    """
    norm = torch.nn.utils.clip_grad_norm_([weight for weight in model.parameters() if weight.grad is not None], most)
    return float(_whole(norm))


def gather_rows(rows: Sequence[T], found: World) -> list[T]:
    """Return the rows of all processes, in the order in which ``World.share`` has dealt them out; alone, the rows themselves.

    Args:
        rows: This process's results, one for each thing of its share, in order; anything that can be pickled.
        found: The processes.

    Example:
        >>> gather_rows(["a", "b"], World())
        ['a', 'b']
    """
    if found.size == 1:
        return list(rows)
    import torch.distributed as dist

    parts: list[Any] = [None] * found.size
    dist.all_gather_object(parts, list(rows))
    longest = max(map(len, parts))
    return [part[place] for place in range(longest) for part in parts if place < len(part)]
