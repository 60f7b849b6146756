"""From JSON schemas to grammars, and models of random weights that are held to them."""

from __future__ import annotations

import json
import re
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_model import REAL, require_real
from tiny_llama import make_model, make_tokenizer

from gtalign_env.agents.backends.constraints import Grammars, Guide
from gtalign_env.agents.backends.json_grammar import json_grammar, number_pattern
from gtalign_env.agents.backends.transformers import Loaded, TransformersBackend
from gtalign_env.errors import MissingExtraError, ModelError, UsageError
from gtalign_env.protocols import Continuation, Generation, Sampling

torch = pytest.importorskip("torch")
pytest.importorskip("llguidance")

HI = [{"role": "user", "content": "Hi"}]
NUMBER = {"type": "number", "minimum": -5, "maximum": 5}
CELL = {"type": "object", "properties": {"assistant": NUMBER, "user": NUMBER}, "required": ["user", "assistant"]}
KEYS = [f"{user}|{assistant}" for user in ("VQ", "DQ") for assistant in ("DA", "AQ", "CQ")]
PAYOFFS = {"type": "object", "properties": dict.fromkeys(KEYS, CELL), "required": KEYS, "additionalProperties": False}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """One token per byte."""
    return make_tokenizer()


@pytest.fixture(scope="module")
def grammars(tokenizer: Any) -> Grammars:
    """Grammars for that tokenizer."""
    return Grammars(tokenizer, size=len(tokenizer), ends=frozenset([tokenizer.eos_token_id]))


@pytest.fixture(scope="module")
def backend(tokenizer: Any) -> TransformersBackend:
    """A model of random weights."""
    return TransformersBackend(Loaded(make_model(tokenizer), tokenizer, "tiny", bos=False))


def fits(grammars: Grammars, tokenizer: Any, schema: Any, text: str) -> bool:
    """Whether the grammar of a schema has this very text."""
    guide = grammars.guide(json.dumps(schema))
    for token in tokenizer.encode(text, add_special_tokens=False):
        if not guide.allowed(len(tokenizer))[token]:
            return False
        guide.accept(token)
    return bool(guide.done or guide.allowed(len(tokenizer))[tokenizer.eos_token_id])


# -- numbers -----------------------------------------------------------------------------------------------------------


