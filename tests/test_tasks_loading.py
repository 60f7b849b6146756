"""From the name of a task source to its tasks, generated tasks and Hugging Face data sets among them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gtalign_env.errors import FileFormatError, MissingExtraError, UnknownNameError, UsageError
from gtalign_env.scenarios.tasks import TaskList, authored, grade, load_tasks

QUESTION = {"question": "Who wrote Emma?", "answer": "Jane Austen"}


def write(path: Path, *records: dict[str, Any]) -> Path:
    """Write records as JSON lines."""
    path.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    return path


def without(package: str) -> Any:
    """Return an import function that does not find a package."""

    def importing(name: str) -> Any:
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=package)
        return __import__(name, fromlist=["_"])

    return importing


def test_load_tasks__nothing_means_the_authored_ones() -> None:
    """Without a spec the authored tasks come, all of them."""
    assert load_tasks() is load_tasks(None) is load_tasks("authored") is authored()


def test_load_tasks__picks_kinds() -> None:
    """Kinds stand behind a colon."""
    assert {task.kind for task in load_tasks("authored:facts,writing")} == {"fact", "writing"}


def test_load_tasks__a_source_is_returned_as_it_is() -> None:
    """What is a source already stays the same object."""
    source = TaskList("mine", tuple(authored())[:1])
    assert load_tasks(source) is source


def test_load_tasks__reads_files_by_path_and_by_name(tmp_path: Path) -> None:
    """A path and its text name the same file, also with a plus in it."""
    path = write(tmp_path / "a+b.jsonl", QUESTION)
    assert list(load_tasks(path)) == list(load_tasks(str(path)))


def test_load_tasks__joins_sources_in_order(tmp_path: Path) -> None:
    """A plus joins sources."""
    path = write(tmp_path / "q.jsonl", QUESTION)
    source = load_tasks(f"authored:facts + {path}")
    assert [task.id for task in source] == [task.id for task in authored(["fact"])] + ["q/1"]


def test_load_tasks__reads_toml(tmp_path: Path) -> None:
    """A task file in the authored format is a source too."""
    path = tmp_path / "mine.toml"
    path.write_text(
        'kind = "fact"\n[[task]]\nid = "a"\nvague = "?"\ndetailed = "Why?"\nanswers = ["So"]\nfacts = [["x", "So."]]\n'
    )
    assert load_tasks(str(path))[0].id == "mine/a"


@pytest.mark.parametrize(
    ("spec", "error", "expected"),
    [
        ("authord", UnknownNameError, "did you mean 'authored'"),
        ("", UnknownNameError, "Known:"),
        ("authored+", UnknownNameError, "Known:"),
        ("authored:", UsageError, "expected kinds behind the colon"),
        ("authored:poems", UnknownNameError, "unknown kind of task 'poems'"),
        ("authored+authored", UsageError, "more than once"),
        ("reasoning_gym:", UsageError, "reasoning_gym:chain_sum"),
        ("hf:", UsageError, "expected a name behind the colon"),
        ("missing.parquet", FileFormatError, "there is no such file"),
        (3, UsageError, "expected a name, a path or a source"),
    ],
)
def test_load_tasks__refuses_what_names_nothing(spec: Any, error: type[Exception], expected: str) -> None:
    """A spec that names no source is refused with what is possible."""
    with pytest.raises(error, match=expected):
        load_tasks(spec)


# ----------------------------------------------------------------------------------------------------------------------
# reasoning-gym


@pytest.mark.parametrize(
    "dataset", ["chain_sum", "family_relationships", "knights_knaves", "mini_sudoku", "prime_factorization"]
)
def test_reasoning_gym__scores_its_own_answers(dataset: str) -> None:
    """The library's answer is right, alone, in a sentence and behind working; asking back is worth nothing."""
    pytest.importorskip("reasoning_gym")
    source = load_tasks(f"reasoning_gym:{dataset},size=4,seed=11")
    assert len(source) == 4
    for task in source:
        answer = task.answers[0]
        assert grade(task, answer).quality == 1.0
        assert grade(task, f"Let me see.\nThe answer is {answer}").quality == 1.0
        assert grade(task, f"Let me work it out step by step.\n\n{answer}").quality == 1.0
        assert grade(task, "Could you show me the exercise, please?").quality == 0.0
        assert (grade(task, "I have no idea.").quality or 0.0) < 0.1


