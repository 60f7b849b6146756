"""The assistant that reasons first, on fakes: modes, batches, records, steering, other games."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
from chains import (
    BOTH,
    MOVES,
    QUESTION,
    Failing,
    Recording,
    Unruly,
    blocks,
    index,
    info,
    seated,
)

from gtalign_env import parallel_env
from gtalign_env.agents.assistants import make_assistant
from gtalign_env.agents.backends import ChainBackend, RulesBackend, ScriptedBackend
from gtalign_env.agents.backends.prompts import NOTHING
from gtalign_env.agents.chain import (
    ChainAssistant,
    ChainBudget,
    ChainContext,
    TokenStatistics,
    instructions,
    make_moves,
)
from gtalign_env.agents.chain.solving import solve_stated
from gtalign_env.env import GameEnv
from gtalign_env.errors import ModelError, UsageError
from gtalign_env.games import Bimatrix
from gtalign_env.play import play_episode
from gtalign_env.play_batch import play_batch
from gtalign_env.protocols import BatchPolicy, Continuation, Generation, Sampling, Sitter
from gtalign_env.registration import PERSONAS, make_scenario
from gtalign_env.types import ASSISTANT_MOVES, USER

# -- modes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("constrained", [True, False])
@pytest.mark.parametrize(
    ("criterion", "cell"),
    [
        ("welfare:cobb_douglas", ["DQ", "AQ"]),
        ("welfare:ces:rho=-1", ["DQ", "AQ"]),
        ("nash", ["VQ", "DA"]),
        ("stackelberg:assistant", ["VQ", "DA"]),
        ("bargaining:nash", ["DQ", "AQ"]),
    ],
)
def test_solver__plays_what_the_criterion_picks_in_the_stated_matrix(
    criterion: str, cell: list[str], constrained: bool
) -> None:
    """The published example under each criterion: known cells, announced with the reply; the analysis is ours and names it.

    As leader, the assistant gets 1 by DA (the user answers VQ), 0 by AQ (VQ: 4 > 3) and 1 by CQ (the user answers DQ).
    """
    assistant = seated(ChainBackend(blocks()), criterion=criterion, constrained=constrained)
    action = assistant.act({}, info())
    assert action["text"] == BOTH
    chain = assistant.last_call["chain"]
    if criterion != "stackelberg:assistant":
        assert chain["solution"]["cell"] == cell
    assert chain["announced"] == chain["solution"]["drawn"][1]
    assert ASSISTANT_MOVES[action["move"]].act == chain["announced"]
    assert chain["matrix"]["user"] == [[1, 4, 1], [0, 3, 2]]
    assert chain["matrix"]["assistant"] == [[1, 0, 0], [1, 3, 1]]
    assert chain["blocks"]["analyze"].endswith(f"choice: {'|'.join(chain['solution']['drawn'])}")
    assert (
        f"<analyze>\n{chain['blocks']['analyze']}\n</analyze>\n<response>{BOTH}</response>"
        in assistant.last_call["text"]
    )


def test_solver__resumes_the_same_chain() -> None:
    """Three calls: the second and third continue the completion before, and the last begins with everything so far."""
    backend = Recording(ChainBackend(blocks()))
    seated(backend).act({}, info())
    (first,), (second,), (third,) = (conversations for conversations, _ in backend.calls)
    assert first[-1] == {"role": "assistant", "content": "<thinking>"}
    assert isinstance(second, Continuation)
    assert isinstance(third, Continuation)
    assert second.text == "\n<payoff>"
    assert third.written.startswith("<thinking>It may be either.</thinking>\n<payoff>{")
    assert third.written.endswith("choice: DQ|AQ\n</analyze>\n<response>")
    schemas = [bool(sampling.json_schema) for _, sampling in backend.calls]
    assert (schemas, [sampling.stop for _, sampling in backend.calls]) == (
        [False, True, False],
        [("</thinking>",), (), ("</response>",)],
    )


def test_solver__free_running_halts_behind_the_payoffs() -> None:
    """Two calls: the model writes the tags itself, is stopped at </payoff>, is given the solution, and goes on."""
    backend = Recording(ChainBackend(blocks()))
    assistant = seated(backend, constrained=False)
    assistant.act({}, info())
    assert [sampling.stop for _, sampling in backend.calls] == [("</payoff>",), ("</response>",)]
    assert [sampling.max_tokens for _, sampling in backend.calls] == [192 + 7 * 32, 512]
    chain = assistant.last_call["chain"]
    assert chain["blocks"]["thinking"] == "It may be either."
    assert sum(chain["tokens"].values()) == assistant.last_call["tokens"]
    assert assistant.last_call["tokens"] == sum(len(stage["token_ids"]) for stage in assistant.last_call["stages"])
    assert chain["tokens"]["analyze"] == 0


@pytest.mark.parametrize("constrained", [True, False])
def test_self__plays_the_cell_that_the_model_announces(constrained: bool) -> None:
    """The model analyses by itself; whether that is right is for the gauges: the criterion is recorded beside it."""
    assistant = seated(
        ChainBackend(blocks(analyze="choice: VQ|CQ", response=QUESTION)), mode="self", constrained=constrained
    )
    action = assistant.act({}, info())
    assert action == {"move": index("CQ"), "text": QUESTION}
    chain = assistant.last_call["chain"]
    assert (chain["mode"], chain["criterion"]) == ("self", "welfare:cobb_douglas")
    assert chain["solution"] == {"name": "self", "cell": ["VQ", "CQ"]}
    assert (chain["announced"], chain["made"], chain["kept"]) == ("CQ", "CQ", True)


def test_self__is_played_by_the_fake_that_needs_no_model() -> None:
    """``fake:chain`` announces the cell of its matrix with the highest sum, and makes that move; the bad one asks."""
    for spec in ("fake:chain", "fake:chain=bad"):
        assistant = seated(spec, mode="self", moves="paper")
        action = assistant.act({}, info())
        chain = assistant.last_call["chain"]
        assert chain["failures"] == []
        sums = {
            (row, column): user + theirs
            for row, users, assistants in zip(
                MOVES.rows, chain["matrix"]["user"], chain["matrix"]["assistant"], strict=True
            )
            for column, user, theirs in zip(MOVES.columns, users, assistants, strict=True)
        }
        asks = {cell: value for cell, value in sums.items() if cell[1] == "CQ" or spec == "fake:chain"}
        row, column = chain["solution"]["cell"]
        assert sums[row, column] == max(asks.values())
        assert chain["kept"] is True
        assert ASSISTANT_MOVES[action["move"]].act == column


@pytest.mark.parametrize("mode", ["solver", "self"])
@pytest.mark.parametrize("spec", ["fake:chain", "fake:chain=bad"])
def test_fake__free_running_states_a_matrix_or_does_not(spec: str, mode: str) -> None:
    """The fake of a good model states all 24 cells unasked; that of a bad one does so only under constraints."""
    for constrained in (True, False):
        env = parallel_env("gtalign/AssistText-v0", questions=1)
        assistant = ChainAssistant(spec, mode=mode, constrained=constrained, strict=True)
        episode = play_episode(env, PERSONAS.get("concise")(), assistant, seed=5)
        if constrained or spec == "fake:chain":
            assert episode.ended == "terminated", episode.error
            chain = episode.steps[0].assistant.model["chain"]
            assert (chain["attempts"], len(chain["matrix"]["user"][0])) == (1, 8)
        else:
            assert "failed: wrong_keys: " in episode.error["message"]


def test_none__replies_without_a_chain() -> None:
    """One call, plain words, no announcement."""
    backend = Recording(RulesBackend())
    assistant = seated(backend, mode="none")
    assert assistant.act({}, info()) == QUESTION
    assert len(backend.calls) == 1
    assert assistant.last_call["chain"] == {"mode": "none"}
    assert assistant.last_call["text"] == QUESTION


def test_chain__a_truncated_thought_is_closed() -> None:
    """A block that runs into its limit is closed by us, so that the chain keeps its form; the record says so."""
    assistant = seated(ChainBackend(blocks(thinking="word " * 50)), budget=ChainBudget(thinking=5))
    assistant.act({}, info())
    assert "word</thinking>\n<payoff>" in assistant.last_call["text"]
    assert assistant.last_call["chain"]["tokens"]["thinking"] == 5
    assert assistant.last_call["chain"]["notes"] == ["cut: the thinking block was ended after 5 tokens"]


def test_chain__an_empty_thought_is_no_failure() -> None:
    """A model that has nothing to say before its payoffs goes on with these."""
    assistant = seated(ChainBackend(blocks(thinking="")))
    assistant.act({}, info())
    assert assistant.last_call["chain"]["failures"] == []
    assert assistant.last_call["stages"][0]["error"] == NOTHING


def test_chain__an_engine_without_schemas_is_left_to_itself() -> None:
    """Where payoffs cannot be held to their form, they are asked for freely, and the record says so."""
    backend = Unruly(ChainBackend(blocks()))
    assistant = seated(backend)
    assistant.act({}, info())
    assert assistant.last_call["chain"]["matrix"]["user"] == [[1, 4, 1], [0, 3, 2]]
    assert assistant.last_call["chain"]["notes"] == [
        "unguided: the payoff block was not held to its form: no schemas here"
    ]
    assert backend.calls[2][1].stop == ("</payoff>",)


# -- many games -----------------------------------------------------------------------------------------------------------


def test_act_batch__shares_one_call_for_each_stage() -> None:
    """Many games are three calls of the engine; a game whose turn it is not costs nothing."""
    backend = Recording(ChainBackend(blocks()))
    assistant = seated(backend)
    assert isinstance(assistant, BatchPolicy)
    assert isinstance(assistant, Sitter)
    actions = assistant.act_batch([{}] * 3, [info("One?"), info(to_move=USER), info("Three?")])
    assert [len(conversations) for conversations, _ in backend.calls] == [2, 2, 2]
    assert [bool(call) for call in assistant.last_calls] == [True, False, True]
    assert (actions[0]["text"], actions[1], actions[2]["text"]) == (BOTH, "", BOTH)
    assert assistant.act_batch([], []) == []


def test_act_batch__gives_each_game_what_act_gives_it() -> None:
    """Company changes nothing: same seed, same conversation, same action and record."""
    backend = ChainBackend(lambda conversation: blocks(thinking=conversation[-1]["content"]))
    infos = [info(f"Question {n}?") for n in range(4)]
    together = seated(backend, criterion="quantal:1")
    actions = together.act_batch([{}] * 4, infos)
    for place, one in enumerate(infos):
        alone = seated(backend, criterion="quantal:1")
        assert alone.act({}, one) == actions[place]
        assert alone.last_call == together.last_calls[place]


@pytest.mark.parametrize("stage", [0, 1])
def test_act_batch__one_failing_game_leaves_the_others_whole(stage: int) -> None:
    """The error counts the games that failed; what the others wrote is in last_calls, all of it."""
    backend = Failing(ChainBackend(blocks()), lambda call, place: call == stage and place == 1)
    assistant = seated(backend, retries=0, constrained=False)
    with pytest.raises(ModelError, match="failed in 1 of 3 games: engine: out of memory"):
        assistant.act_batch([{}] * 3, [info(f"{n}?") for n in range(3)])
    kinds = [[failure["kind"] for failure in call["chain"]["failures"]] for call in assistant.last_calls]
    assert kinds == [[], ["engine"], []]
    assert assistant.last_calls[1]["error"] == "out of memory"


def test_episodes__played_side_by_side_are_those_played_alone() -> None:
    """A batch of games gives the records that each seed gives alone, but for the time it took."""
    assistant = ChainAssistant(ChainBackend(blocks()), moves=MOVES, criterion="quantal:1")

    def env() -> GameEnv:
        return parallel_env("gtalign/AssistText-v0", questions=1)

    persona = PERSONAS.get("concise")()
    for episode in play_batch(env, persona, assistant, range(4), games=3):
        alone = play_episode(env(), persona, assistant, seed=episode.seed)
        assert [step.assistant.model for step in episode.steps] == [step.assistant.model for step in alone.steps]
        assert [step.assistant.text for step in episode.steps] == [step.assistant.text for step in alone.steps]


def test_act_batch__refuses_lists_that_differ_in_length() -> None:
    """Observations and infos belong together."""
    with pytest.raises(UsageError, match="got 2 and 1"):
        seated("fake:chain").act_batch([{}], [info(), info()])


# -- records ------------------------------------------------------------------------------------------------------------------


def test_record__holds_every_token_where_it_stood() -> None:
    """Each stage's tokens stand at its start in the last prompt, so a trainer needs no tokenizer."""
    assistant = seated(ChainBackend(blocks()))
    assistant.act({}, info())
    call = assistant.last_call
    whole = [*call["prompt_ids"], *call["stages"][-1]["token_ids"]]
    assert [stage["block"] for stage in call["stages"]] == ["thinking", "payoff", "response"]
    for stage in call["stages"]:
        assert "prompt_ids" not in stage
        assert whole[stage["start"] : stage["start"] + len(stage["token_ids"])] == stage["token_ids"]
        assert len(stage["logprobs"]) == len(stage["token_ids"])
    assert call["prompt_tokens"] == call["stages"][0]["start"]


