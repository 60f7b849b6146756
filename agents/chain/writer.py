"""Writes chains with an engine, many at once: one call of the engine for each block, and for all games.

Two ways. *Guided*: the tags are ours, and the model fills one block after the other, the payoffs under a JSON schema. *Free*: the
model writes the tags itself. Either way a chain that is halted goes on from the very tokens that were sampled
(``protocols.Continuation``).
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gtalign_env.agents.backends.asking import asked as ask_rows
from gtalign_env.agents.backends.prompts import NOTHING, TOO_LONG
from gtalign_env.agents.chain.blocks import BLOCKS, Block
from gtalign_env.agents.chain.context import ChainContext
from gtalign_env.agents.chain.failures import ChainFailure
from gtalign_env.agents.chain.matrix import payoff_schema, read_payoffs
from gtalign_env.agents.chain.moves import ChainMoves
from gtalign_env.agents.chain.parse import announced_cell, parse_chain, parse_head, unannounced
from gtalign_env.agents.chain.prompt import Mode
from gtalign_env.agents.chain.solving import Solved
from gtalign_env.agents.chain.stray import MENDED, own_text
from gtalign_env.errors import ModelError, UsageError
from gtalign_env.games.bimatrix import Bimatrix
from gtalign_env.protocols import Backend, Continuation, Conversation, Generation, Sampling
from gtalign_env.sanitize import clean_text

__all__ = ["ChainBudget", "ChainWriter", "Draft", "Stage", "ask_engine"]

_CELL_TOKENS = 32
"""Tokens of a cell in a payoff block, at most about: a key, two names, two numbers, braces."""
_INSERTED = (
    "</payoff>\n<analyze>\nAfter the payoffs were adjusted to the price, by welfare:cobb_douglas: DQ|AQ_medium, which gives "
    "the user 3.25 and the assistant 2.75; it is the best of the cells in which nobody loses against staying away. "
    "The move to make now is AQ_medium: .\nchoice: DQ|AQ_medium\n</analyze>\n<response></response></thinking>\n<payoff>"
)
"""About what we put into a chain: tags, and a solution in words."""
_NO_SCHEMAS = re.compile(r"schema|grammar|response_format|structured", re.IGNORECASE)
"""How an engine says that it cannot hold a model to a form; other failures would meet a model on its own as well."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChainBudget:
    """Most tokens of each block.

    Example:
        >>> ChainBudget().of("payoff", cells=6)
        224
    """

    thinking: int = 192
    payoff: int = 0
    """0 for as many as the cells need."""
    analyze: int = 192
    response: int = 512

    def __post_init__(self) -> None:
        """Refuse what leaves no room."""
        for field in dataclasses.fields(self):
            tokens = getattr(self, field.name)
            least = 0 if field.name == "payoff" else 1
            if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < least:
                raise UsageError(f"chain budget {field.name}: expected an integer >= {least}, got {tokens!r}")

    def of(self, *blocks: str, cells: int) -> int:
        """Return the tokens for some blocks together, in a matrix of so many cells."""
        return sum((getattr(self, block) or _CELL_TOKENS * (cells + 1)) for block in blocks)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """One call of the engine for one chain."""

    block: str
    """What it wrote: the name of a block, or several joined by ``+``."""
    generation: Generation


@dataclasses.dataclass(kw_only=True, eq=False)
class Draft:
    """One attempt at one chain: what is written so far, and what came of it."""

    conversation: Conversation
    context: ChainContext
    seed: int = 0
    """Draws the cell, where the criterion leaves it to chance."""
    moves: ChainMoves | None = None
    """What the rows and columns of its matrix are."""
    stages: list[Stage] = dataclasses.field(default_factory=list)
    text: str = ""
    """The assistant's message so far, tags and what we put in included."""
    blocks: dict[str, str] = dataclasses.field(default_factory=dict)
    tokens: dict[str, int] = dataclasses.field(default_factory=lambda: dict.fromkeys(BLOCKS, 0))
    """Tokens that the model wrote, by block."""
    notes: list[str] = dataclasses.field(default_factory=list)
    """What was repaired or done in another way than asked for."""
    game: Bimatrix | None = None
    steered: Bimatrix | None = None
    solved: Solved | None = None
    announced: tuple[str, str] | None = None
    response: str = ""
    made: str = ""
    """The move that the reply amounts to, where somebody can read it."""
    failure: ChainFailure | None = None

    @property
    def whole(self) -> str:
        """The message with each block once: as it was written, unless tags had to be mended."""
        if not any(note.startswith(MENDED) for note in self.notes):
            return self.text
        return "\n".join(f"<{block}>{self.blocks.get(block, '')}</{block}>" for block in BLOCKS)


