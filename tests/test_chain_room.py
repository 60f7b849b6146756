"""Chains near the end of a model's context: old turns make room for all blocks, and what cannot fit is said."""

from __future__ import annotations

from typing import Any

import pytest
from chains import BOTH, blocks, info, payoffs, seated

from gtalign_env.agents.backends import ChainBackend
from gtalign_env.agents.chain import ChainBudget
from gtalign_env.agents.judges import ModelJudge
from gtalign_env.errors import ModelError
from gtalign_env.protocols import Generation, Sampling, Task

TOKENS = 12
"""Words and signs of ``BOTH``."""
BUDGET = ChainBudget(thinking=24, payoff=300, analyze=24, response=24)


def tiny(context: int) -> Any:
    """Return a real engine with random weights and one token per byte."""
    pytest.importorskip("torch")
    pytest.importorskip("llguidance")
    from tiny_llama import make_model, make_tokenizer

    from gtalign_env.agents.backends.transformers import Loaded, TransformersBackend

    tokenizer = make_tokenizer()
    return TransformersBackend(
        Loaded(make_model(tokenizer, max_position_embeddings=context), tokenizer, "tiny", bos=True), device="cpu"
    )


def talk(turns: int) -> dict[str, Any]:
    """Return a long talk."""
    said = [
        {"role": role, "content": f"{role} says {n}: " + "word " * 20}
        for n in range(turns)
        for role in ("user", "assistant")
    ]
    return {"messages": [*said, {"role": "user", "content": "And now?"}]}


def test_chain__of_a_long_talk_has_room_for_every_block() -> None:
    """Guided and in small pieces, at every length of the talk: never 'no room to go on', and no budget is cut down."""
    backend = tiny(4096)
    for turns in (0, 4, 8, 12):
        assistant = seated(backend, budget=BUDGET, retries=0, sampling=Sampling(temperature=1.0))
        assistant.act({}, talk(turns))
        call = assistant.last_call
        assert [stage["block"] for stage in call["stages"]] == ["thinking", "payoff", "response"]
        assert "instead of" not in call["note"]
        assert ("left out" in call["note"]) == (turns > 4), turns


def test_chain__whose_instructions_do_not_fit_says_so_once() -> None:
    """The context is smaller than the instructions: a failure of its own kind, not tried again. A plain reply may fit."""
    backend = tiny(1024)
    assistant = seated(backend, budget=BUDGET, retries=3)
    with pytest.raises(
        ModelError, match=r"failed: prompt_too_long: the prompt is longer than the context: system messages"
    ):
        assistant.act({}, info())
    assert assistant.last_call["chain"]["attempts"] == 1
    plain = seated(backend, budget=BUDGET, on_failure="plain")
    plain.act({}, info())
    assert plain.last_call["chain"]["fallback"] == "plain"


def test_reserve__is_what_later_blocks_may_need() -> None:
    """The first call asks for room for payoffs (24 cells: 32 tokens for each and one more) and response, the last for none."""
    seen: list[Sampling] = []

    class Noting(ChainBackend):
        def generate(self, conversations: Any, sampling: Sampling) -> list[Generation]:
            seen.append(sampling)
            return super().generate(conversations, sampling)

    seated(Noting(), moves="full").act({}, info())
    assert [sampling.max_tokens for sampling in seen] == [192, 32 * 25, 512]
    assert seen[0].reserve >= 32 * 25 + 512
    assert 512 <= seen[1].reserve < seen[0].reserve
    assert seen[2].reserve == 0
    seen.clear()
    seated(Noting(), moves="full", mode="self").act({}, info())
    assert seen[0].reserve >= 32 * 25 + 192 + 512


def test_judge__whose_rubric_does_not_fit_fails() -> None:
    """It grades nothing by half a rubric, and nothing of it is kept."""
    judge = ModelJudge(tiny(1024), retries=0)
    task = Task(id="t", kind="fact", vague="Capital?", detailed="Capital of Italy?", answers=("Rome",))
    verdict = judge.judge([(task, "Rome.")])[0]
    assert (verdict.quality, verdict.failure) == (None, "judge_error")
    assert "the prompt is longer than the context" in verdict.message
    assert judge.judge([(task, "Rome.")])[0].cached is False


class Refusing(ChainBackend):
    """A backend that fails guided calls, with a text that was written all the same."""

    def __init__(self, error: str, sampled: str = "") -> None:
        super().__init__(blocks())
        self.error = error
        self.sampled = sampled
        self.calls = 0

    def generate(self, conversations: Any, sampling: Sampling) -> list[Generation]:
        """Fail where a schema is asked for."""
        self.calls += 1
        made = super().generate(conversations, sampling)
        if not sampling.json_schema:
            return made
        return [
            Generation(
                text="", finish_reason="error", error=self.error, sampled=self.sampled, conversation=one.conversation
            )
            for one in made
        ]


def test_unguided__takes_what_was_written_all_the_same() -> None:
    """A server that ignores the schema, and a model that keeps to the form by itself: nothing is asked for twice."""
    backend = Refusing("the server did not hold the model to the JSON schema", f"{payoffs()}</payoff> So")
    assistant = seated(backend)
    assert assistant.act({}, info())["text"] == BOTH
    assert backend.calls == 3
    assert assistant.last_call["chain"]["notes"][0].startswith("unguided: ")
    other = Refusing("the server did not hold the model to the JSON schema", "Well, it depends")
    assert seated(other).act({}, info())["text"] == BOTH
    assert other.calls == 4


def test_unguided__is_no_answer_to_a_failure_of_another_kind() -> None:
    """A server that is down is down for free text as well."""
    backend = Refusing("http://x failed (500)")
    with pytest.raises(ModelError, match=r"failed: engine: http://x failed \(500\)"):
        seated(backend).act({}, info())
    assert backend.calls == 2


def test_statistics__count_as_the_game_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens by move are those that the environment charges for, whatever the engine's own tokenizer is."""
    assistant = seated(ChainBackend(blocks()))
    monkeypatch.setattr(assistant.backend, "count_tokens", lambda text: 10_000)
    assistant.act({}, info())
    fresh, weight = assistant.statistics.prior["AQ_short"], assistant.statistics.weight
    assert assistant.statistics.expected("AQ_short") == (weight * fresh + TOKENS) / (weight + 1)


@pytest.mark.parametrize("options", [{"mode": "none"}, {"retries": 0, "on_failure": "plain"}])
def test_silence__is_recorded_as_a_problem(options: dict[str, Any]) -> None:
    """The game goes on without a word, and the record counts it."""
    silent = ChainBackend([("payoff", ""), ("response", "")])
    assistant = seated(silent, **options)
    assert assistant.act({}, info()) == ""
    assert [failure["kind"] for failure in assistant.last_call["chain"]["failures"]][-1] == "silent"
