"""Find a model, load it, say in one sentence what is wrong with it. The hub is never asked unless the user says so."""

from __future__ import annotations

import contextlib
import copy
import importlib
import importlib.util
import mmap
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gtalign_env.errors import ModelError, UsageError, require

__all__ = ["Loaded", "Source", "first_line", "load_model", "locate", "pick_device", "quiet", "unpack_gguf", "wants_bos"]

_FEATURE = "the transformers backend"
_DTYPES = ("auto", "float32", "bfloat16", "float16")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class Source(NamedTuple):
    """Where a model is."""

    folder: str
    """A folder, or the name of a model on the hub."""
    gguf: str | None = None
    """The file in it, where the model is in GGUF form."""
    name: str = ""
    """A short name for records: the last part of the path."""


class Loaded(NamedTuple):
    """A model that is ready to generate."""

    model: Any
    tokenizer: Any
    name: str
    bos: bool
    """Whether the model wants a BOS token in front of a prompt."""


def locate(path: str | Path, *, hub: bool = False) -> Source:
    """Find out what ``path`` is: a folder with a model, a ``.gguf`` file, a module that assembles one, or a hub name.

    Args:
        path: What the user wrote.
        hub: Whether a name may be looked up on the Hugging Face hub. Models in its local cache are found without.

    Raises:
        ModelError: There is no model there.

    Example:
        >>> locate("no/such/model")
        Traceback (most recent call last):
        ...
        gtalign_env.errors.ModelError: there is no model at 'no/such/model': expected a folder with a config.json, a
        .gguf file, or a module with assemble(); a model of the Hugging Face hub has to be downloaded first, or allowed
        with hub=True
    """
    given = str(path)
    place = Path(path).expanduser()
    name = place.resolve().name
    if place.is_file():
        _check_gguf(place)
        return Source(str(place.parent), place.name, name)
    if place.is_dir():
        return _in_folder(place, name)
    if _MODULE.fullmatch(given) and (module := _assembler(given)) is not None:
        return _assembled(module, given)
    if _HUB.fullmatch(given) and (hub or _in_cache(given)):
        return Source(given, None, name)
    raise ModelError(
        f"there is no model at {given!r}: expected a folder with a config.json, a .gguf file, or a module with "
        "assemble(); a model of the Hugging Face hub has to be downloaded first, or allowed with hub=True"
    )


def load_model(
    path: str | Path, *, device: str = "auto", dtype: str = "auto", hub: bool = False, bos: bool | None = None
) -> Loaded:
    """Load tokenizer and model for generation.

    Args:
        path: See ``locate``.
        device: ``"auto"`` (a GPU where there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"``, …
        dtype: ``"auto"`` (float32 on a CPU, bfloat16 elsewhere), ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        hub: Whether the Hugging Face hub may be asked.
        bos: Whether to put a BOS token in front; ``None`` finds out.

    Raises:
        MissingExtraError: torch, transformers or gguf is not installed.
        ModelError: There is no model there, or it cannot be loaded.
        UsageError: The device or the dtype is none.
    """
    torch = require("torch", feature=_FEATURE, extra="hf")
    require("transformers", feature=_FEATURE, extra="hf")
    place = pick_device(device)
    if dtype not in _DTYPES:
        raise UsageError(f"dtype: expected one of {', '.join(_DTYPES)}, got {dtype!r}")
    if dtype == "auto":
        dtype = "float32" if place.type == "cpu" else "bfloat16"
    source = locate(path, hub=hub)
    if source.gguf:
        require("gguf", feature="reading a .gguf model", extra="gguf")
        require("accelerate", feature="reading a .gguf model", extra="gguf")
    try:
        with quiet(), torch.random.fork_rng(devices=[]):  # weights that are missing would be drawn from it
            tokenizer, model, problems = _load(source, getattr(torch, dtype), hub)
            model = model.to(place)
    except Exception as error:  # loaders raise whatever their parsers raise; the reader needs the file and the reason
        raise ModelError(f"{path}: transformers could not load this model: {first_line(error)}") from error
    if problems:
        raise ModelError(f"{path}: the weights do not belong to the config.json: {problems}")
    rows = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise ModelError(f"{path}: the tokenizer has {len(tokenizer):,} tokens, the model only {rows:,}")
    model.eval()
    return Loaded(model, tokenizer, source.name, wants_bos(tokenizer, model, source) if bos is None else bos)


def pick_device(device: str) -> Any:
    """Return the torch device that a name stands for.

    Raises:
        UsageError: There is no such device here.

    Example:
        >>> pick_device("cpu").type
        'cpu'
    """
    import torch

    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise UsageError(f"device: expected 'auto', 'cpu' or 'cuda', got {device!r}") from error
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"device {device!r}: torch sees {torch.cuda.device_count()} CUDA devices; use 'cpu' or 'auto'")
    return place


