"""Names for things, and what happens when nothing has the name."""

from __future__ import annotations

import functools
import sys
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import pettingzoo
import pytest

import gtalign_env
from gtalign_env.env import GameEnv
from gtalign_env.errors import GtalignError, UnknownNameError, UsageError
from gtalign_env.protocols import Scenario
from gtalign_env.registration import SCENARIOS, Registry, load, make_scenario, register_scenario
from gtalign_env.scenarios.matrix.paper import paper_matrix

IDS = ("gtalign/Assist-v0", "gtalign/AssistText-v0", "gtalign/Matrix-v0")


@pytest.mark.parametrize("id", IDS)
def test_ids__are_made_by_pettingzoo_s_registry(id: str) -> None:
    """Both types; ``max_cycles`` is handed on as PettingZoo does it."""
    parallel = pettingzoo.make("parallel", id, max_cycles=3)
    assert isinstance(parallel, GameEnv)
    assert parallel.max_cycles == 3
    parallel.reset(seed=0)
    aec = pettingzoo.make("aec", id)
    assert isinstance(aec, pettingzoo.AECEnv)
    aec.reset(seed=0)
    assert aec.agents == ["user_0", "assistant_0"]


def test_ids__take_options_through_pettingzoo_s_registry() -> None:
    """Scenario options, render mode and strictness."""
    env = pettingzoo.make(
        "parallel", "gtalign/Assist-v0", pricing="per_token", questions=1, strict=True, render_mode="ansi"
    )
    assert isinstance(env, GameEnv)
    assert (env.scenario.config["pricing"], env.strict, env.render_mode) == ("per_token", True, "ansi")  # type: ignore[attr-defined]


@pytest.mark.parametrize("id", IDS)
def test_ids__agree_with_their_specification(id: str) -> None:
    """View and short name are true; the description is one sentence."""
    spec = SCENARIOS[id]
    made = make_scenario(spec.short)
    assert isinstance(made, Scenario)
    assert made.view == spec.view
    assert spec.description.endswith(".")
    assert "\n" not in spec.description


@pytest.mark.parametrize("id", ["gtalign/Assistant-v0", "gtalign/User-v0"])
def test_ids__of_the_single_agent_views_are_gymnasium_s(id: str) -> None:
    """Plain and with the module's name in front, which imports the package."""
    for name in (id, f"gtalign_env:{id}"):
        gymnasium.make(name).reset(seed=0)


def test_make_scenario__by_every_name() -> None:
    """Id, short name, module:attr, and the object itself."""
    for name in ("gtalign/Matrix-v0", "matrix", "gtalign_env.scenarios.matrix.paper:paper_matrix"):
        assert make_scenario(name, rounds=2).config == {"rounds": 2}  # type: ignore[attr-defined]
    scenario = paper_matrix()
    assert make_scenario(scenario) is scenario


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("asist", "did you mean 'assist'"),
        ("gtalign/Assist-v9", "did you mean 'gtalign/Assist-v0'"),
        ("", "unknown scenario ''"),
        ("nowhere:thing", "there is no module 'nowhere'"),
        ("gtalign_env.nowhere:thing", "there is no module 'gtalign_env.nowhere'"),
        ("math:tau_and_more", "module 'math' has no attribute 'tau_and_more'"),
        ("math:", "expected 'module:attr'"),
        (":pi", "expected 'module:attr'"),
        ("math:pi", "math:pi.*expected a scenario, a game .* or a function that makes one"),
        ("builtins:dict", "builtins:dict.*expected a scenario, a game .* or a function that makes one"),
    ],
)
def test_make_scenario__names_what_is_wrong(name: str, message: str) -> None:
    """Unknown ids get a suggestion; entry points that lead nowhere, or to no scenario, are named."""
    with pytest.raises(UsageError, match=message):
        make_scenario(name)


