"""Unpacking a .gguf file once: found again by its content, whole or not there, and said in a line on standard error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gtalign_env.agents.backends import loading
from gtalign_env.agents.backends.unpacking import cache_folder, unpacked
from gtalign_env.errors import MissingExtraError, ModelError

Unpack = Callable[..., None]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A file that looks like a model."""
    file = tmp_path / "mine.gguf"
    file.write_bytes(b"GGUF one")
    return file


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, str]]:
    """Stand in for the unpacking, in a cache of the test's own; the files and types that were asked for."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    seen: list[tuple[Path, str]] = []

    def unpack(path: Path, folder: Path, *, dtype: str) -> None:
        seen.append((path, dtype))
        folder.mkdir()
        (folder / "config.json").write_text("{}")

    monkeypatch.setattr(loading, "unpack_gguf", unpack)
    return seen


def kept() -> list[str]:
    """Return all names in the cache, hidden ones too."""
    return sorted(place.name for place in cache_folder().iterdir())


def test_unpacked__once_for_each_content_and_type(
    model: Path, calls: list[tuple[Path, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy elsewhere is the same model, a new file under the same name is not; only work is talked about."""
    first = unpacked(model)
    assert (first / "config.json").is_file()
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"gtalign: unpacking mine.gguf for vLLM, once, to {first} …\n")
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    (copy / "mine.gguf").write_bytes(model.read_bytes())
    assert unpacked(copy / "mine.gguf") == unpacked(str(model)) == first
    assert capsys.readouterr() == ("", "")
    assert calls == [(model, "float32")]
    assert unpacked(model, dtype="bfloat16") != first
    model.write_bytes(b"GGUF two")
    assert unpacked(model) != first
    assert calls == [(model, "float32"), (model, "bfloat16"), (model, "float32")]
    assert len(kept()) == 3


@pytest.mark.parametrize(
    "failure", [KeyboardInterrupt(), ModelError("no model"), MissingExtraError("reading a .gguf model", "gguf", "gguf")]
)
def test_unpacked__leaves_no_half_of_a_model(
    model: Path, calls: list[tuple[Path, str]], monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    """Whatever comes in between, nothing is left behind, and the next attempt begins anew."""
    whole = loading.unpack_gguf

    def broken(path: Path, folder: Path, *, dtype: str) -> None:
        whole(path, folder, dtype=dtype)
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(loading, "unpack_gguf", broken)
        with pytest.raises(type(failure)):
            unpacked(model)
    assert kept() == []
    assert unpacked(model).is_dir()


def test_unpacked__another_process_may_be_quicker(
    model: Path, calls: list[tuple[Path, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder stays, and ours goes away."""
    whole = loading.unpack_gguf
    theirs: list[Path] = []

    def raced(path: Path, folder: Path, *, dtype: str) -> None:
        monkeypatch.setattr(loading, "unpack_gguf", whole)
        theirs.append(unpacked(path, dtype=dtype))
        (theirs[0] / "theirs").touch()
        whole(path, folder, dtype=dtype)

    monkeypatch.setattr(loading, "unpack_gguf", raced)
    assert [unpacked(model)] == theirs
    assert (theirs[0] / "theirs").is_file()
    assert kept() == [theirs[0].name]


def test_unpacked__says_what_a_full_disk_needs(
    model: Path, calls: list[tuple[Path, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writers of weights raise errors of their own; the sentence says where, what is free and what to do."""

    def full(path: Path, folder: Path, *, dtype: str) -> None:
        raise RuntimeError("Error while serializing: No space left on device")

    monkeypatch.setattr(loading, "unpack_gguf", full)
    with pytest.raises(
        ModelError, match=r"could not be unpacked to .*No space left.*GB are free there; set XDG_CACHE_HOME"
    ):
        unpacked(model)


def test_unpacked__says_where_it_cannot_write(
    model: Path, calls: list[tuple[Path, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache that is a file cannot hold a folder."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ModelError, match=r"could not be unpacked to .*Error.*; set XDG_CACHE_HOME"):
        unpacked(model)


def test_cache_folder__ignores_a_relative_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard says so; without a setting it is ~/.cache."""
    monkeypatch.setenv("HOME", "/home/someone")
    for value in ("", "here"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert cache_folder() == Path("/home/someone/.cache/gtalign/models")