@given(
    ends=st.tuples(st.integers(-3000, 3000), st.integers(-3000, 3000)),
    decimals=st.integers(0, 3),
    units=st.integers(-3300, 3300),
    written=st.integers(0, 3),
)
def test_number_pattern__matches_the_numbers_of_a_range(
    ends: tuple[int, int], decimals: int, units: int, written: int
) -> None:
    """A decimal is matched exactly if it lies between the ends, however many of its decimals are written."""
    low, high = sorted(ends)
    written = min(written, decimals)
    number = Decimal(units // 10 ** (decimals - written)).scaleb(-written)  # with that many decimals
    text = f"{number:.{written}f}"
    expected = low <= number.scaleb(decimals) <= high
    assert bool(re.fullmatch(number_pattern(low, high, decimals), text)) == expected


@pytest.mark.parametrize("text", ["-0", "-0.0", "00", "01", "1.", ".5", "1e1", "+1", "1.000", "", "-", "٣"])
def test_number_pattern__matches_no_odd_spelling(text: str) -> None:
    """No minus zero, no leading zero, no exponent, no digit too many."""
    assert re.fullmatch(number_pattern(-10_000, 10_000, 2), text) is None


# -- schemas -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (NUMBER, ["-5", "5.00", "0", "-0.25", "1.0"], ["5.01", "-5.01", "1.001", "1e0", " 1", "-0", "06"]),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, ["0.01", "0.99"], ["0", "1", "0.00"]),
        ({"type": "number"}, ["-999999", "999999.00", "0.5"], ["1000000", "0.123", "1e5"]),
        ({"type": "number", "minimum": 2_000_000}, ["2000000", "2999999"], ["1999999", "3000000"]),
        ({"type": "integer", "minimum": 0, "maximum": 12}, ["0", "9", "10", "12"], ["13", "-1", "1.0", "012"]),
        ({"type": "integer", "maximum": -7}, ["-7", "-80"], ["-6", "7", "0"]),
        ({"type": "boolean"}, ["true", "false"], ["True", "0"]),
        ({"type": "null"}, ["null"], ["None"]),
        ({"type": "string", "maxLength": 3}, ['""', '"a é"', r'"\"\n"'], ['"abcd"', '"\n"', "'a'", '"']),
        ({"type": "string", "minLength": 2}, ['"ab"', f'"{"x" * 200}"'], ['"a"', f'"{"x" * 201}"']),
        ({"type": "array", "items": NUMBER, "maxItems": 2}, ["[]", "[1]", "[1, 2]"], ["[1,2]", "[1, 2, 3]", "[1"]),
        ({"type": "array", "items": NUMBER, "minItems": 2}, ["[1, 2]"], ["[]", "[1]", f"[{', '.join('1' * 17)}]"]),
        ({"type": "array", "maxItems": 0}, ["[]"], ["[1]"]),
        ({"type": "array"}, ["[]", '["a", 1, true, null]'], ["[{}]", "[[]]"]),
        (CELL, ['{"assistant": 1, "user": -2.5}'], ['{"user": 1, "assistant": 1}', '{"assistant": 1}', "{}"]),
        ({"properties": {'a "é\\"': {"const": 1}}}, ['{"a \\"é\\\\\\"": 1}'], ["{}", '{"a": 1}']),
        ({"type": "object", "properties": {}}, ["{}"], ["{ }"]),
        ({"enum": ["a", 1, None, {"b": [1]}]}, ['"a"', "1", "null", '{"b": [1]}'], ["a", "2"]),
        ({"const": "é"}, ['"é"'], ['"e"']),
        ({"anyOf": [{"type": "null"}, {"const": 3}], "title": "T"}, ["null", "3"], ["4"]),
        ({"type": ["integer", "null"], "minimum": 0, "maximum": 1}, ["0", "1", "null"], ["2"]),
        ({}, ["1", '"a"', "null", "true"], ["{}", "[]"]),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"const": 7}}}, ["7"], ["8"]),
        (
            {"type": "array", "maxItems": 1, "items": {"$ref": "#"}},
            ["[]", "[[]]", "[[[]]]"],
            ["[1]"],
        ),
        # what llguidance reads itself
        ({"type": "string", "pattern": "^a+b$"}, ['"ab"', '"aab"'], ['"b"', '"ac"']),
        ({"type": "string", "enum": ["x", "y"]}, ['"x"'], ['"z"']),
        ({"type": "integer", "multipleOf": 5, "minimum": 0, "maximum": 20}, ["15"], ["14", "25"]),
        ({"allOf": [{"$ref": "#/$defs/n"}], "$defs": {"n": {"type": "integer"}}}, ["3"], ['"a"']),
        ({"type": "object", "properties": {"a": {"const": 1}}, "required": ["b"]}, ['{"a": 1, "b": 2}'], ['{"a": 1}']),
    ],
)
def test_grammar__has_the_texts_that_fit(
    grammars: Grammars, tokenizer: Any, schema: Any, good: list[str], bad: list[str]
) -> None:
    """What is written in one line fits or does not, as the schema says."""
    assert [text for text in good if not fits(grammars, tokenizer, schema, text)] == []
    assert [text for text in bad if fits(grammars, tokenizer, schema, text)] == []


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("", "expected the JSON text of a schema"),
        ("{'a': 1}", "expected the JSON text of a schema"),
        ('{"minimum": NaN}', "NaN is no JSON number"),
        ("[" * 100_000, "expected the JSON text of a schema"),
        ("[]", "expected a JSON object"),
        ('{"properties": {"a": 1}}', "expected an object or true as a schema, got 1"),
        ('{"$ref": "#/$defs/x"}', "leads nowhere"),
        ('{"$ref": "https://example.org/x"}', "leads nowhere"),
        ('{"$ref": 5}', "leads nowhere"),
    ],
)
def test_grammar__says_what_is_no_schema(schema: str, message: str) -> None:
    """A caller's mistake is one sentence."""
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        json_grammar(schema)
    assert "\n" not in str(caught.value)


def test_grammar__nested_beyond_reason_is_refused() -> None:
    """A schema that is deeper than the stack ends in a sentence."""
    with pytest.raises(UsageError, match=r"^json_schema: it is nested too deeply$"):
        json_grammar('{"properties": {"a": ' * 400 + "{}" + "}}" * 400)


