"""A language model of a hundred thousand weights, made here: byte tokens, random weights, no download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

BOS, EOS, PAD, END = "<bos>", "<eos>", "<pad>", "<|im_end|>"


def make_tokenizer(*, template: str | None = None, adds_bos: bool = False) -> Any:
    """Return a tokenizer with one token per byte."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(letters)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(name, special=True) for name in (BOS, EOS, PAD, END)])
    if adds_bos:
        bos = made.token_to_id(BOS)
        made.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, bos)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=BOS, eos_token=EOS, pad_token=PAD, chat_template=template
    )


def make_model(tokenizer: Any, **changes: Any) -> Any:
    """Return a small Llama with random weights, large enough that its choices are clear, and untied."""
    settings = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 1024,
        "tie_word_embeddings": False,
        "initializer_range": 0.3,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        return transformers.LlamaForCausalLM(transformers.LlamaConfig(**{**settings, **changes})).eval()


def save_tiny(folder: Path, *, template: str | None = None, **changes: Any) -> Path:
    """Save such a model and its tokenizer; return the folder."""
    tokenizer = make_tokenizer(template=template)
    tokenizer.save_pretrained(folder)
    make_model(tokenizer, **changes).save_pretrained(folder)
    return folder
