"""The vllm backend, with a stand-in for the engine: what it is asked, and what is made of its answers.

``test_backends_vllm_real.py`` has the real one.
"""

from __future__ import annotations

import os
import shutil
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tiny_llama import make_tokenizer

from gtalign_env.agents.assistants.making import make_assistant
from gtalign_env.agents.backends import loading, make_backend
from gtalign_env.agents.backends.prompts import NOTHING
from gtalign_env.agents.backends.vllm import SETTINGS, VllmBackend
from gtalign_env.errors import MissingExtraError, ModelError, UsageError
from gtalign_env.protocols import Backend, Continuation, Sampling

pytest.importorskip("transformers")

HI = [{"role": "user", "content": "Hi"}]
NULL = '{"type": "null"}'


class Engine:
    """Stands in for ``vllm.LLM``: writes ``text`` byte by byte and remembers what it was asked."""

    fails: Callable[[Sequence[Any]], None] = staticmethod(lambda prompts: None)
    text = "Yes."
    reason = "stop"
    stop_reason: object = None
    logprob = -0.5
    context = 1024
    tokenizer: Any = None
    on_cpu = True
    cleaned: ClassVar[list[bool]] = []

    def __init__(self, model: str, **options: Any) -> None:
        self.model, self.options = model, options
        if "boom" in options:
            raise options["boom"]
        config = types.SimpleNamespace(model_type="llama", eos_token_id=1)
        self.calls: list[tuple[list[Any], list[Any], Any]] = []
        self.aborted: list[list[str]] = []
        self.stopped = 0
        self.llm_engine = types.SimpleNamespace(
            model_config=types.SimpleNamespace(hf_text_config=config, max_model_len=self.context),
            output_processor=types.SimpleNamespace(request_states={"left over": None}),
            abort_request=lambda ids, internal: self.aborted.append(ids),
            engine_core=types.SimpleNamespace(shutdown=self._stop),
        )

    def _stop(self) -> None:
        self.stopped += 1

    def get_tokenizer(self) -> Any:
        """Return the tokenizer of the class."""
        return self.tokenizer

    def generate(self, prompts: list[Any], params: list[Any], *, use_tqdm: bool, lora_request: Any) -> list[Any]:
        """Complete every prompt in the same way."""
        assert not use_tqdm
        self.calls.append((prompts, params, lora_request))
        self.fails(prompts)
        return [self._one(prompt["prompt_token_ids"], asked) for prompt, asked in zip(prompts, params, strict=True)]

    def _one(self, ids: list[int], asked: Any) -> Any:
        logprob = types.SimpleNamespace(logprob=self.logprob)
        tokens = self.tokenizer.encode(self.text)[: asked.max_tokens]
        completion = types.SimpleNamespace(
            token_ids=tokens,
            logprobs=[{token: logprob} for token in tokens],
            finish_reason=self.reason,
            stop_reason=self.stop_reason,
        )
        scored = [{token: types.SimpleNamespace(logprob=-9.0)} for token in ids]
        return types.SimpleNamespace(outputs=[completion], prompt_logprobs=[None, *scored[1:]])


class Record:
    """Stands in for vLLM's plain parameter classes."""

    def __init__(self, *arguments: Any, **fields: Any) -> None:
        self.arguments = arguments
        vars(self).update(fields)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> type[Engine]:
    """Put a stand-in in place of vLLM; return the class of the engine, to be changed by the test."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "environ", dict(os.environ))

    class Own(Engine):
        tokenizer = make_tokenizer()
        cleaned: ClassVar[list[bool]] = []

    modules: dict[str, dict[str, Any]] = {
        "vllm": {"LLM": Own, "SamplingParams": Record},
        "vllm.platforms": {"current_platform": types.SimpleNamespace(is_cpu=lambda: Own.on_cpu)},
        "vllm.sampling_params": {"StructuredOutputsParams": Record},
        "vllm.lora": {},
        "vllm.lora.request": {"LoRARequest": Record},
        "vllm.distributed": {},
        "vllm.distributed.parallel_state": {"cleanup_dist_env_and_memory": lambda: Own.cleaned.append(True)},
    }
    for name, members in modules.items():
        module = types.ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    return Own


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that looks like a model."""
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.json").write_text("{}")
    return tmp_path / "tiny"


