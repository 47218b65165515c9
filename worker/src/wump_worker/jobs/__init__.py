"""The jobs: plain async functions of (resources, execution), one file per noun.

A job fetches with no transaction open, then saves facts, brings the answer up to date, plans what follows and
finishes its execution in one short transaction. Running it again is harmless.
"""

from collections.abc import Awaitable, Callable, Mapping

from wump_core.schedule import READ_REPOSITORY, REFRESH_PACKAGE
from wump_core.store.executions import Execution

from wump_worker.jobs.packages import refresh_package
from wump_worker.jobs.repositories import read_repository
from wump_worker.resources import Resources

Job = Callable[[Resources, Execution], Awaitable[None]]

JOBS: Mapping[str, Job] = {REFRESH_PACKAGE: refresh_package, READ_REPOSITORY: read_repository}
