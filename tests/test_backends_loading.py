"""Finding and loading models, and what is said when there is none."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_llama import make_model, make_tokenizer, save_tiny

from gtalign_env.agents.backends import make_backend
from gtalign_env.agents.backends.loading import Source, locate, pick_device, wants_bos
from gtalign_env.agents.backends.prompts import TOO_LONG, Prompter
from gtalign_env.agents.backends.transformers import TransformersBackend
from gtalign_env.errors import MissingExtraError, ModelError, UsageError
from gtalign_env.protocols import Sampling

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TALK = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and a tokenizer without a chat template."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """No test may move torch's global generator or transformers' verbosity."""
    from transformers.utils import logging

    before = torch.get_rng_state().clone(), logging.get_verbosity(), logging.is_progress_bar_enabled()
    yield
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (logging.get_verbosity(), logging.is_progress_bar_enabled())


def test_make_backend__loads_a_folder_silently(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A spec with a path loads it, without a word on the terminal."""
    backend = make_backend(f"transformers:{tiny}", device="cpu", dtype="bfloat16", bos=True, max_context=64)
    assert isinstance(backend, TransformersBackend)
    assert (backend.model.dtype, backend.max_context, backend._prompter.bos) == (torch.bfloat16, 64, True)
    assert backend.generate([TALK], Sampling(max_tokens=4))[0].error.startswith(
        TOO_LONG
    )  # 64 tokens are less than the preamble
    assert capfd.readouterr() == ("", "")


def test_load__auto_is_float32_on_a_cpu(tiny: Path) -> None:
    """On a CPU the type is float32 and the model is ready to play."""
    backend = TransformersBackend(tiny, device="cpu")
    assert backend.name == "transformers:tiny"
    assert backend.model.dtype == torch.float32
    assert not backend.model.training


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({}, "holds no model: expected a config.json or one .gguf file"),
        ({"a.gguf": b"GGUF", "b.gguf": b"GGUF"}, "has 2 .gguf files: name one of a.gguf, b.gguf"),
        ({"a.gguf": b"no"}, "is damaged: a .gguf file begins with the letters GGUF"),
        ({"config.json": b"{broken"}, "could not load this model"),
        ({"config.json": b'{"model_type": "t5"}'}, "could not load this model"),
        ({"config.json": b'{"model_type": "no-such-type"}'}, "could not load this model"),
    ],
)
def test_load__a_folder_that_is_no_model(tmp_path: Path, made: dict[str, bytes], message: str) -> None:
    """What is wrong with a folder is said in one sentence."""
    for name, content in made.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        TransformersBackend(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "path", ["no/such/place", "/no/such/place", "../nowhere/x", "nomodule", "no.module", "json", "x y", ""]
)
def test_load__a_path_that_is_nothing(path: str) -> None:
    """What is neither file, folder, module nor a downloaded model is refused, without asking the hub."""
    with pytest.raises(ModelError, match=r"there is no model at|holds no model") as caught:
        TransformersBackend(path)
    assert "\n" not in str(caught.value)


def test_load__a_file_that_is_no_model(tmp_path: Path) -> None:
    """A file must be in GGUF form."""
    file = tmp_path / "weights.bin"
    file.write_bytes(b"x")
    with pytest.raises(ModelError, match=r"is no model: expected a [.]gguf file"):
        TransformersBackend(file)


