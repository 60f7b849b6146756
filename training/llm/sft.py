"""A warm start: what a model has written in its best games, shown to it again.

Games are played in groups that differ in nothing but the model's draws, and of each group the one of the highest welfare W(U, L)
is kept (best of n); or they are read from recorded files, and of those with equal seeds the best is kept. What is learned is the
tokens that the model sampled, under the free model, and nothing else: neither prompts, nor tags, nor what a solver has put in.
Games that failed, or in which harm was complied with, are never shown.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gtalign_env.episode import Episode, iter_episodes
from gtalign_env.errors import UsageError
from gtalign_env.training.llm.config import LLMConfig
from gtalign_env.training.llm.trajectory import Turn, turns_of
from gtalign_env.training.objectives import make_objective
from gtalign_env.types import ASSISTANT, USER

__all__ = ["Choice", "SFTConfig", "best_of", "check_tokens", "grouped", "learnable", "read_groups"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SFTConfig:
    """What is learned from which games, and how. Names are those of ``LLMConfig``, where both have a setting.

    Example:
        >>> SFTConfig(best_of=4).episodes, SFTConfig(files=("a.jsonl",)).episodes
        (256, 0)
    """

    # -- the model
    model: str = "nano"
    """``nano``, or a folder with a Hugging Face model."""
    device: str = "auto"
    dtype: str = "auto"
    """Of the weights: ``auto`` is float32 on a CPU and bfloat16 elsewhere."""
    precision: str = "auto"
    """With several processes, what passes are computed in: ``float32``, ``bfloat16``, or ``auto``: bfloat16 on GPUs."""
    lora_rank: int = 0
    """Train adapters of this rank beside every linear layer (needs peft); 0 trains all weights."""
    lora_alpha: float = 32.0
    # -- what is learned from
    files: tuple[str, ...] = ()
    """Recorded episodes of the text view, with tokens; empty to play."""
    best_of: int = 0
    """Games of a group, of which the best is kept (>= 1); 0 with ``files``."""
    groups: int = 64
    objective: str = "cobb_douglas"
    """W by which games are compared (``training.objectives``), always of one episode's returns."""
    keep: float = 1.0
    """Share of the groups that is kept, those of the highest gain over their mean first, in (0, 1]."""
    scenario: str = "gtalign/AssistText-v0"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    tasks: str = "small:train"
    users: str = "default"
    pricings: tuple[str, ...] = ()
    """Prices of which every group draws one; the scenario's own when empty."""
    chain: str = ""
    """``solver``, ``self`` or ``none``; empty for the model's own, and else ``solver``."""
    criterion: str = ""
    moves: str = ""
    budget: Mapping[str, int] = dataclasses.field(default_factory=dict)
    games: int = 128
    """Games played at once."""
    batch_size: int = 128
    """Rows in one forward pass of sampling."""
    retries: int = 1
    """How often a game that failed is played again before its group is dropped."""
    # -- how it is learned
    epochs: int = 1
    batch: int = 32
    """Turns in one step of the optimiser, over all processes."""
    tokens: int = 8192
    """Most tokens, padding included, in one forward pass of one process."""
    learning_rate: float = 1e-4
    warmup: float = 0.05
    """Share of the steps over which the learning rate rises; then it falls along a cosine to a tenth."""
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.99)
    max_gradient: float = 1.0
    seed: int = 0
    threads: int = 1
    checkpoint_every: int = 20
    """Steps between checkpoints; 0 for none."""

    def __post_init__(self) -> None:
        """Refuse settings that make no sense."""
        object.__setattr__(self, "files", tuple(self.files))
        object.__setattr__(self, "pricings", tuple(self.pricings))
        object.__setattr__(self, "betas", tuple(self.betas))
        if bool(self.files) == bool(self.best_of):
            raise UsageError("sft: expected files to learn from, or best_of games to play in a group, and not both")
        for name, low in _WHOLE.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise UsageError(f"sft {name}: expected a whole number >= {low}, got {value!r}")
        for name, fits, expected in (
            ("keep", 0 < self.keep <= 1, "a share in (0, 1]"),
            ("warmup", 0 <= self.warmup < 1, "a share in [0, 1)"),
            ("learning_rate", 0 < self.learning_rate < math.inf, "a number > 0"),
            ("max_gradient", 0 < self.max_gradient < math.inf, "a number > 0"),
            ("weight_decay", 0 <= self.weight_decay < math.inf, "a number >= 0"),
            ("precision", self.precision in ("auto", "float32", "bfloat16"), "auto, float32 or bfloat16"),
            ("chain", self.chain in ("", "solver", "self", "none"), "solver, self or none"),
        ):
            if not fits:
                raise UsageError(f"sft {name}: expected {expected}, got {getattr(self, name)!r}")
        make_objective(self.objective)
        self.as_llm()

    @property
    def episodes(self) -> int:
        """Games that are played."""
        return self.groups * self.best_of

    def as_llm(self) -> LLMConfig:
        """Return what says how the model is loaded and how it plays."""
        names = ("model", "device", "dtype", "lora_rank", "lora_alpha", "chain", "criterion", "moves", "budget", "seed")
        return LLMConfig(**{name: getattr(self, name) for name in names})

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON holds them."""
        found = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


_WHOLE = {
    "best_of": 0,
    "groups": 1,
    "games": 1,
    "batch_size": 1,
    "retries": 0,
    "lora_rank": 0,
    "epochs": 1,
    "batch": 1,
    "tokens": 1,
    "seed": 0,
    "threads": 1,
    "checkpoint_every": 0,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """What is learned from, and how it compares with what it was chosen from."""

    episodes: list[Episode]
    """The best of each group that was kept."""
    figures: dict[str, float]
    """``groups``, ``spread`` (share of groups whose members differ in welfare), ``welfare`` of all and of the ``kept``,
    ``user`` and ``assistant`` of the kept, ``dropped`` groups, ``violations`` left out."""


def grouped(episodes: Iterable[Episode]) -> list[list[Episode]]:
    """Return episodes in groups of equal game, seed, prices and user: they differ in what the assistant did, and in nothing else.

    Example:
        >>> [len(group) for group in grouped(Episode(scenario="s", view="text", seed=seed) for seed in (1, 2, 1))]
        [2, 1]
    """
    groups: dict[Any, list[Episode]] = {}
    for episode in episodes:
        options = {name: value for name, value in episode.reset_options.items() if name != "user_type"}
        alike = (episode.scenario, episode.seed, episode.players.get(USER, ""), repr((episode.env_options, options)))
        groups.setdefault(alike, []).append(episode)
    return list(groups.values())


def best_of(groups: Sequence[Sequence[Episode]], objective: str = "cobb_douglas", *, keep: float = 1.0) -> Choice:
    """Return the game of the highest welfare in each group.

    Where several are equally good, the first counts. A group without a game that may be shown is dropped.

    Args:
        groups: Games that differ in nothing but what the assistant did.
        objective: W of one episode's returns (utils).
        keep: Share of the groups to be kept: those in which the best is furthest above the mean.

    Raises:
        UsageError: Nothing is left.

    Example:
        >>> from gtalign_env.episode import SideRecord, StepRecord
        >>> def game(user, assistant):
        ...     sides = [SideRecord(digest="", payoff=payoff) for payoff in (user, assistant)]
        ...     step = StepRecord(user=sides[0], assistant=sides[1])
        ...     return Episode(scenario="s", view="text", seed=0, ended="terminated", steps=[step])
        >>> best_of([[game(4.0, 0.25), game(2.0, 2.0)]]).figures["kept"]
        2.0
    """
    welfare = make_objective(objective)
    chosen: list[tuple[float, Episode]] = []
    everything: list[float] = []
    spread = violations = 0
    for group in groups:
        fair = [episode for episode in group if episode.ended in ("terminated", "truncated")]
        shown = [episode for episode in fair if not episode.violation]
        violations += len(fair) - len(shown)
        if not shown:
            continue
        values = [float(welfare.value(*episode.totals())) for episode in shown]
        everything += values
        spread += max(values) > min(values)
        place = int(np.argmax(values))
        chosen.append((values[place] - sum(values) / len(values), shown[place]))
    if not chosen:
        raise UsageError(
            f"sft: of {sum(map(len, groups))} games none may be learned from: they failed, or complied with harm; see "
            "their errors with 'gtalign replay'"
        )
    order = sorted(range(len(chosen)), key=lambda place: -chosen[place][0])[: math.ceil(keep * len(chosen))]
    kept = [chosen[place][1] for place in sorted(order)]
    totals = np.array([episode.totals() for episode in kept])  # (episodes, 2)
    figures = {
        "groups": float(len(groups)),
        "dropped": float(len(groups) - len(chosen)),
        "spread": spread / len(chosen),
        "welfare": float(np.mean(everything)),
        "kept": float(np.mean([float(welfare.value(*total)) for total in totals])),
        "user": float(totals[:, 0].mean()),
        "assistant": float(totals[:, 1].mean()),
        "violations": float(violations),
    }
    return Choice(episodes=kept, figures=figures)


def learnable(episodes: Iterable[Episode]) -> list[Turn]:
    """Return the turns of some games, without those in which nothing was sampled.

    Raises:
        UsageError: A record has no token ids: it is of a script, or of an engine that does not tell them.
    """
    turns: list[Turn] = []
    for number, episode in enumerate(episodes):
        if not any(step.assistant.model for step in episode.steps):
            who = episode.players.get(ASSISTANT, "its assistant")
            raise UsageError(f"sft: {who} is no language model: expected episodes with the tokens of a model")
        turns += [turn for turn in turns_of(episode, number=number) if turn.mask.any()]
    return turns


def check_tokens(turns: Sequence[Turn], episodes: Sequence[Episode], tokenizer: Any, size: int) -> None:
    """Refuse tokens of another tokenizer: they would stand for other words.

    Args:
        turns: What is to be learned.
        episodes: Where it is from.
        tokenizer: Of the model that learns.
        size: Tokens that the model knows.

    Raises:
        UsageError: The ids do not spell what the record says was written.
    """
    most = max((int(turn.ids.max()) for turn in turns), default=0)
    if most >= size:
        raise UsageError(f"sft: the episodes have token {most:,}, the model only {size:,}: they are of another model")
    for record in _first_of_each(episodes):
        prompt = str(record.get("prompt", ""))
        ids = list(record.get("prompt_ids") or ())[: int(record.get("prompt_tokens") or 0)]
        spelt = str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
        if prompt and "".join(spelt.split()) != "".join(prompt.split()):
            raise UsageError(
                f"sft: the tokens of {record.get('backend', 'the recorded model')} are of another tokenizer: expected "
                f"{prompt[:40]!r}, and they spell {spelt[:40]!r} here; play anew with --best-of"
            )


def _first_of_each(episodes: Iterable[Episode]) -> Iterator[Mapping[str, Any]]:
    """Yield one turn's record of every engine."""
    seen: set[str] = set()
    for episode in episodes:
        for step in episode.steps:
            name = str(step.assistant.model.get("backend", ""))
            if step.assistant.model and name not in seen:
                seen.add(name)
                yield step.assistant.model


def read_groups(files: Iterable[str]) -> list[list[Episode]]:
    """Return the recorded games of some files, in groups.

    Raises:
        FileFormatError: A file is missing or no file of episodes.
        UsageError: There is a game of moves among them.
    """
    found = [episode for file in files for episode in iter_episodes(file)]
    for episode in found:
        if episode.view != "text":
            raise UsageError(f"sft: expected games in words, got one of {episode.scenario} (view {episode.view})")
    return grouped(found)
