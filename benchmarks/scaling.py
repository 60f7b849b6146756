"""What welfare RL of a large model takes, on paper: tokens, memory and time by formulas. Nothing here is measured.

    python benchmarks/scaling.py                                    # the table of docs/scaling.md
    python benchmarks/scaling.py --model 7b --gpus 8 --lora         # one case, every number with its parts
    python benchmarks/scaling.py --model 32b --nodes 4 --servers 32 --tensor 2 --gpu h200 --groups 256 --mfu 0.3

Formulas and assumptions are in docs/scaling.md.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable

GIB = 1024**3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """A dense transformer, by its public config."""

    weights: float
    layers: int
    hidden: int
    inner: int
    kv: int
    """Heads of keys and values, times their size."""
    vocab: int


MODELS = {
    "3b": Shape(weights=3.09e9, layers=36, hidden=2048, inner=11008, kv=256, vocab=151936),
    "7b": Shape(weights=7.62e9, layers=28, hidden=3584, inner=18944, kv=512, vocab=152064),
    "14b": Shape(weights=14.8e9, layers=48, hidden=5120, inner=13824, kv=1024, vocab=152064),
    "32b": Shape(weights=32.8e9, layers=64, hidden=5120, inner=27648, kv=1024, vocab=152064),
}
"""Shapes of the Qwen2.5 family."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU, by its data sheet."""

    memory: float
    """GiB."""
    flops: float
    """bfloat16, dense, per second."""
    bandwidth: float
    """Of its memory, bytes per second."""
    network: float
    """Between machines, bytes per second and GPU."""