def test_reasoning_gym__vague_form_withholds_the_question() -> None:
    """The opening asks for help only; the question is the hidden fact."""
    pytest.importorskip("reasoning_gym")
    for task in load_tasks("reasoning_gym:chain_sum,size=5"):
        assert task.ambiguous
        assert task.opening == "vague"
        assert not any(char.isdigit() for char in task.vague)
        assert any(char.isdigit() for char in task.detailed)
        assert task.detailed in dict(task.facts)["question"]


def test_reasoning_gym__equal_seeds_give_equal_tasks() -> None:
    """The seed decides which tasks come; the size only how many."""
    pytest.importorskip("reasoning_gym")
    first, again = (list(load_tasks("reasoning_gym:chain_sum,size=6,seed=2")) for _ in range(2))
    other = list(load_tasks("reasoning_gym:chain_sum,size=6,seed=3"))
    assert first == again
    assert [task.detailed for task in first] != [task.detailed for task in other]
    assert len({task.id for task in (*first, *other)}) == 12


def test_reasoning_gym__options_reach_the_dataset() -> None:
    """Options of the dataset's own configuration can stand in the spec."""
    pytest.importorskip("reasoning_gym")
    short = load_tasks("reasoning_gym:chain_sum,size=3,min_terms=2,max_terms=2")
    assert all(task.detailed.count(" + ") + task.detailed.count(" - ") == 1 for task in short)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("chain_sun", "did you mean 'chain_sum'"),
        ("chain_sum,size=0", "a size of at least 1"),
        ("chain_sum,size", "name=value"),
        ("chain_sum,colour=red", "options that the dataset knows"),
        ("chain_sum,min_terms=9,max_terms=2", "options that the dataset knows"),
    ],
)
def test_reasoning_gym__refuses_wrong_options(spec: str, expected: str) -> None:
    """A misspelled dataset or option is refused in one sentence."""
    pytest.importorskip("reasoning_gym")
    with pytest.raises(UsageError, match=expected):
        load_tasks(f"reasoning_gym:{spec}")


def test_reasoning_gym__another_question_is_not_graded() -> None:
    """A task from another version of the library is reported, not graded as wrong."""
    pytest.importorskip("reasoning_gym")
    import dataclasses

    task = dataclasses.replace(load_tasks("reasoning_gym:chain_sum,size=1")[0], detailed="What is 1 + 1?")
    result = grade(task, "2")
    assert result.quality is None
    assert "another question" in result.problem


def test_reasoning_gym__missing_library_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without reasoning-gym, the error says how to get it."""
    monkeypatch.setattr("gtalign_env.errors.importlib.import_module", without("reasoning_gym"))
    with pytest.raises(MissingExtraError, match=r"pip install 'gtalign-env\[text\]'"):
        load_tasks("reasoning_gym:chain_sum")


# ----------------------------------------------------------------------------------------------------------------------
# Hugging Face data sets


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A local data set with two splits; the library's cache stays inside the test."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    place = tmp_path / "library"
    place.mkdir()
    write(place / "train.json", QUESTION, {"question": "Who wrote Ulysses?", "answer": "James Joyce"})
    write(place / "test.json", {"question": "Who wrote Walden?", "answer": "Henry David Thoreau"})
    return place


def test_hf__reads_a_local_folder(folder: Path) -> None:
    """The test split is taken by itself; another one by name."""
    assert [task.answers for task in load_tasks(f"hf:{folder}")] == [("Henry David Thoreau",)]
    train = load_tasks(f"hf:{folder}:train")
    assert [task.answers for task in train] == [("Jane Austen",), ("James Joyce",)]
    assert (train.name, train[0].id) == (f"hf:{folder}:train", "library/0")


def test_hf__what_cannot_be_loaded_is_said_in_a_sentence(folder: Path) -> None:
    """A split or a folder that is not there ends in one sentence."""
    for spec in (f"hf:{folder}:nowhere", f"hf:{folder / 'missing'}"):
        with pytest.raises(FileFormatError) as caught:
            load_tasks(spec)
        assert str(caught.value).startswith(f"{spec}: expected a data set")
        assert "\n" not in str(caught.value)


def test_hf__a_wrong_row_is_named(folder: Path) -> None:
    """Rows in no known schema are named by their number."""
    for name in ("train.json", "test.json"):
        write(folder / name, {"text": "hello"})
    with pytest.raises(FileFormatError, match="row 0: expected columns 'question'"):
        load_tasks(f"hf:{folder}")


def test_hf__missing_library_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without datasets, the error says how to get it."""
    monkeypatch.setattr("gtalign_env.errors.importlib.import_module", without("datasets"))
    with pytest.raises(MissingExtraError, match=r"the package 'datasets': pip install 'gtalign-env\[text\]'"):
        load_tasks("hf:openai/gsm8k")
