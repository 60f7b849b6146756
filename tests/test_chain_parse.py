"""Reading chains: the exact form, what can be mended, every kind of failure, and the published outputs."""

from __future__ import annotations

import collections
import json
import math
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalign_env.agents.chain import FAILURES, Chain, ChainFailure, parse_chain
from gtalign_env.agents.chain.blocks import BLOCKS
from gtalign_env.agents.chain.matrix import payoff_schema, read_payoffs
from gtalign_env.agents.chain.moves import make_moves
from gtalign_env.agents.chain.parse import announced_cell, parse_head
from gtalign_env.paper import stated_payoffs

ROWS, COLUMNS = ("VQ", "DQ"), ("DA", "CQ")
CELLS = {
    "VQ|DA": {"user": 1, "assistant": -2},
    "VQ|CQ": {"user": 0.5, "assistant": 3},
    "DQ|DA": {"user": 4, "assistant": 5},
    "DQ|CQ": {"user": -5, "assistant": 0},
}
GOOD = {"thinking": "It may be either.", "payoff": json.dumps(CELLS), "analyze": "choice: DQ|DA", "response": "Paris."}


def text(order: tuple[str, ...] = BLOCKS, **changes: str) -> str:
    """Return a chain, some blocks changed."""
    blocks = {**GOOD, **changes}
    return "\n".join(f"<{name}>{blocks[name]}</{name}>" for name in order)


def strict(written: str) -> Chain | ChainFailure:
    """Read strictly."""
    return parse_chain(written, ROWS, COLUMNS)


def lenient(written: str) -> Chain:
    """Read leniently what has to be readable."""
    read = parse_chain(written, ROWS, COLUMNS, strict=False)
    assert isinstance(read, Chain), read
    return read


def failed(written: str, *, strict: bool = True) -> ChainFailure:
    """Read what has to fail."""
    read = parse_chain(written, ROWS, COLUMNS, strict=strict)
    assert isinstance(read, ChainFailure)
    return read


def test_parse_chain__reads_the_exact_form() -> None:
    """Four blocks, white space around them: texts, matrix and the announced cell come out, and nothing was repaired."""
    chain = strict(f"\n{text()}\n")
    assert isinstance(chain, Chain)
    assert (chain.thinking, chain.response, chain.announced) == ("It may be either.", "Paris.", ("DQ", "DA"))
    assert chain.game.user.tolist() == [[1, 0.5], [4, -5]]
    assert chain.game.assistant.tolist() == [[-2, 3], [5, 0]]
    assert (chain.game.user_moves, chain.game.assistant_moves, chain.repairs) == (ROWS, COLUMNS, ())


