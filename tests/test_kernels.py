"""Personas as finite automata: the kernels play exactly as the personas do, and what is no automaton is refused."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_parts import chances, sessions
from scipy import stats

from gtalign_env.agents.users import (
    CARDS,
    DEFAULT_SHARES,
    Card,
    Character,
    ScriptedPersona,
    TypeEntry,
    load_persona,
    population,
    population_kernels,
)
from gtalign_env.agents.users.automaton import TOTAL_SEEN
from gtalign_env.agents.users.card import Drift, Leave, Lies, PDetailed, Reactions
from gtalign_env.agents.users.character import Heard, react, reaction_chances
from gtalign_env.errors import UsageError
from gtalign_env.finite import FiniteScenario
from gtalign_env.kernels import Tabular, UserKernel, memoryless, minimal, normalised
from gtalign_env.registration import SCENARIOS, make_scenario
from gtalign_env.sight import Sight, see
from gtalign_env.spaces import ASSIST_LAYOUT
from gtalign_env.tables import GameTables
from gtalign_env.types import ASSISTANT_MOVES, REACTIONS, USER_MOVES, UserMove, UserType

SHIPPED = sorted(path.stem for path in CARDS.glob("*.toml"))
FINITE = sorted(spec.id for spec in SCENARIOS.values() if isinstance(make_scenario(spec.id), FiniteScenario))

ODD = {
    "liar": Character(
        honesty=0.4, expressiveness=0.7, lies=Lies(short="opposite", refusal="thanks", question="too_long")
    ),
    "leaver": Character(leave=Leave(bad_in_a_row=2), reactions=Reactions(dislikes_questions=0.5)),
    "drifter": Character(drift=Drift(ideal_tokens=3.0, limit=400.0), p_detailed=PDetailed(first=0.1, next=0.9)),
    "miser": Character(reactions=Reactions(too_dear_above=0.1), leave=Leave(bad_in_a_row=3)),
    "picky": Character(reactions=Reactions(off_target_below=0.95, thanks_above=0.0), honesty=0.9),
}
"""Characters that the shipped cards leave out."""


def game(**options: Any) -> FiniteScenario:
    """Return an ``assist`` game."""
    made = make_scenario("assist", **options)
    assert isinstance(made, FiniteScenario)
    return made


def odd(name: str) -> ScriptedPersona:
    """Return a persona with one of the odd characters."""
    return ScriptedPersona(
        Card(name=name, description="", types=(TypeEntry(user_type=UserType()),), character=ODD[name])
    )


# -- exactly the persona ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("persona", "options"),
    [
        *((name, {}) for name in SHIPPED),
        ("thrifty", {"pricing": "per_token"}),
        ("hurried", {"pricing": "outcome_based", "max_exchanges": 5}),
        ("hurried", {"can_leave": False, "questions": 2}),
        ("drifting", {"questions": 6, "max_exchanges": 2}),
        *((name, {}) for name in ODD),
        ("miser", {"pricing": "subscription:quota=100"}),
        ("leaver", {"can_leave": False}),
    ],
)
def test_kernel__gives_each_move_the_chance_that_the_persona_gives_it(persona: str, options: dict[str, Any]) -> None:
    """In each situation of a dozen sessions: the persona's code, run over all falls of its draws, against the kernel's row."""
    player, scenario = (odd(persona) if persona in ODD else load_persona(persona)), game(**options)
    assert isinstance(player, ScriptedPersona)
    met: set[tuple[str, int, int]] = set()
    for spoken in sessions(player, population_kernels(player, scenario), scenario, count=12):
        situation = (spoken.kernel.name, spoken.memory, spoken.state)
        if situation not in met:
            met.add(situation)
            row = spoken.kernel.moves[spoken.memory, spoken.state]
            np.testing.assert_allclose(row, chances(spoken, len(USER_MOVES)), rtol=0.0, atol=1e-12)
    assert len(met) >= 20


def played_as_told(name: str, count: int) -> float:
    """Play sessions of a shipped persona; return the chance of frequencies so far from the kernel's (Pearson's test)."""
    persona, scenario = load_persona(name), game(p_harmful=0.02)
    assert isinstance(persona, ScriptedPersona)
    moves: dict[bytes, Counter[int]] = {}
    for spoken in sessions(persona, population_kernels(persona, scenario), scenario, count=count):
        row = spoken.kernel.moves[spoken.memory, spoken.state]
        assert row[spoken.move] > 0.0
        moves.setdefault(np.round(row, 12).tobytes(), Counter())[spoken.move] += 1
    statistic, freedom = 0.0, 0
    for key, counted in moves.items():
        row = np.frombuffer(key)
        expected = row[row > 0.0] * counted.total()
        if expected.min() >= 5.0:  # Pearson's own rule
            observed = np.array([counted[int(move)] for move in np.flatnonzero(row)])
            statistic += float(((observed - expected) ** 2 / expected).sum())
            freedom += len(expected) - 1
    assert freedom > 0
    return float(stats.chi2.sf(statistic, freedom))


@pytest.mark.parametrize("name", SHIPPED)
def test_kernel__holds_every_move_of_played_sessions(name: str) -> None:
    """Every move that a shipped persona makes is possible for its kernel, and as frequent as the kernel says."""
    assert played_as_told(name, 120) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_kernel__holds_every_move_of_two_thousand_sessions(name: str) -> None:
    """The same in 2,000 sessions of each."""
    assert played_as_told(name, 2000) > 1e-3


def test_kernel__waits_for_its_patience_to_run_out() -> None:
    """``hurried`` leaves after exactly four bad exchanges in a row: silence on silence, worked by hand."""
    (kernel,), tables = population_kernels("hurried", game()), game().tables
    leave, silence = USER_MOVES.index(UserMove("LEAVE", None)), len(ASSISTANT_MOVES)
    state, memory, left = tables.index(question="0", kind="simple", clarity="vague", exchange="0"), kernel.start, []
    for _ in range(6):
        left.append(bool(kernel.moves[memory, state, leave] == 1.0))
        entry = (state, 0, silence, 0)
        memory, state = int(kernel.follow[memory][entry]), int(tables.next_state[entry])
    assert left == [False, False, False, False, True, True]


def test_reaction_chances__are_the_frequencies_of_react() -> None:
    """The distribution against 4,000 draws of the real thing, for a liar who dislikes questions."""
    character = Character(
        honesty=0.6, expressiveness=0.8, reactions=Reactions(dislikes_questions=0.3), lies=Lies(question="thanks")
    )
    question = Heard(move=ASSISTANT_MOVES[6], items={"time": -0.1})
    rng = np.random.default_rng(0)
    said = Counter(react(character, question, UserType(), 60.0, rng) for _ in range(4000))
    # By hand: "off target" if annoyed, honest and talking, 0.3 · 0.6 · 0.8; "thanks" for every lie, 0.4 · 0.8; else silence.
    told = dict(zip(REACTIONS, reaction_chances(character, question, UserType(), 60.0), strict=True))
    assert told == pytest.approx(
        {"none": 0.536, "thanks": 0.32, "too_long": 0.0, "too_short": 0.0, "off_target": 0.144}
    )
    for reaction, chance in told.items():
        assert said[reaction] / 4000 == pytest.approx(chance, abs=4 * np.sqrt(0.25 / 4000))


# -- shares and names -------------------------------------------------------------------------------------------------


def test_population_kernels__have_the_shares_of_the_mix() -> None:
    """The default population: its four personas with its shares and types, each of few memories."""
    kernels = population_kernels(None, game())
    assert {kernel.name: kernel.share for kernel in kernels} == pytest.approx(DEFAULT_SHARES)
    assert sum(kernel.share for kernel in kernels) == pytest.approx(1.0)
    assert max(kernel.memories for kernel in kernels) < 40


def test_population_kernels__multiply_shares_of_persona_entry_and_spread() -> None:
    """Chatty has types of weights 2 and 1, expert five levels: half of the users each, by hand; nobody of weight 0 comes."""
    kernels = population_kernels("chatty=1,expert=1,concise=0", game())
    assert {kernel.name: kernel.share for kernel in kernels} == pytest.approx(
        {
            "chatty": 1 / 3,
            "chatty/chatty_brief": 1 / 6,
            **{f"expert ideal_tokens={tokens}": 0.1 for tokens in (160, 180, 200, 220, 240)},
        }
    )


def test_population_kernels__put_equal_types_together() -> None:
    """Two spread fields make 25 types; a spread of nothing and an entry given twice make one."""
    spread = {"ideal_tokens": 0.2, "patience": 0.1}
    entries = (TypeEntry(user_type=UserType(), spread=spread, weight=3.0),)
    wide = population_kernels(ScriptedPersona(Card(name="wide", description="", types=entries)), game(questions=1))
    assert (len(wide), {round(kernel.share, 12) for kernel in wide}) == (25, {0.04})
    assert {kernel.user_type for kernel in wide} == {
        entries[0].draw(rng) for rng in [np.random.default_rng(0)] for _ in range(1000)
    }
    twice = (TypeEntry(user_type=UserType(), spread={"value": 0.0}), TypeEntry(user_type=UserType()))
    (same,) = population_kernels(ScriptedPersona(Card(name="same", description="", types=twice)), game(questions=1))
    assert (same.name, same.share) == ("same", 1.0)


def test_population_kernels__go_by_the_price() -> None:
    """Thrifty grumbles about metered replies and not about a flat fee, which is spent anyway; names of prices will do."""
    flat, metered = (population_kernels("thrifty", game(), pricing) for pricing in (None, "per_token:rate_out=0.01"))
    too_long = USER_MOVES.index(UserMove("VQ", "too_long"))
    state = game().tables.index(question="0", kind="complex", clarity="clear", exchange="0")
    felt = [
        {
            float(kernel.moves[memory, 1, too_long])
            for memory in kernel.follow[kernel.start, state, 0, 0].ravel()
            if memory
        }
        for kernel in (flat[0], metered[0])
    ]
    assert felt[0] == {0.0}
    assert max(felt[1]) > 0.0


@pytest.mark.parametrize("scenario", FINITE)
def test_random__is_uniform_over_legal_moves_in_every_finite_game(scenario: str) -> None:
    """One kernel of one memory per type that the scenario draws, with its share; ``fixed:0`` likewise, with one move."""
    made = make_scenario(scenario)
    assert isinstance(made, FiniteScenario)
    legal = made.tables.user_mask[:-1]
    kernels = population_kernels("random", made)
    assert [kernel.user_type for kernel in kernels] == list(made.mix.types)
    assert [kernel.share for kernel in kernels] == pytest.approx(list(made.mix.shares))
    for kernel in kernels:
        np.testing.assert_allclose(kernel.moves[0, :-1] * legal.sum(axis=1, keepdims=True), legal)
    fixed = population_kernels("fixed:0", made)[0].moves[0, :-1]
    first = np.where(legal[:, 0] == 1, 0, legal.argmax(axis=1))
    silent = made.tables.user_moves.index("SILENT") if "SILENT" in made.tables.user_moves else None
    if silent is not None:  # where talk comes first, who cannot make its move says nothing
        first = np.where((legal[:, 0] == 0) & (legal[:, silent] == 1), silent, first)
    assert fixed.argmax(axis=1).tolist() == first.tolist()
    assert (fixed.max(axis=1) == 1.0).all()


def test_memoryless__leaves_out_types_that_nobody_has() -> None:
    """A type of share 0 makes no kernel, and a single one gives its kernel the plain name."""
    scenario = game(users={"concise": 1.0, "detailed": 0.0})
    (kernel,) = population_kernels("random", scenario)
    assert (kernel.name, kernel.user_type.name) == ("random", "concise")
    assert isinstance(load_persona("random"), Tabular)
    assert memoryless("x", scenario, kernel.moves[0])[0].share == 1.0


# -- what is no automaton ---------------------------------------------------------------------------------------------


class Own(ScriptedPersona):
    """A persona that plays by code of its own."""

    name = "own"

    def choose(self, sight: Sight, info: Mapping[str, Any]) -> UserMove:
        """Always ask vaguely."""
        return UserMove("VQ", "none")


class Told(Own):
    """The same, and it tells what it does."""

    def kernels(self, scenario: Any, pricing: Any) -> tuple[UserKernel, ...]:
        """Return one kernel of one move."""
        return memoryless(
            self.name, scenario, np.eye(len(USER_MOVES))[np.zeros(scenario.tables.terminal + 1, dtype=int)]
        )


class Misfit(Told):
    """And one that tells it of another game."""

    def kernels(self, scenario: Any, pricing: Any) -> tuple[UserKernel, ...]:
        """Return kernels of a shorter game."""
        return super().kernels(game(questions=1), pricing)


class Silent(Told):
    """And one that tells nothing."""

    def kernels(self, scenario: Any, pricing: Any) -> tuple[UserKernel, ...]:
        """Return nothing."""
        return ()


def test_subclass__with_words_of_its_own_is_still_its_card() -> None:
    """``say`` decides no move; a class that writes its kernel down is taken at its word."""

    class Poet(ScriptedPersona):
        def say(self, move: UserMove, info: Mapping[str, Any]) -> str:
            return "O question!"

    assert population_kernels(Poet(), game())[0].memories > 1
    assert population_kernels(Told(), game())[0].memories == 1


@pytest.mark.parametrize(
    ("users", "scenario", "message"),
    [
        (Own(), "assist", "persona 'own' has code of its own in choose"),
        (
            Misfit(),
            "assist",
            r"user kernel 'own/concise' of persona 'own': expected .* \(109, 3, 9, 6, 11\) as in 'assist', got",
        ),
        (Silent(), "assist", "expected at least one"),
        ("concise@fake:voice", "assist", "persona 'concise@fake:voice' does not tell what it will do"),
        ("random,quantal", "prisoners_dilemma", "player 'quantal' goes by more than the public state"),
        ("fixed:sing", "matrix", "fixed:sing cannot play"),
        ("concise", "matrix", "persona 'concise' plays the 'assist' games only, and 'matrix' is none"),
        ("concise", "assist_text", "user kernels: expected a compiled scenario"),
    ],
)
def test_population_kernels__refuse_what_no_finite_memory_holds(users: Any, scenario: str, message: str) -> None:
    """Each refusal says who, why and what to do."""
    with pytest.raises(UsageError, match=message):
        population_kernels(users, make_scenario(scenario))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "member", ["_notice", "act", "choose", "has_enough", "ideal_tokens", "policy", "reset", "sample_type", "situation"]
)
def test_subclass__is_refused_whatever_it_plays_by(member: str) -> None:
    """Every member that decides moves is watched."""
    changed = type(
        "Changed",
        (ScriptedPersona,),
        {member: property(lambda self: 1.0) if member == "ideal_tokens" else _own(member)},
    )
    with pytest.raises(UsageError, match=f"has code of its own in {member}, .* kernels"):
        population_kernels(changed(), game())


def _own(member: str) -> Any:
    """Return a method that overrides another and does the same."""

    def method(self: Any, *args: Any) -> Any:
        return getattr(ScriptedPersona, member)(self, *args)

    return method


def test_total_below__is_refused_where_it_could_hold() -> None:
    """The running total is no finite memory, and the refusal names the key; a total that no observation shows is harmless."""
    for total, refused in ((1.2, True), (TOTAL_SEEN, False)):
        character = Character(leave=Leave(total_below=total))
        persona = ScriptedPersona(
            Card(name="poor", description="", types=(TypeEntry(user_type=UserType()),), character=character)
        )
        if refused:
            with pytest.raises(UsageError, match=r"leave\.total_below = 1\.2.*bad_in_a_row"):
                population_kernels(persona, game())
        else:
            assert population_kernels(persona, game())[0].moves[..., -1].max() == 0.0
    lowest = see({"observation": np.zeros(ASSIST_LAYOUT.size, dtype=np.float32)})
    assert -TOTAL_SEEN < lowest.own_total < -8.0


def test_persona__with_too_many_memories_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memories are numbered in 16 bits; more than that is told, not wrapped round."""
    monkeypatch.setattr("gtalign_env.agents.users.automaton._limit", lambda player, scenario: 40_000)
    with pytest.raises(UsageError, match=r"persona 'thrifty' has [\d,]+ memories here, too many"):
        population_kernels("thrifty", game(questions=1))