def asked(backend: VllmBackend, call: int = -1) -> tuple[list[Any], list[Any], Any]:
    """Return prompts, parameters and adapter of one call of the engine."""
    calls: list[tuple[list[Any], list[Any], Any]] = backend.llm.calls
    return calls[call]


# -- starting ----------------------------------------------------------------------------------------------------------


def test_vllm__is_a_backend_and_an_assistant(engine: type[Engine], folder: Path) -> None:
    """A spec makes the backend, and the assistant that talks with it."""
    backend = make_backend(f"vllm:{folder}", bos=True)
    assert isinstance(backend, Backend)
    assert backend.name == make_assistant(f"vllm:{folder}").name == "vllm:tiny"
    assert backend.count_tokens("abc é") == len("abc é".encode())


def test_vllm__sets_the_engine_up(engine: type[Engine], folder: Path) -> None:
    """On a CPU: float32, no compiled graphs, llguidance, shared prefixes; the context that fits; other options go through."""
    backend = VllmBackend(folder, seed=3, tensor_parallel_size=2)
    assert backend.llm.model == str(folder)
    assert backend.llm.options == {
        "dtype": "float32",
        "max_model_len": -1,
        "gpu_memory_utilization": 0.9,
        "enforce_eager": True,
        "enable_prefix_caching": True,
        "seed": 3,
        "structured_outputs_config": {"backend": "guidance"},
        "enable_chunked_prefill": False,
        "trust_remote_code": False,
        "tensor_parallel_size": 2,
    }
    assert backend.max_context == 1023
    assert backend._ends == {1, backend.tokenizer.eos_token_id}


def test_vllm__on_a_gpu_compiles_and_takes_bfloat16(engine: type[Engine], folder: Path) -> None:
    """Off a CPU the defaults are those of a GPU, and what is asked for holds."""
    engine.on_cpu = False
    options = VllmBackend(folder).llm.options
    assert (options["dtype"], options["enforce_eager"]) == ("bfloat16", False)
    assert "enable_chunked_prefill" not in options
    options = VllmBackend(folder, dtype="float16", enforce_eager=True, max_context=99, prefix_caching=False).llm.options
    assert (options["dtype"], options["enforce_eager"], options["max_model_len"]) == ("float16", True, 99)
    assert options["enable_prefix_caching"] is False


def test_vllm__sets_only_what_is_unset(engine: type[Engine], folder: Path) -> None:
    """What the environment says already, stands."""
    os.environ["VLLM_CPU_KVCACHE_SPACE"] = "7"
    VllmBackend(folder)
    assert {name: os.environ[name] for name in SETTINGS} == {**SETTINGS, "VLLM_CPU_KVCACHE_SPACE": "7"}


def test_vllm__missing_is_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the error names it and the extra."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(
        MissingExtraError, match=r"the vllm backend needs the package 'vllm': pip install 'gtalign-env\[vllm\]'"
    ):
        VllmBackend(folder)


def test_vllm__a_broken_installation_is_one_sentence(
    engine: type[Engine], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit the machine's torch says so, without a traceback in the message."""

    def broken() -> bool:
        raise RuntimeError("operator torchvision::nms does not exist\nand more")

    monkeypatch.setattr(sys.modules["vllm.platforms"], "current_platform", types.SimpleNamespace(is_cpu=broken))
    with pytest.raises(
        ModelError, match=r"cannot be imported: RuntimeError: operator torchvision::nms does not exist$"
    ):
        VllmBackend(folder)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("Free memory on device (1/80 GiB) is less than desired GPU memory utilization.\nMore."),
        MemoryError(),
        RuntimeError("Engine core initialization failed."),
    ],
)
def test_vllm__what_keeps_it_from_starting_is_one_sentence(
    engine: type[Engine], folder: Path, error: Exception
) -> None:
    """Too little memory, or a model it does not know: model and reason, in a line."""
    with pytest.raises(ModelError, match="vLLM could not start with this model: ") as caught:
        VllmBackend(folder, boom=error)
    assert str(caught.value).startswith(str(folder))
    assert type(error).__name__ in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "int4"}, "dtype: expected one of auto, float32"),
        ({"max_context": 2}, "max_context: expected an integer >= 3, or None, got 2"),
        ({"max_context": "many"}, "max_context: expected"),
        ({"gpu_memory_utilization": 0}, r"gpu_memory_utilization: expected a number in \(0, 1\], got 0"),
    ],
)
def test_vllm__refuses_options_without_meaning(folder: Path, options: dict[str, Any], message: str) -> None:
    """Before anything is loaded."""
    with pytest.raises(UsageError, match=message):
        VllmBackend(folder, **options)