@pytest.mark.parametrize(
    ("written", "kind", "block"),
    [
        (text(("payoff", "analyze", "response")), "missing_block", "thinking"),
        (text(("thinking", "analyze", "response")), "missing_block", "payoff"),
        (text(("thinking", "payoff", "response")), "missing_block", "analyze"),
        (text(("thinking", "payoff", "analyze")), "missing_block", "response"),
        ("", "missing_block", "thinking"),
        (text((*BLOCKS, "response")), "duplicate_block", "response"),
        (text(("thinking", *BLOCKS)), "duplicate_block", "thinking"),
        (text(("thinking", "payoff", "payoff", "analyze", "response")), "duplicate_block", "payoff"),
        (text(thinking="a <thinking> b"), "duplicate_block", "thinking"),
        (text(("payoff", "thinking", "analyze", "response")), "out_of_order", "thinking"),
        (text(thinking="<payoff>"), "out_of_order", "thinking"),
        (text().removesuffix("</response>"), "unclosed_block", "response"),
        (text().replace("</thinking>", ""), "unclosed_block", "thinking"),
        (f"Sure! {text()}", "leading_text", "thinking"),
        (f"{text()} Hope that helps!", "trailing_text", "response"),
        (text().replace("</payoff>", "</payoff> So:"), "stray_text", "analyze"),
        (text(payoff="I would say 3"), "bad_json", "payoff"),
        (text(payoff="[1, 2]"), "bad_json", "payoff"),
        (text(payoff=str(CELLS)), "bad_json", "payoff"),
        (text(payoff="{" * 5000), "bad_json", "payoff"),
        (text(payoff="[" * 5000), "bad_json", "payoff"),
        (text(payoff='{"VQ|DA": 1' + "0" * 5000 + "}"), "bad_json", "payoff"),
        (text(payoff=""), "bad_json", "payoff"),
        (text(payoff=json.dumps({**CELLS, "LEAVE|DA": CELLS["VQ|DA"]})), "wrong_keys", "payoff"),
        (text(payoff=json.dumps({key: CELLS[key] for key in list(CELLS)[1:]})), "wrong_keys", "payoff"),
        (text(payoff=json.dumps(CELLS).replace("VQ|DA", "vq|da")), "wrong_keys", "payoff"),
        (text(payoff=json.dumps(CELLS).replace("VQ|CQ", "VQ|DA")), "wrong_keys", "payoff"),
        (text(payoff=json.dumps({**CELLS, "VQ|DA": [1, 2]})), "wrong_keys", "payoff"),
        (text(payoff=json.dumps({**CELLS, "VQ|DA": {"user": 1}})), "wrong_keys", "payoff"),
        (text(payoff=json.dumps({**CELLS, "VQ|DA": {"user": 1, "assistant": math.nan}})), "not_a_number", "payoff"),
        (text(payoff=json.dumps({**CELLS, "VQ|DA": {"user": -math.inf, "assistant": 1}})), "not_a_number", "payoff"),
        (text(payoff=json.dumps({**CELLS, "VQ|DA": {"user": True, "assistant": 1}})), "not_a_number", "payoff"),
        (text(payoff=json.dumps({**CELLS, "VQ|DA": {"user": "1", "assistant": 1}})), "not_a_number", "payoff"),
        (text(payoff=json.dumps({**CELLS, "VQ|DA": {"user": None, "assistant": 1}})), "not_a_number", "payoff"),
        (text(payoff=json.dumps({**CELLS, "VQ|DA": {"user": 1e9, "assistant": 1}})), "out_of_range", "payoff"),
        (text(payoff=json.dumps({**CELLS, "VQ|DA": {"user": 1, "assistant": -6}})), "out_of_range", "payoff"),
        (text(analyze="I will answer."), "unannounced", "analyze"),
        (text(response=" \n"), "empty_response", "response"),
    ],
)
def test_parse_chain__names_what_is_wrong(written: str, kind: str, block: str) -> None:
    """Each way to miss the form has its own kind, says which block it is about, where, and what was expected."""
    failure = failed(written)
    assert (failure.kind, failure.block) == (kind, block)
    assert 0 <= failure.position <= len(written)
    assert failure.message
    assert failure.as_dict()["kind"] in FAILURES


def test_parse_chain__says_where() -> None:
    """A position is that of the trouble in the whole text."""
    written = text(payoff="{}")
    assert failed(written).position == written.index("{}")
    written = f"{text()} Bye"
    assert written[failed(written).position :] == " Bye"


