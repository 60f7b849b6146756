"""Errors that people can act on."""

from __future__ import annotations

import copy
import pickle
import sys
from pathlib import Path

import pytest

from gtalign_env import errors
from gtalign_env.errors import (
    FileFormatError,
    GtalignError,
    IllegalActionError,
    MissingExtraError,
    ModelError,
    ResetNeededError,
    UnknownNameError,
    UsageError,
    require,
)


@pytest.mark.parametrize("kind", [name for name in errors.__all__ if name.endswith("Error")])
def test_errors__have_one_root_and_stand_in_the_tree(kind: str) -> None:
    """Every error is a GtalignError, and the module's drawing shows it."""
    assert issubclass(getattr(errors, kind), GtalignError)
    assert kind in (errors.__doc__ or "")


def test_errors__fit_python_s_own_families() -> None:
    """What Python users catch anyway catches ours too."""
    for wrong_use in (UsageError, UnknownNameError, IllegalActionError, ResetNeededError):
        assert issubclass(wrong_use, ValueError)
    assert issubclass(MissingExtraError, ImportError)
    assert not issubclass(ModelError, ValueError)


def test_unknown_name__suggests_a_near_one_and_lists_all() -> None:
    """A misspelt name is answered with the likely one."""
    error = UnknownNameError("scenario", "asist", ["matrix", "assist"])
    assert "did you mean 'assist'?" in str(error)
    assert str(error).endswith("Known: assist, matrix")
    assert error.known == ["assist", "matrix"]


def test_unknown_name__makes_no_wild_suggestion() -> None:
    """A name that resembles nothing gets the list only."""
    assert "did you mean" not in str(UnknownNameError("persona", "xyzzy", ["concise", "detailed"]))


def test_unknown_name__says_so_where_nothing_is_known() -> None:
    """Without any known name the message still ends as a sentence."""
    assert str(UnknownNameError("user type", "concise", [])).endswith("Known: none")


def test_unknown_name__lists_forms_behind_the_names() -> None:
    """What else may be written comes last, in the order given, and is no name to be suggested."""
    error = UnknownNameError("persona", "FILE", ["zoe", "adam"], forms=("PATH.toml", "FILE.py:Class"))
    assert str(error) == "unknown persona 'FILE'. Known: adam, zoe, or PATH.toml, FILE.py:Class"
    assert error.known == ["adam", "zoe"]


@pytest.mark.parametrize(
    "error",
    [
        UnknownNameError("persona", "x", ["a"]),
        FileFormatError("f.toml", "bad", line=2, key="k"),
        MissingExtraError("reading", "pyarrow", "text"),
        UsageError("no"),
    ],
)
def test_errors__travel_between_processes(error: GtalignError) -> None:
    """Worker processes hand errors over as pickles; message and fields survive."""
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)


@pytest.mark.parametrize(
    ("line", "key", "expected"),
    [
        (None, None, "a.toml: bad"),
        (7, None, "a.toml, line 7: bad"),
        (None, "patience", "a.toml, key 'patience': bad"),
        (0, "", "a.toml, line 0, key '': bad"),
    ],
)
def test_file_format_error__names_the_place(line: int | None, key: str | None, expected: str) -> None:
    """File, line and key are named where they are known."""
    error = FileFormatError(Path("a.toml"), "bad", line=line, key=key)
    assert str(error) == expected
    assert (error.path, error.line, error.key) == ("a.toml", line, key)


def test_require__names_the_extra_that_cures() -> None:
    """A missing package ends in one sentence with the command to run."""
    with pytest.raises(MissingExtraError, match=r"^doing magic needs the package 'no_such_package_xyz'") as caught:
        require("no_such_package_xyz.inner", feature="doing magic", extra="magic")
    assert str(caught.value).endswith("pip install 'gtalign-env[magic]'")


def test_require__does_not_hide_a_broken_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is there but lacks a dependency of its own is not called missing."""
    (tmp_path / "gtalign_probe_pkg.py").write_text("import another_missing_xyz\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="another_missing_xyz") as caught:
        require("gtalign_probe_pkg", feature="x", extra="y")
    assert not isinstance(caught.value, MissingExtraError)
    sys.modules.pop("gtalign_probe_pkg", None)


def test_require__returns_the_submodule() -> None:
    """A dotted name gives the inner module."""
    assert require("os.path", feature="x", extra="y").basename("a/b") == "b"
