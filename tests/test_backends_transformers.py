"""The transformers backend, on models of a hundred thousand weights made here.

Two kinds: one with random weights, and ``chain`` models whose next token follows from the last one alone, so that what
they write is known beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_llama import END, make_model, make_tokenizer, save_tiny

from gtalign_env.agents.backends import loading
from gtalign_env.agents.backends.loading import quiet, unpack_gguf
from gtalign_env.agents.backends.prompts import NOTHING, TOO_LONG
from gtalign_env.agents.backends.transformers import Loaded, TransformersBackend
from gtalign_env.errors import UsageError
from gtalign_env.protocols import Backend, Continuation, Generation, Sampling

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
TALKS = [
    [{"role": "user", "content": "Hi"}],
    [{"role": "user", "content": "What is the capital of the country that I told you about?"}],
    [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "How far is it?"},
        {"role": "assistant", "content": "How far is what?"},
        {"role": "user", "content": "The sea."},
    ],
]


def chain(text: str, *, template: str | None = None, ends: bool = False, **options: Any) -> TransformersBackend:
    """Return a backend that goes on from each character of ``text`` with the next one, and after the last ends or repeats.

    No character may occur twice.
    """
    tokenizer = make_tokenizer(template=template)
    model = make_model(tokenizer)
    ids = [*tokenizer.encode(text, add_special_tokens=False), *([tokenizer.eos_token_id] if ends else [])]
    assert len(set(ids)) == len(ids), "a character occurs twice"
    with torch.no_grad():
        for layer in model.model.layers:  # nothing is added to the embedding, so it alone decides
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.lm_head.weight.zero_()
        for now, following in zip(ids, [*ids[1:], ids[0]], strict=True):
            model.lm_head.weight[following] += model.model.embed_tokens.weight[now]
    return TransformersBackend(Loaded(model, tokenizer, "chain", bos=False), **options)


def write(backend: TransformersBackend, **sampling: Any) -> Generation:
    """Return what the backend says to "Hi"."""
    return backend.generate([TALKS[0]], Sampling(**sampling))[0]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and a tokenizer without a chat template."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def backend(tiny: Path) -> TransformersBackend:
    """The backend on that folder."""
    return TransformersBackend(tiny, device="cpu")


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """No test may move torch's global generator or transformers' verbosity."""
    from transformers.utils import logging

    before = torch.get_rng_state().clone(), logging.get_verbosity(), logging.is_progress_bar_enabled()
    yield
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (logging.get_verbosity(), logging.is_progress_bar_enabled())


# -- what is generated -------------------------------------------------------------------------------------------------


def test_backend__is_one(backend: TransformersBackend) -> None:
    """It fits the protocol, is called after its folder, and counts tokens without control tokens."""
    assert isinstance(backend, Backend)
    assert backend.name == "transformers:tiny"
    assert backend.count_tokens("abc é") == len("abc é".encode())


def test_generate__greedy_is_the_same_in_a_batch_and_alone(backend: TransformersBackend) -> None:
    """Padding and neighbours do not change what is said."""
    sampling = Sampling(max_tokens=24)
    together = backend.generate(TALKS, sampling)
    alone = [backend.generate([talk], sampling)[0] for talk in TALKS]
    assert [g.token_ids for g in together] == [g.token_ids for g in alone]
    for one, other in zip(together, alone, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_generate__agrees_with_transformers_own_greedy_search(backend: TransformersBackend) -> None:
    """The likeliest tokens are those that transformers finds from the same prompt."""
    ours = write(backend, max_tokens=20)
    ids = torch.tensor([backend.tokenizer.encode(ours.prompt, add_special_tokens=False)])
    with quiet():
        theirs = backend.model.generate(ids, max_new_tokens=20, do_sample=False, attention_mask=torch.ones_like(ids))
    assert list(ours.token_ids) == theirs[0, ids.shape[1] :].tolist()[: len(ours.token_ids)]


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_generate__samples_follow_from_the_seed_and_not_from_the_company(
    backend: TransformersBackend, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same seed a conversation gets the same reply in any order, batch size and company."""
    sampling = Sampling(max_tokens=16, temperature=0.8, top_p=0.9, seed=7)
    alone = [backend.generate([talk], sampling)[0].token_ids for talk in TALKS]
    monkeypatch.setattr(backend, "batch_size", batch_size)
    together = backend.generate(TALKS[::-1], sampling)
    assert [g.token_ids for g in together] == alone[::-1]