GPUS = {
    "a100": Gpu(memory=80, flops=312e12, bandwidth=2.04e12, network=25e9),
    "h100": Gpu(memory=80, flops=989e12, bandwidth=3.35e12, network=50e9),
    "h200": Gpu(memory=141, flops=989e12, bandwidth=4.8e12, network=50e9),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """One iteration: what is played and learned."""

    groups: int = 128
    size: int = 8
    turns: float = 3.0
    """Of the assistant in a game (three questions, some of them with a question back)."""
    prompt: int = 1000
    """Tokens in front of a turn: instructions of the chain, and what was said."""
    sampled: int = 450
    """Tokens of a turn: thinking, payoffs, reply."""
    cached: float = 0.8
    """Share of prompt tokens that the engine has read before: instructions, and earlier turns of the game and of its group."""
    packed: float = 0.6
    """Share of prompt tokens that learning reads once for several rows (``training.llm.sharing``)."""
    tokens: int = 8192
    """Tokens in one pass of learning (``LLMConfig.tokens``)."""

    @property
    def rows(self) -> float:
        """Turns of an iteration."""
        return self.groups * self.size * self.turns


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """What it runs on, and how well."""

    gpu: str = "h100"
    gpus: int = 8
    """That learn."""
    servers: int = 0
    """Others, on which engines play; 0 where the same GPUs do both, one after the other."""
    tensor: int = 1
    """GPUs of one engine."""
    mfu: float = 0.4
    """Share of a GPU's arithmetic that learning gets."""
    prefill: float = 0.5
    """The same of reading prompts."""
    decode: float = 0.6
    """Share of memory bandwidth that writing gets."""
    lora: bool = False
    rank: int = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bill:
    """What it takes."""

    sampled: float
    learned: float
    """Tokens that go through the learner, prompts included."""
    learn_memory: dict[str, float]
    """GiB on each GPU while learning, by what for."""
    play_memory: dict[str, float]
    """GiB on each GPU while playing."""
    play: float
    learn: float
    sync: float
    """Seconds."""
    at_once: float
    """Games at once that the engines' caches hold, over all GPUs."""

    @property
    def seconds(self) -> float:
        """Of an iteration."""
        return self.play + self.learn + self.sync


def adapters(model: Shape, rank: int) -> float:
    """Return the weights of LoRA adapters on every linear layer."""
    square = 2 * (2 * model.hidden) + 2 * (model.hidden + model.kv)  # queries, output; keys, values
    return rank * model.layers * (square + 3 * (model.hidden + model.inner))


def bill(model: Shape, work: Work, machine: Machine) -> Bill:
    """Return what an iteration takes."""
    gpu, n, m = GPUS[machine.gpu], model.weights, machine.gpus
    length = work.prompt + work.sampled
    sampled = work.rows * work.sampled
    learned = work.rows * (work.prompt * (1 - work.packed) + work.sampled)
    trained = adapters(model, machine.rank) if machine.lora else n
    seen = 12 * model.layers * model.hidden * length / 2  # forward and backward, half of the text on average
    per_token = (
        (2 + 2 + 2) * n if machine.lora else (2 + 4 + 2) * n
    ) + seen * 4 / 3  # the last 2: read again (checkpoints)
    learn = learned * per_token / (m * gpu.flops * machine.mfu)
    block = (
        4 * 2 * (n - 2 * model.vocab * model.hidden) / model.layers
    )  # two blocks, gathered in bfloat16, gradients beside
    kept = work.tokens * work.sampled / length  # places of a pass at which logits are needed
    learn_memory = {
        "weights": (2 * n if machine.lora else 4 * n) / m,
        "gradients, Adam": 16 * trained / m if machine.lora else 12 * n / m,
        "gathered": block,
        "activations": 2 * work.tokens * (model.layers * model.hidden + 8 * model.hidden + 4 * model.inner),
        "logits": 3 * 4 * kept * model.vocab,
    }
    key = 2 * 2 * model.layers * model.kv  # bytes of a token in the cache
    players = machine.servers or m
    taken = 2 * n / machine.tensor + (0.0 if machine.servers else sum(learn_memory.values()))
    room = max(0.9 * gpu.memory * GIB - taken, 0.0)
    at_once = room * players / (key * length)
    batch = min(work.groups * work.size, at_once) * machine.tensor / players  # of one engine
    play = 0.0
    if batch > 0:
        step = max(
            (2 * n + batch * key * length) / (machine.tensor * gpu.bandwidth * machine.decode),
            2 * n * batch / (machine.tensor * gpu.flops * machine.prefill),
        )
        waves = work.groups * work.size / (batch * players / machine.tensor)
        read = work.rows * work.prompt * (1 - work.cached) * 2 * n / (players * gpu.flops * machine.prefill)
        play = waves * work.turns * work.sampled * step + read
    play_memory = {"weights": 2 * n / machine.tensor, "cache": batch * key * length / machine.tensor}
    sync = (2 * trained if machine.lora else 2 * n) / gpu.network
    in_gib = [{name: part / GIB for name, part in memory.items()} for memory in (learn_memory, play_memory)]
    return Bill(
        sampled=sampled,
        learned=learned,
        learn_memory=in_gib[0],
        play_memory=in_gib[1],
        play=play if batch > 0 else float("inf"),
        learn=learn,
        sync=sync,
        at_once=at_once,
    )


CASES: tuple[tuple[str, int, int, int, bool], ...] = (
    ("3b", 1, 0, 1, True),
    ("3b", 8, 0, 1, False),
    ("7b", 1, 0, 1, True),
    ("7b", 8, 0, 1, False),
    ("14b", 8, 0, 1, True),
    ("14b", 16, 0, 1, False),
    ("32b", 8, 8, 2, True),
    ("32b", 16, 16, 2, False),
    ("32b", 64, 64, 2, False),
)
"""Model, GPUs that learn, GPUs of servers, GPUs of an engine, LoRA."""


def table(work: Work, gpu: str) -> Iterable[str]:
    """Yield the table of docs/scaling.md, line by line."""
    yield "| model | trained | GPUs | learning, GiB | playing, GiB | play, s | learn, s | sync, s | games/s |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    memory = GPUS[gpu].memory
    for name, gpus, servers, tensor, lora in CASES:
        machine = Machine(gpu=gpu, gpus=gpus, servers=servers, tensor=tensor, lora=lora)
        fast = bill(MODELS[name], work, machine)
        slow = bill(MODELS[name], work, dataclasses.replace(machine, mfu=machine.mfu / 2, decode=machine.decode / 2))
        learning, playing = sum(fast.learn_memory.values()), sum(fast.play_memory.values())
        most = max(learning, playing) if servers else learning + playing
        games = work.groups * work.size
        yield (
            f"| {name} | {'LoRA 16' if lora else 'all'} | {gpus}{f' + {servers}' if servers else ''} | {learning:.0f} | "
            f"{playing:.0f}{'' if most <= 0.95 * memory else ' (too much)'} | {fast.play:.0f}–{slow.play:.0f} | "
            f"{fast.learn:.0f}–{slow.learn:.0f} | {fast.sync:.1f} | {games / slow.seconds:.2g}–{games / fast.seconds:.2g} |"
        )


def main() -> None:
    """Print the table, or one case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, help="one case, with all its parts; the whole table without")
    parser.add_argument("--gpu", choices=GPUS, default="h100")
    parser.add_argument("--gpus", type=int, default=8, help="GPUs that learn")
    parser.add_argument("--nodes", type=int, help="machines of 8 GPUs, in place of --gpus")
    parser.add_argument("--servers", type=int, default=0, help="further GPUs, on which engines play")
    parser.add_argument("--tensor", type=int, default=1, help="GPUs of one engine")
    parser.add_argument("--lora", action="store_true", help="train adapters of rank 16")
    parser.add_argument("--mfu", type=float, default=0.4)
    for field in dataclasses.fields(Work):
        kind = type(field.default)
        parser.add_argument(f"--{field.name}", type=kind, default=field.default, metavar="N")
    args = parser.parse_args()
    work = Work(**{field.name: getattr(args, field.name) for field in dataclasses.fields(Work)})
    if args.model is None:
        print("\n".join(table(work, args.gpu)))
        return
    gpus = args.gpus if args.nodes is None else 8 * args.nodes
    machine = Machine(gpu=args.gpu, gpus=gpus, servers=args.servers, tensor=args.tensor, lora=args.lora, mfu=args.mfu)
    found = bill(MODELS[args.model], work, machine)
    games = work.groups * work.size
    print(
        f"{games:,} games, {work.rows:,.0f} turns: {found.sampled:,.0f} tokens written, {found.learned:,.0f} learned from"
    )
    for label, memory in (("learning", found.learn_memory), ("playing", found.play_memory)):
        parts = ", ".join(f"{name} {part:.1f}" for name, part in memory.items())
        print(f"{label}: {sum(memory.values()):.1f} GiB of {GPUS[args.gpu].memory:.0f} on each GPU ({parts})")
    print(f"the engines' caches hold {found.at_once:,.0f} games at once")
    print(
        f"play {found.play:.1f} s, learn {found.learn:.1f} s, sync {found.sync:.2f} s: {games / found.seconds:.3g} games/s"
    )


if __name__ == "__main__":
    main()
