"""Our backend against vLLM's real server, started by ``gtalign serve`` with a tiny model that is made here."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real_model import require_real

from gtalign_env.agents.backends.openai import OpenAIBackend
from gtalign_env.protocols import Continuation, Sampling

pytestmark = pytest.mark.vllm

TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% if not (loop.last and continue_final_message) %}<|im_end|>"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
HI = [{"role": "user", "content": "Hi there"}]
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"user": {"type": "number"}, "sure": {"type": "boolean"}},
        "required": ["user", "sure"],
        "additionalProperties": False,
    }
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of vLLM's server; at the end it is told to stop, and does."""
    require_real("vllm", "openai", "transformers")
    from tiny_llama import save_tiny

    folder = save_tiny(tmp_path_factory.mktemp("tiny"), template=TEMPLATE)
    log = folder / "log"
    command = [sys.executable, "-m", "gtalign_env", "serve", str(folder), "--port", "0", "--name", "tiny"]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "VLLM_CPU_KVCACHE_SPACE": "1"}
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*command, "--", "--max-model-len", "1024"], stdout=subprocess.PIPE, stderr=errors, env=environ, text=True
        )
        watch = threading.Timer(240, process.terminate)
        watch.start()
        try:
            assert process.stdout is not None
            ready = re.match(r"ready: (\S+)", process.stdout.readline())
            assert ready, log.read_text()[-4000:]
            assert f"OPENAI_BASE_URL={ready[1]} gtalign run" in process.stdout.readline()
            yield ready[1]
        finally:
            watch.cancel()
            process.terminate()
            process.communicate(timeout=60)
    assert process.returncode in (0, 128 + signal.SIGTERM)


@pytest.mark.parametrize("stream", [False, True])
def test_openai_vllm__chat(address: str, stream: bool) -> None:
    """Token ids, log-probabilities and the exact prompt, streamed or not; uninterrupted and in two parts the same."""
    backend = OpenAIBackend("tiny", base_url=address, stream=stream)
    (whole,) = backend.generate([HI], Sampling(max_tokens=24))
    assert not whole.error
    assert backend.dialect == "vllm"
    assert len(whole.token_ids) == len(whole.logprobs) == 24
    assert all(logprob <= 0 for logprob in whole.logprobs)
    assert whole.prompt == "<user>Hi there<|im_end|><assistant>"
    (half,) = backend.generate([HI], Sampling(max_tokens=10))
    (rest,) = backend.generate([Continuation(after=half)], Sampling(max_tokens=14))
    assert half.token_ids + rest.token_ids == whole.token_ids
    assert half.logprobs + rest.logprobs == pytest.approx(whole.logprobs, abs=1e-3)


@pytest.mark.parametrize("stream", [False, True])
def test_openai_vllm__stops_and_goes_on(address: str, stream: bool) -> None:
    """A stop string is cut off and kept in ``sampled``; the continuation's prompt is the very ids and the text's."""
    backend = OpenAIBackend("tiny", base_url=address, stream=stream)
    (free,) = backend.generate([HI], Sampling(max_tokens=24))
    stop = next(sign for sign in free.text[3:] if sign.isascii() and sign.isprintable())
    (first,) = backend.generate([HI], Sampling(max_tokens=24, stop=(stop,)))
    assert (first.finish_reason, first.sampled) == ("stop", first.text + stop)
    assert stop not in first.text
    (then,) = backend.generate([Continuation(after=first, text=" Hé")], Sampling(max_tokens=6))
    assert then.prompt_ids == first.prompt_ids + first.token_ids + tuple(backend._text_ids(" Hé"))
    assert len(backend._text_ids(" Hé")) == 4  # bytes
    assert then.conversation[-1]["content"] == first.sampled + " Hé"


def test_openai_vllm__prefills_an_open_message(address: str) -> None:
    """``prefill="vllm"``: the template leaves the assistant's message open, and the model goes on with it."""
    backend = OpenAIBackend("tiny", base_url=address, prefill="vllm")
    (done,) = backend.generate([[*HI, {"role": "assistant", "content": "So"}]], Sampling(max_tokens=5))
    assert done.prompt == "<user>Hi there<|im_end|><assistant>So"
    assert len(done.token_ids) == 5


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("api", ["chat", "completions"])
def test_openai_vllm__holds_a_json_schema(address: str, api: str, stream: bool) -> None:
    """A model of random weights writes what fits the schema."""
    backend = OpenAIBackend("tiny", base_url=address, api=api, stream=stream)
    done = backend.generate([HI] * 4, Sampling(max_tokens=400, temperature=1.0, json_schema=SCHEMA))
    complete = [json.loads(one.text) for one in done if one.finish_reason == "stop"]
    assert complete
    assert all(set(value) == {"user", "sure"} and isinstance(value["sure"], bool) for value in complete)
    assert all(one.finish_reason in ("stop", "length") for one in done)


def test_openai_vllm__samples_follow_from_the_seed(address: str) -> None:
    """Equal calls give equal samples, equal prompts in one call different ones."""
    backend = OpenAIBackend("tiny", base_url=address)
    one, two = (
        [done.token_ids for done in backend.generate([HI] * 3, Sampling(max_tokens=8, temperature=1.0, seed=5))]
        for _ in range(2)
    )
    assert one == two
    assert len(set(one)) == 3


@pytest.mark.parametrize(
    ("model", "talk", "options", "reason"),
    [
        ("tiny", "x" * 3000, {}, "the prompt is longer than the context of 'tiny'"),
        ("other", "Hi", {}, "knows no model 'other' (404)"),
        ("tiny", "Hi", {"json_schema": '{"type": "nonsense"}'}, "refused the request (400)"),
    ],
)
def test_openai_vllm__refusals_are_typed(
    address: str, model: str, talk: str, options: dict[str, Any], reason: str
) -> None:
    """What vLLM refuses is one sentence, at once."""
    backend = OpenAIBackend(model, base_url=address)
    (done,) = backend.generate([[{"role": "user", "content": talk}]], Sampling(**options))
    assert reason in done.error
    assert "tried" not in done.error


def test_openai_vllm__speaks_plain_openai_too(address: str) -> None:
    """Asked nothing beyond OpenAI's API, it is read like any other server: stop strings by the stream."""
    known = OpenAIBackend("tiny", base_url=address)
    (free,) = known.generate([HI], Sampling(max_tokens=24))
    stop = next(sign for sign in free.text[3:] if sign.isascii() and sign.isprintable())
    plain = OpenAIBackend("tiny", base_url=address, dialect="openai")
    (done,) = plain.generate([HI], Sampling(max_tokens=24, stop=(stop,)))
    assert (done.text, done.finish_reason, done.token_ids) == (free.text.partition(stop)[0], "stop", ())