def test_record__of_engines_without_token_ids() -> None:
    """Then tokens are counted by the engine's own counter, and tags that a stop cut off are put in by us."""

    class Textual(Recording):
        def generate(self, conversations: Sequence[Any], sampling: Sampling) -> list[Generation]:
            made = super().generate(conversations, sampling)
            return [Generation(text=row.text, conversation=row.conversation) for row in made]

    assistant = seated(Textual(ChainBackend(blocks())))
    assert assistant.act({}, info())["text"] == BOTH
    assert assistant.last_call["text"].count("</thinking>") == 1
    assert assistant.last_call["chain"]["tokens"]["thinking"] == 5


# -- steering -----------------------------------------------------------------------------------------------------------------


def test_steer__edits_the_matrix_before_it_is_solved() -> None:
    """The hook sees the stated matrix and the turn; what it returns is solved and recorded beside what was stated."""
    seen: list[ChainContext] = []

    def dearer(game: Bimatrix, context: ChainContext) -> Bimatrix:
        seen.append(context)
        bonus = [[0, 0, 5]] * 2
        return Bimatrix(game.user + bonus, game.assistant + bonus, game.user_moves, game.assistant_moves)

    assistant = seated(ChainBackend(blocks(response=QUESTION)), steer=dearer)
    assert assistant.act({}, info())["move"] == index("CQ")
    chain = assistant.last_call["chain"]
    assert chain["matrix"]["user"] == [[1, 4, 1], [0, 3, 2]]
    assert chain["steered"]["user"] == [[1, 4, 6], [0, 3, 7]]
    assert "adjusted to the price" in chain["blocks"]["analyze"]
    later = [*info()["messages"], {"role": "assistant", "content": QUESTION}, {"role": "user", "content": "That."}]
    assistant.act({}, {"messages": later})
    assert [(context.first, context.last) for context in seen] == [(True, ""), (False, "CQ")]
    assert (
        seen[0].tokens.expected("CQ") == (2 * 25 + 2 * 6) / 4
    )  # the prior is worth two replies; these have six tokens