@pytest.mark.parametrize("thing", [None, 3, object(), GameEnv])
def test_make_scenario__refuses_other_things(thing: Any) -> None:
    """With what is accepted."""
    with pytest.raises(UsageError, match="scenario: expected an id"):
        make_scenario(thing)


def test_make_scenario__options_go_with_names_only() -> None:
    """A ready-made scenario cannot be changed any more."""
    with pytest.raises(UsageError, match="takes no options, got rounds"):
        make_scenario(paper_matrix(), rounds=3)


@pytest.mark.parametrize("scenario", ["assist", "assist_text", "matrix"])
def test_make_scenario__unknown_options_are_named(scenario: str) -> None:
    """A misspelt option is never ignored."""
    with pytest.raises(UsageError, match="qestions"):
        make_scenario(scenario, qestions=3)


@pytest.mark.parametrize(
    ("option", "hint"),
    [("round", "; did you mean 'rounds'?"), ("pricing", ""), ("first_speaker_", "; did you mean 'first_speaker'?")],
)
def test_make_scenario__says_which_options_there_are(option: str, hint: str) -> None:
    """In words of the game, with a near match where there is one."""
    with pytest.raises(UsageError) as caught:
        make_scenario("matrix", **{option: 3})
    said = str(caught.value)
    assert f"scenario 'gtalign/Matrix-v0' has no option {option!r}: it has rounds, talk, first_speaker" in said
    assert said.endswith(hint or "caution")
    assert "keyword" not in said


def test_make_scenario__takes_what_is_ready_from_a_file(tmp_path: Path) -> None:
    """Scenarios, and games in their own form, or what makes one; they have no options."""
    (tmp_path / "mine.py").write_text(
        "from gtalign_env.games import Bimatrix, Decision, GameTree, Leaf\n"
        "from gtalign_env.games.signalling import SignallingGame\n"
        "from gtalign_env.scenarios.matrix import matrix_scenario\n"
        "dilemma = Bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]], ('stay', 'go'), ('stay', 'go'))\n"
        "ready = matrix_scenario(dilemma, name='ready', rounds=3)\n"
        "tree = GameTree(Decision('user', {'keep': Leaf(1, 0), 'trust': Leaf(2, 2)}))\n"
        "signals = SignallingGame([0.5, 0.5], [[[1.0]], [[0.0]]], [[[1.0]], [[0.0]]], ('a', 'b'), ('m',), ('x',))\n"
        "def make(*, swap=False):\n"
        "    return Bimatrix(dilemma.user.T, dilemma.assistant.T) if swap else dilemma\n"
    )
    made: dict[str, Any] = {
        name: make_scenario(f"{tmp_path}/mine.py:{name}") for name in ("ready", "dilemma", "tree", "signals")
    }
    assert made["ready"].config == {"rounds": 3}
    assert made["dilemma"].name == "dilemma"
    assert made["dilemma"].game.pure_nash() == [("go", "go")]
    assert made["tree"].moves("user") == ("keep", "trust", "WAIT")
    assert made["signals"].own_types
    swapped: Any = make_scenario(f"{tmp_path}/mine.py:make", swap=True)
    assert swapped.game.user.tolist() == [[3.0, 5.0], [0.0, 1.0]]
    for name in ("ready", "dilemma"):
        with pytest.raises(UsageError, match="takes no options, got rounds"):
            make_scenario(f"{tmp_path}/mine.py:{name}", rounds=2)


