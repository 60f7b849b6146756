"""What is remembered on disk: names depend on all that a result depends on, and what is read is what was written."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gtalign_env.agents.users import ScriptedPersona, load_persona, population_kernels
from gtalign_env.cli import solve_report
from gtalign_env.cli.solve_report import Asked, report
from gtalign_env.finite import FiniteScenario
from gtalign_env.kernels import UserKernel
from gtalign_env.optimal import Problem, cache_folder, disk, optimum
from gtalign_env.optimal.disk import digest, source_digest, written
from gtalign_env.pricing import make_pricing
from gtalign_env.registration import make_scenario
from gtalign_env.scenarios.matrix import repeated_matrix


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Remember solutions in the test's own folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def game(**options: Any) -> FiniteScenario:
    """Return an ``assist`` game of one question, unless told otherwise."""
    made = make_scenario("assist", **{"questions": 1, **options})
    assert isinstance(made, FiniteScenario)
    return made


def people(scenario: FiniteScenario, users: Any = "concise=0.5,detailed=0.5") -> tuple[UserKernel, ...]:
    """Return two kinds of user."""
    return population_kernels(users, scenario)


SETTINGS = {"objective": "cobb_douglas", "tolerance": 1e-5}


def name(
    scenario: FiniteScenario, kernels: tuple[UserKernel, ...], pricing: str = "subscription", **settings: Any
) -> str:
    """Return a digest."""
    return digest(scenario, kernels, make_pricing(pricing), {**SETTINGS, **settings})


def test_digest__is_the_same_for_the_same() -> None:
    """Made anew, pickled, settings in another order, and in another process."""
    usual = name(game(), people(game()))
    assert name(pickle.loads(pickle.dumps(game())), people(game())) == usual
    assert digest(game(), people(game()), make_pricing("subscription"), dict(reversed(SETTINGS.items()))) == usual
    code = (
        "from gtalign_env.agents.users import population_kernels as k; from gtalign_env.registration import make_scenario as m;"
        "from gtalign_env.optimal.disk import digest; s = m('assist', questions=1);"
        f"print(digest(s, k('concise=0.5,detailed=0.5', s), s.pricing, {SETTINGS!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == usual


def test_digest__tells_apart_what_a_result_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules, payoffs, prices, each number of the users, settings, and the version of this library: no two names are one."""
    scenario = game()
    kernels = people(scenario)
    first = kernels[0]
    moves, follow = first.moves.copy(), first.follow.copy()
    moves[0, 0] = np.roll(moves[0, 0], 1)
    follow[0, 0, 0, 0, 0] = 1 - min(int(follow[0, 0, 0, 0, 0]), 1)
    richer = dataclasses.replace(first.user_type, value=first.user_type.value + 0.25)
    names = [
        name(scenario, kernels),
        name(game(questions=2), people(game(questions=2))),
        name(game(p_harmful=0.2), kernels),
        name(game(payoff="grounded:retention_rate=0.1"), kernels),
        name(game(payoff="grounded:wrong=0.5"), kernels),
        name(scenario, kernels, "per_token"),
        name(scenario, kernels, "per_token:rate_out=0.002"),
        name(scenario, people(scenario, "concise=0.4,detailed=0.6")),
        name(scenario, kernels[::-1]),
        name(scenario, kernels[:1]),
        *(
            name(scenario, (dataclasses.replace(first, **changed), kernels[1]))
            for changed in (
                {"moves": moves},
                {"follow": follow},
                {"start": 1},
                {"name": "brief"},
                {"user_type": richer},
            )
        ),
        name(scenario, kernels, objective="egalitarian"),
        name(scenario, kernels, tolerance=1e-6),
        name(scenario, kernels, aggregation="esr"),
    ]
    with monkeypatch.context() as patch:
        patch.setattr("gtalign_env.__version__", "99.0")
        names.append(name(scenario, kernels))
    monkeypatch.setattr(disk, "source_digest", lambda: "another solver")
    names.append(name(scenario, kernels))
    assert len(set(names)) == len(names)


def test_source_digest__goes_by_what_finds_results(tmp_path: Path) -> None:
    """The solver's sources, kernels, tables and welfare: each change and each new file counts; others and places do not."""
    library = Path(disk.__file__).parents[1]
    copies: list[Path] = []

    def copied(change: str = "", text: str = "") -> str:
        copies.append(tmp_path / str(len(copies)))
        for part in ("optimal", "welfare"):
            shutil.copytree(library / part, copies[-1] / part, ignore=shutil.ignore_patterns("__pycache__"))
        for file in ("kernels.py", "tables.py"):
            shutil.copy(library / file, copies[-1])
        if change:
            with (copies[-1] / change).open("a") as source:
                source.write(text)
        return source_digest(copies[-1])

    assert source_digest() == copied() == copied("play.py", "# other code") == copied("optimal/notes.txt", "none")
    changed = (
        "optimal/search.py",
        "optimal/disk.py",
        "kernels.py",
        "tables.py",
        "welfare/criteria.py",
        "optimal/more.py",
    )
    assert len({copied(), *(copied(file, "# changed") for file in changed)}) == 1 + len(changed)


def test_written__leaves_nothing_half_done(tmp_path: Path) -> None:
    """Where writing breaks off, what was there stays and no part is left behind."""
    place = tmp_path / "file"
    assert written(place, lambda file: file.write(b"old"))

    def fails(file: Any) -> None:
        file.write(b"half of the n")
        raise OSError("disk full")

    assert not written(place, fails)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert place.read_bytes() == b"old"