def test_steer__statistics_begin_anew_with_each_episode() -> None:
    """What was learned in one game is no part of the next: equal seeds give equal games. What is given from outside stays."""
    known = TokenStatistics()
    known.add("AQ_short", 100.0)
    before = known.expected("AQ_short")
    assistant = seated(ChainBackend(blocks()), statistics=known)
    assistant.act({}, info())
    assert assistant.statistics.expected("AQ_short") != before
    twin = copy.deepcopy(assistant)
    assert twin.statistics is not assistant.statistics
    assert twin.backend is assistant.backend
    assistant.reset(0)
    assert (assistant.statistics.expected("AQ_short"), known.expected("AQ_short")) == (before, before)


# -- other games, settings -----------------------------------------------------------------------------------------------------


def test_matrix_game__is_told_by_its_briefing_and_played_by_the_announced_move() -> None:
    """The paper's 2×3 game: the rules are in the prompt, no reply is written, and the solved move is the action."""
    backend = Recording(ChainBackend(blocks()))
    assistant = ChainAssistant(backend)
    episode = play_episode(parallel_env("gtalign/Matrix-v0"), PERSONAS.get("random")(), assistant, seed=0)
    assert episode.ended in ("terminated", "truncated"), episode.error
    assert {step.assistant.move for step in episode.steps} == {"AQ"}
    assert len(backend.calls) == 2 * len(episode.steps)
    first = backend.calls[0][0][0]
    assert "you AQ, the user DQ: you get 3, the user gets 3" in first[0]["content"]
    assert first[1]["content"].startswith("It is your move.")
    last = backend.calls[-2][0][0][1]["content"]
    assert "you made AQ last time" in last