def test_generate__other_seeds_and_equal_conversations_sample_afresh(backend: TransformersBackend) -> None:
    """Another seed gives another sample, and so does the same conversation a second time in one call."""
    sampling = Sampling(max_tokens=16, temperature=1.0, seed=1)
    first, second = backend.generate([TALKS[0]] * 2, sampling)
    assert first.token_ids != second.token_ids
    assert first.token_ids != write(backend, max_tokens=16, temperature=1.0, seed=2).token_ids
    assert first.token_ids == write(backend, max_tokens=16, temperature=1.0, seed=1).token_ids


@pytest.mark.parametrize(
    "sampling", [Sampling(max_tokens=12), Sampling(max_tokens=12, temperature=0.7, top_p=0.8, seed=3)]
)
def test_generate__logprobs_are_those_of_a_teacher_forced_pass(
    backend: TransformersBackend, sampling: Sampling
) -> None:
    """Each log-probability is the model's own for that token, whatever the temperature."""
    for result in backend.generate(TALKS, sampling):
        prompt = backend.tokenizer.encode(result.prompt, add_special_tokens=False)
        assert len(prompt) == result.prompt_tokens
        ids = torch.tensor([[*prompt, *result.token_ids]])
        with torch.no_grad():
            scores = torch.log_softmax(backend.model(ids).logits[0], dim=-1)
        expected = [float(scores[len(prompt) + place - 1, token]) for place, token in enumerate(result.token_ids)]
        assert result.logprobs == pytest.approx(expected, abs=1e-4)


def test_generate__temperature_and_top_p_shape_the_distribution() -> None:
    """Frequencies follow softmax(scores / T), cut to the nucleus and renormalised."""
    from gtalign_env.agents.backends.decoding import Picker, Row
    from gtalign_env.agents.backends.in_process import row_seeds

    weights = [0.5, 0.25, 0.15, 0.1]
    count = 8000
    for top_p, expected in (
        (1.0, weights),
        (0.8, [0.5 / 0.9, 0.25 / 0.9, 0.15 / 0.9, 0.0]),
        (0.3, [1.0, 0.0, 0.0, 0.0]),
    ):
        rows = [Row(seed=seed) for seed in row_seeds([[0]] * count, seed=0)]
        sampling = Sampling(temperature=2.0, top_p=top_p)
        picker = Picker(rows, sampling, ends=frozenset(), stops=(), decode=str)
        scores = (torch.tensor(weights).log() * 2.0).expand(count, 4)
        picker(None, scores)
        found = [sum(row.tokens == [token] for row in rows) / count for token in range(4)]
        assert found == pytest.approx(expected, abs=4 * math.sqrt(0.25 / count))


def test_generate__a_nucleus_wider_than_the_likeliest_is_sorted_in_full() -> None:
    """A flat distribution over a large vocabulary is cut in the right place."""
    from gtalign_env.agents.backends.decoding import Picker, Row

    vocabulary = 5000
    flat = torch.linspace(1.0, 0.9, vocabulary).log()[None]  # falling, so the nucleus is a beginning of it
    tokens = []
    for seed in range(300):
        row = Row(seed=(seed,))
        Picker([row], Sampling(temperature=1.0, top_p=0.6), ends=frozenset(), stops=(), decode=str)(None, flat)
        tokens += row.tokens
    assert 1024 < max(tokens) < 0.6 * vocabulary


def test_generate__leaves_a_model_in_training_as_it_was(backend: TransformersBackend) -> None:
    """A model that is being trained comes back in training mode, but for its frozen parts; its generation config untouched."""
    tokenizer = make_tokenizer()
    model = make_model(tokenizer, attention_dropout=0.5).train()
    model.model.layers[0].eval()  # frozen
    modes = [part.training for part in model.modules()]
    config = model.generation_config
    player = TransformersBackend(Loaded(model, tokenizer, "trainee", bos=False))
    assert write(player, max_tokens=8).token_ids == write(backend, max_tokens=8).token_ids  # no dropout while it plays
    assert model.training
    assert [part.training for part in model.modules()] == modes
    assert model.generation_config is config


# -- where it ends -----------------------------------------------------------------------------------------------------


def test_generate__ends_at_the_end_token() -> None:
    """The end token is among the ids, not in the text."""
    backend = chain(":hi", ends=True)
    result = write(backend)
    assert (result.text, result.finish_reason, result.error) == ("hi", "stop", "")
    assert result.token_ids == (*backend.tokenizer.encode("hi"), backend.tokenizer.eos_token_id)
    assert len(result.logprobs) == 3


