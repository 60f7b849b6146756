"""How a chain is played."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from gtalign_env.agents.chain.moves import ChainMoves, make_moves
from gtalign_env.agents.chain.prompt import MODES, Mode
from gtalign_env.agents.chain.solving import check_criterion
from gtalign_env.agents.chain.writer import ChainBudget
from gtalign_env.errors import UsageError

__all__ = ["ChainSettings", "OnFailure", "OnMismatch"]

OnMismatch = Literal["record", "retry", "reject"]
OnFailure = Literal["error", "plain"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChainSettings:
    """All that is to be decided about a chain, besides the engine and how it samples.

    Raises:
        UsageError: A setting is not one of those that there are.

    Example:
        >>> ChainSettings(criterion="nash", moves="paper").moves.columns
        ('DA', 'AQ', 'CQ')
    """

    mode: Mode = "solver"
    """``"solver"``: the stated matrix is solved by the criterion, the solution is put in, and the same chain goes on.
    ``"self"``: the model analyses its own matrix and announces a cell. ``"none"``: no chain, a plain reply."""
    criterion: str = "welfare:cobb_douglas"
    """What the cell is chosen by (``gtalign_env.solution.CRITERIA``); with ``"self"``, what the model is told to go by."""
    moves: ChainMoves = dataclasses.field(default_factory=make_moves)
    """Rows and columns of the matrix in a chat, or a spec for ``make_moves``. A matrix game has its own."""
    constrained: bool = True
    """Whether the tags are ours, block by block, and the payoff block is held to its JSON schema where the engine can do that.
    Else the model writes the tags itself."""
    strict: bool = False
    """Whether a chain that is not quite in form is refused, instead of mended."""
    budget: ChainBudget = dataclasses.field(default_factory=ChainBudget)
    """Most tokens of each block."""
    retries: int = 1
    """How often a chain that failed is begun anew (>= 0), at a temperature of at least 0.7."""
    on_mismatch: OnMismatch = "record"
    """What follows where the reply makes another move than the announced one: nothing but a record of it; a new chain, as long as
    there are retries, and then the reply as it is; or a failure."""
    on_failure: OnFailure = "error"
    """What follows where no chain could be used: an error of this game, or a plain reply without a chain, marked as such."""

    def __post_init__(self) -> None:
        """Refuse what makes no sense, and read the moves."""
        for field, known in (
            ("mode", MODES),
            ("on_mismatch", get_args(OnMismatch)),
            ("on_failure", get_args(OnFailure)),
        ):
            if getattr(self, field) not in known:
                raise UsageError(f"chain {field}: expected one of {', '.join(known)}, got {getattr(self, field)!r}")
        if isinstance(self.retries, bool) or not isinstance(self.retries, int) or self.retries < 0:
            raise UsageError(f"chain retries: expected an integer >= 0, got {self.retries!r}")
        if not isinstance(self.budget, ChainBudget):
            raise UsageError(f"chain budget: expected a ChainBudget, got {self.budget!r}")
        check_criterion(self.criterion)
        object.__setattr__(self, "moves", make_moves(self.moves))
