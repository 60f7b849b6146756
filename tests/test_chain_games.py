"""Chains in games of moves: a matrix for every state of every registered game, and a sentence where there is none."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from chains import Recording

from gtalign_env import parallel_env
from gtalign_env.agents.backends import ChainBackend, ScriptedBackend
from gtalign_env.agents.chain import ChainAssistant
from gtalign_env.agents.chain.game_seat import MOST_CELLS, GameSeat
from gtalign_env.errors import ModelError, UsageError
from gtalign_env.play import play_episode
from gtalign_env.play_batch import play_batch
from gtalign_env.registration import PERSONAS, SCENARIOS, make_scenario
from gtalign_env.types import ASSISTANT, ASSISTANT_MOVES

GAMES = sorted(name for name in SCENARIOS if make_scenario(name).view == "strategic")
TALKS = [("gtalign/PrisonersDilemma-v0", {"talk": 2}), ("gtalign/GoldenBalls-v0", {"talk": 1, "rounds": 2})]


@pytest.mark.parametrize("mode", ["solver", "self", "none"])
@pytest.mark.parametrize(("name", "options"), [*((name, {}) for name in GAMES), *TALKS])
def test_game__is_played_to_its_end(name: str, options: dict[str, Any], mode: str) -> None:
    """Each announced move is the one that is made, and legal; with mode ``none`` the reply names it."""
    env = parallel_env(name, **options)
    if mode == "none":
        legal = [move for move in env.scenario.moves("assistant") if move != "WAIT"]
        assistant = ChainAssistant(ScriptedBackend(legal), mode="none")
    else:
        assistant = ChainAssistant("fake:chain", mode=mode)
    episode = play_episode(env, PERSONAS.get("random")(), assistant, seed=1)
    assert episode.ended in ("terminated", "truncated"), episode.error
    turns = [step for step in episode.steps if step.assistant.model]
    asked = sum(step.to_move in ("", ASSISTANT) for step in episode.steps)
    assert len(turns) == asked
    if mode == "none":
        return
    for step in turns:
        chain = step.assistant.model["chain"]
        assert chain["failures"] == []
        assert (chain["announced"], chain["kept"]) == (step.assistant.move, True)
        assert len(chain["matrix"]["user_moves"]) * len(chain["matrix"]["assistant_moves"]) <= MOST_CELLS
        if step.to_move == ASSISTANT:
            assert chain["matrix"]["user_moves"] == ["WAIT"]


def test_cells__are_the_legal_moves_of_the_state() -> None:
    """Rubinstein: a proposal is answered by two moves, or made by one of thirteen; while it waits the model is not asked."""
    env = parallel_env("gtalign/Rubinstein-v0")
    backend = Recording(ChainBackend())
    assistant = ChainAssistant(backend)
    assistant.sit(env.scenario, "assistant")
    assistant.reset(0)
    observations, infos = env.reset(seed=0)
    moves = env.scenario.moves("assistant")
    assert moves[assistant.act(observations[ASSISTANT], infos[ASSISTANT])] == "WAIT"
    assert backend.calls == []
    observations, *_, infos = env.step({"user_0": moves.index("KEEP_7"), ASSISTANT: moves.index("WAIT")})
    assistant.act(observations[ASSISTANT], infos[ASSISTANT])
    assert assistant.last_call["chain"]["matrix"]["assistant_moves"] == ["ACCEPT", "REJECT"]
    said = assistant.last_call["conversation"][-1]["content"]
    assert said.startswith("It is your move. round 1 of 10")
    assert "the user made KEEP_7 last time" in said


def test_cells__of_the_assist_game_are_those_of_the_chat() -> None:
    """Three ways to go on against eight moves, in words, with prices and stakes."""
    env = parallel_env("gtalign/Assist-v0", pricing="per_token")
    assistant = ChainAssistant("fake:chain")
    assistant.sit(env.scenario, "assistant")
    assistant.reset(0)
    observations, infos = env.reset(seed=0)
    action = assistant.act(observations[ASSISTANT], infos[ASSISTANT])
    chain = assistant.last_call["chain"]
    assert chain["matrix"]["assistant_moves"] == [move.name for move in ASSISTANT_MOVES]
    assert set(chain["matrix"]["user_moves"]) <= {"VQ", "DQ", "LEAVE"}
    assert ASSISTANT_MOVES[action].name == chain["announced"]
    told = assistant.last_call["conversation"][0]["content"]
    for words in ("CQ: you ask one question", "credits for every 1,000 tokens", "You lose by the tokens you write"):
        assert words in told


def test_cells__of_a_negotiation_tell_what_only_one_side_knows() -> None:
    """Deal or no deal: own values and the offer on the table are in the words; the other side's values are not."""
    env = parallel_env("gtalign/DealOrNoDeal-v0", first_speaker="assistant")
    observations, infos = env.reset(seed=0, options={"task": 0})
    seat = GameSeat(env.scenario)
    (message,) = seat.messages(observations[ASSISTANT], infos[ASSISTANT])
    scenario: Any = env.scenario
    game = scenario.division_of(0)
    values = ", ".join(
        f"a {item} {value}" for item, value in zip(("book", "hat", "ball"), game.assistant_values, strict=True)
    )
    assert f"worth to you: {values}" in message["content"]
    cells = seat.cells(observations[ASSISTANT], infos[ASSISTANT])
    assert cells.rows == ("WAIT",)
    assert len(cells.columns) == int(np.prod([count + 1 for count in game.counts])) + 1  # all shares, and HALT