def test_generate__ends_at_the_limit() -> None:
    """Without an end the limit decides, and the reason says so."""
    result = write(chain(":abc"), max_tokens=7)
    assert (result.text, result.finish_reason, len(result.token_ids)) == ("abc:abc", "length", 7)


def test_generate__ends_where_the_user_would_speak_next() -> None:
    """Without a chat template the next turn of the dialogue is a stop string."""
    result = write(chain(":ok\nUser"), max_tokens=50)
    assert (result.text, result.finish_reason) == ("ok", "stop")
    assert len(result.token_ids) == len("ok\nUser:")


@pytest.mark.parametrize(
    ("stops", "text"), [(("def",), "abc"), (("z", "c", "ef"), "ab"), (("é",), "abcdefg"), (("",), "abcdefgé:")]
)
def test_generate__cuts_at_stop_strings(stops: tuple[str, ...], text: str) -> None:
    """The first stop string is cut off, also one of several tokens; an empty one stops nothing."""
    result = write(chain(":abcdefgé"), stop=stops, max_tokens=10)
    assert result.text == text
    assert result.finish_reason == ("length" if stops == ("",) else "stop")


def test_generate__a_stop_string_that_is_a_control_token_stops() -> None:
    """Control tokens are not part of the text, and still work as stop strings."""
    backend = chain(":ab")
    with torch.no_grad():
        b, end = (backend.tokenizer.convert_tokens_to_ids(token) for token in ("b", END))
        backend.model.lm_head.weight[end] += 2 * backend.model.model.embed_tokens.weight[b]
    assert (write(backend, stop=(END,)).text, write(backend, max_tokens=5).finish_reason) == ("ab", "length")


def test_generate__the_template_says_which_token_ends_a_turn() -> None:
    """A turn's end that the template writes ends a reply, though the model's config does not name it."""
    tokenizer = make_tokenizer(template=TEMPLATE)
    backend = TransformersBackend(Loaded(make_model(tokenizer, eos_token_id=[1, 2]), tokenizer, "x", bos=False))
    assert backend._ends == {1, 2, tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(END)}


def test_generate__nothing_written_is_an_error_as_data() -> None:
    """An empty reply says so, keeps its tokens, and leaves the others alone."""
    result = write(chain(":", ends=True))
    assert (result.text, result.finish_reason, result.error, len(result.token_ids)) == ("", "error", NOTHING, 1)


def test_generate__scores_that_are_no_numbers_are_an_error_as_data() -> None:
    """A damaged model ends a row with an error, not a run."""
    backend = chain(":ab")
    with torch.no_grad():
        backend.model.lm_head.weight[0, 0] = torch.nan
    for temperature in (0.0, 1.0):
        result = write(backend, temperature=temperature)
        assert result.finish_reason == "error"
        assert "not finite" in result.error


# -- going on ----------------------------------------------------------------------------------------------------------


def test_continue__goes_on_from_the_very_tokens(backend: TransformersBackend) -> None:
    """The prompt is the tokens before and those of the new text; nothing before is tokenised again."""
    first = backend.generate(TALKS, Sampling(max_tokens=9, temperature=1.0, seed=2))
    resumed = backend.generate([Continuation(after=one, text=" So:") for one in first], Sampling(max_tokens=7))
    for before, after, talk in zip(first, resumed, TALKS, strict=True):
        assert after.prompt_ids == before.prompt_ids + before.token_ids + tuple(backend.tokenizer.encode(" So:"))
        assert after.prompt_tokens == len(after.prompt_ids)
        assert after.prompt == before.prompt + before.sampled + " So:"
        assert list(after.conversation) == [*talk, {"role": "assistant", "content": before.sampled + " So:"}]
        ids = torch.tensor([[*after.prompt_ids, *after.token_ids]])
        with torch.no_grad():
            scores = torch.log_softmax(backend.model(ids).logits[0], dim=-1)
        start = len(after.prompt_ids) - 1
        expected = [float(scores[start + place, token]) for place, token in enumerate(after.token_ids)]
        assert after.logprobs == pytest.approx(expected, abs=1e-4)