def test_parallel_env__passes_errors_on() -> None:
    """The same sentences at the front door."""
    with pytest.raises(UnknownNameError, match="did you mean 'matrix'"):
        gtalign_env.parallel_env("matrx")
    with pytest.raises(UsageError, match="unknown pricing"):
        gtalign_env.parallel_env("assist", pricing="free")


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("def make():\n    return 1 + 'x'\n", TypeError),
        ("def make(payoffs):\n    return payoffs\n", TypeError),
        ("import missing_dependency_xyz\n", ModuleNotFoundError),
        ("raise RuntimeError('not today')\n", RuntimeError),
    ],
)
def test_make_scenario__names_the_foreign_factory_that_failed(
    source: str, cause: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a stranger's module or function raises becomes one sentence with its name, and stays the cause."""
    (tmp_path / "probe_factory_mod.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="'probe_factory_mod:make': making it failed with") as caught:
        make_scenario("probe_factory_mod:make")
    assert isinstance(caught.value.__cause__, cause)
    sys.modules.pop("probe_factory_mod", None)


def test_make_scenario__does_not_hide_a_bug_in_a_registered_factory() -> None:
    """A registered game is known to be a game: an error in it is a bug, and keeps its traceback."""

    def make() -> Scenario:
        raise TypeError("a bug")

    try:
        register_scenario("test/Buggy-v0", make, view="strategic", kind="matrix", description="A test.")
        with pytest.raises(TypeError, match="a bug"):
            make_scenario("test/Buggy-v0")
    finally:
        _forget("test/Buggy-v0")


def test_make_scenario__from_a_file(tmp_path: Path) -> None:
    """``path/to/file.py:attr`` needs no package; the record's name is what was typed."""
    path = tmp_path / "my-game.py"
    path.write_text("from gtalign_env.scenarios.matrix.paper import paper_matrix as mine\n")
    env = gtalign_env.parallel_env(f"{path}:mine", rounds=2)
    assert env.origin == (f"{path}:mine", {"rounds": 2})
    assert env.scenario.config == {"rounds": 2}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "there is no such file"),
        ("def broken(:\n", "line 1: not valid Python"),
        ("1 / 0\n", "importing it failed with ZeroDivisionError"),
        ("raise __import__('gtalign_env').errors.UsageError('own words')\n", "own words"),
        ("other = 1\n", "has no attribute 'game'"),
    ],
)
def test_make_scenario__says_what_is_wrong_with_a_file(source: str | None, message: str, tmp_path: Path) -> None:
    """A file that is missing, broken or lacks the name is named."""
    path = tmp_path / "game.py"
    if source is not None:
        path.write_text(source)
    with pytest.raises(GtalignError, match=message):
        make_scenario(f"{path}:game")
    assert not [name for name, module in sys.modules.items() if getattr(module, "__file__", "") == str(path)] or (
        source == "other = 1\n"
    )


def test_make_scenario__tells_single_agent_views_apart() -> None:
    """A Gymnasium id is no two-player game: the message says what makes it, and which game it is a view of."""
    for id in ("gtalign/Assistant-v0", "gtalign/User-v0"):
        with pytest.raises(UsageError, match=f"gymnasium.make.'gtalign_env:{id}'.*players is 'gtalign/Assist-v0'"):
            make_scenario(id)
    with pytest.raises(UnknownNameError):
        make_scenario("CartPole-v1")  # somebody else's


def test_make_scenario__lists_ids_and_suggests_short_names() -> None:
    """Short names work and are suggested; the list has each game once."""
    with pytest.raises(UnknownNameError, match="did you mean 'assist_text'") as caught:
        make_scenario("asist_text")
    assert caught.value.known == sorted(SCENARIOS)


@pytest.mark.parametrize("id", ["mine", "Trust-v0", "mine/Trust", "mine/Trust-v", "a b/Trust-v0", "mine/Trust-v0 ", 3])
def test_register_scenario__refuses_other_ids(id: Any) -> None:
    """An id that registries could not take apart is refused at once."""
    with pytest.raises(UsageError, match="expected 'namespace/Name-vN'"):
        register_scenario(id, paper_matrix, view="strategic", kind="matrix", description="A test.")
    assert id not in SCENARIOS


def test_register_scenario__refuses_other_views() -> None:
    """There are two views, and the message names them."""
    with pytest.raises(UsageError, match="view must be 'strategic' or 'text', got 'audio'"):
        register_scenario("test/A-v0", paper_matrix, view="audio", kind="matrix", description="")  # type: ignore[arg-type]
    assert "test/A-v0" not in SCENARIOS