def test_batch__of_games_in_different_states_is_one_act() -> None:
    """Matrices that differ are asked for apart; each game gets what it gets alone."""
    env = parallel_env("gtalign/Rubinstein-v0", first_speaker="assistant")
    moves = env.scenario.moves("assistant")
    first, infos = env.reset(seed=0)
    seen = [(first[ASSISTANT], infos[ASSISTANT])]
    env.step({"user_0": moves.index("WAIT"), ASSISTANT: moves.index("KEEP_9")})
    env.step({"user_0": moves.index("REJECT"), ASSISTANT: moves.index("WAIT")})
    then, *_, later = env.step({"user_0": moves.index("KEEP_6"), ASSISTANT: moves.index("WAIT")})
    seen.append((then[ASSISTANT], later[ASSISTANT]))

    def play(pairs: list[Any]) -> list[Any]:
        assistant = ChainAssistant("fake:chain")
        assistant.sit(env.scenario, "assistant")
        assistant.reset(3)
        return assistant.act_batch([one for one, _ in pairs], [info for _, info in pairs])

    assert play(seen) == [play([pair])[0] for pair in seen]


def test_batch__of_trees_played_side_by_side() -> None:
    """``play_batch`` over a tree: every episode comes to its end."""
    env = parallel_env("gtalign/Escalation-v0")
    made = play_batch(
        lambda: parallel_env("gtalign/Escalation-v0"), PERSONAS.get("random")(), ChainAssistant("fake:chain"), range(6)
    )
    assert [episode.ended for episode in made] == ["terminated"] * 6
    assert env.scenario.view == "strategic"


def test_free_self__plays_the_move_that_the_response_names() -> None:
    """In a matrix game the analysis announces one move and the response names another: recorded, retried or refused."""
    keys = {f"{row}|{column}": {"user": 1, "assistant": 1} for row in ("VQ", "DQ") for column in ("DA", "AQ", "CQ")}
    text = f"<thinking>Hm.</thinking><payoff>{json.dumps(keys)}</payoff><analyze>choice: VQ|DA</analyze><response>%s</response>"
    env = parallel_env("gtalign/Matrix-v0")
    observations, infos = env.reset(seed=0)

    def act(named: str, **settings: Any) -> tuple[Any, dict[str, Any]]:
        assistant = ChainAssistant(ScriptedBackend([text % named]), mode="self", constrained=False, **settings)
        assistant.sit(env.scenario, "assistant")
        assistant.reset(0)
        return assistant.act(observations[ASSISTANT], infos[ASSISTANT]), assistant.last_call["chain"]

    names = env.scenario.moves("assistant")
    action, chain = act("I play CQ.")
    assert (names[action], chain["announced"], chain["made"], chain["kept"]) == ("CQ", "DA", "CQ", False)
    action, chain = act("My move.")
    assert (names[action], chain["announced"], chain["made"], chain["kept"]) == ("DA", "DA", "", None)
    with pytest.raises(ModelError, match="move_mismatch: announced DA, but the reply makes CQ"):
        act("CQ", on_mismatch="reject")


def test_seat__refuses_games_that_do_not_tell_their_states_or_are_too_large() -> None:
    """One sentence, before anything is played."""

    class Dumb:
        name, view = "dumb", "strategic"

        def moves(self, role: str) -> tuple[str, ...]:
            return ("a",)

    with pytest.raises(UsageError, match="games that tell their states: scenario 'dumb' has neither tables nor sight"):
        GameSeat(Dumb())
    large = make_scenario("rubinstein", slices=70, rounds=1, first_speaker="assistant")
    with pytest.raises(UsageError, match="at most 64 cells: scenario 'rubinstein' has turns of 71"):
        GameSeat(large)