@pytest.mark.parametrize(
    ("written", "repair"),
    [
        (f"Sure! {text()}", "leading_text"),
        (f"{text()} Bye", "trailing_text"),
        (text().replace("</payoff>", "</payoff> So:"), "stray_text"),
        (text(("payoff", "analyze", "response")), "missing_block"),
        (text(("thinking", "payoff", "response")), "missing_block"),
        (text((*BLOCKS, "response")), "duplicate_block"),
        (text(("response", "thinking", "payoff", "analyze")), "out_of_order"),
        (text().removesuffix("</response>"), "unclosed_block"),
        (text().replace("</thinking>", ""), "unclosed_block"),
        (text(payoff=str(CELLS)), "bad_json"),
        (text(payoff=f"```json\n{json.dumps(CELLS)}\n```"), "bad_json"),
        (text(payoff=json.dumps(CELLS).replace("VQ|DA", "vq | da")), "wrong_keys"),
        (text(payoff='{"VQ|DA": 0, ' + json.dumps(CELLS)[1:]), "wrong_keys"),
        (text(payoff=json.dumps(CELLS).replace("-2", '"-2"')), "not_a_number"),
    ],
)
def test_parse_chain__lenient_reading_mends_and_says_so(written: str, repair: str) -> None:
    """What strict reading refuses is mended where no payoff has to be made up, and the repair is named."""
    assert failed(written).kind in (repair, "duplicate_block", "out_of_order")
    chain = lenient(written)
    assert chain.game.user.tolist() == [[1, 0.5], [4, -5]]
    assert chain.game.assistant.tolist() == [[-2, 3], [5, 0]]
    assert chain.response == "Paris."
    assert repair in [said.partition(":")[0] for said in chain.repairs]


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        (text(("thinking", "payoff", "analyze")), "missing_block"),
        (text(("thinking", "response")), "missing_block"),
        (text(payoff="some numbers"), "bad_json"),
        (text(payoff="{" + "'" * 30_000), "bad_json"),
        (text(payoff=json.dumps({**CELLS, "VQ|DA": {"user": 9, "assistant": 0}})), "out_of_range"),
        (text(payoff=json.dumps({**CELLS, "VQ|DA": {"user": 10**400, "assistant": 0}})), "out_of_range"),
        (text(payoff=json.dumps({**CELLS, "VQ|DA": {"user": "nan", "assistant": 0}})), "not_a_number"),
        (text(payoff=json.dumps({**CELLS, "VQ|DA": {"user": "two", "assistant": 0}})), "not_a_number"),
        (text(payoff=str({**CELLS, "VQ|DA": {"user": 2j, "assistant": 0}})), "not_a_number"),
        (text(payoff=str(CELLS).removesuffix("}") + ", 7: 1}"), "wrong_keys"),
        (text(payoff=str(CELLS).removesuffix("}") + f", 0x{'f' * 9999}: 1}}"), "wrong_keys"),
        (text(payoff=str(CELLS).replace("{'user': 1, 'assistant': -2}", f"0x{'f' * 9999}")), "wrong_keys"),
        (text(payoff=str(CELLS).replace("-2", f"0x{'f' * 9999}")), "out_of_range"),
        (text(response=""), "empty_response"),
    ],
)
def test_parse_chain__lenient_reading_makes_nothing_up(written: str, kind: str) -> None:
    """No payoff is cut down to the range, filled in or guessed."""
    assert failed(written, strict=False).kind == kind


def test_parse_chain__lenient_reading_needs_no_announcement() -> None:
    """Whether an analysis has to name a cell is then up to the caller."""
    assert lenient(text(analyze="Let us answer.")).announced is None


@pytest.mark.parametrize(
    ("analyze", "cell"),
    [
        ("VQ|CQ loses to DQ|DA.\nchoice: DQ|DA", ("DQ", "DA")),
        ("choice: VQ|CQ. No, choice: **DQ|CQ**, better than VQ|DA", ("DQ", "CQ")),
        ("The best is VQ|DA; then DQ|CQ.", ("DQ", "CQ")),
        ("VQ|DAX, XVQ|DA, VQ|DA|x", None),
        ("", None),
    ],
)
def test_announced_cell__is_the_last_choice_or_else_the_last_cell(analyze: str, cell: Any) -> None:
    """A line of choice counts before cells that are only mentioned; parts of longer words are no cells."""
    assert announced_cell(analyze, ROWS, COLUMNS) == cell


def test_announced_cell__takes_the_longest_name() -> None:
    """A move whose name begins like another's is not taken for it."""
    assert announced_cell("choice: VQ|DA_short", ["VQ"], ["DA", "DA_short"]) == ("VQ", "DA_short")


def test_parse_head__reads_a_chain_that_was_halted() -> None:
    """Behind the payoff block nothing is needed; what stands before it is held to the same form."""
    head = "<thinking>Hm.</thinking><payoff>" + json.dumps(CELLS) + "</payoff>"
    chain = parse_head(head, ROWS, COLUMNS)
    assert isinstance(chain, Chain)
    assert (chain.thinking, chain.game.shape) == ("Hm.", (2, 2))
    broken = parse_head(head.replace("<payoff>", ""), ROWS, COLUMNS)
    assert isinstance(broken, ChainFailure)