def test_continue__two_halves_are_the_whole(backend: TransformersBackend) -> None:
    """Without new text, the likeliest tokens are those of one uninterrupted completion."""
    whole = backend.generate(TALKS, Sampling(max_tokens=20))
    halves = backend.generate(TALKS, Sampling(max_tokens=8))
    rests = backend.generate([Continuation(after=half) for half in halves], Sampling(max_tokens=12))
    for one, half, rest in zip(whole, halves, rests, strict=True):
        assert half.token_ids + rest.token_ids == one.token_ids
        assert half.logprobs + rest.logprobs == pytest.approx(one.logprobs, abs=1e-4)


def test_continue__again_and_again() -> None:
    """A continuation is continued like any completion, and the conversation keeps one message of the assistant."""
    backend = chain(":abcd", template=TEMPLATE + "z:")
    first = write(backend, stop=("c",))
    assert (first.text, first.sampled) == ("ab", "abc")
    second = backend.generate([Continuation(after=first, text="ab")], Sampling(stop=("d",)))[0]
    assert (second.text, second.sampled) == ("c", "cd")
    third = backend.generate([Continuation(after=second)], Sampling(max_tokens=3))[0]
    assert third.text == ":ab"
    assert third.conversation == (TALKS[0][0], {"role": "assistant", "content": "abcabcd"})
    assert third.prompt.endswith("z:abcabcd")


def test_continue__an_end_token_does_not_stay_in_the_middle() -> None:
    """A model that had ended its turn is made to go on behind its last word."""
    backend = chain(":hi", ends=True)
    first = write(backend)
    assert first.token_ids[-1] == backend.tokenizer.eos_token_id
    assert first.sampled == "hi"
    after = backend.generate([Continuation(after=first, text=":")], Sampling())[0]
    assert after.prompt_ids == first.prompt_ids + tuple(backend.tokenizer.encode("hi:"))
    assert after.text == "hi"


def test_continue__the_users_next_turn_does_not_stay_in_the_middle() -> None:
    """Without a chat template the beginning of the next turn is what an end token is with one."""
    backend = chain(":ok\nUser")
    first = write(backend, max_tokens=50)
    assert (first.sampled, len(first.token_ids)) == ("ok", len("ok\nUser:"))
    after = backend.generate([Continuation(after=first, text="!:")], Sampling(max_tokens=2))[0]
    assert after.prompt_ids == first.prompt_ids + tuple(backend.tokenizer.encode("ok!:"))


def test_continue__what_stood_before_the_next_turn_in_one_token_stays() -> None:
    """A token that holds the end of the reply and the beginning of the next turn is taken apart."""
    backend = chain(":ok\nUser")
    wide = Generation(text="Yes.", token_ids=(1, 2), prompt_ids=(5,))

    def decode(ids: Any, **_: Any) -> str:
        return "".join({1: "Ye", 2: "s.\nUser:"}.get(token, chr(token)) for token in ids)

    backend.tokenizer.decode = decode
    assert backend._kept(wide) == [1, *backend.tokenizer.encode("s.")]


def test_continue__control_tokens_in_the_new_text_are_text() -> None:
    """Nobody ends a turn by having its control token put into the assistant's mouth."""
    backend = chain(":hi", ends=True)
    after = backend.generate([Continuation(after=write(backend), text=f"{END}:")], Sampling())[0]
    assert backend.tokenizer.convert_tokens_to_ids(END) not in after.prompt_ids
    assert after.prompt.endswith("< |im_end|>:")


def test_continue__by_text_where_there_are_no_ids(backend: TransformersBackend) -> None:
    """What another kind of engine wrote is continued as the beginning of the assistant's message."""
    foreign = Generation(text="It", sampled="It is", conversation=tuple(TALKS[0]))
    after = backend.generate([Continuation(after=foreign, text=" far")], Sampling(max_tokens=4))[0]
    by_hand = backend.generate([[*TALKS[0], {"role": "assistant", "content": "It is far"}]], Sampling(max_tokens=4))[0]
    assert (after.prompt_ids, after.token_ids) == (by_hand.prompt_ids, by_hand.token_ids)
    assert after.prompt.endswith("Assistant: It is far")
    again = backend.generate([Continuation(after=by_hand, text="?")], Sampling(max_tokens=4))[0]
    assert again.conversation[1:] == ({"role": "assistant", "content": f"It is far{by_hand.sampled}?"},)