def test_load__a_damaged_gguf_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that begins well and goes on badly is named, with the reason."""
    monkeypatch.setitem(sys.modules, "gguf", types.ModuleType("gguf"))
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + b"\0" * 64)
    with pytest.raises(ModelError, match=r"m\.gguf: transformers could not load this model"):
        TransformersBackend(tmp_path / "m.gguf", device="cpu")


def damaged(tiny: Path, folder: Path, **changes: Any) -> Path:
    """Copy the tiny model with another config."""
    for file in tiny.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_hidden_layers": 3}, "do not belong to the config.json: missing model.layers.2"),
        ({"vocab_size": 100}, "tiny|model"),
    ],
)
def test_load__weights_that_do_not_fit(tiny: Path, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    """Weights that are missing are never filled with random numbers."""
    with pytest.raises(ModelError, match=message):
        TransformersBackend(damaged(tiny, tmp_path, **changes), device="cpu")


def test_load__a_tokenizer_larger_than_the_model(tmp_path: Path) -> None:
    """A tokenizer of another model would crash in the middle of a run, so it is refused at the start."""
    save_tiny(tmp_path, vocab_size=100, pad_token_id=None)
    with pytest.raises(ModelError, match="the tokenizer has 260 tokens, the model only 100"):
        TransformersBackend(tmp_path, device="cpu")


def test_load__without_a_tokenizer(tmp_path: Path) -> None:
    """A model without its tokenizer is no use."""
    make_model(make_tokenizer()).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="could not load this model"):
        TransformersBackend(tmp_path, device="cpu")


def module_called(name: str, made: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a module on the path whose ``assemble`` returns a path or fails."""
    body = "def assemble():\n    " + (f"return {str(made)!r}" if made else "raise OSError('disk full')")
    (folder / f"{name}.py").write_text(body + "\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, name, raising=False)


def test_load__a_module_that_assembles(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module's name stands for what its assemble() returns."""
    module_called("tiny_model_module", tiny, tmp_path, monkeypatch)
    backend = make_backend("transformers:tiny_model_module", device="cpu")
    assert backend.name == "transformers:tiny_model_module"
    assert backend.generate([TALK], Sampling(max_tokens=2))[0].token_ids


def test_load__a_module_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a module cannot assemble is told with its name and reason."""
    module_called("failing_model_module", None, tmp_path, monkeypatch)
    with pytest.raises(ModelError, match="'failing_model_module' could not assemble its model: OSError: disk full"):
        locate("failing_model_module")


def test_locate__finds_gguf_by_file_and_by_folder(tmp_path: Path) -> None:
    """The only GGUF file of a folder, or the file itself."""
    (tmp_path / "m.gguf").write_bytes(b"GGUF....")
    assert locate(tmp_path / "m.gguf") == (str(tmp_path), "m.gguf", "m.gguf")
    assert locate(tmp_path) == (str(tmp_path), "m.gguf", tmp_path.name)


def test_locate__names_of_the_hub_only_when_allowed_or_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub is not asked by default; its local cache is."""
    assert locate("someone/some-model", hub=True) == ("someone/some-model", None, "some-model")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda name, file: "/cache/config.json")
    assert locate("someone/some-model").folder == "someone/some-model"


@pytest.mark.parametrize("missing", ["torch", "transformers"])
def test_load__says_how_to_get_what_is_missing(tiny: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """Without the extra, one sentence names it."""
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(
        MissingExtraError, match=rf"the transformers backend needs the package '{missing}': .*gtalign-env\[hf\]"
    ):
        TransformersBackend(tiny)


def test_load__gguf_needs_its_own_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a GGUF file asks for the extra that does it."""
    (tmp_path / "m.gguf").write_bytes(b"GGUF....")
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingExtraError, match=r"needs the package 'gguf': .*gtalign-env\[gguf\]"):
        TransformersBackend(tmp_path)


def test_load__does_without_the_hub_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without huggingface_hub there is no cache to look into."""
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match="there is no model at"):
        locate("someone/some-model")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "toaster"}, "device: expected 'auto', 'cpu' or 'cuda', got 'toaster'"),
        ({"device": "cuda:99"}, "device 'cuda:99': torch sees"),
        ({"dtype": "int3"}, "dtype: expected one of auto, float32"),
        ({"batch_size": 0}, "batch_size: expected an integer >= 1, got 0"),
        ({"batch_size": 1.5}, "batch_size: expected an integer >= 1"),
        ({"max_context": 1}, "max_context: expected an integer >= 2"),
    ],
)
def test_backend__refuses_options_without_meaning(tiny: Path, options: dict[str, Any], message: str) -> None:
    """Each option says what it expects, before anything is loaded."""
    with pytest.raises(UsageError, match=message):
        TransformersBackend(tiny, **options)


def test_pick_device__takes_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Auto is the GPU, or the CPU without one."""
    for there, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert pick_device("auto").type == expected


@pytest.mark.parametrize(
    ("adds", "family", "gguf", "wanted"),
    [
        (False, "llama", None, False),
        (True, "llama", None, True),
        (False, "gemma3_text", None, True),
        (False, "llama", True, True),
        (False, "gemma3_text", False, False),
        (False, "gemma3_text", "silent", True),
        (False, "llama", "silent", False),
    ],
)
def test_wants_bos__asks_tokenizer_file_and_family(
    tmp_path: Path, adds: bool, family: str, gguf: bool | str | None, wanted: bool
) -> None:
    """A tokenizer that adds one wants it; else the GGUF file decides where it says; else Gemma wants one."""
    model = types.SimpleNamespace(config=types.SimpleNamespace(model_type=family))
    source = Source(str(tmp_path), None if gguf is None else "m.gguf", "m")
    flag = (
        b""
        if not isinstance(gguf, bool)
        else b"tokenizer.ggml.add_bos_token" + (7).to_bytes(4, "little") + bytes([gguf])
    )
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + b"\0" * 20 + flag + b"\0" * 9)
    assert wants_bos(make_tokenizer(adds_bos=adds), model, source) is wanted


def test_wants_bos__no_without_a_token() -> None:
    """A tokenizer without a BOS token cannot have one put in front."""
    tokenizer = make_tokenizer()
    tokenizer.bos_token = None
    model = types.SimpleNamespace(config=types.SimpleNamespace(model_type="gemma3_text"))
    assert wants_bos(tokenizer, model, Source("")) is False
    assert Prompter(tokenizer, bos=True).bos is False
