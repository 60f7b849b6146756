"""The page on scaling: its table is what the command prints, and the formulas behave as formulas of this kind have to."""

from __future__ import annotations

import dataclasses
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "scaling.py"


@pytest.fixture(scope="module")
def scaling() -> Any:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("scaling", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["scaling"] = module
    spec.loader.exec_module(module)
    return module


def test_docs__table_is_the_command_s() -> None:
    """Every line of the table stands in the page as the command prints it."""
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, timeout=60, check=True)
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    assert done.stdout.count("\n") > 5
    assert done.stdout.strip() in page


def test_bill__by_hand(scaling: Any) -> None:
    """10⁹ weights, 100 rows of 600 tokens: 8N·60,000 operations at 0.5·10¹⁵ per second; 16 bytes a weight; 2N bytes a step."""
    shape = scaling.Shape(weights=1e9, layers=1, hidden=1, inner=1, kv=1, vocab=1)
    gpu = scaling.Gpu(memory=80, flops=1e15, bandwidth=1e12, network=1e10)
    scaling.GPUS["tiny"] = gpu
    work = scaling.Work(groups=10, size=10, turns=1, prompt=500, sampled=100, cached=1.0, packed=0.0)
    machine = scaling.Machine(gpu="tiny", gpus=1, servers=1, mfu=0.5, decode=1.0)
    found = scaling.bill(shape, work, machine)
    assert (found.sampled, found.learned) == (10_000, 60_000)
    assert found.learn == pytest.approx(8 * 1e9 * 60_000 / 0.5e15, rel=1e-3)
    resident = found.learn_memory["weights"] + found.learn_memory["gradients, Adam"]
    assert resident == pytest.approx(16e9 / 2**30)
    assert found.play == pytest.approx(100 * 2e9 / 1e12, rel=1e-2)
    assert found.sync == pytest.approx(2e9 / 1e10)


@pytest.mark.parametrize("name", ["3b", "7b", "14b", "32b"])
def test_bill__more_of_everything_takes_longer(scaling: Any, name: str) -> None:
    """Twice the games take twice the learning; twice the GPUs half; a fourth of the efficiency four times."""
    shape, work = scaling.MODELS[name], scaling.Work()
    machine = scaling.Machine(gpus=16, servers=16, tensor=2)
    base = scaling.bill(shape, work, machine)
    double = scaling.bill(shape, dataclasses.replace(work, groups=2 * work.groups), machine)
    assert double.learn == pytest.approx(2 * base.learn)
    assert double.play > base.play
    more = scaling.bill(shape, work, dataclasses.replace(machine, gpus=32))
    assert more.learn == pytest.approx(base.learn / 2)
    assert sum(more.learn_memory.values()) < sum(base.learn_memory.values())
    slow = scaling.bill(shape, work, dataclasses.replace(machine, mfu=machine.mfu / 4))
    assert slow.learn == pytest.approx(4 * base.learn)
    lora = scaling.bill(shape, work, dataclasses.replace(machine, lora=True))
    assert lora.learn < base.learn
    assert sum(lora.learn_memory.values()) < sum(base.learn_memory.values())


def test_bill__adapters_are_counted_as_peft_makes_them(scaling: Any) -> None:
    """The number of adapters' weights is that of peft on a Llama of the same shape."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    peft = pytest.importorskip("peft")
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": 16}
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(
            transformers.LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2, head_dim=8)
        )
        made = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules="all-linear"))
    trained = sum(weight.numel() for weight in made.parameters() if weight.requires_grad)
    shape = scaling.Shape(weights=1, layers=2, hidden=32, inner=48, kv=16, vocab=16)
    assert scaling.adapters(shape, 4) == trained