class ChainWriter:
    """Writes chains.

    Args:
        backend: The engine.
        moves: Rows and columns of the matrix.
        mode: ``"solver"`` or ``"self"``.
        guided: Whether the tags are ours and the payoffs are held to their form.
        strict: Whether what is not quite in form is refused rather than mended.
        speaks: Whether a reply is written at all; without one the chain ends with the announced move.
        budget: Most tokens of each block.
        solve: Turns a stated matrix into a solution, and notes on the draft what it did.
    """

    def __init__(
        self,
        backend: Backend,
        moves: ChainMoves,
        *,
        mode: Mode,
        guided: bool,
        strict: bool,
        speaks: bool,
        budget: ChainBudget,
        solve: Callable[[Draft], Solved | ChainFailure],
    ) -> None:
        self.backend = backend
        self.moves = moves
        self.mode = mode
        self.guided = guided
        self.strict = strict
        self.speaks = speaks
        self.budget = budget
        self._solve = solve

    def write(self, drafts: Sequence[Draft], sampling: Sampling) -> None:
        """Write all chains as far as they go; what fails is said in ``Draft.failure``.

        Args:
            drafts: Chains of which nothing is written yet.
            sampling: Temperature, top_p and seed; the rest follows from the block.
        """
        if self.guided:
            self._guided_head(drafts, sampling)
        elif self.mode == "self":
            self._whole(drafts, sampling)
            return
        else:
            self._free_head(drafts, sampling)
        if self.mode == "solver":
            for draft in _alive(drafts):
                self._insert_solution(draft)
        else:
            self._extend(_alive(drafts), "analyze", sampling)
            for draft in _alive(drafts):
                self._announce(draft)
        if self.speaks:
            self._extend(_alive(drafts), "response", sampling)
            for draft in _alive(drafts):
                draft.text += _closing(draft)
                _respond(draft, draft.blocks["response"])

    # -- guided: block by block ----------------------------------------------------------------------------------

    def _guided_head(self, drafts: Sequence[Draft], sampling: Sampling) -> None:
        """Have the thinking and the payoffs written, and read these."""
        self._extend(drafts, "thinking", sampling)
        alive = _alive(drafts)
        self._extend(alive, "payoff", sampling, schema=payoff_schema(self.moves.keys))
        for draft in _alive(alive):
            self._state(draft)

    def _state(self, draft: Draft) -> None:
        read = self._read(draft.blocks["payoff"], draft.text.rfind("<payoff>") + len("<payoff>"))
        if isinstance(read, ChainFailure):
            draft.failure = read
        else:
            draft.game = read[0]
            draft.notes += read[1]

    def _read(self, text: str, position: int = 0) -> tuple[Bimatrix, list[str]] | ChainFailure:
        return read_payoffs(text, self.moves.rows, self.moves.columns, strict=self.strict, position=position)

    def _extend(self, drafts: Sequence[Draft], block: str, sampling: Sampling, *, schema: str = "") -> None:
        """Have the next block of every chain written, in one call."""
        if not drafts:
            return
        closing = f"</{block}>"
        asked = dataclasses.replace(
            sampling,
            max_tokens=self.budget.of(block, cells=len(self.moves.keys)),
            stop=() if schema else (closing,),
            json_schema=schema,
            reserve=self._reserve(block),
        )
        inserted = [self._lead(draft, block) for draft in drafts]
        made = self._generate([_asked(draft, lead) for draft, lead in zip(drafts, inserted, strict=True)], asked)
        if schema:
            made = self._unguided(drafts, inserted, made, dataclasses.replace(asked, stop=(closing,), json_schema=""))
        for draft, lead, generation in zip(drafts, inserted, made, strict=True):
            draft.stages.append(Stage(block=block, generation=generation))
            begin = len(draft.text) + len(lead)
            draft.text += lead + _sampled(generation)
            draft.tokens[block] = self._count(generation)
            if generation.finish_reason == "length":
                draft.notes.append(f"cut: the {block} block was ended after {draft.tokens[block]} tokens")
            if _failed(generation):
                draft.failure = _engine_failure(block, generation, len(draft.text))
                draft.blocks[block] = generation.text.partition(closing)[0].strip()
            else:
                self._keep(draft, block, generation.text.partition(closing)[0], begin)

    def _keep(self, draft: Draft, block: str, text: str, begin: int) -> None:
        """Keep what belongs to a block of the text that was written for it."""
        own = own_text(block, text, strict=self.strict)
        if isinstance(own, ChainFailure):
            draft.failure = dataclasses.replace(own, position=begin + own.position)
            draft.blocks[block] = text.strip()
        else:
            draft.blocks[block], notes = own
            draft.notes += notes

    def _unguided(
        self, drafts: Sequence[Draft], inserted: Sequence[str], made: list[Generation], free: Sampling
    ) -> list[Generation]:
        """Leave the model on its own where the engine holds it to no schema: what it wrote all the same counts if it is one."""
        made = list(made)
        open_ = []
        for place, generation in enumerate(made):
            if not _failed(generation) or not _NO_SCHEMAS.search(generation.error):
                continue
            drafts[place].notes.append(f"unguided: the payoff block was not held to its form: {generation.error}")
            text = generation.sampled.partition(free.stop[0])[0]
            if text.strip() and not isinstance(self._read(text), ChainFailure):
                made[place] = dataclasses.replace(generation, text=text, finish_reason="stop", error="")
            else:
                open_.append(place)
        if open_:
            again = self._generate([_asked(drafts[place], inserted[place]) for place in open_], free)
            for place, generation in zip(open_, again, strict=True):
                made[place] = generation
        return made

    def _reserve(self, *written: str) -> int:
        """Return about how many tokens will stand behind some blocks, besides the conversation's own."""
        behind = BLOCKS[BLOCKS.index(written[-1]) + 1 :]
        rest = [block for block in behind if block != "analyze" or self.mode == "self"]
        if not self.speaks and "response" in rest:
            rest.remove("response")
        return self.budget.of(*rest, cells=len(self.moves.keys)) + self._inserted if rest else 0

    @functools.cached_property
    def _inserted(self) -> int:
        """About how many tokens we put in."""
        return self.backend.count_tokens(_INSERTED + max(self.moves.assistant.values(), key=len))

    def _lead(self, draft: Draft, block: str) -> str:
        """Return what we put in front of a block: what closes the one before, where it was not closed, and the tag."""
        opening = f"<{block}>"
        if not draft.stages:
            return opening
        return f"{_closing(draft)}\n{opening}"

    # -- free: the model writes the tags -------------------------------------------------------------------------

    def _free_head(self, drafts: Sequence[Draft], sampling: Sampling) -> None:
        """Have the chain written up to the end of the payoffs, and read these."""
        self._run_free(drafts, ("thinking", "payoff"), sampling)
        for draft in _alive(drafts):
            head = parse_head(draft.text + _closing(draft), self.moves.rows, self.moves.columns, strict=self.strict)
            if isinstance(head, ChainFailure):
                draft.failure = head
                continue
            draft.game = head.game
            draft.notes += head.repairs
            self._share(draft, {"thinking": head.thinking, "payoff": head.payoff})

    def _whole(self, drafts: Sequence[Draft], sampling: Sampling) -> None:
        """Have the whole chain written in one go."""
        self._run_free(drafts, BLOCKS, sampling)
        for draft in _alive(drafts):
            draft.text += _closing(draft)
            chain = parse_chain(draft.text, self.moves.rows, self.moves.columns, strict=self.strict)
            if isinstance(chain, ChainFailure):
                draft.failure = chain
                continue
            draft.game = chain.game
            draft.notes += chain.repairs
            self._share(draft, {block: getattr(chain, block) for block in BLOCKS})
            self._announce(draft)
            if draft.failure is None:
                _respond(draft, chain.response)

    def _run_free(self, drafts: Sequence[Draft], blocks: tuple[str, ...], sampling: Sampling) -> None:
        limit = self.budget.of(*blocks, cells=len(self.moves.keys))
        asked = dataclasses.replace(
            sampling, max_tokens=limit, stop=(f"</{blocks[-1]}>",), json_schema="", reserve=self._reserve(*blocks)
        )
        for draft, generation in zip(
            drafts, self._generate([draft.conversation for draft in drafts], asked), strict=True
        ):
            draft.stages.append(Stage(block="+".join(blocks), generation=generation))
            draft.text = _sampled(generation)
            draft.tokens[blocks[0]] = self._count(generation)
            if _failed(generation):
                draft.failure = _engine_failure(blocks[0], generation, 0)

    def _share(self, draft: Draft, blocks: dict[str, str]) -> None:
        """Share the tokens of one stage among its blocks; what belongs to none, tags and stray text, goes to the first."""
        draft.blocks |= blocks
        total = self._count(draft.stages[-1].generation)
        for block, text in list(blocks.items())[1:]:
            draft.tokens[block] = min(self.backend.count_tokens(text), total)
            total -= draft.tokens[block]
        draft.tokens[next(iter(blocks))] = total

    # -- both ----------------------------------------------------------------------------------------------------

    def _insert_solution(self, draft: Draft) -> None:
        """Solve the stated matrix; its solution is written when the chain goes on."""
        solved = self._solve(draft)
        if isinstance(solved, ChainFailure):
            draft.failure = solved
            return
        draft.solved, draft.announced = solved, solved.cell
        draft.blocks["analyze"] = solved.words

    def _announce(self, draft: Draft) -> None:
        """Read which cell the model itself has settled on."""
        draft.announced = announced_cell(draft.blocks["analyze"], self.moves.rows, self.moves.columns)
        if draft.announced is None:
            start = max(draft.text.find("<analyze>"), 0)
            draft.failure = unannounced(Block(draft.blocks["analyze"], start))

    def _generate(self, asked: list[Any], sampling: Sampling) -> list[Generation]:
        return ask_engine(self.backend, asked, sampling)

    def _count(self, generation: Generation) -> int:
        return len(generation.token_ids) or (self.backend.count_tokens(generation.text) if generation.text else 0)


