"""What a person may pass besides names of players: sources of tasks, pricing policies, payoff models, options of a scenario.

Everything is read from where it is defined: signatures, dataclass fields, and the words that document them.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from gtalign_env.payoffs import PAPER, PAYOFF_MODELS
from gtalign_env.pricing import PRICING
from gtalign_env.registration import SCENARIOS, load, make_scenario, scenario_id

__all__ = ["field_docs", "option_rows", "payoff_rows", "pricing_rows", "task_rows"]

_FIELDS_OF = re.compile(r"\*\*\w+: Fields of ``(\w+)``")


def task_rows() -> list[dict[str, Any]]:
    """Return the sources of tasks: those of the package with their counts, and the forms of the others.

    Example:
        >>> [row["tasks"] for row in task_rows() if row["id"] == "hf:NAME:SPLIT"]
        [None]
    """
    from gtalign_env.scenarios.tasks import load_tasks
    from gtalign_env.scenarios.tasks.files import SUFFIXES

    shipped = load_tasks("authored")
    kinds = Counter(shipped[index].kind for index in range(len(shipped)))
    said = {
        "reasoning_gym:DATASET": "made on demand; settings follow: reasoning_gym:chain_sum,size=20,seed=3 (extra: text)",
        "hf:NAME:SPLIT": "a data set of the Hugging Face hub, e.g. hf:openai/gsm8k:test (extra: text)",
        "FILE": f"a file of your own: {', '.join(sorted(SUFFIXES))}",
        "ONE+ANOTHER": "several of these together",
    }
    return [
        {"id": "authored", "tasks": len(shipped), "description": "the tasks of the package, of all kinds (default)"},
        *(
            {"id": f"authored:{kind}", "tasks": count, "description": "one kind of them; several: authored:KIND,KIND"}
            for kind, count in kinds.items()
        ),
        *(
            {"id": name, "tasks": len(load_tasks(name)), "description": words}
            for name, words in (
                ("small", "made with exact answers: an invented world, small sums, a little harm; what nano knows"),
                ("small:train", "seven tenths of them, for learning"),
                ("small:test", "the rest, for measuring"),
            )
        ),
        *({"id": form, "tasks": None, "description": description} for form, description in said.items()),
    ]


def pricing_rows() -> list[dict[str, Any]]:
    """Return the pricing policies with their settings and defaults.

    Example:
        >>> [row["settings"] for row in pricing_rows() if row["id"] == "per_request"]
        [{'fee': 0.15}]
    """
    return [_registered(name, kind) for name, kind in PRICING.items()]


def payoff_rows() -> list[dict[str, Any]]:
    """Return the payoff models with their settings and defaults, and the published reward, which scores words.

    Example:
        >>> [row["id"] for row in payoff_rows()]
        ['grounded', 'paper']
    """
    published = (
        "The published reward of a model's raw output: for the text view, and 'gtalign rescore FILE --payoff paper'."
    )
    return [
        *(_registered(name, kind) for name, kind in PAYOFF_MODELS.items()),
        {"id": PAPER, "settings": {}, "description": published},
    ]


def _registered(name: str, kind: Any) -> dict[str, Any]:
    settings = {}
    if dataclasses.is_dataclass(kind):
        settings = {f.name: f.default for f in dataclasses.fields(kind) if f.init and f.name != "name"}
    documented = field_docs(kind)
    meanings = [f"{setting}: {documented[setting]}" for setting in settings if setting in documented]
    about = (inspect.getdoc(kind) or "").partition("\n")[0].strip()
    return {"id": name, "settings": settings, "description": " ".join([about, *meanings]).replace("``", "")}


def option_rows(name: str) -> list[dict[str, Any]]:
    """Return the options of a scenario with their defaults.

    Args:
        name: An id, a short name, ``module:attr`` or ``file.py:attr``.

    Raises:
        UsageError: There is no such scenario.

    Example:
        >>> option_rows("matrix")[0]
        {'id': 'rounds', 'default': 10, 'description': 'How often the game is played, 1 to 1,000.'}
    """
    id = scenario_id(name)
    factory = load(SCENARIOS[id].entry_point if id in SCENARIOS else id)
    if not callable(factory):
        make_scenario(id)  # says what is wrong, unless it is a game or a scenario that is ready, and has no options
        return []
    found: dict[str, tuple[Any, str]] = {}
    documented = _argument_docs(factory)
    open_end = False
    for parameter in inspect.signature(factory).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            open_end = True
            continue
        default = None if parameter.default is parameter.empty else parameter.default
        found[parameter.name] = (default, documented.get(parameter.name, ""))
    if open_end:
        found |= _open_options(factory, id, found)
    return [
        {"id": option, "default": _as_json(default), "description": about.replace("``", "")}
        for option, (default, about) in found.items()
    ]


def _as_json(default: Any) -> Any:
    """Return a default as JSON has it; what it does not know in words."""
    if default is dataclasses.MISSING:
        return None
    if isinstance(default, (list, tuple)):
        return [_as_json(item) for item in default]
    return default if isinstance(default, (str, int, float, bool, dict, type(None))) else str(default)


def _open_options(factory: Callable[..., Any], id: str, known: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    """Return what ``**rules`` takes: the fields of the class that the documentation names, else what the scenario tells."""
    named = _FIELDS_OF.search(inspect.getdoc(factory) or "")
    module = sys.modules.get(factory.__module__)
    kind = getattr(module, named.group(1), None) if named else None
    if kind is not None and dataclasses.is_dataclass(kind):
        documented = field_docs(kind)
        return {field.name: (field.default, documented.get(field.name, "")) for field in dataclasses.fields(kind)}
    config = getattr(make_scenario(id), "config", {})
    return {name: (default, "") for name, default in config.items() if name not in known}


def _argument_docs(function: Callable[..., Any]) -> dict[str, str]:
    """Return what a Google docstring says of each argument, in one line each."""
    section = re.search(r"^Args:\n((?:    .*\n?|\n)+)", inspect.getdoc(function) or "", re.MULTILINE)
    if section is None:
        return {}
    entries = re.findall(r"^(\w+): (.*(?:\n    .*)*)", textwrap.dedent(section.group(1)), re.MULTILINE)
    return {name: " ".join(about.split()) for name, about in entries}


def field_docs(kind: Any) -> dict[str, str]:
    """Return what the string literals below a class's fields say, in one line each.

    Example:
        >>> from gtalign_env.pricing import PerRequest
        >>> field_docs(PerRequest)
        {'fee': 'Credits per reply.'}
    """
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    except (OSError, TypeError, SyntaxError, ValueError):  # made in an interactive session, or not written in Python
        return {}
    if not isinstance(tree, ast.ClassDef):
        return {}
    found = {}
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            found[field.target.id] = " ".join(below.value.value.split())
    return found
