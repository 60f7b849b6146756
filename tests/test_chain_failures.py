"""Chains that fail, and replies that make another move than the announced one."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from chains import (
    ANSWER,
    BOTH,
    MOVES,
    PAPER,
    Failing,
    Recording,
    blocks,
    index,
    info,
    payoffs,
    seated,
)

from gtalign_env import parallel_env
from gtalign_env.agents.backends import ChainBackend, ScriptedBackend
from gtalign_env.agents.chain import (
    ChainAssistant,
    ChainFailure,
    make_moves,
)
from gtalign_env.errors import ModelError, UsageError
from gtalign_env.play import play_episode
from gtalign_env.play_batch import play_batch
from gtalign_env.protocols import Generation, Sampling
from gtalign_env.registration import PERSONAS
from gtalign_env.sampled import sampled_spans

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
    (discarded,) = chain["discarded"]
    assert (discarded["text"], discarded["tokens"]) == ("no chain at all", 4)
    assert sampled_spans(discarded).mask.sum() == 4  # with every token, to learn from
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
    written = plain.last_call["plain"]["text"]  # this model writes its chain all the same
    assert said == written.partition("<response>")[2].partition("</response>")[0].strip()
    kinds = [failure["kind"] for failure in plain.last_call["chain"]["failures"]]
    assert kinds == [kind, kind, *(["silent"] if kind == "empty_response" else [])]


def test_failure__of_the_engine_in_the_plain_reply_too() -> None:
    """Where even the plain reply fails there is an error; nothing is made up."""
    assistant = seated(Failing(ChainBackend(blocks()), lambda call, place: True), on_failure="plain")
    with pytest.raises(ModelError, match="out of memory"):
        assistant.act({}, info())
    assert assistant.last_call["error"] == "out of memory"


def test_failure__of_the_engine_begins_no_chain_anew() -> None:
    """A backend makes its calls again by itself: the chain of that game ends, and the other game is played."""
    backend = Failing(ChainBackend(blocks()), lambda call, place: (call, place) == (0, 0))
    assistant = seated(backend, retries=3)
    with pytest.raises(ModelError, match="failed in 1 of 2 games: engine: "):
        assistant.act_batch([{}, {}], [info(), info()])
    assert [failure["kind"] for failure in assistant.last_calls[0]["chain"]["failures"]] == ["engine"]
    assert assistant.last_calls[0]["chain"]["attempts"] == 1
    assert assistant.last_calls[1]["chain"]["failures"] == []


class Raising(Recording):
    """A backend whose calls raise what ``errors`` says, by number of the call."""

    def __init__(self, errors: Callable[[int], Exception | None], backend: Any = None) -> None:
        super().__init__(backend or ChainBackend(blocks()))
        self.errors = errors

    def generate(self, conversations: Sequence[Any], sampling: Sampling) -> list[Generation]:
        """Raise instead of answering."""
        made = super().generate(conversations, sampling)
        if (error := self.errors(len(self.calls) - 1)) is not None:
            raise error
        return made


@pytest.mark.parametrize("constrained", [True, False])
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "MemoryError"),
        (RuntimeError("CUDA out of\nmemory.\x1b[31m"), "RuntimeError: CUDA out of\nmemory."),
        (ModelError("it is closed"), "it is closed"),
    ],
)
def test_failure__of_an_engine_that_raises_is_typed(error: Exception, said: str, constrained: bool) -> None:
    """Out of memory in the middle of a chain: the record keeps what was written and why it ends, nothing of an earlier turn."""
    first = 3 if constrained else 2  # calls of the first turn
    assistant = seated(Raising(lambda call: error if call > first else None), constrained=constrained)
    assistant.act({}, info())
    with pytest.raises(ModelError, match="failed: engine: "):
        assistant.act({}, info("And how far is the other?"))
    (failure,) = assistant.last_call["chain"]["failures"]
    assert (failure["kind"], failure["message"]) == ("engine", said)
    assert assistant.last_call["chain"]["blocks"].get("thinking") == "It may be either."
    assert assistant.last_call["chain"]["announced"] == ("" if constrained else "AQ")

    plain = seated(Raising(lambda call: error), on_failure="plain", constrained=constrained)
    with pytest.raises(ModelError, match="failed: "):
        plain.act({}, info())
    assert plain.last_call["plain"]["error"] == plain.last_call["error"] == said


def test_failure__of_how_the_engine_is_asked_is_raised_and_leaves_no_old_record() -> None:
    """A wrong call is no failure of the model: it is raised as it is, and the turn before is not taken for this one."""
    assistant = seated(Raising(lambda call: UsageError("no such option") if call > 2 else None))
    assistant.act({}, info())
    assert assistant.last_call
    with pytest.raises(UsageError, match="no such option"):
        assistant.act({}, info())
    assert assistant.last_call == {}


def test_failure__of_memory_in_a_large_call_costs_no_game_that_fits_alone() -> None:
    """Too many rows at once: games that are played side by side are then asked one by one, and all are played."""

    class Small(Recording):
        """An engine in whose memory there is room for one row."""

        def generate(self, conversations: Sequence[Any], sampling: Sampling) -> list[Generation]:
            """Run out of memory."""
            if len(conversations) > 1:
                raise MemoryError
            return super().generate(conversations, sampling)

    assistant = ChainAssistant(Small(ChainBackend(blocks())), moves=MOVES)
    played = play_batch(
        lambda: parallel_env("assist_text", questions=1), PERSONAS.get("concise")(), assistant, range(4)
    )
    assert sorted((episode.seed, episode.ended) for episode in played) == [(seed, "terminated") for seed in range(4)]


def test_failure__of_memory_ends_its_games_and_no_others() -> None:
    """An engine that dies at some prompts: those games end in a typed error, the others are played to their end."""

    def reply(conversation: Sequence[Any]) -> Sequence[tuple[str, str]]:
        if _unlucky(conversation[1]["content"]):
            raise MemoryError
        return blocks()

    assistant = ChainAssistant(ChainBackend(reply), moves=MOVES)
    played = play_batch(
        lambda: parallel_env("assist_text", questions=1), PERSONAS.get("concise")(), assistant, range(8)
    )
    ended = {episode.opening: (episode.ended, episode.error.get("type")) for episode in played}
    expected = {text: ("error", "ModelError") if _unlucky(text) else ("terminated", None) for text in ended}
    assert ended == expected
    assert len(set(ended.values())) == 2


def _unlucky(question: str) -> bool:
    return zlib.crc32(question.encode()) % 2 == 0


def test_failure__never_carries_what_could_act_on_a_terminal() -> None:
    """Escapes in a model's keys and values do not reach the error's message, wherever it is shown."""
    strange = json.dumps({"\x1b[2J\x07\u202eVQ": {"user": "\x1b[31m", "assistant": 1}})
    assistant = seated(ChainBackend(blocks(payoff=strange)), retries=0)
    with pytest.raises(ModelError) as caught:
        assistant.act({}, info())
    assert str(caught.value).isprintable()
    assert ChainFailure(kind="engine", message="\x1b[31mred\u202e").message == "red"


def test_failure__of_a_plain_reply_that_cannot_be_said() -> None:
    """Without a chain, too, a model that writes too much is a failed model, by name."""
    assistant = seated(ScriptedBackend(["x" * 20_001]), mode="none")
    with pytest.raises(ModelError, match="the model wrote too much: 20,001 characters"):
        assistant.act({}, info())
    assert "too much" in assistant.last_call["error"]


LONG = "x" * 20_001


@pytest.mark.parametrize("mode", ["solver", "self"])
def test_failure__a_reply_longer_than_the_game_takes_is_begun_anew(mode: str) -> None:
    """20,001 characters cannot be said (the limit is 20,000): a failure of its own kind, after which the chain is begun anew."""
    chains = iter([blocks(response=LONG), blocks()])

    class Once(ChainBackend):
        """Writes one chain for all blocks of an attempt, the next for the next attempt."""

        def generate(self, conversations: Sequence[Any], sampling: Sampling) -> list[Generation]:
            if isinstance(conversations[0], list):  # a new chain
                chain = next(chains)
                self._blocks, self._own = (lambda _: chain), False
            return super().generate(conversations, sampling)

    assistant = seated(Once(), mode=mode)
    assert assistant.act({}, info())["text"] == BOTH
    chain = assistant.last_call["chain"]
    assert [(failure["kind"], failure["block"]) for failure in chain["failures"]] == [("too_long", "response")]
    assert "20,001 characters, and a reply may have 20,000" in chain["failures"][0]["message"]


def test_failure__a_reply_that_stays_too_long_ends_its_game_or_is_replaced() -> None:
    """Out of retries the game ends with the model's error, not one of the environment; a plain reply is given where asked for."""
    backend = ChainBackend(blocks(response=LONG))
    env = parallel_env("gtalign/AssistText-v0")
    episode = play_episode(env, PERSONAS.get("concise")(), ChainAssistant(backend, moves=MOVES), seed=0)
    assert (episode.ended, episode.error["type"], episode.error["where"]) == ("error", "ModelError", "assistant_0")
    assert "failed: too_long: " in episode.error["message"]
    assert [failure["kind"] for failure in episode.failed_call["chain"]["failures"]] == ["too_long", "too_long"]

    lines = ["<thinking>a</thinking><payoff>" + payoffs(), LONG, BOTH]
    plain = seated(ScriptedBackend(lines), constrained=False, retries=0, on_failure="plain")
    assert plain.act({}, info()) == BOTH
    assert plain.last_call["chain"]["fallback"] == "plain"
    exact = seated(ChainBackend(blocks(response="x" * 20_000)))
    assert exact.act({}, info())["text"] == "x" * 20_000


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
