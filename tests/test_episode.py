"""Episode files: round trips, torn and foreign ones, and digests."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.episode import (
    SCHEMA,
    Episode,
    EpisodeWriter,
    SideRecord,
    StepRecord,
    TornLineWarning,
    digest,
    iter_episodes,
    load_episodes,
)
from gtalign_env.errors import FileFormatError, UsageError

ITEMS = st.dictionaries(st.text(max_size=5), st.floats(-10, 10), max_size=3)
SIDES = st.builds(
    SideRecord,
    digest=st.text("0123456789abcdef", min_size=16, max_size=16),
    action=st.one_of(
        st.none(), st.integers(0, 11), st.fixed_dictionaries({"move": st.integers(0, 11), "text": st.text()})
    ),
    move=st.sampled_from(["DA_short", "NO_OP", ""]),
    text=st.text(st.characters(codec="utf-8"), max_size=30),
    items=ITEMS,
    payoff=st.floats(-10, 10),
    illegal=st.booleans(),
)
EPISODES = st.builds(
    Episode,
    scenario=st.sampled_from(["assist", "m:a"]),
    view=st.sampled_from(["strategic", "text"]),
    seed=st.integers(0, 2**32),
    steps=st.lists(st.builds(StepRecord, user=SIDES, assistant=SIDES, outcome=st.none() | ITEMS), max_size=3),
    error=st.dictionaries(st.sampled_from(["type", "message"]), st.text(max_size=9)),
    hidden=st.dictionaries(st.text(max_size=4), st.floats(-5, 5) | st.text(max_size=4), max_size=2),
)


def episode(seed: int = 0, **fields: Any) -> Episode:
    """Return a small episode."""
    return Episode(scenario="assist", view="strategic", seed=seed, **fields)


def write(path: Path, *episodes: Episode, append: bool = False) -> Path:
    """Write a file and return its path."""
    with EpisodeWriter(path, append=append) as writer:
        for one in episodes:
            writer.write(one)
    return path


def seeds(path: Path) -> list[int]:
    """Return the seeds of a file's episodes."""
    return [one.seed for one in load_episodes(path)]


@pytest.mark.parametrize("name", ["run.jsonl", "run.jsonl.zst"])
@given(episodes=st.lists(EPISODES, min_size=1, max_size=3))
def test_file__round_trip(tmp_path_factory: pytest.TempPathFactory, name: str, episodes: list[Episode]) -> None:
    """Whatever text and numbers they hold, episodes come back equal, compressed or not."""
    path = write(tmp_path_factory.mktemp("run") / name, *episodes)
    assert load_episodes(path) == episodes


def test_file__is_one_line_of_plain_json_each(tmp_path: Path) -> None:
    """Any JSON reader can read it; the schema is on every line."""
    path = write(tmp_path / "run.jsonl", episode(1), episode(2, opening="Où?\nça"))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["seed"] for line in lines] == [1, 2]
    assert all(json.loads(line)["schema"] == SCHEMA for line in lines)


def test_file__takes_what_numpy_and_dataclasses_bring(tmp_path: Path) -> None:
    """NumPy numbers and arrays and dataclasses become numbers, lists and dicts."""
    from gtalign_env.types import UserType

    @dataclasses.dataclass
    class Price:
        fee: float = 0.5

    kept = {"n": np.int64(3), "x": np.array([0.5, 1.0]), "t": UserType(), "p": Path("a"), "q": [Price()]}
    one = episode(reset_options=kept)
    (back,) = load_episodes(write(tmp_path / "run.jsonl", one))
    assert (back.reset_options["n"], back.reset_options["x"], back.reset_options["p"]) == (3, [0.5, 1.0], "a")
    assert UserType.from_mapping(back.reset_options["t"]) == UserType()
    assert back.reset_options["q"] == [{"fee": 0.5}]


def test_file__a_lone_surrogate_loses_nothing(tmp_path: Path) -> None:
    """Half a character, as a broken tokenizer emits it, cannot be written; the rest of the episode is."""
    side = SideRecord(digest="d", text="half \ud83d here", model={"raw": ["\udc00", {"k\ud800": "v"}]})
    one = episode(3, steps=[StepRecord(user=side, assistant=SideRecord(digest="e", text="fine"))])
    (back,) = load_episodes(write(tmp_path / "run.jsonl", one))
    assert back.steps[0].user.text == "half \ufffd here"
    assert back.steps[0].user.model == {"raw": ["\ufffd", {"k\ufffd": "v"}]}
    assert back.steps[0].assistant.text == "fine"


def test_writer__flushes_every_episode(tmp_path: Path) -> None:
    """What is written can be read while the run goes on."""
    path = tmp_path / "run.jsonl"
    with EpisodeWriter(path) as writer:
        for seed in range(3):
            writer.write(episode(seed))
            assert seeds(path) == list(range(seed + 1))


def test_writer__refuses_to_overwrite(tmp_path: Path) -> None:
    """An existing file is not touched; the message names the way out."""
    path = write(tmp_path / "run.jsonl", episode(1))
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"run.jsonl: the file exists.*--append"):
        EpisodeWriter(path)
    assert path.read_bytes() == before