@pytest.mark.parametrize("spec", ["x.gguf", "."])
def test_vllm__unpacks_a_gguf_file(
    engine: type[Engine], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str
) -> None:
    """VLLM reads none: the engine is given the unpacked folder, in its own type of weights; records keep the file's name."""
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + b"\0" * 64)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    types_of_weights = []

    def unpack(path: Path, to: Path, *, dtype: str) -> None:
        types_of_weights.append(dtype)
        shutil.copytree(folder, to)

    monkeypatch.setattr(loading, "unpack_gguf", unpack)
    made = [VllmBackend(tmp_path / spec, dtype=dtype) for dtype in ("auto", "bfloat16", "auto")]
    assert types_of_weights == ["float32", "bfloat16"]
    assert made[0].llm.model == made[2].llm.model != made[1].llm.model
    assert Path(made[0].llm.model).parent == tmp_path / "cache" / "gtalign" / "models"
    assert made[0].name == f"vllm:{(tmp_path / spec).resolve().name}"


@pytest.mark.parametrize(
    ("config", "context"),
    [
        ('{"max_position_embeddings": 32768}', 8192),
        ('{"max_position_embeddings": 2048}', 2048),
        ('{"text_config": {"max_position_embeddings": 4096}}', 4096),
        ("{}", -1),
        ("[]", -1),
    ],
)
def test_vllm__a_cpu_gets_a_context_that_it_can_serve(
    engine: type[Engine], folder: Path, tmp_path: Path, config: str, context: int
) -> None:
    """At most 8,192 tokens unless asked for, and never more than the model was made for; a GPU is left to vLLM."""
    (tmp_path / "config.json").write_text(config)
    assert VllmBackend(tmp_path, bos=False).llm.options["max_model_len"] == context
    assert VllmBackend(tmp_path, bos=False, max_context=99).llm.options["max_model_len"] == 99
    engine.on_cpu = False
    assert VllmBackend(tmp_path, bos=False).llm.options["max_model_len"] == -1


