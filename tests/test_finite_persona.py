"""Personas of finite memory: what they play is what their kernels say, and they are told what is wrong with them."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_parts import Dice, Spoken, sessions

from gtalign_env import parallel_env
from gtalign_env.agents.assistants import make_assistant
from gtalign_env.agents.users import FinitePersona, TypeEntry, load_persona, population_kernels
from gtalign_env.agents.users.card import Character, Drift
from gtalign_env.agents.users.character import Heard
from gtalign_env.crowd import Crowd
from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.optimal import optimum
from gtalign_env.play import play_episode
from gtalign_env.registration import make_scenario
from gtalign_env.sight import Sight
from gtalign_env.types import ASSISTANT_MOVES, USER, USER_MOVES, UserMove, UserType

PARTS = 20
"""All chances of the personas below are so many parts of 1, so that as many draws tell them exactly."""
PAGE = Path(__file__).resolve().parents[1] / "docs" / "personas.md"


def game(**options: Any) -> FiniteScenario:
    """Return an ``assist`` game."""
    made = make_scenario("assist", **options)
    assert isinstance(made, FiniteScenario)
    return made


class Table(FinitePersona):
    """Says and remembers what numbers drawn beforehand say, by all that it is given."""

    name = "table"
    start = 0

    def __init__(self, seed: int, memories: int) -> None:
        rng = np.random.default_rng(seed)
        cuts = np.sort(rng.integers(0, PARTS + 1, size=(memories, 3, 3, 2, len(USER_MOVES) - 1)), axis=-1)
        self.parts = np.diff(cuts, prepend=0, append=PARTS, axis=-1)
        self.next = rng.integers(0, memories, size=(memories, len(ASSISTANT_MOVES) + 1, 2, 2, 2, 2))
        super().__init__()

    def chances(self, memory: Any, sight: Sight) -> dict[Any, float]:
        """Look the moves up, by name and as moves in turn."""
        kind, clarity = (
            ("simple", "complex", "harmful").index(str(sight.kind)),
            ("vague", "muddled", "clear").index(str(sight.clarity)),
        )
        row = self.parts[memory, kind, clarity, int(sight.exchange > 0.0)] / PARTS
        return {
            move if at % 2 else move.name: chance
            for at, (move, chance) in enumerate(zip(USER_MOVES, row.tolist(), strict=True))
        }

    def remember(self, memory: Any, heard: Heard, sight: Sight) -> int:
        """Look the next memory up."""
        reply = len(ASSISTANT_MOVES) if heard.move is None else ASSISTANT_MOVES.index(heard.move)
        felt = (heard.gain < 0.0, heard.quality > 0.4, heard.fee > 0.0, sight.exchange > 0.0)
        return int(self.next[memory, reply, *(int(yes) for yes in felt)])


def drawn(spoken: Spoken) -> list[float]:
    """Return how often each move is made, of all draws."""
    made = np.zeros(len(USER_MOVES))
    for part in range(PARTS):
        player = copy.copy(spoken.player)
        player.rng = Dice([(part + 0.5) / PARTS])
        made[player.act(*spoken.seen)] += 1
    return [float(share) for share in made / PARTS]


def agree(persona: FinitePersona, scenario: FiniteScenario, *, count: int = 6) -> int:
    """Compare the kernel's row with all draws of the persona, wherever some sessions lead; return in how many situations."""
    met: set[tuple[str, int, int]] = set()
    for spoken in sessions(persona, population_kernels(persona, scenario), scenario, count=count):
        situation = (spoken.kernel.name, spoken.memory, spoken.state)
        if situation not in met:
            met.add(situation)
            row = spoken.kernel.moves[spoken.memory, spoken.state]
            np.testing.assert_allclose(row, drawn(spoken), rtol=0.0, atol=1e-12)
    return len(met)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32 - 1),
    memories=st.integers(1, 4),
    pricing=st.sampled_from(["subscription", "per_token"]),
    can_leave=st.booleans(),
)
def test_finite_persona__plays_as_its_kernel_says(seed: int, memories: int, pricing: str, can_leave: bool) -> None:
    """Personas made of random tables, in the real environment: every chance of every situation that comes up is the kernel's."""
    scenario = game(pricing=pricing, can_leave=can_leave, questions=2)
    assert agree(Table(seed, memories), scenario) >= 2


