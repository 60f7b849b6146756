"""A list of tasks with a name: the one concrete :class:`~gtalign_env.protocols.TaskSource` that every loader returns."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence

from gtalign_env.errors import UsageError
from gtalign_env.protocols import Task, TaskSource

__all__ = ["TaskList", "joined"]


@dataclasses.dataclass(slots=True)
class TaskList:
    """Tasks in a fixed order, under a name.

    Example:
        >>> tasks = TaskList("mine", (Task(id="a", kind="fact", vague="?", detailed="?"),))
        >>> len(tasks), tasks[0].id, tasks
        (1, 'a', TaskList('mine', 1 task))
    """

    name: str
    """What the source is called in records, usually the spec that it was loaded from."""
    tasks: tuple[Task, ...]
    """The tasks; their ids differ."""

    def __post_init__(self) -> None:
        """Refuse what would make a task's id ambiguous."""
        self.tasks = tuple(self.tasks)
        twice = [task_id for task_id, count in Counter(task.id for task in self.tasks).items() if count > 1]
        if twice:
            raise UsageError(f"task source {self.name!r}: expected unique task ids, got {twice[0]!r} more than once")

    def __len__(self) -> int:
        return len(self.tasks)

    def __getitem__(self, index: int) -> Task:
        return self.tasks[index]

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def __repr__(self) -> str:
        return f"TaskList({self.name!r}, {len(self)} task{'' if len(self) == 1 else 's'})"


def joined(sources: Sequence[TaskSource]) -> TaskSource:
    """Return one source with the tasks of several, in order.

    Raises:
        UsageError: Two of them hold a task of the same id.

    Example:
        >>> first, second = (TaskList(name, (Task(id=name, kind="fact", vague="?", detailed="?"),)) for name in "ab")
        >>> joined([first, second])
        TaskList('a+b', 2 tasks)
    """
    if len(sources) == 1:
        return sources[0]
    return TaskList("+".join(source.name for source in sources), tuple(task for source in sources for task in source))