def test_continue__a_failure_is_not_gone_on_with(backend: TransformersBackend) -> None:
    """It stays a failure, with its reason, and the others come back whole; an empty completion is no failure."""
    failed = Generation(text="", finish_reason="error", error="it is down", conversation=tuple(TALKS[0]))
    empty = write(chain(":", ends=True))
    assert empty.error == NOTHING
    lost, fine = backend.generate(
        [Continuation(after=failed), Continuation(after=empty, text="a")], Sampling(max_tokens=3)
    )
    assert (lost.finish_reason, fine.error) == ("error", "")
    assert lost.error == "there is nothing to go on with: the completion before failed (it is down)"


def test_continue__keeps_to_the_context() -> None:
    """Near the end of the context fewer tokens may be written, which the note says; at its end it is an error as data."""
    backend = chain(":abc", max_context=350)
    first = write(backend, max_tokens=20)
    left = 350 - len(first.prompt_ids) - 20
    assert 5 < left < 40
    after = backend.generate([Continuation(after=first, text=":ab"), TALKS[0]], Sampling(max_tokens=60))
    assert len(after[0].token_ids) == left - 3
    assert after[0].finish_reason == "length"
    assert after[0].note == f"at most {left - 3} tokens instead of 60: the context is full"
    assert after[1].error.startswith(TOO_LONG)  # a prompt of its own has to leave room for all 60
    full = backend.generate([Continuation(after=first, text=":" * left)], Sampling(max_tokens=5))[0]
    assert full.error.startswith(f"{TOO_LONG}: there is no room to go on; prompt and completion have 350 tokens")


# -- writing out -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tied", [False, True])
def test_unpack__writes_the_same_model_as_a_folder(tmp_path: Path, tied: bool) -> None:
    """What was unpacked says what the model said, without a quantisation in its config, on any kind of weights."""
    save_tiny(tmp_path / "from", tie_word_embeddings=tied)
    unpack_gguf(tmp_path / "from", tmp_path / "to")
    ours, theirs = (TransformersBackend(tmp_path / name, device="cpu") for name in ("to", "from"))
    assert write(ours, max_tokens=12).token_ids == write(theirs, max_tokens=12).token_ids
    assert not hasattr(ours.model.config, "quantization_config")


def test_unpack__leaves_the_quantisation_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A config that says the weights are quantised would keep them from being saved."""
    tokenizer = make_tokenizer()
    model = make_model(tokenizer)
    model.config.quantization_config = {"quant_method": "gguf"}
    monkeypatch.setattr(loading, "load_model", lambda *_, **__: Loaded(model, tokenizer, "x", bos=False))
    unpack_gguf("x.gguf", tmp_path)
    assert "quantization_config" not in (tmp_path / "config.json").read_text()


# -- what goes wrong on the way ----------------------------------------------------------------------------------------


def failing(backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch, fits: int, error: Exception) -> list[int]:
    """Make batches of more than ``fits`` rows fail; return the list that the batch sizes are written to."""
    sizes: list[int] = []
    write = backend._write

    def limited(batch: list[Any], rows: Any, picker: Any) -> None:
        sizes.append(len(batch))
        if len(batch) > fits:
            raise error
        write(batch, rows, picker)

    monkeypatch.setattr(backend, "_write", limited)
    return sizes


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_generate__halves_the_batch_when_memory_runs_out(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """All rows come back whole, and the size that fits is kept for the next call."""
    backend = chain(":hi", ends=True, batch_size=8)
    sizes = failing(backend, monkeypatch, 2, error)
    assert [g.text for g in backend.generate([TALKS[0]] * 8, Sampling())] == ["hi"] * 8
    assert sizes == [8, 4, 2, 2, 2, 2]
    backend.generate([TALKS[0]] * 4, Sampling())
    assert sizes[6:] == [2, 2]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("out of memory"), RuntimeError("boom")])
def test_generate__a_failure_is_data(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """What fails in a batch of one, or for another reason than memory, is said in each row."""
    backend = chain(":hi", batch_size=2)
    failing(backend, monkeypatch, 0, error)
    for result in backend.generate([TALKS[0]] * 3, Sampling()):
        assert result.finish_reason == "error"
        assert result.error == f"{type(error).__name__}: {error}"
        assert result.prompt


def test_generate__ctrl_c_is_no_failure_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt passes through, and the model's settings are put back."""
    backend = chain(":hi")
    config = backend.model.generation_config
    failing(backend, monkeypatch, 0, KeyboardInterrupt())  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        write(backend)
    assert backend.model.generation_config is config


def test_generate__nothing_to_do(backend: TransformersBackend) -> None:
    """No conversations, no generations."""
    assert backend.generate([], Sampling()) == []