# -- hostile texts --------------------------------------------------------------------------------------------------------

PIECES = st.one_of(
    st.sampled_from(
        [
            *(f"<{slash}{name}>" for name in BLOCKS for slash in ("", "/")),
            *GOOD.values(),
            *(json.dumps(CELLS)[:n] for n in (1, 30, 77)),
            "NaN", "1e999", "-", "\\", "'", '"', "{", "[", "}", "(", "\x1b[2J", "\ud800", "\x00", "choice: ", "VQ|DA", "9" * 4400,
            "0x" + "f" * 5000,
        ]
    ),
    st.text(max_size=12),
)  # fmt: skip
HOSTILE = st.one_of(
    st.lists(PIECES, max_size=12).map("".join),
    st.permutations([*BLOCKS, *BLOCKS]).map(lambda names: text(tuple(names))),
)


def check_typed(written: str) -> None:
    """Every reading of every text is a chain or a typed failure."""
    for is_strict, published in ((True, False), (False, False), (False, True)):
        read = parse_chain(written, ROWS, COLUMNS, strict=is_strict, published=published)
        assert isinstance(read, (Chain, ChainFailure))
        if isinstance(read, ChainFailure):
            assert read.kind in FAILURES
            assert 0 <= read.position <= len(written)
            assert len(read.message) < 500
        else:
            assert abs(read.game.user).max() <= 5
            assert read.response


@settings(max_examples=2000)
@given(HOSTILE)
def test_parse_chain__never_raises(written: str) -> None:
    """Whatever a model writes, the answer is typed."""
    check_typed(written)


@pytest.mark.slow
@settings(max_examples=100_000)
@given(HOSTILE)
def test_parse_chain__never_raises_on_a_hundred_thousand_texts(written: str) -> None:
    """The same, at length."""
    check_typed(written)


@settings(max_examples=200)
@given(st.text(alphabet="{}[]():,'\"|VQDA0123456789.eE+-_ \\\n#jnTru", max_size=60))
def test_read_payoffs__never_raises(written: str) -> None:
    """Neither does what stands in the payoff block alone, in either reading."""
    for is_strict in (True, False):
        read = read_payoffs(written, ROWS, COLUMNS, strict=is_strict)
        assert isinstance(read, ChainFailure)


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=4, max_size=4),
    st.sampled_from([" ", "\n", "", "\t"]),
)
def test_parse_chain__gives_back_the_stated_numbers(payoffs: list[tuple[float, float]], space: str) -> None:
    """Any numbers in the range come back as they were stated."""
    cells = {key: dict(zip(("user", "assistant"), pair, strict=True)) for key, pair in zip(CELLS, payoffs, strict=True)}
    chain = strict(space + text(payoff=space + json.dumps(cells)))
    assert isinstance(chain, Chain)
    assert chain.game.user.ravel().tolist() == [user for user, _ in payoffs]
    assert chain.game.assistant.ravel().tolist() == [assistant for _, assistant in payoffs]