def test_writer__an_empty_file_is_free(tmp_path: Path) -> None:
    """As ``mktemp`` makes it."""
    path = tmp_path / "run.jsonl"
    path.touch()
    assert seeds(write(path, episode(4))) == [4]


def test_writer__names_a_folder_that_is_missing_or_meant_as_a_file(tmp_path: Path) -> None:
    """Before a long run starts."""
    with pytest.raises(UsageError, match=r"the folder .*missing does not exist"):
        EpisodeWriter(tmp_path / "missing" / "run.jsonl")
    with pytest.raises(UsageError, match="expected a file name for episodes, this is a folder"):
        EpisodeWriter(tmp_path)


@pytest.mark.parametrize("name", ["run.jsonl", "run.jsonl.zst"])
def test_append__goes_on(tmp_path: Path, name: str) -> None:
    """After what is there, and also where nothing is there yet."""
    path = tmp_path / name
    for seed in range(3):
        write(path, episode(seed), append=True)
    assert seeds(path) == [0, 1, 2]


@pytest.mark.parametrize("name", ["run.jsonl", "run.jsonl.zst"])
@pytest.mark.parametrize("lost", [1, 7, 40])
def test_torn__last_episode_is_reported_and_skipped_and_cut_on_append(tmp_path: Path, name: str, lost: int) -> None:
    """A killed run loses at most the episode it was writing, whatever comes after."""
    path = write(tmp_path / name, episode(1, opening="o" * 50), episode(2), episode(3, opening="x" * 50))
    os.truncate(path, path.stat().st_size - lost)
    if lost == 1 and path.suffix == ".jsonl":  # only the line's end is missing: the episode itself is whole
        assert seeds(path) == [1, 2, 3]
        write(path, episode(4), append=True)
        assert seeds(path) == [1, 2, 3, 4]
        return
    with pytest.warns(TornLineWarning, match=rf"{name}, line 3: the last line is incomplete"):
        assert seeds(path) == [1, 2]
    write(path, episode(4), append=True)
    assert seeds(path) == [1, 2, 4]


def test_append__never_cuts_a_file_that_is_no_episode_file(tmp_path: Path) -> None:
    """Somebody's notes, without a line's end, are not shortened by a mistyped name."""
    for content in (b"my notes, one line, no newline", b'{"a": 1}\n{"b": 2}', b"\x00\x01binary"):
        path = tmp_path / "notes.jsonl"
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"notes\.jsonl: expected a file of episodes"):
            EpisodeWriter(path, append=True)
        assert path.read_bytes() == content


def test_append__never_touches_a_foreign_zst_file(tmp_path: Path) -> None:
    """Compressed or not compressed at all."""
    for content in (b"not compressed", zstandard.compress(b"other things\n")):
        path = tmp_path / "notes.jsonl.zst"
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"notes\.jsonl\.zst: expected"):
            EpisodeWriter(path, append=True)
        assert path.read_bytes() == content


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"\xff\xfe", b'"text"', b'{"seed": 1}', b'{"scenario": 3, "view": "", "seed": 0}']
)
def test_damaged__middle_line_is_an_error_that_names_it(tmp_path: Path, damage: bytes) -> None:
    """Only a last line can be torn; elsewhere damage is damage. Blank lines are nothing."""
    path = write(tmp_path / "run.jsonl", episode(1), episode(2))
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + damage + b"\n" + second)
    if not damage:
        assert seeds(path) == [1, 2]
        return
    with pytest.raises(FileFormatError, match=r"run.jsonl, line 2: expected an episode") as caught:
        load_episodes(path)
    assert caught.value.line == 2


def test_damaged__what_comes_before_is_still_yielded(tmp_path: Path) -> None:
    """Reading one by one gets as far as the damage."""
    path = write(tmp_path / "run.jsonl", episode(1), episode(2))
    path.write_bytes(path.read_bytes() + b"{\n" + path.read_bytes())
    episodes = iter_episodes(path)
    assert [next(episodes).seed, next(episodes).seed] == [1, 2]
    with pytest.raises(FileFormatError, match="line 3"):
        next(episodes)


def test_damaged__a_whole_last_line_of_something_else_is_not_torn(tmp_path: Path) -> None:
    """It ends as a line should, so nobody was killed while writing it."""
    path = write(tmp_path / "run.jsonl", episode(1))
    path.write_bytes(path.read_bytes() + b'{"not": "ours"}\n')
    with pytest.raises(FileFormatError, match="line 2"):
        load_episodes(path)


@pytest.mark.parametrize(
    "content",
    [b"hello\n", b"{}\n", b"[1, 2]\n", b"PK\x03\x04zip", b'{"schema": "other/1"}\n{"schema": "other/1"}\n', b"\x80\n"],
)
def test_foreign__file_is_named(tmp_path: Path, content: bytes) -> None:
    """Text, other JSON, archives: one error that says what was expected."""
    path = tmp_path / "foreign.jsonl"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"foreign.jsonl, line 1: expected an episode of schema"):
        load_episodes(path)