def test_vllm__a_model_in_the_hubs_cache_is_named_by_its_folder(
    engine: type[Engine], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that vLLM need not ask the hub; with ``hub=True`` it may."""
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda name, file: str(folder / file))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, local_files_only: str(folder))
    assert VllmBackend("some/model").llm.model == str(folder)
    assert VllmBackend("some/model", hub=True).llm.model == "some/model"


# -- adapters ----------------------------------------------------------------------------------------------------------


def test_vllm__applies_an_adapter(engine: type[Engine], folder: Path, tmp_path: Path) -> None:
    """The engine reserves a rank that fits, and every request names the adapter."""
    (tmp_path / "adapter_config.json").write_text('{"r": 12}')
    backend = VllmBackend(folder, adapter=tmp_path)
    assert (backend.llm.options["enable_lora"], backend.llm.options["max_lora_rank"]) == (True, 16)
    backend.generate([HI], Sampling())
    assert asked(backend)[2].arguments == (tmp_path.name, 1, str(tmp_path.resolve()))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, r"there is no LoRA adapter at .* \(FileNotFoundError\)"),
        ("{}", r"gives its rank 'r' \(KeyError\)"),
        ("oops", r"gives its rank 'r' \(JSONDecodeError\)"),
        ('{"r": null}', r"gives its rank 'r' \(TypeError\)"),
        ('{"r": 1000}', "has rank 1000: vLLM takes up to 512"),
    ],
)
def test_vllm__says_what_is_no_adapter(folder: Path, tmp_path: Path, config: str | None, message: str) -> None:
    """A folder without a readable adapter ends in one sentence."""
    if config is not None:
        (tmp_path / "adapter_config.json").write_text(config)
    with pytest.raises(ModelError, match=message):
        VllmBackend(folder, adapter=tmp_path)


# -- generating --------------------------------------------------------------------------------------------------------


def test_generate__asks_in_tokens_and_reads_tokens(engine: type[Engine], folder: Path) -> None:
    """Prompts go as ids; text, tokens, log-probabilities and reason come back, in order."""
    backend = VllmBackend(folder, bos=True)
    results = backend.generate(
        [HI, [*HI, {"role": "assistant", "content": "So"}]], Sampling(max_tokens=9, stop=("x", ""))
    )
    prompts, params, adapter = asked(backend)
    assert [tuple(prompt["prompt_token_ids"]) for prompt in prompts] == [result.prompt_ids for result in results]
    assert adapter is None
    assert (params[0].max_tokens, params[0].temperature, params[0].seed, params[0].logprobs) == (9, 0.0, None, 0)
    assert params[0].stop == ["x", "\nUser:", "\nAssistant:"]
    assert params[0].stop_token_ids == sorted({1, backend.tokenizer.eos_token_id})
    assert params[0].detokenize
    assert params[0].structured_outputs is None
    for result in results:
        assert (result.text, result.sampled, result.finish_reason, result.error) == ("Yes.", "Yes.", "stop", "")
        assert result.token_ids == tuple(backend.tokenizer.encode("Yes."))
        assert result.logprobs == (-0.5,) * 4
        assert result.seconds >= 0
    assert results[1].prompt.endswith("Assistant: So")


def test_generate__each_row_has_a_seed_of_its_own(engine: type[Engine], folder: Path) -> None:
    """Equal conversations get different seeds, an order changes nothing, another call seed does; 63 bits."""
    backend = VllmBackend(folder)
    other = [{"role": "user", "content": "Ho"}]
    backend.generate([HI, HI, other], Sampling(temperature=0.7, top_p=0.9, seed=1))
    first, second, third = (params.seed for params in asked(backend)[1])
    assert len({first, second, third}) == 3
    assert all(0 <= seed < 2**63 for seed in (first, second, third))
    assert (asked(backend)[1][0].temperature, asked(backend)[1][0].top_p) == (0.7, 0.9)
    backend.generate([other, HI], Sampling(temperature=0.7, seed=1))
    assert [params.seed for params in asked(backend)[1]] == [third, first]
    backend.generate([HI], Sampling(temperature=0.7, seed=2))
    assert asked(backend)[1][0].seed != first


def test_generate__goes_on_from_the_very_tokens(engine: type[Engine], folder: Path) -> None:
    """A continuation is prompt, tokens and new text, as ids."""
    backend = VllmBackend(folder)
    first = backend.generate([HI], Sampling())[0]
    after = backend.generate([Continuation(after=first, text=" So")], Sampling())[0]
    assert asked(backend)[0][0]["prompt_token_ids"] == [
        *first.prompt_ids,
        *first.token_ids,
        *backend.tokenizer.encode(" So"),
    ]
    assert after.conversation[-1] == {"role": "assistant", "content": "Yes. So"}


def test_generate__hands_the_schema_over_as_a_grammar(engine: type[Engine], folder: Path) -> None:
    """The engine is given our grammar, and the free model's log-probabilities are read in a second pass."""
    engine.text = "null"
    backend = VllmBackend(folder)
    result = backend.generate([HI], Sampling(json_schema=NULL))[0]
    assert asked(backend, 0)[1][0].structured_outputs.grammar == 'start: r0\nr0: "null"'
    (prompt,), (params,), _ = asked(backend, 1)
    assert prompt["prompt_token_ids"] == [*result.prompt_ids, *result.token_ids]
    assert (params.max_tokens, params.prompt_logprobs) == (1, 0)
    assert result.logprobs == (-9.0,) * 4
    with pytest.raises(UsageError, match="json_schema: expected the JSON text"):
        backend.generate([HI], Sampling(json_schema="?"))


def test_generate__a_template_without_stops_needs_no_text_from_the_engine(engine: type[Engine], folder: Path) -> None:
    """With a chat template and no stop strings vLLM is spared writing the text."""
    engine.tokenizer = make_tokenizer(template="{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}")
    backend = VllmBackend(folder)
    backend.generate([HI], Sampling())
    params = asked(backend)[1][0]
    assert (params.stop, params.detokenize) == ([], False)
    assert backend.tokenizer.convert_tokens_to_ids("<|im_end|>") in params.stop_token_ids


def test_generate__a_stop_string_of_the_prompt_stops_nothing(engine: type[Engine], folder: Path) -> None:
    """Where vLLM takes text of the prompt for the completion's, the row goes on to where it would have ended."""
    engine.stop_reason = "\nUser:"
    backend = VllmBackend(folder)
    result = backend.generate([HI], Sampling(max_tokens=10))[0]
    assert (result.text, result.finish_reason) == ("Yes.Yes.Ye", "length")
    assert [params[0].max_tokens for _, params, _ in backend.llm.calls] == [10, 6, 2]
    assert len(result.logprobs) == len(result.token_ids) == 10
    assert backend.llm.calls[1][0][0]["prompt_token_ids"] == [*result.prompt_ids, *result.token_ids[:4]]


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_generate__a_row_that_fails_fails_alone(engine: type[Engine], folder: Path) -> None:
    """After a failed call each row is tried by itself, and nothing is left in the engine."""
    bad = [{"role": "user", "content": "bad"}]

    def fails(prompts: Sequence[Any]) -> None:
        if any(b"bad" in bytes(engine.tokenizer.decode(prompt["prompt_token_ids"]), "utf8") for prompt in prompts):
            raise ValueError("no such thing\ndetails")

    engine.fails = staticmethod(fails)
    backend = VllmBackend(folder)
    good, lost, fine = backend.generate([HI, bad, HI], Sampling())
    assert (good.text, fine.text) == ("Yes.", "Yes.")
    assert (lost.finish_reason, lost.error) == ("error", "ValueError: no such thing")
    assert lost.prompt_ids
    assert backend.llm.aborted == [["left over"]] * 2


def test_generate__ctrl_c_leaves_nothing_in_the_engine(engine: type[Engine], folder: Path) -> None:
    """An interrupt passes through, and its requests are taken back."""

    def interrupted(prompts: Sequence[Any]) -> None:
        raise KeyboardInterrupt

    engine.fails = staticmethod(interrupted)
    backend = VllmBackend(folder)
    with pytest.raises(KeyboardInterrupt):
        backend.generate([HI], Sampling())
    assert backend.llm.aborted == [["left over"]]


def test_generate__a_dead_engine_is_an_error_as_data(engine: type[Engine], folder: Path) -> None:
    """Where even taking requests back fails, the first failure is what is said."""

    def dead(*_: Any, **__: Any) -> None:
        raise RuntimeError("EngineDeadError")

    engine.fails = staticmethod(dead)
    backend = VllmBackend(folder)
    backend.llm.llm_engine.abort_request = dead
    assert backend.generate([HI], Sampling())[0].error == "RuntimeError: EngineDeadError"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"reason": "abort"}, "vLLM gave up on this row: abort"),
        ({"logprob": float("nan")}, "the model's scores are not finite numbers"),
        ({"text": " "}, NOTHING),
    ],
)
def test_generate__what_is_no_reply_is_an_error_as_data(
    engine: type[Engine], folder: Path, change: dict[str, Any], error: str
) -> None:
    """An aborted row, a damaged model and an empty reply say so in the generation."""
    for name, value in change.items():
        setattr(engine, name, value)
    result = VllmBackend(folder).generate([HI], Sampling())[0]
    assert result.finish_reason == "error"
    assert result.error.startswith(error)


def test_generate__the_limit_is_a_reason(engine: type[Engine], folder: Path) -> None:
    """A row that vLLM cut says 'length'."""
    engine.reason = "length"
    assert VllmBackend(folder).generate([HI], Sampling())[0].finish_reason == "length"


def test_close__gives_the_engine_back_once(engine: type[Engine], folder: Path) -> None:
    """Leaving the block stops the engine; after that nothing is generated, and closing again does nothing."""
    with VllmBackend(folder) as backend:
        llm = backend.llm
        assert backend.generate([], Sampling()) == []
        assert llm.calls == []
    backend.close()
    assert (llm.stopped, engine.cleaned, backend.llm) == (1, [True], None)
    with pytest.raises(UsageError, match="vllm:tiny is closed: make another backend"):
        backend.generate([HI], Sampling())