class Peeking(FinitePersona):
    """Looks where it should not: at what it heard last, and at how many bad exchanges there have been."""

    name = "peeking"

    def chances(self, memory: Any, sight: Sight) -> dict[str, float]:
        """Go by what it must not know."""
        seen = bool(self.heard.items) or self.bad_in_a_row > 0 or sight.last_reply is not None or sight.own_total != 0.0
        return {"LEAVE": 1.0} if seen else {"DQ_none": 0.5, "VQ_none": 0.5}


def test_finite_persona__cannot_look_at_what_it_does_not_remember() -> None:
    """What is in no memory is blank, in play as in the kernel."""
    persona = Peeking()
    assert agree(persona, game(), count=3) > 3
    leave = USER_MOVES.index(UserMove("LEAVE", None))
    assert not any(
        spoken.move == leave for spoken in sessions(persona, population_kernels(persona, game()), game(), count=5)
    )


class Drifter(FinitePersona):
    """Wants longer and longer replies, by the card's own rule of drift."""

    name = "drifter"
    character = Character(drift=Drift(ideal_tokens=2.0))
    types = (
        TypeEntry(user_type=UserType(name="little", ideal_tokens=50.0), weight=3.0),
        UserType(name="much", ideal_tokens=150.0),
    )
    start = "content"

    def chances(self, memory: Any, sight: Sight) -> dict[str, float]:
        """Complain as long as the last reply fell short of what was wanted then, and the more, the more is wanted now."""
        if memory == "content":
            return {"DQ_none": 1.0}
        return {"VQ_too_short": 0.75, "DQ_none": 0.25} if self.ideal_tokens < 300.0 else {"VQ_too_short": 1.0}

    def remember(self, memory: Any, heard: Heard, sight: Sight) -> str:
        """Compare with what is wanted now."""
        return "short" if heard.tokens < self.ideal_tokens else "content"


def test_finite_persona__has_its_types_and_what_follows_from_them() -> None:
    """Types with their shares; a taste that drifts with the questions closed does so in the kernel."""
    kernels = population_kernels(Drifter(), game())
    assert {kernel.name: kernel.share for kernel in kernels} == {"drifter/little": 0.75, "drifter/much": 0.25}
    assert [kernel.memories for kernel in kernels] == [2, 2]
    assert agree(Drifter(), game(), count=12) > 20


def test_finite_persona__is_solved_and_played_in_batches() -> None:
    """An optimum against it, and a crowd of it whose moves are as frequent as its chances."""
    scenario = game(questions=1)
    kernels = population_kernels(Drifter(), scenario)
    found = optimum(scenario, kernels, cache=False)
    assert found.exact
    assert found.kinds == ("drifter/little", "drifter/much")
    crowd, rng = Crowd([kernels], games=4000), np.random.default_rng(0)
    crowd.reset(rng)
    state = scenario.tables.index(question="0", kind="simple", clarity="vague", exchange="0")
    assert {USER_MOVES[move].name for move in crowd.act(np.full(4000, state), rng)} == {"DQ_none"}


def test_finite_persona__speaks_in_both_views() -> None:
    """A session by moves and one in words; the default one remembers nothing and asks one way or the other."""
    for view in ("assist", "assist_text"):
        env = parallel_env(view, questions=2)
        episode = play_episode(env, Drifter(), make_assistant("fixed:DA_short"), seed=1)
        assert episode.ended == "terminated"
    said = {
        step.user.move
        for step in play_episode(parallel_env("assist"), FinitePersona(), make_assistant("heuristic"), seed=0).steps
    }
    assert said <= {"VQ_none", "DQ_none"}


def test_finite_persona__episodes_do_not_hang_together() -> None:
    """A reset forgets, and two players of one persona do not share a memory."""
    persona = Drifter()
    env = parallel_env("assist")
    first, second = persona.policy(UserType()), persona.policy(UserType())
    for player in (first, second):
        player.reset(0)
    seen, infos = env.reset(seed=0)
    first.act(seen[USER], infos[USER])
    seen, _, _, _, infos = env.step({USER: 0, "assistant_0": 0})
    first.act(seen[USER], infos[USER])
    assert (vars(first)["_memory"], vars(second)["_memory"]) == ("short", "content")
    first.reset(1)
    assert vars(first)["_memory"] == "content"