def test_matrix_game__without_a_chain_reads_the_move_from_the_reply() -> None:
    """A plain reply has to name a move; one that names none is an error, not a move."""
    env = parallel_env("gtalign/Matrix-v0")
    named = ChainAssistant(ScriptedBackend(["DA? No: CQ."]), mode="none")
    episode = play_episode(env, PERSONAS.get("random")(), named, seed=0)
    assert {step.assistant.move for step in episode.steps} == {"CQ"}
    silent = ChainAssistant(ScriptedBackend(["I pass."]), mode="none")
    episode = play_episode(env, PERSONAS.get("random")(), silent, seed=0)
    assert (episode.ended, episode.error["type"]) == ("error", "ModelError")


def test_sit__refuses_what_no_chain_can_play() -> None:
    """A game of too many cells, the user's chair, and a strategic game in which nobody sat down."""
    assistant = ChainAssistant("fake:chain")
    with pytest.raises(UsageError, match=r"at most 64 cells: scenario 'rubinstein' has turns of 71; make it smaller"):
        assistant.sit(make_scenario("rubinstein", slices=70, rounds=1, first_speaker="assistant"), "assistant")
    with pytest.raises(UsageError, match="plays the assistant, got 'user'"):
        assistant.sit(make_scenario("assist_text"), "user")
    with pytest.raises(UsageError, match="expected 'messages' in the info"):
        assistant.act({}, {})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mode": "solve"}, "chain mode: expected one of solver, self, none"),
        ({"criterion": "nosh"}, "did you mean 'nash'"),
        ({"criterion": "stackelberg:nobody"}, "expected stackelberg:user or stackelberg:assistant"),
        ({"moves": "some"}, "chain moves: expected full, acts, paper"),
        ({"moves": "VQ/"}, "chain moves: expected full"),
        ({"retries": -1}, "chain retries: expected an integer >= 0"),
        ({"retries": True}, "chain retries"),
        ({"on_mismatch": "ignore"}, "chain on_mismatch: expected one of record, retry, reject"),
        ({"on_failure": "zero"}, "chain on_failure: expected one of error, plain"),
        ({"budget": 5}, "expected a ChainBudget"),
        ({"sampling": 3}, "sampling: expected"),
        ({"colour": "red"}, "unknown settings colour; expected some of budget, constrained, criterion"),
    ],
)
def test_settings__that_make_no_sense_are_refused(wrong: dict[str, Any], message: str) -> None:
    """Before any model is asked, in a sentence that says what was expected."""
    with pytest.raises(UsageError, match=message):
        ChainAssistant("fake:chain", **wrong)


