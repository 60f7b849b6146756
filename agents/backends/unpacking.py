"""A ``.gguf`` file as a Hugging Face folder, unpacked once and kept: vLLM reads no GGUF.

Folders lie under the user's cache (``$XDG_CACHE_HOME``, else ``~/.cache``), in ``gtalign/models``, and are named by the file's
content: the same file is found again wherever it lies, and another one under the same name is never mistaken for it. A folder
appears there whole or not at all. Any of them may be deleted.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

from gtalign_env.agents.backends import loading
from gtalign_env.agents.backends.loading import first_line
from gtalign_env.errors import GtalignError, ModelError

__all__ = ["cache_folder", "unpacked", "unpacked_folder"]

_DIGITS = 16


def cache_folder() -> Path:
    """Return where unpacked models are kept.

    Example:
        >>> cache_folder().parts[-2:]
        ('gtalign', 'models')
    """
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(given) if Path(given).is_absolute() else Path("~/.cache").expanduser()  # as the XDG standard says
    return base / "gtalign" / "models"


def unpacked_folder(file: str | Path, *, dtype: str = "float32") -> Path:
    """Return the folder that a GGUF file is unpacked to, whether it is there already or not."""
    source = Path(file)
    with source.open("rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=_DIGITS // 2)).hexdigest()
    return cache_folder() / f"{source.stem}-{dtype}-{digest}"


def unpacked(file: str | Path, *, dtype: str = "float32") -> Path:
    """Return the folder with a GGUF file's model; unpack it, with a word on standard error, where that was not done before.

    Args:
        file: The ``.gguf`` file.
        dtype: Type of the weights that are written: ``"float32"``, ``"bfloat16"`` or ``"float16"``.

    Raises:
        MissingExtraError: torch, transformers or gguf is not installed.
        ModelError: The file holds no model that transformers can load, or the folder cannot be written.
    """
    source = Path(file)
    folder = unpacked_folder(source, dtype=dtype)
    if folder.is_dir():
        return folder
    sys.stderr.write(f"gtalign: unpacking {source.name} for vLLM, once, to {folder} …\n")
    sys.stderr.flush()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{folder.name}-", dir=folder.parent, ignore_cleanup_errors=True
        ) as made:
            loading.unpack_gguf(source, Path(made) / "model", dtype=dtype)
            _move(Path(made) / "model", folder)
    except GtalignError:
        raise
    except Exception as error:  # writers of weights raise errors of their own where a disk is full
        free = (
            f"; {shutil.disk_usage(folder.parent).free / 1e9:.1f} GB are free there" if folder.parent.is_dir() else ""
        )
        raise ModelError(
            f"{source}: the model could not be unpacked to {folder}: {first_line(error)}{free}; set XDG_CACHE_HOME to a folder "
            "with room for four bytes for each of its weights"
        ) from error
    return folder


def _move(made: Path, folder: Path) -> None:
    """Put a finished folder in its place; where another process was quicker, its folder stays."""
    try:
        made.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