# -- the automaton itself ---------------------------------------------------------------------------------------------


def test_minimal__undoes_what_made_a_kernel_larger() -> None:
    """A shipped kernel with every memory doubled, the copies mixed up, comes back as small as it was and plays alike."""
    scenario = game(questions=2)
    for kernel in population_kernels("hurried,drifting", scenario):
        count, rng = kernel.memories, np.random.default_rng(1)
        order = rng.permutation(2 * count)  # where memory m and its copy m + count now stand
        place = np.argsort(order)
        follow = np.concatenate([kernel.follow, kernel.follow]) + count * rng.integers(
            0, 2, (2 * count, *kernel.follow.shape[1:])
        )
        larger = dataclasses.replace(
            kernel,
            moves=np.concatenate([kernel.moves, kernel.moves])[order],
            follow=place[follow][order].astype(np.int16),
            start=int(place[kernel.start]),
        )
        smaller = minimal(larger, scenario.tables)
        assert smaller.memories == count == minimal(kernel, scenario.tables).memories
        assert alike(kernel, smaller, scenario.tables)


def alike(one: UserKernel, other: UserKernel, tables: GameTables) -> bool:
    """Whether two kernels play alike: walk both through everything that can happen."""
    opened = [int(state) for state in np.flatnonzero(tables.initial)]
    seen = {(state, one.start, other.start) for state in opened}
    todo = list(seen)
    while todo:
        state, mine, its = todo.pop()
        if not np.array_equal(one.moves[mine, state], other.moves[its, state]):
            return False
        going = (tables.probability[state] > 0.0) & (tables.next_state[state] != tables.terminal)
        steps = zip(
            tables.next_state[state][going],
            one.follow[mine, state][going],
            other.follow[its, state][going],
            strict=True,
        )
        new = {(int(a), int(b), int(c)) for a, b, c in steps} - seen
        seen |= new
        todo.extend(new)
    return True