def test_foreign__a_training_log_is_called_one(tmp_path: Path) -> None:
    """The file that lies beside every policy is told from a damaged record."""
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"config": {"steps": 9}, "command": ["gtalign", "train"]}\n{"update": 1, "steps": 9}\n')
    with pytest.raises(FileFormatError, match=r"this is a training log \(of 'gtalign train …'\), not episodes"):
        load_episodes(path)
    path.write_bytes(b'{"schema": "gtalign-episode/1", "config": {}, "command": ["x"]}\n')
    with pytest.raises(FileFormatError, match="line 1: expected an episode of schema"):
        load_episodes(path)


def test_foreign__a_later_schema_is_named(tmp_path: Path) -> None:
    """A file of a newer version is not half understood."""
    path = write(tmp_path / "run.jsonl", episode(1, schema="gtalign-episode/9"))
    with pytest.raises(FileFormatError, match=rf"expected schema '{SCHEMA}', got 'gtalign-episode/9'"):
        load_episodes(path)


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_empty__file_is_named(tmp_path: Path, content: bytes) -> None:
    """Nothing in it is an error, not an empty result."""
    path = tmp_path / "empty.jsonl"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="holds no episode"):
        load_episodes(path)


def test_missing__file_is_named(tmp_path: Path) -> None:
    """A name that leads nowhere, or to a folder."""
    for path, problem in ((tmp_path / "no.jsonl", "there is no such file"), (tmp_path, "this is a folder")):
        with pytest.raises(FileFormatError, match=problem):
            load_episodes(path)


def test_zst__that_is_none_is_named(tmp_path: Path) -> None:
    """A file that only pretends to be compressed."""
    path = tmp_path / "run.jsonl.zst"
    path.write_bytes(b"not compressed at all")
    with pytest.raises(FileFormatError, match="zstandard"):
        load_episodes(path)


def test_totals__are_both_sides_sums() -> None:
    """Of the recorded payoffs."""
    steps = [
        StepRecord(user=SideRecord(digest="", payoff=u), assistant=SideRecord(digest="", payoff=a))
        for u, a in ((0.5, 1.0), (-0.25, 0.125))
    ]
    assert episode(steps=steps).totals() == (0.25, 1.125)


# -- digests ----------------------------------------------------------------------------------------------------------

OBSERVATION = {
    "observation": np.array([0.0, 0.5], dtype=np.float32),
    "action_mask": np.array([1, 0], dtype=np.int8),
    "text": "Où?",
}


def test_digest__does_not_depend_on_order_memory_or_identity() -> None:
    """The same content gives the same sixteen hexadecimal signs."""
    shuffled = {key: OBSERVATION[key] for key in reversed(OBSERVATION)}
    strided = {**OBSERVATION, "observation": np.array([[0.0, 9.0], [0.5, 9.0]], dtype=np.float32)[:, 0]}
    for same in (shuffled, strided, msgspec.structs.replace(episode(hidden=OBSERVATION)).hidden):
        assert digest(same) == digest(OBSERVATION)
    assert len(digest(OBSERVATION)) == 16


def test_digest__is_stable_across_releases() -> None:
    """Recorded digests stay comparable: the bytes that are hashed are part of the format."""
    array = np.array([0.0, 0.5], dtype=np.float32)
    expected = hashlib.blake2b(b"float32(2,)" + array.tobytes() + b";", digest_size=8).hexdigest()
    assert digest(array) == expected


def test_digest__knows_everything_that_observations_hold() -> None:
    """NumPy numbers count as arrays without axes; None, booleans and numbers as themselves."""
    assert digest(np.float32(0.5)) == digest(np.array(0.5, dtype=np.float32))
    different: list[Any] = [None, True, False, 0, 0.0, "", b"", (), {}]
    assert len(set(map(digest, different))) == len(different)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ([1, 23], [12, 3]),
        (["a", "b"], ["a", "b", ""]),
        ([["a"], "b"], [["a", "b"]]),
        ({"a": {"b": 1}, "c": 2}, {"a": {"b": 1, "c": 2}}),
        ({"a": 1}, {"a": "1"}),
        ({"a": None}, {}),
        (np.zeros(2, np.float32), np.zeros(2, np.float64)),
        (np.zeros((2, 1), np.int8), np.zeros((1, 2), np.int8)),
        (np.zeros(1), np.array([-0.0])),
        ("a", "b"),
        (0.1, math.nextafter(0.1, 1)),
        (True, 1),
    ],
)
def test_digest__tells_different_things_apart(one: Any, two: Any) -> None:
    """Values, types, shapes and structure all count."""
    assert digest(one) != digest(two)


TREES = st.recursive(st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3), max_leaves=6)


@given(TREES, TREES)
def test_digest__equal_exactly_when_the_things_are(one: Any, two: Any) -> None:
    """For any two trees of numbers and texts."""
    assert (digest(one) == digest(two)) == (one == two)