def test_optimum__takes_a_problem_that_is_compiled() -> None:
    """With it and without, the result is the same, under the same name; a second call says that it was remembered."""
    scenario = game()
    kernels = people(scenario)
    first = optimum(scenario, kernels, problem=Problem(scenario, kernels))
    assert not first.remembered
    (file,) = cache_folder().iterdir()
    again = optimum(scenario, kernels)
    assert again.remembered
    assert [path.name for path in cache_folder().iterdir()] == [file.name]
    assert {**again.as_dict(), "remembered": False} == first.as_dict()
    optimum(scenario, kernels, problem=Problem(scenario, kernels, limit=1000))  # other bounds may come of it
    assert len(list(cache_folder().iterdir())) == 2


# -- reports ----------------------------------------------------------------------------------------------------------------


def asked(**other: Any) -> Asked:
    """Return a small question."""
    return Asked(**{"scenario": game(), "users": "concise,detailed", "sessions": 5, **other})


def test_report__is_read_back_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time nothing is compiled, solved or played, and the figures are bit for bit those of the first."""
    first = report(asked())
    monkeypatch.setattr("gtalign_env.optimal.Problem", None)
    monkeypatch.setattr("gtalign_env.play.play_many", None)
    again = report(asked())
    flags = {"remembered": True, "optimum_remembered": True}
    assert (first["remembered"], first["optimum_remembered"]) == (False, False)
    assert again == {**first, **flags}
    assert json.loads(json.dumps(again)) == again


def test_report__is_found_again_for_the_same_question_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of what it depends on makes a new one; the same mix in other words does not."""
    report(asked())
    named = asked(users={"concise": 1, "detailed": 1})
    assert report(named)["remembered"]
    assert report(asked(objective="cobb_douglas:w=0.5"))["remembered"]
    others: list[dict[str, Any]] = [
        {},
        {"users": "concise,expert"},
        {"objective": "egalitarian"},
        {"aggregation": "esr"},
        {"tolerance": 1e-4},
        {"sessions": 6},
        {"scenario": game(pricing="per_token")},
        {"scenario": game(p_harmful=0.2)},
    ]
    questions = [asked(**other) for other in others]
    places = {solve_report._place(one, people(one.scenario, one.users)) for one in questions}
    assert len(places) == len(questions)
    assert {place for place in places if place.exists()} == {
        solve_report._place(named, people(named.scenario, named.users))
    }
    monkeypatch.setattr(solve_report, "__file__", str(Path(__file__)))  # another code that makes it
    found = report(asked())
    assert (found["remembered"], found["optimum_remembered"]) == (False, True)


def matrix(name: str = "one", moves: tuple[str, str] = ("cooperate", "defect")) -> FiniteScenario:
    """Return a repeated game of fixed payoffs."""
    return repeated_matrix(
        name=name,
        description="two moves each",
        user_moves=moves,
        assistant_moves=moves,
        user=[[3, 0], [2, 1]],
        assistant=[[3, 2], [0, 1]],
        rounds=2,
    )


def test_report__of_a_game_with_other_names_is_another() -> None:
    """Payoffs alike, moves called otherwise: no move of the one game is told of the other; the solution itself is found again."""
    first = report(Asked(scenario=matrix(), users="random"))
    other = report(Asked(scenario=matrix("two", ("stag", "hare")), users="random"))
    assert {row["policy"] for row in first["others"]} == {"fixed:cooperate", "fixed:defect"}
    assert {row["policy"] for row in other["others"]} == {"fixed:stag", "fixed:hare"}
    assert (other["remembered"], other["optimum_remembered"]) == (False, True)
    assert "cooperate" not in json.dumps(other)
    assert [row["value"] for row in other["others"]] == [row["value"] for row in first["others"]]


def test_report__is_found_by_all_names_in_it() -> None:
    """Of the scenario, its moves, its states' axes and their values, and the slots of what is seen: each by itself."""
    plain = game()

    def renamed(**changed: Any) -> FiniteScenario:
        other = copy.copy(plain)
        object.__setattr__(other, "tables", dataclasses.replace(plain.tables, **changed))
        return other

    def called(names: tuple[str, ...]) -> tuple[str, ...]:
        return (f"{names[0]}_too", *names[1:])

    axes = dict(plain.tables.axes)
    axis = "clarity"
    scenarios = [
        plain,
        renamed(user_moves=called(plain.tables.user_moves)),
        renamed(assistant_moves=called(plain.tables.assistant_moves)),
        renamed(axes={**axes, axis: called(axes[axis])}),
        renamed(axes={(f"{name}_too" if name == axis else name): values for name, values in axes.items()}),
    ]
    kernels = people(plain)
    assert len({solve_report._place(asked(scenario=one), kernels) for one in scenarios}) == len(scenarios)
    assert solve_report._place(asked(scenario=renamed()), kernels) == solve_report._place(asked(), kernels)


def test_report__goes_by_the_persona_and_not_by_its_name() -> None:
    """Another persona that is called the same is another question."""
    persona = load_persona("concise")
    assert isinstance(persona, ScriptedPersona)
    report(asked(users=persona))
    other = copy.copy(persona)
    other.types = dataclasses.replace(persona.entries[0].user_type, value=2.0)
    assert report(asked(users=persona))["remembered"]
    assert not report(asked(users=other))["remembered"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b'{"no": "value"}'])
def test_report__damaged_files_are_made_anew(content: bytes) -> None:
    """Whatever lies there instead."""
    first = report(asked())
    (file,) = cache_folder().glob("*.json")
    file.write_bytes(content)
    again = report(asked())
    assert not again["remembered"]
    assert again["others"] == first["others"]
    assert json.loads(file.read_bytes())["value"] == first["value"]


def test_report__without_a_cache_leaves_nothing() -> None:
    """Neither the optimum nor the report is written or read."""
    report(asked(), cache=False)
    assert not cache_folder().exists()
