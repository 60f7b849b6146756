"""After every update: does the engine that plays have the weights that are trained?

A fixed sequence of tokens, the probe, is scored by both. Peers do not look, and engines have been seen to go on with old weights
without a word (tied embeddings in vLLM, weights after sleep). Two things stop a run:

* the two disagree by more than the tolerance in the log-probability of any token;
* the trained model scores the probe otherwise than before, and the engine to the last bit as before. That catches an engine that
  was passed over even where one update changes less than the tolerance.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gtalign_env.training.errors import TrainingError
from gtalign_env.training.llm.sampler import Sampler

__all__ = ["TOLERANCES", "Canary", "Probe", "SyncCheck", "make_probe", "score"]

TOLERANCES = {"float32": 1e-3, "bfloat16": 0.15, "float16": 0.05}
"""Nats by the precision of the engine: how far two correct engines may be apart in one token's log-probability."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Probe:
    """What is scored on both sides.

    Example:
        >>> Probe(ids=(1, 2, 3)).tolerance
        0.001
    """

    ids: tuple[int, ...]
    """At least two tokens."""
    tolerance: float = TOLERANCES["float32"]
    """Most nats between both sides in any token."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SyncCheck:
    """What one look found."""

    difference: float
    """The largest |Δ log-probability| between trainer and engine, nats."""
    moved: float
    """The largest change of a log-probability in the trainer since the look before, nats; 0 at the first."""
    trainer: NDArray[np.float64]
    engine: NDArray[np.float64]


def make_probe(size: int, *, length: int = 48, seed: int = 0, precision: str = "float32", low: int = 0) -> Probe:
    """Return a probe of random tokens: they reach rows of the embeddings that a sentence would not.

    Args:
        size: Tokens that the tokenizer knows (not the rows of the model's embedding, of which some may be unused).
        length: Tokens of the probe (>= 2).
        seed: Draws them.
        precision: Of the engine; sets the tolerance.
        low: The first id that may come: below it are control tokens, in many tokenizers.

    Example:
        >>> make_probe(259, length=4) == make_probe(259, length=4), len(make_probe(259).ids)
        (True, 48)
    """
    ids = np.random.default_rng(seed).integers(low, size, size=length)
    return Probe(ids=tuple(int(token) for token in ids), tolerance=TOLERANCES[precision])


def score(model: Any, ids: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the log-probability of each token after the first under a model, in nats, shape (T − 1,).

    With a sharded model all processes have to call it.
    """
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            batch = torch.tensor([ids], device=device)  # (1, T)
            logits = model(input_ids=batch, use_cache=False).logits[0, :-1].float()  # (T − 1, V)
            found = torch.log_softmax(logits, dim=-1).gather(1, batch[0, 1:, None])[:, 0]
    finally:
        model.train(training)
    return np.asarray(found.cpu().double().numpy(), dtype=np.float64)


class Canary:
    """Looks after every sync whether the engine plays with the weights that are trained.

    Args:
        probe: What is scored.
        seed: The run's seed, for the complaint.
    """

    def __init__(self, probe: Probe, *, seed: int = 0) -> None:
        self.probe, self.seed = probe, seed
        self._last: SyncCheck | None = None

    def look(self, sampler: Sampler, model: Any, *, step: int) -> SyncCheck:
        """Compare both sides.

        Raises:
            TrainingError: They disagree, or the engine has not moved although the trained model has.
        """
        ours, theirs = score(model, self.probe.ids), np.asarray(sampler.score(self.probe.ids), dtype=np.float64)
        return self.compare(ours, theirs, sampler=sampler, step=step)

    def compare(
        self, ours: NDArray[np.float64], theirs: NDArray[np.float64], *, sampler: Sampler, step: int
    ) -> SyncCheck:
        """Compare two scores of the probe."""
        last = self._last
        if ours.shape != theirs.shape or not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
            raise self._error("the probe has no finite score on both sides: weights are damaged", sampler, step)
        gaps = np.abs(ours - theirs)
        moved = 0.0 if last is None else float(np.abs(ours - last.trainer).max())
        found = SyncCheck(difference=float(gaps.max()), moved=moved, trainer=ours, engine=theirs)
        if last is not None and moved > 0.0 and sampler.copies and np.array_equal(theirs, last.engine):
            cause = (
                f"the trained model's scores of the probe have moved by up to {moved:.3g} nats, the engine's not at all: "
                "it still plays with the weights of before"
            )
            raise self._error(cause, sampler, step)
        if found.difference > self.probe.tolerance:
            place = int(gaps.argmax())
            cause = (
                f"trainer and engine disagree on the probe by up to {found.difference:.3g} nats (token {place + 1}: "
                f"{ours[place]:.3f} and {theirs[place]:.3f}), and {self.probe.tolerance:.3g} are tolerated: "
                f"{_likely(found, last)}"
            )
            raise self._error(cause, sampler, step)
        self._last = found
        return found

    def _error(self, cause: str, sampler: Sampler, step: int) -> TrainingError:
        where = f"after the sync of {sampler.name} to version {sampler.version}, {cause}"
        return TrainingError(where, step=step, seed=self.seed)


def _likely(found: SyncCheck, last: SyncCheck | None) -> str:
    """Return the likely cause of a disagreement."""
    if last is not None and float(np.abs(found.engine - last.trainer).max()) < found.difference / 10:
        return "the engine scores as the weights of the sync before do, which is where it has stayed"
    if last is None:
        return "it disagrees from the start: another model, another precision, or an adapter that is not applied"
    return "some of its weights are stale or damaged, as tied embeddings are in an engine that copies them"