def ask_engine(backend: Backend, asked: Sequence[Any], sampling: Sampling) -> list[Generation]:
    """Ask an engine. Where the call itself fails, out of memory for one, that is said in the generation of every row.

    Raises:
        UsageError: The engine was not asked as it should be.

    Example:
        >>> from gtalign_env.agents.backends import RulesBackend
        >>> def broken(conversation):
        ...     raise MemoryError
        >>> ask_engine(RulesBackend(broken), [[{"role": "user", "content": "Hi"}]], Sampling())[0].error
        'MemoryError'
    """
    try:
        return ask_rows(backend, asked, sampling)
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - a failure of the engine is data
        kind = "" if isinstance(error, ModelError) else type(error).__name__
        reason = clean_text(": ".join(filter(None, (kind, str(error)))))
        return [
            Generation(text="", finish_reason="error", error=reason, conversation=_conversation(item)) for item in asked
        ]


def _conversation(asked: Any) -> tuple[Mapping[str, str], ...]:
    return asked.after.conversation if isinstance(asked, Continuation) else tuple(asked)


def _alive(drafts: Iterable[Draft]) -> list[Draft]:
    return [draft for draft in drafts if draft.failure is None]


def _asked(draft: Draft, lead: str) -> Any:
    """Return what the engine is given: the conversation with our first tag, or the chain so far with what we put in."""
    if draft.stages:
        return Continuation(after=draft.stages[-1].generation, text=lead)
    return [*draft.conversation, {"role": "assistant", "content": lead}]


