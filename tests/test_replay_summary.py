"""A file of episodes at a glance: figures worked out by hand, intervals, everybody pooled, and a table that fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len

from gtalign_env.cli import main
from gtalign_env.episode import Episode, EpisodeWriter, SideRecord, StepRecord
from gtalign_env.metrics import bootstrap
from gtalign_env.replay import summarise, summary_lines
from gtalign_env.replay.summary import Summary


def made_up(persona: str, assistant: str, steps: list[tuple[str, str, float, float]], **fields: Any) -> Episode:
    """Return an episode from (who moves, the assistant's move, U, L)."""
    return Episode(
        scenario="assist",
        view="strategic",
        seed=0,
        players={"user_0": f"persona:{persona}", "assistant_0": assistant},
        steps=[
            StepRecord(
                user=SideRecord(digest="", payoff=user),
                assistant=SideRecord(digest="", move=move, payoff=other),
                to_move=to_move,
            )
            for to_move, move, user, other in steps
        ],
        **{"ended": "terminated", **fields},
    )


def hand_computed() -> list[Episode]:
    """Return episodes whose summary is worked out by hand below."""
    return [
        made_up("ann", "ask", [("", "CQ", -0.5, 0.25), ("", "DA_short", 1.5, 0.75)]),  # U 1, L 1, 2 replies, 1 asks
        made_up("bob", "ask", [("", "DA_long", -1.0, 0.5)], violation=True),  # U -1, L 0.5
        made_up("ann", "ask", [("assistant_0", "DA_short", 3.0, -0.5), ("user_0", "WAIT", 0.0, 0.0)]),  # U 3, L -0.5
        made_up("ann", "ask", [("", "CQ", 9.0, 9.0)], ended="error", error={"message": "down"}),
        made_up("ann", "tell", [], ended="error"),
    ]


def test_summarise__figures_worked_out_by_hand() -> None:
    """Means leave broken episodes out, rates count replies, welfare needs two gains."""
    ann_ask, ann_tell, bob = summarise(hand_computed())
    assert (ann_ask.persona, ann_ask.assistant, ann_ask.episodes, ann_ask.errors) == ("ann", "ask", 3, 1)
    assert (ann_ask.user, ann_ask.assistant_payoff) == (2.0, 0.25)  # (1 + 3) / 2, (1 − 0.5) / 2
    assert ann_ask.welfare == pytest.approx(0.5**0.5)  # √(2 × 0.25)
    assert ann_ask.both_gain == 0.5
    assert ann_ask.exchanges == 1.5  # 2 and 1 replies
    assert ann_ask.clarification_rate == pytest.approx(1 / 3)
    assert (ann_tell.assistant, ann_tell.episodes, ann_tell.errors, ann_tell.user) == ("tell", 1, 1, None)
    assert ann_tell.welfare is ann_tell.both_gain is ann_tell.exchanges is ann_tell.clarification_rate is None
    assert (bob.user, bob.assistant_payoff, bob.welfare, bob.violations, bob.errors) == (-1.0, 0.5, None, 1, 0)


def noisy(persona: str, assistant: str, count: int, seed: int) -> list[Episode]:
    """Return episodes whose payoffs are drawn, the assistant's partly from the user's."""
    rng = np.random.default_rng(seed)
    users = rng.normal(1.2, 0.8, size=count)
    return [made_up(persona, assistant, [("", "CQ", user, 0.4 * user + rng.normal(0.6, 0.3))]) for user in users]


def test_summary__interval_agrees_with_the_bootstrap() -> None:
    """The interval of √(U·L) is about what resampling whole episodes gives."""
    episodes = noisy("ann", "ask", 300, seed=0)
    (row,) = summarise(episodes)
    assert row.interval is not None
    assert row.welfare is not None
    drawn = bootstrap(
        [episode.totals() for episode in episodes],
        np.random.default_rng(1),
        statistic=lambda rows: float(np.sqrt(rows[:, 0].mean() * rows[:, 1].mean())),
        method="percentile",
    )
    assert row.welfare == pytest.approx(drawn.estimate)
    assert row.interval == pytest.approx((drawn.low, drawn.high), abs=0.15 * (drawn.high - drawn.low))
    assert row.reach == pytest.approx(row.interval[1] - row.welfare)


def test_summary__interval_of_two_episodes_worked_out_by_hand() -> None:
    """Payoffs (1, 1) and (3, 3): √(U·L) = 2, its error 1, Student's quantile for one degree of freedom 12.706; W is never < 0."""
    (row,) = summarise([made_up("ann", "ask", [("", "CQ", x, x)]) for x in (1.0, 3.0)])
    assert row.interval == pytest.approx((0.0, 2.0 + 12.7062), abs=1e-3)
    (one,) = summarise([made_up("ann", "ask", [("", "CQ", 1.0, 1.0)])])
    assert one.interval is None
    assert one.reach is None
    (loss,) = summarise([made_up("ann", "ask", [("", "CQ", -1.0, x)]) for x in (1.0, 3.0)])
    assert loss.interval is None


def test_summary__everybody_pooled() -> None:
    """The rows over everybody are those of the same episodes by one persona; they are marked, told and never the best of one."""
    both = [*noisy("ann", "ask", 5, seed=0), *noisy("bob", "ask", 9, seed=1), *noisy("bob", "tell", 3, seed=2)]
    summary = Summary()
    for episode in both:
        summary.add(episode)
    ask, tell = summary.overall()
    (same,) = summarise([*noisy("all", "ask", 5, seed=0), *noisy("all", "ask", 9, seed=1)])
    assert (ask.personas, tell.personas, ask.episodes, ask.persona) == (2, 1, 14, "all")
    for name, expected in same.as_dict().items():
        if name != "personas":
            assert getattr(ask, name) == pytest.approx(expected), name
    lines = [line.plain for line in summary_lines([*summary.rows(), ask], 100)]
    at = next(number for number, line in enumerate(lines) if line.startswith("all "))
    assert lines[at - 1] == ""
    assert "14" in lines[at]
    assert "all: everybody who came" in "\n".join(lines)
    assert "everybody" not in "\n".join(line.plain for line in summary_lines(summary.rows(), 100))


def of_moves(*public: dict[str, str], reply: bool = False) -> Episode:
    """Return an episode from what was known before each step; its outcomes are empty, or hold one reply."""
    side = SideRecord(digest="", move="C", payoff=1.0)
    steps = [StepRecord(user=side, assistant=side, public=one, outcome={"requests": float(reply)}) for one in public]
    return Episode(scenario="g", view="strategic", seed=0, players={}, steps=steps, ended="terminated")


def test_summary__counts_moves_where_nobody_replies() -> None:
    """In games without replies there are moves, talk is none of them, and no column is about replies."""
    talked = of_moves({"talk": "1"}, {"talk": "2"}, {"talk": "over"})
    (row,) = summarise([talked, of_moves({}, {})])
    assert row.moves == 1.5  # 1 and 2
    assert row.exchanges is row.clarification_rate is None
    text = "\n".join(line.plain for line in summary_lines([row], 120))
    assert "moves" in text
    assert not any(head in text for head in ("replies", "asks", "viol."))
    both = summarise([talked, of_moves({}, {}, {}, reply=True)])
    text = "\n".join(line.plain for line in summary_lines(both, 120))
    assert (both[0].moves, both[0].exchanges) == (1.0, 3.0)  # each over the episodes of its own kind
    assert all(head in text for head in ("moves", "replies", "asks", "viol."))


@pytest.mark.parametrize("width", [60, 70, 80, 160])
def test_summary_lines__fit_and_keep_the_figures(width: int) -> None:
    """The table fits; who, how many, both payoffs and welfare are never dropped; what is shown is explained."""
    rows = summarise(
        [*hand_computed(), made_up("a persona with a very long name " * 3, "transformers:/models/" * 5, [])]
    )
    lines = [line.plain for line in summary_lines(rows, width, title="a file " * 40)]
    text = "\n".join(lines)
    assert max(map(cell_len, lines)) <= width
    for words in ("persona", "assistant", " n ", "√(U·L)", "viol.", "err.", "+2.00", "+0.25", "0.71", "−1.00"):
        assert words in text
    assert ("33%" in text) == (" asks" in text) == (width >= 70)
    assert ("  ±" in text) == (width >= 80)
    assert ("both gain  " in text) == (width >= 160)


@pytest.mark.parametrize("width", [60, 80, 100])
def test_summary_lines__cut_no_name(width: int) -> None:
    """A long name goes on below, in its own column, and can be put together again."""
    persona, assistant = "trained_user:per_token:rate_out=0.01", "bayes:users=" + "concise=2," * 6 + "expert"
    lines = [line.plain for line in summary_lines(summarise([made_up(persona, assistant, [])]), width)]
    head = lines.pop(0)
    rows = lines[1 : lines.index("")]
    second, third = head.index("assistant"), head.index(" n ")
    assert "".join(row[:second].strip() for row in rows) == persona
    assert "".join(row[second:third].strip() for row in rows) == assistant
    assert "…" not in "".join(rows)
    assert [row[third:].strip() for row in rows][1:] == [""] * (len(rows) - 1)


def test_replay_summary__as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same figures come as a JSON list with named fields."""
    file = tmp_path / "x.jsonl"
    with EpisodeWriter(file) as writer:
        for episode in hand_computed():
            writer.write(episode)
    assert main(["replay", str(file), "--summary", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows == [row.as_dict() for row in summarise(hand_computed())]
    assert rows[0]["clarification_rate"] == pytest.approx(1 / 3)
