"""Where questions come from, and how replies to them are graded.

:func:`load_tasks` turns a name into tasks; :func:`~gtalign_env.scenarios.tasks.graders.grade` grades a reply to one.
"""

from gtalign_env.scenarios.tasks.authored import authored
from gtalign_env.scenarios.tasks.files import file_tasks
from gtalign_env.scenarios.tasks.graders import grade
from gtalign_env.scenarios.tasks.loading import load_tasks
from gtalign_env.scenarios.tasks.source import TaskList

__all__ = ["TaskList", "authored", "file_tasks", "grade", "load_tasks"]
