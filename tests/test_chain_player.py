"""The assistant that reasons first, on fakes: modes, batches, retries, failures, steering, records."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

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

MOVES = make_moves("paper")
PAPER: dict[str, tuple[float, float]] = {
    "VQ|DA": (1, 1),
    "VQ|AQ": (4, 0),
    "VQ|CQ": (1, 0),
    "DQ|DA": (0, 1),
    "DQ|AQ": (3, 3),
    "DQ|CQ": (2, 1),
}
"""The published example: the pure equilibrium is VQ|DA, the welfare optimum DQ|AQ."""
ANSWER = "It is Paris."
BOTH = "It is Paris. Which year do you have in mind?"
QUESTION = "Which one do you mean?"


def payoffs(cells: dict[str, tuple[float, float]] = PAPER) -> str:
    """Return a payoff block's text."""
    return json.dumps({key: {"user": user, "assistant": assistant} for key, (user, assistant) in cells.items()})


def blocks(**changes: str) -> list[tuple[str, str]]:
    """Return the blocks that a fake writes, some changed."""
    made = {"thinking": "It may be either.", "payoff": payoffs(), "analyze": "Good.\nchoice: DQ|AQ", "response": BOTH}
    return list({**made, **changes}.items())


class Recording:
    """A backend that passes everything on and remembers it."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.name = "recording"
        self.calls: list[tuple[list[Any], Sampling]] = []

    def generate(self, conversations: Sequence[Any], sampling: Sampling) -> list[Generation]:
        """Pass a call on."""
        self.calls.append((list(conversations), sampling))
        made: list[Generation] = self.backend.generate(conversations, sampling)
        return made

    def count_tokens(self, text: str) -> int:
        """Count tokens."""
        return int(self.backend.count_tokens(text))


class Unruly(Recording):
    """A backend that holds no model to a schema, and says so."""

    def generate(self, conversations: Sequence[Any], sampling: Sampling) -> list[Generation]:
        """Refuse schemas."""
        made = super().generate(conversations, sampling)
        if not sampling.json_schema:
            return made
        return [Generation(text="", finish_reason="error", error="no schemas here") for _ in made]


class Failing(Recording):
    """A backend whose calls fail where ``fails`` says so, by number of the call and place."""

    def __init__(self, backend: Any, fails: Callable[[int, int], bool]) -> None:
        super().__init__(backend)
        self.fails = fails

    def generate(self, conversations: Sequence[Any], sampling: Sampling) -> list[Generation]:
        """Fail some rows."""
        made = super().generate(conversations, sampling)
        broken = Generation(text="", finish_reason="error", error="out of memory")
        return [broken if self.fails(len(self.calls) - 1, place) else row for place, row in enumerate(made)]


def info(said: str = "How far is it?", **more: Any) -> dict[str, Any]:
    """Return what the environment tells the assistant."""
    return {"messages": [{"role": "user", "content": said}], **more}


def seated(backend: Any, **settings: Any) -> ChainAssistant:
    """Return an assistant in a chat's chair, with the six published cells."""
    assistant = ChainAssistant(backend, **{"moves": MOVES, **settings})
    assistant.sit(make_scenario("assist_text"), "assistant")
    assistant.reset(0)
    return assistant


def index(name: str) -> int:
    """Return the index of one of the assistant's moves."""
    return [move.name for move in ASSISTANT_MOVES].index(name)


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


def test_act_batch__refuses_lists_that_differ_in_length() -> None:
    """Observations and infos belong together."""
    with pytest.raises(UsageError, match="got 2 and 1"):
        seated("fake:chain").act_batch([{}], [info(), info()])


# -- retries and failures ---------------------------------------------------------------------------------------------------


def script(*chains: Sequence[tuple[str, str]]) -> ScriptedBackend:
    """Return a backend that writes whole chains, halted behind the payoffs, one after the other."""
    lines = []
    for chain in chains:
        parts = dict(chain)
        lines += [
            f"<thinking>{parts['thinking']}</thinking><payoff>{parts['payoff']}</payoff>",
            f"{parts['response']}</response>",
        ]
    return ScriptedBackend(lines)