def test_guide__needs_llguidance(grammars: Grammars, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the error names it and the extra; from a backend it is data."""
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(MissingExtraError, match=r"needs the package 'llguidance': pip install 'gtalign-env\[hf\]'"):
        Grammars(tokenizer, size=9, ends=frozenset()).guide('{"type": "null"}')
    backend = TransformersBackend(Loaded(make_model(tokenizer), tokenizer, "tiny", bos=False))
    for result in backend.generate([HI, HI], Sampling(json_schema='{"type": "null"}')):
        assert result.finish_reason == "error"
        assert "llguidance" in result.error


def test_guide__a_tokenizer_that_cannot_be_read_is_said() -> None:
    """A tokenizer without a fast form ends in one sentence."""

    class Slow:
        def __len__(self) -> int:
            return 3

    with pytest.raises(ModelError, match="this tokenizer cannot be held to a JSON schema: Only fast"):
        Grammars(Slow(), size=3, ends=frozenset()).guide('{"type": "null"}')


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "("},
        {"type": "string", "minLength": 3, "maxLength": 2},
        {"type": "number", "minimum": 2, "maximum": 1},
        {"type": "thing"},
        {"properties": 3},
        {"type": "object", "properties": {}, "required": "a"},
    ],
)
def test_guide__what_llguidance_cannot_read_is_an_error_as_data(backend: TransformersBackend, schema: Any) -> None:
    """A schema that asks for the impossible fails each row, in a sentence."""
    results = backend.generate([HI, HI], Sampling(json_schema=json.dumps(schema)))
    assert [g.finish_reason for g in results] == ["error", "error"]
    assert "cannot be used to constrain a model" in results[0].error
    assert "\n" not in results[0].error


def test_guide__old_grammars_make_room(grammars: Grammars, tokenizer: Any) -> None:
    """The number of compiled grammars is bounded."""
    own = Grammars(tokenizer, size=len(tokenizer), ends=frozenset([1]))
    for number in range(40):
        own.guide(json.dumps({"const": number}))
    assert len(own._compiled) == 32


# -- models ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", [{"temperature": 0.0}, {"temperature": 1.0}, {"temperature": 1.5, "top_p": 0.9}])
def test_generate__keeps_to_the_payoff_schema(backend: TransformersBackend, sampling: dict[str, Any]) -> None:
    """A model of random weights writes a valid matrix every time, and ends by itself."""
    results = backend.generate([HI] * 6, Sampling(max_tokens=500, json_schema=json.dumps(PAYOFFS), **sampling))
    for result in results:
        cells = json.loads(result.text)
        assert list(cells) == KEYS
        assert all(list(cell) == ["assistant", "user"] for cell in cells.values())
        assert all(-5 <= value <= 5 for cell in cells.values() for value in cell.values())
        assert (result.finish_reason, result.sampled) == ("stop", result.text)
    if sampling["temperature"]:
        assert len({result.text for result in results}) == 6


def test_generate__constrained_logprobs_are_the_free_models(backend: TransformersBackend) -> None:
    """What the grammar forbids does not raise the log-probability of what it leaves."""
    result = backend.generate([HI], Sampling(max_tokens=40, json_schema=json.dumps(CELL)))[0]
    ids = torch.tensor([[*result.prompt_ids, *result.token_ids]])
    with torch.no_grad():
        scores = torch.log_softmax(backend.model(ids).logits[0], dim=-1)
    start = len(result.prompt_ids) - 1
    expected = [float(scores[start + place, token]) for place, token in enumerate(result.token_ids)]
    assert result.logprobs == pytest.approx(expected, abs=1e-4)
    assert min(result.logprobs) < -5  # a free model of random weights would hardly write a bracket


def test_generate__constrained_rows_do_not_depend_on_their_company(backend: TransformersBackend) -> None:
    """Rows of different length and end go their own ways."""
    sampling = Sampling(
        max_tokens=200, temperature=1.0, seed=4, json_schema=json.dumps({"type": "array", "items": NUMBER})
    )
    talks = [[{"role": "user", "content": "Hi" * count}] for count in range(1, 7)]
    together = backend.generate(talks, sampling)
    assert [g.text for g in together] == [backend.generate([talk], sampling)[0].text for talk in talks]
    assert len({len(g.token_ids) for g in together}) > 1


def test_generate__json_cut_by_the_limit_says_so(backend: TransformersBackend) -> None:
    """Too few tokens leave half a text, with the reason 'length'."""
    result = backend.generate([HI], Sampling(max_tokens=5, json_schema=json.dumps(CELL)))[0]
    assert (result.text, result.finish_reason) == ('{"ass', "length")


def test_generate__json_in_the_middle_of_a_chain(backend: TransformersBackend) -> None:
    """A payoff block is written between two pieces of free text, on one chain of tokens."""
    free = backend.generate([HI], Sampling(max_tokens=6, temperature=1.0))[0]
    block = Sampling(max_tokens=500, json_schema=json.dumps(PAYOFFS))
    payoff = backend.generate([Continuation(after=free, text="<payoff>")], block)[0]
    rest = backend.generate([Continuation(after=payoff, text="</payoff>")], Sampling(max_tokens=4))[0]
    assert list(json.loads(payoff.text)) == KEYS
    assert rest.prompt.endswith(f"<payoff>{payoff.text}</payoff>")
    assert rest.conversation[-1]["content"] == f"{free.sampled}<payoff>{payoff.text}</payoff>"


def test_picker__a_grammar_that_breaks_is_an_error_as_data(backend: TransformersBackend) -> None:
    """What goes wrong inside the grammar engine ends a row with the reason."""
    from gtalign_env.agents.backends.decoding import Picker, Row

    class Broken:
        done = False
        error = "lexer too complex"

        def allowed(self, size: int) -> Any:
            return torch.ones(size, dtype=torch.bool).numpy()

        def accept(self, token: int) -> None: ...

    row = Row(seed=(0,), guide=Broken())  # type: ignore[arg-type]
    Picker([row], Sampling(), ends=frozenset(), stops=(), decode=str)(None, torch.zeros(1, 4))
    assert (row.reason, row.error) == ("error", "the grammar engine gave up: lexer too complex")


def test_guide__an_illegal_token_leaves_an_error(grammars: Grammars, tokenizer: Any) -> None:
    """A guide that was led astray says so in a line."""
    guide = grammars.guide('{"const": 12}')
    assert isinstance(guide, Guide)
    assert guide.error == ""
    guide.accept(tokenizer.encode("x")[0])
    assert "doesn't satisfy the grammar" in guide.error
    assert "\n" not in guide.error


def test_guide__a_model_with_more_rows_than_tokens_never_picks_those(grammars: Grammars, tokenizer: Any) -> None:
    """Rows that pad a model's output are not allowed."""
    allowed = grammars.guide('{"type": "string"}').allowed(len(tokenizer) + 100)
    assert allowed.shape == (len(tokenizer) + 100,)
    assert not allowed[len(tokenizer) :].any()


def test_generate__a_malformed_schema_is_the_callers_mistake(backend: TransformersBackend) -> None:
    """It is raised, not recorded as the model's failure."""
    with pytest.raises(UsageError, match="json_schema"):
        backend.generate([HI], Sampling(json_schema="no schema"))


# -- the real model ----------------------------------------------------------------------------------------------------


@pytest.mark.model
def test_real_model__keeps_to_the_payoff_schema(figure: Any) -> None:
    """A model of 270 million weights writes a valid matrix whenever it is held to the schema; the free rate stands beside it."""
    require_real(REAL)
    backend = TransformersBackend(REAL, device="cpu")
    talks = [
        [{"role": "user", "content": f"{ask} Payoffs of both, as JSON, with keys like {KEYS[0]!r}:"}]
        for ask in ("How far is it?", "What is the capital of France?", "Write me a poem about rain.")
    ]
    held = Sampling(max_tokens=260, temperature=1.0, json_schema=json.dumps(PAYOFFS))
    results = backend.generate(talks, held)
    free = backend.generate(talks, Sampling(max_tokens=120, temperature=1.0))
    figure("270M, payoffs held to the schema", f"{sum(map(is_matrix, results))} of {len(results)}")
    figure("270M, payoffs written freely", f"{sum(map(is_matrix, free))} of {len(free)}")
    figure("270M, tokens of a matrix", max(len(result.token_ids) for result in results))
    assert all(map(is_matrix, results))


def is_matrix(result: Generation) -> bool:
    """Whether a text is a whole matrix of payoffs in range."""
    try:
        cells = json.loads(result.text)
        return list(cells) == KEYS and all(
            -5 <= cell[side] <= 5 for cell in cells.values() for side in ("assistant", "user")
        )
    except (ValueError, TypeError, KeyError):
        return False
