"""Natural language as a space, and the layout of observation vectors."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces as gymnasium_spaces
from gymnasium.spaces import Box, Dict, Discrete, Text, Tuple, flatdim, flatten_space
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv
from gymnasium.vector import utils as vector_utils
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.errors import UsageError
from gtalign_env.spaces import ASSIST_LAYOUT, FreeText, Layout, SpeechAct

LENGTH = 24
# Gymnasium types these over a generic space, to which no concrete one conforms.
spaces: Any = gymnasium_spaces
vector: Any = vector_utils
TEXTS = st.text(st.characters(codec="utf-8"), max_size=LENGTH)
ODD = ["", " ", "a" * LENGTH, "👩‍👩‍👧 family", "ﷺ", "\x00nul\x00", "עברית", "\U0010ffff", "line\nbreak\ttab", "e\u0301"]


@pytest.mark.parametrize("text", ODD)
def test_free_text__holds_any_script(text: str) -> None:
    """Any string that is short enough belongs to the space."""
    assert text in FreeText(LENGTH)


@pytest.mark.parametrize("thing", ["a" * (LENGTH + 1), None, 3, b"bytes", ["a"], np.array(["a"]), ("a",)])
def test_free_text__refuses_the_rest(thing: Any) -> None:
    """Too long, or no string: not in the space, and no exception."""
    assert thing not in FreeText(LENGTH)


@pytest.mark.parametrize("bad", [0, -1, 1.5, "9", None, True])
def test_free_text__needs_a_length(bad: Any) -> None:
    """The bound is a positive integer."""
    with pytest.raises(UsageError, match="max_length: expected an integer >= 1"):
        FreeText(bad)


def test_free_text__samples_belong_and_are_reproducible() -> None:
    """Equal seeds give equal texts, all in the space, not all the same."""
    one, two = FreeText(10, seed=4), FreeText(10, seed=4)
    drawn = [one.sample() for _ in range(50)]
    assert drawn == [two.sample() for _ in range(50)]
    assert all(text in one for text in drawn)
    assert len(set(drawn)) > 5


def test_free_text__refuses_sampling_masks() -> None:
    """There is nothing to mask."""
    with pytest.raises(UsageError, match="takes no mask"):
        FreeText(3).sample(mask=np.ones(3, dtype=np.int8))
    with pytest.raises(UsageError, match="no probability"):
        FreeText(3).sample(probability=np.ones(3))


def test_free_text__equality_hash_and_copies() -> None:
    """Spaces are equal when their lengths are; a copy or a pickle is equal."""
    space = FreeText(7, seed=1)
    assert space == FreeText(7)
    assert hash(space) == hash(FreeText(7))
    assert space != FreeText(8)
    assert space != Text(7)
    assert repr(space) == "FreeText(7)"
    for twin in (copy.deepcopy(space), pickle.loads(pickle.dumps(space))):
        assert twin == space
        assert twin.sample() == copy.deepcopy(space).sample()


@given(TEXTS)
def test_free_text__flatten_round_trip(text: str) -> None:
    """Code points, padded; nothing is lost, and the flat form lies in the flat space."""
    space = FreeText(LENGTH)
    flat = spaces.flatten(space, text)
    assert flat in flatten_space(space)
    assert flat.shape == (flatdim(space),)
    assert spaces.unflatten(space, flat) == text


@given(TEXTS)
def test_free_text__flattens_inside_a_dict(text: str) -> None:
    """Beside a Box and a Discrete, as in our observations and actions."""
    space = Dict({"observation": Box(0, 1, (2,), np.float32), "text": FreeText(LENGTH), "move": Discrete(3)})
    value: dict[str, Any] = {"observation": np.array([0.25, 1.0], dtype=np.float32), "text": text, "move": np.int64(2)}
    back = spaces.unflatten(space, spaces.flatten(space, value))
    assert back["text"] == text
    assert back["move"] == 2
    assert np.array_equal(back["observation"], value["observation"])


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_free_text__travels_through_shared_memory(texts: list[str]) -> None:
    """What is written per environment is read back for all, in order."""
    space = FreeText(LENGTH)
    memory = vector.create_shared_memory(space, n=len(texts))
    for i, text in enumerate(texts):
        vector.write_to_shared_memory(space, i, text, memory)
    assert vector.read_from_shared_memory(space, memory, n=len(texts)) == tuple(texts)
    vector.write_to_shared_memory(space, 0, "", memory)  # a shorter text leaves nothing of a longer one behind
    assert vector.read_from_shared_memory(space, memory, n=len(texts)) == ("", *texts[1:])


def test_free_text__too_long_a_text_does_not_overwrite_its_neighbour() -> None:
    """A text outside the space is an error in shared memory, not another environment's text."""
    space = FreeText(4)
    memory = vector.create_shared_memory(space, n=2, ctx=multiprocessing.get_context("fork"))
    vector.write_to_shared_memory(space, 1, "next", memory)
    with pytest.raises(ValueError, match="at most 4 characters, got 9"):
        vector.write_to_shared_memory(space, 0, "much more", memory)
    assert vector.read_from_shared_memory(space, memory, n=2) == ("", "next")


