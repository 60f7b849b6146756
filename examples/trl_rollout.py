"""TRL's GRPOTrainer learns in our games: a tiny model of random weights, two steps, on a CPU.

    pip install 'gtalign-env[trl]'
    python examples/trl_rollout.py

Take a real model in place of ``tiny_model()`` and more of everything to learn anything.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from typing import Any

import torch
import transformers

from gtalign_env.training.adapters.trl import TrlGames, assistant_reward, user_reward, welfare_reward


def tiny_model() -> tuple[Any, Any]:
    """Return a Llama of a hundred thousand random weights, and a tokenizer with a token for each byte."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(letters)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(name, special=True) for name in ("<eos>", "<pad>")])
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<eos>", pad_token="<pad>")
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        return transformers.LlamaForCausalLM(config), tokenizer


def main() -> None:
    """Train, and print what TRL logs."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--objective", default="cobb_douglas")
    args = parser.parse_args()
    try:
        from trl import GRPOConfig, GRPOTrainer
    except ModuleNotFoundError as error:
        sys.exit(f"this example needs {error.name}: pip install 'gtalign-env[trl]'")
    model, tokenizer = tiny_model()
    games = TrlGames(tasks="authored:facts", chain="none", budget={"response": 16})
    with tempfile.TemporaryDirectory() as folder:
        trainer = GRPOTrainer(
            model=model,
            processing_class=tokenizer,
            train_dataset=games.dataset(16),
            reward_funcs=[user_reward, assistant_reward, welfare_reward(args.objective)],
            rollout_func=games,
            args=GRPOConfig(
                output_dir=folder,
                max_steps=args.steps,
                per_device_train_batch_size=8,
                num_generations=4,
                reward_weights=[0.0, 0.0, 1.0],  # both payoffs are logged; their welfare is learned
                learning_rate=1e-3,
                temperature=1.0,
                top_k=0,
                logging_steps=1,
                save_strategy="no",
                report_to=[],
                use_cpu=True,
            ),
        )
        trainer.train()
        for line in trainer.state.log_history:
            if "reward" in line:
                names = ("rewards/user_reward/mean", "rewards/assistant_reward/mean", "reward", "loss")
                print("  ".join(f"{name} {line[name]:.3f}" for name in names))
    print(f"{games.left_out} turns could not be learned from")


if __name__ == "__main__":
    main()