def test_register_scenario__warns_when_another_game_takes_an_id() -> None:
    """The last one counts, but not in silence: two packages may have had the same idea."""
    try:
        register_scenario("test/Same-v0", "one.place:game", view="strategic", kind="matrix", description="")
        with pytest.warns(UserWarning, match="paper:paper_matrix takes the place of one.place:game"):
            register_scenario("test/Same-v0", paper_matrix, view="strategic", kind="matrix", description="")
        with pytest.warns(UserWarning, match="functools:partial takes the place"):
            register_scenario(
                "test/Same-v0",
                functools.partial(paper_matrix, rounds=2),
                view="strategic",
                kind="matrix",
                description="",
            )
        assert make_scenario("test/Same-v0").config == {"rounds": 2}  # type: ignore[attr-defined]
    finally:
        _forget("test/Same-v0")


def _forget(id: str) -> None:
    SCENARIOS.pop(id, None)
    pettingzoo.parallel_registry.pop(id, None)
    pettingzoo.aec_registry.pop(id, None)


def test_load__returns_objects_as_they_are_and_walks_attributes() -> None:
    """A callable needs no name; a dotted attribute is followed."""
    assert load(len) is len
    assert load("os:path.basename")("a/b") == "b"


def test_load__does_not_hide_a_missing_dependency(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is there but imports something missing raises that error, not "there is no module"."""
    (tmp_path / "probe_scenario_mod.py").write_text("import missing_dependency_xyz\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="missing_dependency_xyz"):
        load("probe_scenario_mod:thing")
    sys.modules.pop("probe_scenario_mod", None)


def test_register_scenario__makes_a_new_game_known_and_twice_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook cell may run again; no warning, the last one counts."""
    id = "test/Mine-v3"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for rounds in (2, 4):
                register_scenario(
                    id,
                    lambda rounds=rounds: paper_matrix(rounds=rounds),
                    view="strategic",
                    kind="matrix",
                    description="A test.",
                )
        assert SCENARIOS[id].short == "mine"
        assert make_scenario("mine").config == {"rounds": 4}  # type: ignore[attr-defined]
        env = pettingzoo.make("parallel", id)
        assert isinstance(env, GameEnv)
        assert env.scenario.config == {"rounds": 4}  # type: ignore[attr-defined]
    finally:
        _forget(id)


def test_make_scenario__asks_for_the_name_of_the_game_in_a_file() -> None:
    """A file alone is not enough, and the answer shows how to write it."""
    with pytest.raises(UsageError, match=r"write examples/mine\.py:NAME"):
        make_scenario("examples/mine.py")


def test_registry__keeps_things_and_names_of_things() -> None:
    """Strings are imported when they are asked for; anything else is handed back; order is kept."""
    registry = Registry("thing")
    registry.register("later", "math:pi", description="half a turn")
    registry.register("now", {"a": 1})
    assert list(registry) == ["later", "now"]
    assert registry.get("later") == pytest.approx(3.14159, abs=1e-5)
    assert registry.get("now") == {"a": 1}
    assert ("now" in registry, "then" in registry) == (True, False)
    assert (registry.description("later"), registry.description("now")) == ("half a turn", "")
    registry.register("now", 2)
    assert (registry.get("now"), list(registry)) == (2, ["later", "now"])


def test_registry__unknown_names_are_named_everywhere() -> None:
    """With a suggestion, whichever question is asked."""
    registry = Registry("thing")
    registry.register("later", "math:pi")
    for ask in (registry.get, registry.description):
        with pytest.raises(UnknownNameError, match="unknown thing 'latr': did you mean 'later'"):
            ask("latr")


def test_package__exports_what_it_lists() -> None:
    """``__all__`` is sorted, complete and true."""
    assert gtalign_env.__all__ == sorted(gtalign_env.__all__)
    assert all(hasattr(gtalign_env, name) for name in gtalign_env.__all__)
