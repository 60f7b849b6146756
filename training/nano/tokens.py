"""Nano's tokenizer: byte pairs that may reach across blanks, so that what is said over and over costs one token.

Pieces are kept apart at tags, ends of lines, names and numbers; between these whole sentences grow together (compare SuperBPE,
arXiv:2503.13423). A payoff is one token, and any other digit is one. The game prices words by a count of its own, which no
tokenizer changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gtalign_env.errors import require
from gtalign_env.training.nano.corpus import Turn

__all__ = ["END", "PAD", "TEMPLATE", "encode_turn", "prompt_text", "train_tokenizer"]

PAD, END = "<|pad|>", "<|im_end|>"
_ROLES = ("system", "user", "assistant")
TEMPLATE = (
    "{%- for message in messages -%}{{ '<|' + message['role'] + '|>' + message['content'] + '<|im_end|>' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"
)
"""The chat template."""
_TAGS = r"</?(?:thinking|payoff|analyze|response)>"
_APART = r"-?\d+\.\d+|\d|(?<=[a-z,]) [A-Z][a-z]+"
"""Payoffs, digits, and names in mid-sentence."""


def train_tokenizer(turns: Iterable[Turn], size: int) -> Any:
    """Learn a vocabulary from turns.

    Args:
        turns: What it is to be good at.
        size: Most tokens.

    Returns:
        A tokenizer of transformers.
    """
    tokenizers = require("tokenizers", feature="training nano", extra="hf")
    transformers = require("transformers", feature="training nano", extra="hf")
    split = tokenizers.pre_tokenizers.Split
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            split(tokenizers.Regex(_TAGS), "isolated"),
            split(tokenizers.Regex(r"\n+"), "merged_with_previous"),
            split(tokenizers.Regex(_APART), "isolated"),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = tokenizers.decoders.ByteLevel()
    special = [PAD, END, *(f"<|{role}|>" for role in _ROLES)]
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=400,
        min_frequency=3,
        show_progress=False,
    )
    made.train_from_iterator((text for turn in turns for text in _texts(turn)), trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=special[2:],
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def _texts(turn: Turn) -> list[str]:
    said = [message["content"] for message in turn.conversation]
    return [*said, "".join(piece.text for piece in turn.pieces)]


def prompt_text(turn: Turn) -> str:
    """Return what stands before the assistant's message, as the chat template writes it."""
    return "".join(f"<|{m['role']}|>{m['content']}{END}" for m in turn.conversation) + "<|assistant|>"


def encode_turn(tokenizer: Any, turn: Turn) -> tuple[list[int], list[str]]:
    """Return a turn's token ids, and the block that the model wrote each of them in (empty where it did not)."""
    parts = [(prompt_text(turn), ""), *((piece.text, piece.block) for piece in turn.pieces)]
    ids: list[int] = []
    blocks: list[str] = []
    for text, block in parts:
        text += END if block == "plain" else ""
        found = tokenizer.encode(text, add_special_tokens=False)
        ids += found
        blocks += [block] * len(found)
    return ids, blocks