def test_retry__begins_the_chain_anew_and_keeps_what_failed() -> None:
    """A first chain without a matrix: the second is asked for at another seed, warm, and the record holds both."""
    lines = ["no chain at all", "<thinking>a</thinking><payoff>" + payoffs() + "</payoff>", f"{BOTH}</response>"]
    backend = Recording(ScriptedBackend(lines))
    assistant = seated(backend, constrained=False)
    assert assistant.act({}, info())["text"] == BOTH
    chain = assistant.last_call["chain"]
    assert chain["attempts"] == 2
    assert [(failure["kind"], failure["attempt"]) for failure in chain["failures"]] == [("missing_block", 0)]
    assert chain["discarded"] == [{"text": "no chain at all", "tokens": 4}]
    temperatures = [sampling.temperature for _, sampling in backend.calls]
    assert temperatures == [0.0, 0.7, 0.7]
    assert backend.calls[0][1].seed != backend.calls[1][1].seed


@pytest.mark.parametrize(
    ("changes", "settings", "kind"),
    [
        ({"payoff": "nonsense"}, {}, "bad_json"),
        ({"payoff": payoffs({**PAPER, "VQ|DA": (9, 9)})}, {}, "out_of_range"),
        ({"response": " "}, {}, "empty_response"),
        ({"analyze": "Hm."}, {"mode": "self"}, "unannounced"),
        ({"payoff": payoffs(dict.fromkeys(PAPER, (-1, -1)))}, {"criterion": "bargaining:nash"}, "no_solution"),
        ({"payoff": payoffs(dict.fromkeys(PAPER, (1, 1)))}, {"criterion": "dominance"}, "no_solution"),
        ({"response": ANSWER}, {"on_mismatch": "reject"}, "move_mismatch"),
        ({"payoff": str(json.loads(payoffs()))}, {"strict": True}, "bad_json"),
        ({"payoff": ""}, {"constrained": False}, "bad_json"),
        ({"response": " "}, {"mode": "self", "constrained": False}, "empty_response"),
        ({"analyze": "Hm."}, {"mode": "self", "constrained": False}, "unannounced"),
    ],
)
def test_failure__is_typed_and_ends_the_game_unless_told_otherwise(
    changes: dict[str, str], settings: dict[str, Any], kind: str
) -> None:
    """After all retries the error names the kind; a plain reply only where that was asked for, and marked as such."""
    backend = ChainBackend(blocks(**changes))
    assistant = seated(backend, **settings)
    with pytest.raises(ModelError, match=f"failed: {kind}: "):
        assistant.act({}, info())
    chain = assistant.last_call["chain"]
    assert [failure["kind"] for failure in chain["failures"]] == [kind, kind]
    assert chain["fallback"] == ""

    plain = seated(backend, on_failure="plain", **settings)
    said = plain.act({}, info())
    assert isinstance(said, str)
    assert plain.last_call["chain"]["fallback"] == "plain"
    assert plain.last_call["plain"]["text"].strip() == said
    assert [failure["kind"] for failure in plain.last_call["chain"]["failures"]] == [kind, kind]


def test_failure__of_the_engine_in_the_plain_reply_too() -> None:
    """Where even the plain reply fails there is an error; nothing is made up."""
    assistant = seated(Failing(ChainBackend(blocks()), lambda call, place: True), on_failure="plain")
    with pytest.raises(ModelError, match="out of memory"):
        assistant.act({}, info())
    assert assistant.last_call["error"] == "out of memory"


def test_failure__of_an_engine_that_comes_back() -> None:
    """A call that fails once is made again."""
    assistant = seated(Failing(ChainBackend(blocks()), lambda call, place: call == 0))
    assert assistant.act({}, info())["text"] == BOTH
    assert [failure["kind"] for failure in assistant.last_call["chain"]["failures"]] == ["engine"]


# -- announced and made ------------------------------------------------------------------------------------------------------


def test_mismatch__is_recorded() -> None:
    """AQ is announced and a direct answer made: the reply goes out, and the record shows both."""
    assistant = seated(ChainBackend(blocks(response=ANSWER)))
    action = assistant.act({}, info())
    assert action == {"move": index("AQ_medium"), "text": ANSWER}
    chain = assistant.last_call["chain"]
    assert (chain["announced"], chain["made"], chain["kept"]) == ("AQ", "DA_short", False)