def _closing(draft: Draft) -> str:
    """Return what closes the block that was written last; an analysis of ours, which nobody has written yet, comes whole."""
    last = draft.stages[-1]
    tag = f"</{last.block.rpartition('+')[2]}>"
    cut = last.block.count("+") and last.generation.finish_reason == "length"
    closing = "" if tag in last.generation.sampled or cut else tag
    if draft.solved is not None and not last.block.endswith("response"):
        closing += f"\n<analyze>\n{draft.solved.words}\n</analyze>"
    return closing


def _sampled(generation: Generation) -> str:
    return generation.sampled or generation.text


def _respond(draft: Draft, text: str) -> None:
    draft.response = text.strip()
    if not draft.response:
        draft.failure = ChainFailure(
            kind="empty_response", block="response", position=len(draft.text), message="the response block is empty"
        )


def _failed(generation: Generation) -> bool:
    """Return whether the engine failed; a block that it left empty is the reader's business."""
    return generation.finish_reason == "error" and generation.error != NOTHING


def _engine_failure(block: str, generation: Generation, position: int) -> ChainFailure:
    reason = generation.error or "the engine does not say why"
    kind = "prompt_too_long" if TOO_LONG in reason else "engine"
    return ChainFailure(kind=kind, block=block, position=position, message=reason)