def test_free_text__batches() -> None:
    """A batch is a tuple of texts, as for Gymnasium's own Text."""
    space = FreeText(5)
    batch = vector.batch_space(space, 3)
    assert batch == Tuple([FreeText(5)] * 3)
    assert batch.sample() in batch
    assert list(vector.iterate(batch, ("a", "b", "c"))) == ["a", "b", "c"]
    assert vector.concatenate(space, ["a", "b"], vector.create_empty_array(space, 2)) == ("a", "b")
    assert vector.create_empty_array(space, 2) in vector.batch_space(space, 2)


class Echo(gymnasium.Env[dict[str, Any], Any]):
    """Says back what it is told."""

    def __init__(self) -> None:
        self.observation_space = Dict({"text": FreeText(LENGTH), "n": Box(0, 9, (1,), np.float32)})
        self.action_space = Dict({"move": Discrete(3), "text": FreeText(LENGTH)})

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Say which seed it was."""
        super().reset(seed=seed)
        return {"text": f"seed {seed}", "n": np.zeros(1, np.float32)}, {}

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Say it back."""
        said = {"text": action["text"], "n": np.full(1, action["move"], np.float32)}
        return said, 0.0, False, False, {}


@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
def test_free_text__in_gymnasium_s_vector_envs(kind: Any) -> None:
    """Texts of any script arrive in other processes, and come back, unchanged."""
    envs = kind([Echo, Echo])
    try:
        observations, _ = envs.reset(seed=[3, 4])
        assert observations["text"] == ("seed 3", "seed 4")
        actions = {"move": np.array([1, 2]), "text": ("好, où ça?", "")}
        assert actions in envs.action_space
        observations, *_ = envs.step(actions)
        assert observations["text"] == ("好, où ça?", "")
        assert observations["n"].tolist() == [[1.0], [2.0]]
        assert observations in envs.observation_space
        envs.action_space.seed(0)
        assert envs.step(envs.action_space.sample())[0]["text"] in envs.observation_space["text"]
    finally:
        envs.close()


def test_free_text__shared_memory_is_live_until_copied() -> None:
    """What a vector env reads follows the memory, as an array would; copies and pickles stay as they were."""
    space = FreeText(LENGTH)
    memory = vector.create_shared_memory(space, n=2)
    live = vector.read_from_shared_memory(space, memory, n=2)
    assert live in vector.batch_space(space, 2)
    kept = copy.deepcopy(live)
    sent = pickle.loads(pickle.dumps(live))
    vector.write_to_shared_memory(space, 1, "now", memory)
    assert list(live) == ["", "now"]
    assert (live[1], live[-2], len(live), "now" in live, repr(live)) == ("now", "", 2, True, "('', 'now')")
    assert live == ("", "now")
    assert live != kept
    assert hash(live) == hash(("", "now"))
    assert kept == sent == ("", "")
    assert type(kept) is type(sent) is tuple
    assert copy.deepcopy(live) == live


def test_speech_act__samples_by_the_mask_of_an_observation() -> None:
    """As PettingZoo's tests and random agents sample: an int8 array over the moves; without one, any move."""
    space = SpeechAct(4, LENGTH)
    space.seed(0)
    mask = np.array([0, 0, 1, 0], dtype=np.int8)
    assert {int(space.sample(mask)["move"]) for _ in range(10)} == {2}
    assert {int(space.sample()["move"]) for _ in range(60)} == {0, 1, 2, 3}
    assert all(space.contains(space.sample()) for _ in range(10))
    assert space == Dict({"move": Discrete(4), "text": FreeText(LENGTH)})
    for twin in (copy.deepcopy(space), pickle.loads(pickle.dumps(space))):
        assert twin == space
        assert int(twin.sample(mask)["move"]) == 2


@given(st.dictionaries(st.text(min_size=1, max_size=4), st.integers(1, 5), min_size=1, max_size=6))
def test_layout__slots_tile_the_vector(slots: dict[str, int]) -> None:
    """Every number of the vector belongs to exactly one slot, in order."""
    layout = Layout(slots)
    vector = np.arange(layout.size)
    parts = layout.read(vector)
    assert list(parts) == list(slots)
    assert np.concatenate(list(parts.values())).tolist() == vector.tolist()
    assert {name: part.size for name, part in parts.items()} == slots
    assert pickle.loads(pickle.dumps(layout)) == layout


def test_layout__reads_batches_and_makes_views() -> None:
    """Leading axes are kept; slots are views, so writing through them writes the vector."""
    layout = Layout({"a": 1, "b": 2})
    batch = np.zeros((4, 3))
    layout.read(batch)["b"][:] = 7.0
    assert batch[:, 1:].min() == 7.0
    assert batch[:, 0].max() == 0.0
    with pytest.raises(KeyError):
        layout["c"]


def test_assist_layout__fits_the_moves() -> None:
    """One-hot slots are as wide as there are moves; θ has one number per field."""
    assert (ASSIST_LAYOUT.slots["last_assistant_move"], ASSIST_LAYOUT.slots["last_user_move"]) == (8, 11)
    assert ASSIST_LAYOUT.slots["theta"] == 8
    assert ASSIST_LAYOUT.size == sum(ASSIST_LAYOUT.slots.values())
