"""Checkpoints that survive: written beside, flushed to the disk, renamed, and only then the older ones go.

A file is either whole or not there. It begins with a digest of the rest, so that a damaged one is known before it is unpickled.
Checkpoints hold pickled Python objects: load only your own. What others should load is ``policy.pt``.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from pathlib import Path
from typing import Any

import torch

from gtalign_env.training.errors import CheckpointError

__all__ = ["latest", "load", "save", "write_whole"]

KEPT = 2
_MARK = b"gtalign-checkpoint-1\n"


def save(folder: Path, update: int, state: dict[str, Any]) -> Path:
    """Write a checkpoint, and keep the last two.

    Raises:
        CheckpointError: It could not be written; the checkpoints that were there are as they were.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    body = buffer.getvalue()
    path = folder / f"{update:08d}.ckpt"
    write_whole(path, _MARK + hashlib.sha256(body).digest() + body)
    for old in _all(folder)[:-KEPT]:
        with contextlib.suppress(OSError):
            old.unlink()
    return path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader, and whoever comes after a crash, finds the old content or the new one, never a part.

    Raises:
        CheckpointError: The disk is full, or the folder cannot be written.
    """
    beside, there = path.with_name(f".{path.name}.part"), False
    try:
        there = path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        kept = "; what was there before is as it was" if there else ""
        raise CheckpointError(f"{path}: could not be written ({error.strerror or error}){kept}") from error


def latest(folder: Path) -> Path:
    """Return the newest checkpoint that is whole.

    Raises:
        CheckpointError: There is none.
    """
    for path in reversed(_all(folder)):
        with contextlib.suppress(CheckpointError):
            _body(path)
            return path
    raise CheckpointError(f"{folder}: there is no readable checkpoint to go on from")


def load(path: Path) -> dict[str, Any]:
    """Return what ``save`` wrote.

    Raises:
        CheckpointError: The file is missing or damaged.
    """
    state: dict[str, Any] = torch.load(io.BytesIO(_body(path)), weights_only=False)
    return state


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.ckpt"))


def _body(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: could not be read ({error.strerror or error})") from error
    start = len(_MARK) + hashlib.sha256().digest_size
    if content[: len(_MARK)] != _MARK or hashlib.sha256(content[start:]).digest() != content[len(_MARK) : start]:
        raise CheckpointError(f"{path}: is damaged, or no checkpoint of a strategic run")
    return content[start:]


def _flush_folder(folder: Path) -> None:
    """Let the new name itself reach the disk, where the system has a way."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