def three_rounds() -> FiniteScenario:
    """Return a small game."""
    made = make_scenario("matrix", rounds=3)
    assert isinstance(made, FiniteScenario)
    return made


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_minimal__plays_alike_and_cannot_be_smaller(seed: int, memories: int) -> None:
    """Any automaton on a small game: the result plays alike, is no larger, and minimising again changes nothing."""
    tables, rng = three_rounds().tables, np.random.default_rng(seed)
    shape = tables.next_state.shape
    choices = np.array([[1.0, 0.0], [0.5, 0.5]])
    kernel = UserKernel(
        name="any",
        user_type=UserType(),
        share=1.0,
        moves=np.repeat(choices[rng.integers(0, 2, memories)][:, None], shape[0], axis=1),
        follow=rng.integers(0, memories, (memories, *shape)).astype(np.int16),
        start=int(rng.integers(memories)),
    )
    smaller = minimal(kernel, tables)
    assert alike(kernel, smaller, tables)
    assert smaller.memories <= memories
    assert minimal(smaller, tables).memories == smaller.memories


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"moves": np.ones((1, 110))}, "expected moves"),
        ({"share": 0.0}, "expected a share > 0"),
        ({"share": float("inf")}, "expected a share > 0"),
        ({"moves": np.zeros((1, 109, 11))}, "do not sum to 1"),
        ({"start": 1}, "a memory lies outside 0 to 0"),
        ({"follow": np.ones((1, 109, 3, 9, 6), dtype=np.int16)}, "a memory lies outside 0 to 0"),
    ],
)
def test_kernel__refuses_what_is_no_automaton(change: dict[str, Any], message: str) -> None:
    """Shapes, shares, chances and memories are checked once, when it is made."""
    kernel = population_kernels("fixed:VQ_none", game(users="concise"))[0]
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(kernel, **change)


def test_normalised__scales_shares_and_refuses_nobody() -> None:
    """Shares 1 and 3 become a quarter and three quarters."""
    kernel = population_kernels("random", game(users="concise"))[0]
    scaled = normalised([kernel, dataclasses.replace(kernel, share=3.0)])
    assert [one.share for one in scaled] == [0.25, 0.75]
    with pytest.raises(UsageError, match="at least one"):
        normalised([])


def test_population__draws_types_as_often_as_kernels_say() -> None:
    """4,000 draws of a mix of mixes lie within four standard errors of the shares."""
    mix, rng = population("over_vague=2,chatty=1"), np.random.default_rng(3)
    drawn = Counter(mix(rng).sample_type(rng) for _ in range(4000))
    kernels = population_kernels(mix, game(questions=1))
    assert set(drawn) == {kernel.user_type for kernel in kernels}
    for kernel in kernels:
        error = np.sqrt(kernel.share * (1.0 - kernel.share) / 4000)
        assert drawn[kernel.user_type] / 4000 == pytest.approx(kernel.share, abs=4.0 * error)