def wants_bos(tokenizer: Any, model: Any, source: Source) -> bool:
    """Find out whether a model wants a BOS token: from its tokenizer, its GGUF file, or its family.

    A tokenizer made from a GGUF file never adds one, whatever the file says; and Gemma babbles without.
    """
    if tokenizer.bos_token_id is None:
        return False
    if tokenizer.encode("a")[:1] == [tokenizer.bos_token_id]:
        return True
    if source.gguf:
        declared = _gguf_flag(Path(source.folder) / source.gguf, "tokenizer.ggml.add_bos_token")
        if declared is not None:
            return declared
    return str(model.config.model_type).startswith("gemma")


def unpack_gguf(path: str | Path, folder: str | Path, *, dtype: str = "auto") -> None:
    """Write a model in GGUF form out as a Hugging Face folder, which vLLM and trainers can read.

    Its weights are those that the GGUF file stands for, no longer quantised: about four bytes each in float32.

    Args:
        path: See ``locate``.
        folder: Where to write; made if need be.
        dtype: See ``load_model``.

    Raises:
        MissingExtraError: torch, transformers or gguf is not installed.
        ModelError: There is no model there, or it cannot be loaded.
    """
    loaded = load_model(path, device="cpu", dtype=dtype)
    config = copy.deepcopy(loaded.model.config)
    if hasattr(config, "quantization_config"):  # it would keep the model from being saved
        del config.quantization_config
    from torch import device

    with device("meta"):  # no weights of its own: those that were loaded take their places
        plain = type(loaded.model)(config)
    plain.load_state_dict(loaded.model.state_dict(), assign=True)
    plain.tie_weights()
    with quiet():
        plain.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)


def first_line(error: BaseException) -> str:
    r"""Return the type of an error and the first line of its message: what a sentence has room for.

    Example:
        >>> first_line(ValueError("too long\nand more"))
        'ValueError: too long'
    """
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' progress bars and advice off the terminal; exceptions pass, settings are put back."""
    gguf_utils: Any = importlib.import_module("transformers.modeling_gguf_pytorch_utils")
    logging: Any = importlib.import_module("transformers.utils.logging")
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    bar = getattr(gguf_utils, "tqdm", None)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if bar is not None:  # it takes tqdm by itself, past the switch above
        gguf_utils.tqdm = lambda tensors, **_: tensors
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
        if bar is not None:
            gguf_utils.tqdm = bar


def _load(source: Source, dtype: Any, hub: bool) -> tuple[Any, Any, str]:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    where: dict[str, Any] = {"local_files_only": not hub, "trust_remote_code": False}
    if source.gguf:
        where["gguf_file"] = source.gguf
    config = AutoConfig.from_pretrained(source.folder, **where)
    tokenizer = AutoTokenizer.from_pretrained(source.folder, **where)
    auto: Any = AutoModelForCausalLM  # its annotation does not know output_loading_info
    model, report = auto.from_pretrained(source.folder, config=config, dtype=dtype, output_loading_info=True, **where)
    # transformers fills what it does not find with random numbers, and says so in a warning only.
    wrong = [(kind, sorted(map(str, report[f"{kind}_keys"]))) for kind in ("missing", "mismatched")]
    return tokenizer, model, "; ".join(f"{kind} {', '.join(keys[:3])}" for kind, keys in wrong if keys)


def _in_folder(folder: Path, name: str) -> Source:
    if (folder / "config.json").is_file():
        return Source(str(folder), None, name)
    files = sorted(file.name for file in folder.glob("*.gguf"))
    if len(files) == 1:
        _check_gguf(folder / files[0])
        return Source(str(folder), files[0], name)
    if files:
        raise ModelError(f"the folder {str(folder)!r} has {len(files)} .gguf files: name one of {', '.join(files)}")
    raise ModelError(f"the folder {str(folder)!r} holds no model: expected a config.json or one .gguf file in it")


def _check_gguf(file: Path) -> None:
    if file.suffix != ".gguf":
        raise ModelError(f"the file {str(file)!r} is no model: expected a .gguf file, or a folder with a config.json")
    with file.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise ModelError(f"the file {str(file)!r} is damaged: a .gguf file begins with the letters GGUF")


def _assembler(name: str) -> Any:
    """Return the module called ``name`` if it can assemble a model, else ``None``."""
    try:
        if importlib.util.find_spec(name) is None:
            return None
    except (ModuleNotFoundError, ValueError):
        return None
    module = importlib.import_module(name)
    return module if callable(getattr(module, "assemble", None)) else None


def _assembled(module: Any, name: str) -> Source:
    try:
        made = Path(module.assemble())
    except Exception as error:  # somebody else's code; the reader needs the module's name and the reason
        raise ModelError(f"the module {name!r} could not assemble its model: {first_line(error)}") from error
    return locate(made)._replace(name=name)


def _in_cache(name: str) -> bool:
    try:
        from huggingface_hub import try_to_load_from_cache
    except ModuleNotFoundError:
        return False
    return isinstance(try_to_load_from_cache(name, "config.json"), str)


def _gguf_flag(file: Path, key: str) -> bool | None:
    """Read one boolean from a GGUF header without parsing the rest, which takes seconds."""
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(key.encode())
        if at < 0:
            return None
        kind, value = data[at + len(key) : at + len(key) + 4], data[at + len(key) + 4]
        return bool(value) if kind == (7).to_bytes(4, "little") else None  # type 7 is a bool of one byte
