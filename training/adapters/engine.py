"""A backend on an asynchronous engine of somebody else, from token ids to token ids: what rollout servers of trainers offer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gtalign_env.agents.backends.in_process import InProcessBackend, Job, Sampled, end_tokens
from gtalign_env.agents.backends.loading import first_line
from gtalign_env.protocols import Sampling

__all__ = ["Continue", "TokenBackend", "Tokens"]


class Tokens(NamedTuple):
    """What an engine made of a prompt."""

    ids: Sequence[int]
    logprobs: Sequence[float] | None
    """Under the model's own distribution, nats; ``None`` where the engine does not tell."""


Continue = Callable[[list[int], Mapping[str, Any]], Awaitable[Tokens]]
"""From a prompt and settings (``temperature``, ``top_p``, ``max_tokens``, ``stop``, ``stop_token_ids``) to what comes next."""


class TokenBackend(InProcessBackend):
    """Continues conversations with an engine that runs in an event loop; games call it from threads of their own.

    Args:
        tokenizer: A transformers tokenizer.
        engine: Continues one prompt; all of a call are awaited together.
        loop: Where it runs. It must not be the loop of the thread that plays: that would wait for itself.
        name: What the backend is called.
        max_context: Most tokens of prompt and completion together.
        bos: Whether the model wants a BOS token in front of a prompt.

    Held to a JSON schema it is not: then the model writes its payoffs on its own, and the record says so.
    """

    def __init__(
        self,
        tokenizer: Any,
        engine: Continue,
        loop: asyncio.AbstractEventLoop,
        *,
        name: str,
        max_context: int,
        bos: bool = False,
    ) -> None:
        super().__init__(tokenizer, name=name, max_context=max_context, bos=bos, ends=end_tokens(tokenizer, None))
        self._engine, self._loop = engine, loop

    def _run(self, jobs: list[Job], sampling: Sampling) -> Iterable[tuple[Job, Sampled]]:
        if sampling.json_schema:
            error = f"{self.name} does not hold a model to a JSON schema"
            return [(job, Sampled(reason="error", error=error)) for job in jobs]
        futures = [asyncio.run_coroutine_threadsafe(self._continued(job, sampling), self._loop) for job in jobs]
        return [(job, future.result()) for job, future in zip(jobs, futures, strict=True)]

    async def _continued(self, job: Job, sampling: Sampling) -> Sampled:
        asked = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": job.limit,
            "stop": list(self._stops_for(sampling)),
            "stop_token_ids": sorted(self._ends_for(sampling)),
        }
        try:
            made = await self._engine(list(job.prompt.ids), asked)
        except Exception as error:  # noqa: BLE001 - a failure of the engine is data
            return Sampled(reason="error", error=first_line(error))
        ids = [int(token) for token in made.ids][: job.limit]
        logprobs = [] if made.logprobs is None else [float(logprob) for logprob in made.logprobs][: len(ids)]
        return Sampled(ids, logprobs, "length" if len(ids) == job.limit else "stop")