def test_mismatch__retry_takes_the_reply_that_keeps_its_word() -> None:
    """The first reply breaks its word, the second keeps it."""
    assistant = seated(script(blocks(response=ANSWER), blocks()), on_mismatch="retry", constrained=False)
    assert assistant.act({}, info()) == {"move": index("AQ_short"), "text": BOTH}
    chain = assistant.last_call["chain"]
    assert (chain["attempts"], chain["kept"]) == (2, True)
    assert [failure["kind"] for failure in chain["failures"]] == ["move_mismatch"]


def test_mismatch__retry_lets_the_last_reply_go() -> None:
    """With no retries left, the reply goes out as it is, on record as a mismatch."""
    assistant = seated(ChainBackend(blocks(response=ANSWER)), on_mismatch="retry")
    assert assistant.act({}, info())["text"] == ANSWER
    assert (assistant.last_call["chain"]["attempts"], assistant.last_call["chain"]["kept"]) == (2, False)


def test_mismatch__without_a_reader_is_unknown() -> None:
    """Who was not seated cannot tell moves from words: then nothing is claimed, and retries make no sense."""
    assistant = ChainAssistant(ChainBackend(blocks(response=ANSWER)), moves=MOVES)
    assert assistant.act({}, info()) == {"move": index("AQ_medium"), "text": ANSWER}
    assert (assistant.last_call["chain"]["made"], assistant.last_call["chain"]["kept"]) == ("", None)
    with pytest.raises(UsageError, match=r"call sit\(scenario, role\)"):
        ChainAssistant("fake:chain", on_mismatch="reject").act({}, info())


def test_announced__with_a_length_is_held_to_it() -> None:
    """In the full matrix a move has a length, and a short answer is no long one; unknown moves are not announced."""
    keys = make_moves("VQ/DA_long,DA_short").keys
    cells = {key: (float(key.endswith("long")), 1.0) for key in keys}
    assistant = seated(ChainBackend(blocks(payoff=payoffs(cells), response=ANSWER)), moves="VQ/DA_long,DA_short")
    assert assistant.act({}, info()) == {"move": index("DA_long"), "text": ANSWER}
    assert assistant.last_call["chain"]["kept"] is False
    strange = seated(ChainBackend(blocks(payoff=payoffs({"VQ|SING": (1, 1)}))), moves="VQ/SING")
    assert strange.act({}, info()) == BOTH


def test_episode__records_announced_and_made() -> None:
    """In a game the environment reads the reply itself: both moves stand in the step, the chain beside them, as plain JSON."""
    assistant = ChainAssistant(ChainBackend(blocks(response=ANSWER)), moves=MOVES)
    env = parallel_env("gtalign/AssistText-v0", questions=1)
    episode = play_episode(env, PERSONAS.get("concise")(), assistant, seed=3)
    assert episode.ended == "terminated", episode.error
    step = episode.steps[0].assistant
    assert (step.announced, step.move, step.text) == ("AQ_medium", "DA_short", ANSWER)
    assert (step.model["chain"]["announced"], step.model["chain"]["made"]) == ("AQ", "DA_short")
    assert json.loads(json.dumps(step.model)) == step.model
    assert "The user pays you 0.8 credits for the session." in step.model["conversation"][0]["content"]


def test_episode__a_failed_chain_is_a_typed_error() -> None:
    """The episode breaks off with the reason and the failed chain in its record; it is not scored."""
    assistant = ChainAssistant(ChainBackend(blocks(payoff="?")), moves=MOVES)
    episode = play_episode(parallel_env("gtalign/AssistText-v0"), PERSONAS.get("concise")(), assistant, seed=0)
    assert (episode.ended, episode.error["type"]) == ("error", "ModelError")
    assert [failure["kind"] for failure in episode.failed_call["chain"]["failures"]] == ["bad_json", "bad_json"]


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
    """A game without a matrix of its own, the user's chair, and a strategic game in which nobody sat down."""
    assistant = ChainAssistant("fake:chain")
    with pytest.raises(UsageError, match="matrix games without talk"):
        assistant.sit(make_scenario("assist"), "assistant")
    with pytest.raises(UsageError, match="plays the assistant, got 'user'"):
        assistant.sit(make_scenario("assist_text"), "user")
    with pytest.raises(UsageError, match="expected 'messages' in the info"):
        assistant.act({}, {})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mode": "solve"}, "chain mode: expected one of solver, self, none"),
        ({"criterion": "nosh"}, "did you mean 'nash'"),
        ({"criterion": "stackelberg"}, "expected stackelberg:user or stackelberg:assistant"),
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