def test_generate__refuses_a_limit_without_room_for_a_prompt(backend: TransformersBackend) -> None:
    """A completion as long as the context leaves none for the prompt."""
    with pytest.raises(UsageError, match=r"max_tokens=1024 leaves no room .* context of 1024"):
        write(backend, max_tokens=1024)


def test_generate__a_long_conversation_fits_the_context() -> None:
    """The note reaches the generation, and prompt and completion stay within the context."""
    backend = chain(":hi", ends=True, max_context=600)
    talk = [
        {"role": "user", "content": "x" * 400},
        {"role": "assistant", "content": "y"},
        {"role": "user", "content": "z"},
    ]
    result, short = backend.generate([talk, talk[2:]], Sampling(max_tokens=20))
    assert (result.text, result.prompt_ids) == ("hi", short.prompt_ids)
    assert result.note == "left out the 2 oldest messages: the prompt may have 580 tokens"
    assert short.note == ""


def test_generate__a_prompt_that_is_too_long_is_an_error_of_its_row() -> None:
    """Instructions and last message do not fit: nothing is cut off them; the other row is answered."""
    backend = chain(":hi", ends=True, max_context=600)
    long, short = backend.generate([[{"role": "user", "content": "x" * 900}], TALKS[0]], Sampling(max_tokens=20))
    assert (long.finish_reason, long.text) == ("error", "")
    assert long.error.startswith(TOO_LONG)
    assert short.text == "hi"


def test_generate__leaves_room_for_what_comes_later() -> None:
    """A reserve has old turns left out, so that a continuation finds room; where it cannot be had, nothing fails."""
    backend = chain(":hi", ends=True, max_context=600)
    talk = [
        {"role": "user", "content": "x" * 200},
        {"role": "assistant", "content": "y"},
        {"role": "user", "content": "z"},
    ]
    (near,) = backend.generate([talk], Sampling(max_tokens=20))
    assert near.note == ""
    (far,) = backend.generate([talk], Sampling(max_tokens=20, reserve=200))
    assert far.note == "left out the 2 oldest messages: the prompt may have 380 tokens"
    (after,) = backend.generate([Continuation(after=far, text=":")], Sampling(max_tokens=200))
    assert (after.text, after.note) == ("hi", "")
    (least,) = backend.generate([talk], Sampling(max_tokens=20, reserve=5000))
    assert (least.text, least.prompt_ids) == ("hi", far.prompt_ids)


def test_padding__is_on_the_left_and_masked(backend: TransformersBackend) -> None:
    """Shorter prompts are filled up in front."""
    ids, mask = backend._padded([[5], [6, 7, 8]])
    pad = backend.tokenizer.pad_token_id
    assert ids.tolist() == [[pad, pad, 5], [6, 7, 8]]
    assert mask.tolist() == [[0, 0, 1], [1, 1, 1]]


def test_prompt__what_a_template_refuses_is_an_error_as_data() -> None:
    """One conversation that does not fit the template fails alone."""
    refusing = "{% if messages[0].content == 'x' %}{{ raise_exception('no x please') }}{% endif %}:"
    backend = chain(":hi", ends=True, template=refusing)
    good, bad = backend.generate([TALKS[0], [{"role": "user", "content": "x"}]], Sampling())
    assert (good.text, good.error) == ("hi", "")
    assert bad.finish_reason == "error"
    assert "refuses this conversation: no x please" in bad.error


def test_free__empties_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """After running out of memory the cache of a GPU is given back."""
    from gtalign_env.agents.backends.transformers import _free

    emptied: list[bool] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    _free()
    assert emptied == [True]


def test_backend__limits_itself_to_what_the_model_was_made_for() -> None:
    """A wish for more context than the model has is cut down; a model that does not say gets a default."""
    assert chain(":a", max_context=10_000).max_context == 1024
    backend = chain(":a")
    del backend.model.config.max_position_embeddings
    assert TransformersBackend(Loaded(backend.model, backend.tokenizer, "x", bos=False)).max_context == 2048


def test_backend__needs_no_pad_token() -> None:
    """Without a pad token another one fills up, behind the mask."""
    backend = chain(":hi", ends=True)
    backend.tokenizer.pad_token = None
    backend.model.generation_config.eos_token_id = None
    again = TransformersBackend(Loaded(backend.model, backend.tokenizer, "x", bos=False))
    assert [g.text for g in again.generate(TALKS, Sampling())] == ["hi"] * 3