# -- what is wrong ----------------------------------------------------------------------------------------------------


class Wrong(FinitePersona):
    """Gives and remembers what it is told to."""

    name = "wrong"

    def __init__(self, given: Any = None, kept: Any = None) -> None:
        self.given, self.kept = given, kept
        super().__init__()

    def chances(self, memory: Any, sight: Sight) -> Any:
        """Return what it was given."""
        return {"DQ_none": 1.0} if self.given is None else self.given

    def remember(self, memory: Any, heard: Heard, sight: Sight) -> Any:
        """Return what it was given, or one memory more."""
        return self.kept(memory) if self.kept else memory


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"DQ_none": 0.5, "VQ_none": 0.4}, r"expected chances that sum to 1, got .* which sum to 0\.9$"),
        ({"DQ": 1.0}, r"'DQ' is none of the moves that may be made there: VQ_none, "),
        ({"DQ_none": -0.5, "VQ_none": 1.5}, r"expected a chance from 0 to 1 of 'DQ_none', got -0\.5$"),
        ({"DQ_none": "much"}, r"expected a chance from 0 to 1 of 'DQ_none', got 'much'$"),
        ([0.5, 0.5], r"expected the chance of each move as a dict, got \[0\.5, 0\.5\]$"),
    ],
)
def test_finite_persona__is_told_what_is_wrong_with_its_chances(given: Any, message: str) -> None:
    """In play and as a kernel alike, with the memory and the situation."""
    seen, infos = parallel_env("assist").reset(seed=0)
    where = r"^persona 'wrong': chances with the memory None, the question \w+ and \w+: "
    with pytest.raises(UsageError, match=where + message):
        population_kernels(Wrong(given), game())
    with pytest.raises(UsageError, match=where + message):
        Wrong(given).policy(UserType()).act(seen[USER], infos[USER])


def test_finite_persona__is_told_what_is_wrong_with_its_memory() -> None:
    """A memory must hash, and memories must be finitely many."""
    with pytest.raises(UsageError, match=r"'wrong': expected a memory that can be compared, .*, got \['a list'\]"):
        population_kernels(Wrong(kept=lambda _: ["a list"]), game())
    many = iter(range(10_000))
    with pytest.raises(
        UsageError, match=r"'wrong': more than 1,000 memories \(the last one is \d+\): let it remember less"
    ):
        population_kernels(Wrong(kept=lambda _: next(many)), game())


def test_finite_persona__is_refused_where_it_plays_otherwise() -> None:
    """Code of its own beside both methods, and games that it does not play."""

    class Rebel(FinitePersona):
        name = "rebel"

        def choose(self, sight: Sight, info: Any) -> UserMove:
            return USER_MOVES[0]

    with pytest.raises(UsageError, match="persona 'rebel' has code of its own in choose"):
        population_kernels(Rebel(), game())
    matrix = make_scenario("matrix")
    assert isinstance(matrix, FiniteScenario)
    with pytest.raises(UsageError, match="plays the 'assist' games only"):
        population_kernels(Drifter(), matrix)


def test_docs__sulky_is_solved_as_written(tmp_path: Path) -> None:
    """The class on the page, from a file: its kernel has the three moods and the chances that the page states."""
    (code,) = [
        block for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if "FinitePersona)" in block
    ]
    (tmp_path / "sulky.py").write_text(code)
    persona = load_persona(f"{tmp_path}/sulky.py:Sulky")
    (kernel,) = population_kernels(persona, game())
    assert kernel.memories == 3
    state = game().tables.index(question="0", kind="simple", clarity="vague", exchange="0")
    row = {USER_MOVES[at].name: chance for at, chance in enumerate(kernel.moves[kernel.start, state]) if chance}
    assert row == {"DQ_none": 0.6, "VQ_none": 0.4}
    assert agree(persona, game()) > 5  # type: ignore[arg-type]