def test_budget__refuses_blocks_without_room() -> None:
    """Every block needs a token; payoffs take what their cells need."""
    with pytest.raises(UsageError, match="chain budget thinking: expected an integer >= 1, got 0"):
        ChainBudget(thinking=0)
    assert ChainBudget(payoff=99).of("payoff", cells=6) == 99


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ({}, "at least one move of the user"),
        ({"a|b": "", "a": ""}, "two cells would have the same key"),
        ({"<x>": ""}, "'<x>'"),
    ],
)
def test_moves__that_could_not_be_read_back_are_refused(user: dict[str, str], message: str) -> None:
    """A name must stand in a tag and in JSON, and a key must mean one cell."""
    from gtalign_env.agents.chain.moves import ChainMoves

    with pytest.raises(UsageError, match=message):
        ChainMoves(user, {"c": "", "b|c": ""})


@pytest.mark.parametrize("spec", ["VQ,VQ/CQ,CQ", "VQ,DQ/CQ,DA,CQ"])
def test_make_moves__refuses_a_move_that_stands_there_twice(spec: str) -> None:
    """A matrix has one row and one column for each move."""
    from gtalign_env.agents.chain.moves import make_moves

    with pytest.raises(UsageError, match="each move of a side once"):
        make_moves(spec)


def test_solve_stated__draws_from_a_mixture_by_its_seed() -> None:
    """Matching pennies: the mixture is said, the draw follows from the seed, and both moves come up."""
    moves = make_moves("H,T/H,T")
    game = Bimatrix([[1, -1], [-1, 1]], [[-1, 1], [1, -1]], moves.rows, moves.columns)
    drawn = [solve_stated(game, "nash", moves, seed=seed) for seed in range(20)]
    cells = [solved.cell for solved in drawn if not hasattr(solved, "kind")]
    assert len(cells) == 20
    assert {column for _, column in cells} == {"H", "T"}
    again = solve_stated(game, "nash", moves, seed=3)
    assert again == drawn[3]
    assert "H|H 25%" in str(getattr(again, "words", ""))


def test_instructions__anchor_no_number_and_name_every_cell() -> None:
    """The form is shown with placeholders: besides the range there is no number that could be copied as a payoff."""
    for spec in ("paper", "full", "VQ,DQ/DA,CQ"):
        moves = make_moves(spec)
        for mode in ("solver", "self"):
            told = instructions(moves, mode=mode, criterion="nash", pricing="")
            assert all(f'"{key}"' in told for key in moves.keys)
            assert all(f"- {name}: " in told for name in (*moves.rows, *moves.columns))
            digits = {word.strip("(),.") for word in told.split() if any(map(str.isdigit, word))}
            assert digits == {"-5", "0", "5"}
    with pytest.raises(UsageError, match="expected mode 'solver' or 'self'"):
        instructions(make_moves(), mode="none")


def test_make_assistant__takes_chains() -> None:
    """The spec is that of the engine with chain: in front; options are settings, and what is left goes to the engine."""
    assistant = make_assistant("chain:fake:chain", mode="self", criterion="nash")
    assert assistant.name == "fake:chain+self/nash"
    with pytest.raises(UsageError, match="unexpected keyword"):
        make_assistant("chain:fake:chain", colour="red")
