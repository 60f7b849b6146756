"""Every pricing in play: the conformance kit, characters in both views, and records that are older than some of it."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import gtalign_env.agents  # noqa: F401 - registers the players
from gtalign_env import parallel_env
from gtalign_env.episode import Episode
from gtalign_env.play import play_episode
from gtalign_env.pricing import PRICING, make_pricing
from gtalign_env.registration import ASSISTANTS, PERSONAS
from gtalign_env.replay import verify_episode
from gtalign_env.rescore import rescore_episode
from gtalign_env.scenarios.assist.config import AssistConfig
from gtalign_env.scenarios.assist.rules import compile_assist
from gtalign_env.testing import check_env
from gtalign_env.types import CHARACTERS_PER_TOKEN, Outcome

NEW = ("subscription:quota=100", "per_character", "freemium", "two_part", "outcome_based")


def played(scenario: str = "assist", *, seed: int = 3, **options: Any) -> Episode:
    """Return a played episode."""
    persona, assistant = PERSONAS.get("concise")(), ASSISTANTS.get("heuristic")()
    return play_episode(parallel_env(scenario, **options), persona, assistant, seed=seed)


@pytest.mark.parametrize("pricing", NEW)
def test_pricing__passes_the_conformance_kit(pricing: str) -> None:
    """Items that sum, observations in their space, and nothing of θ in what the assistant gets, bills included."""
    assert check_env(functools.partial(parallel_env, "assist", pricing=pricing), episodes=1).ok


@pytest.mark.parametrize("scenario", ["assist", "assist_text"])
@pytest.mark.parametrize("pricing", [*PRICING, NEW[0]])
def test_pricing__is_billed_as_its_formula_says_in_both_views(scenario: str, pricing: str) -> None:
    """Each step's revenue is the price of its recorded outcome, less the policy's own cost; the record replays."""
    episode = played(scenario, pricing=pricing)
    policy = make_pricing(pricing)
    billed = [step for step in episode.steps if step.outcome is not None]
    assert billed
    for step in billed:
        assert step.outcome is not None
        outcome = Outcome(**step.outcome)
        own_cost = 0.005 * outcome.answered if pricing == "outcome_based" else 0.0
        assert step.assistant.items["revenue"] == pytest.approx(policy.price(outcome) - own_cost, abs=2.0**-19)
    assert verify_episode(episode) == []


def test_characters__of_the_strategic_view_are_four_per_token() -> None:
    """In every entry of the tables."""
    outcome = compile_assist(AssistConfig()).outcome
    assert CHARACTERS_PER_TOKEN == 4.0
    assert np.array_equal(outcome.characters, 4.0 * outcome.tokens_out)
    assert outcome.characters.max() == 2000.0  # a long answer with a follow-up: 480 + 20 tokens


@pytest.mark.parametrize(
    ("reply", "characters"),
    [
        ("Mount Everest.", 14),
        ("\x1b[31mMount Everest.\x1b[0m", 14),  # what no reader sees is not billed
        ("Which one do you mean?", 22),
        ("I can't help with that.", 23),
        ("", 0),
        ("...", 0),
    ],
)
def test_characters__of_the_text_view_are_counted_as_shown(reply: str, characters: int) -> None:
    """All that the user reads counts; silence is free."""
    env = parallel_env("assist_text", pricing="per_character:rate=0.25")
    env.reset(seed=0, options={"user_type": "concise"})
    *_, infos = env.step({"user_0": {"move": 11, "text": ""}, "assistant_0": reply})
    assert infos["assistant_0"]["payoff"]["revenue"] == 0.25 * characters
    assert infos["user_0"]["payoff"]["price"] == -0.25 * characters


def without_characters(episode: Episode) -> Episode:
    """Return the episode as it was recorded before replies' characters were."""
    for step in episode.steps:
        if step.outcome is not None:
            del step.outcome["characters"]
    return episode


@pytest.mark.parametrize("scenario", ["assist", "assist_text"])
def test_verify__holds_for_records_without_characters(scenario: str) -> None:
    """A field that did not exist is not missed; one that does and is wrong is found."""
    assert verify_episode(without_characters(played(scenario))) == []
    altered = played(scenario)
    first = next(step for step in altered.steps if step.outcome is not None)
    assert first.outcome is not None
    first.outcome["characters"] += 1.0
    assert [difference.field for difference in verify_episode(altered)] == ["outcome.characters"]


def test_verify__misses_any_other_field() -> None:
    """Only what is younger than the record may be absent."""
    episode = played()
    assert episode.steps[0].outcome is not None
    del episode.steps[0].outcome["quality"]
    assert [difference.field for difference in verify_episode(episode)] == ["outcome.quality"]


@pytest.mark.parametrize("scenario", ["assist", "assist_text"])
def test_rescore__bills_characters_of_records_without_them(scenario: str) -> None:
    """They follow from the words that were recorded, or from the tokens where there are no words."""
    today = rescore_episode(played(scenario), pricing="per_character")
    before = rescore_episode(without_characters(played(scenario)), pricing="per_character")
    assert today.failure == before.failure == ""
    assert (before.user_items, before.assistant_items) == (today.user_items, today.assistant_items)
    assert before.user_items["price"] < 0.0