@pytest.mark.parametrize("piece", ["<thinking>", "</response>", "<payoff></payoff>", "choice: ", "VQ|DA ", "```", "{"])
def test_parse_chain__is_linear_in_hostile_texts(piece: str) -> None:
    """Five times as many tags take about five times as long, up to a hundred thousand characters; squares would take 25."""

    def seconds(length: int) -> float:
        hostile = piece * (length // len(piece))
        written = [hostile, *(text(BLOCKS, **{block: hostile}) for block in ("thinking", "payoff", "analyze"))]
        started = time.process_time()
        for one in written:
            parse_chain(one, ROWS, COLUMNS)
            parse_chain(one, ROWS, COLUMNS, strict=False)
        return time.process_time() - started

    assert min(seconds(100_000) for _ in range(2)) < 0.05 + 15 * min(seconds(20_000) for _ in range(2))


def test_payoff_schema__is_what_strict_reading_takes() -> None:
    """The schema asks for exactly the cells, sides and range that the reader wants."""
    schema = json.loads(payoff_schema(make_moves("VQ,DQ/DA,CQ").keys))
    assert list(schema["properties"]) == schema["required"] == list(CELLS)
    cell = schema["properties"]["DQ|CQ"]
    assert cell["required"] == ["user", "assistant"]
    assert (cell["additionalProperties"], schema["additionalProperties"]) == (False, False)
    assert cell["properties"]["user"] == {"type": "number", "minimum": -5, "maximum": 5}


# -- the published outputs -------------------------------------------------------------------------------------------------

SIX = (("VQ", "DQ"), ("DA", "AQ", "CQ"))


def published(output: str) -> Chain | ChainFailure:
    """Read an output of the reference system."""
    return parse_chain(output, *SIX, strict=False, published=True)


@pytest.mark.shared_data
def test_parse_chain__agrees_with_the_published_reader_on_all_real_outputs(shared_dir: Path, figure: Any) -> None:
    """Of 953 real outputs the same 821 parse, to the same matrices; what is deliberately refused does not occur among them."""
    counts: collections.Counter[str] = collections.Counter()
    for path in sorted((shared_dir / "data" / "gtalign").glob("outputs_*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            output = json.loads(line)["output"]
            cells, _, _ = stated_payoffs(output)
            theirs = cells if re.search(r"<response>(.*?)</response>", output, re.DOTALL) else None
            ours = published(output)
            counts["outputs"] += 1
            counts[
                "both"
                if theirs and isinstance(ours, Chain)
                else "theirs"
                if theirs
                else "ours"
                if isinstance(ours, Chain)
                else "neither"
            ] += 1
            if theirs and isinstance(ours, Chain):
                for i, row in enumerate(SIX[0]):
                    for j, column in enumerate(SIX[1]):
                        assert theirs[f"{row}_{column}"] == (ours.game.user[i, j], ours.game.assistant[i, j])
    figure("published outputs (parsed by both, by neither, by one alone)", dict(counts))
    assert counts == {"outputs": 953, "both": 821, "neither": 132}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("NaN", "not_a_number"),
        ("true", "not_a_number"),
        ("1000000000.0", "out_of_range"),
        ("-Infinity", "not_a_number"),
    ],
)
def test_parse_chain__deliberate_difference_numbers(value: str, kind: str) -> None:
    """The published reader takes NaN, truth values and any size for payoffs; this one takes none of them."""
    cells = {f"{row}_{column}": {"LLM": 1.0, "user": 2.0} for row in SIX[0] for column in SIX[1]}
    written = f"<payoff>{json.dumps(cells).replace('2.0', value, 1)}</payoff><response>Paris.</response>"
    assert stated_payoffs(written)[0] is not None
    failure = published(written)
    assert isinstance(failure, ChainFailure)
    assert failure.kind == kind


def test_parse_chain__deliberate_difference_empty_response() -> None:
    """The published reader scores an empty response; here it is a failure."""
    cells = {f"{row}_{column}": {"LLM": 1.0, "user": 2.0} for row in SIX[0] for column in SIX[1]}
    written = f"<payoff>{json.dumps(cells)}</payoff><response> </response>"
    failure = published(written)
    assert isinstance(failure, ChainFailure)
    assert failure.kind == "empty_response"


def test_parse_chain__published_form_reads_its_own_names() -> None:
    """Keys with an underscore, the assistant called LLM, the first cell named in the analysis announced; and no other form."""
    cells = {f"{row}_{column}": {"LLM": -1.5, "user": 2.0} for row in SIX[0] for column in SIX[1]}
    written = text(payoff=json.dumps(cells), analyze="DQ_AQ beats VQ_DA.")
    chain = parse_chain(written, *SIX, published=True)
    assert isinstance(chain, Chain)
    assert (chain.announced, chain.game.assistant[0, 0]) == (("DQ", "AQ"), -1.5)
    assert isinstance(parse_chain(written, *SIX), ChainFailure)
    assert isinstance(parse_chain(written.replace("</response>", ""), *SIX, strict=False, published=True), ChainFailure)
