"""How an upstream may be asked: what a plugin states as data and wump's transport keeps.

An upstream counts for each credential and each resource (GitHub counts its search apart from the rest). A
plugin states the published figures; the upstream's own headers only ever lower them while it answers.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

DEFAULT_RESOURCE = "core"

ResourceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
CredentialPlacement = Annotated[
    str, StringConstraints(pattern=r"^(bearer|header:[A-Za-z][A-Za-z0-9-]{0,60}|query:[A-Za-z][A-Za-z0-9_-]{0,60})$")
]
"""Where a token goes: `bearer`, `header:PRIVATE-TOKEN`, or `query:api_key`."""


class Limit(BaseModel):
    """At most so many requests in any stretch of so many seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests: int = Field(ge=1, le=1_000_000)
    seconds: float = Field(gt=0, le=86_400)


class RateLimits(BaseModel):
    """What an upstream allows one client. All limits of a resource hold at once.

    A tenth of each limit is kept for work that somebody waits for. A resource that isn't named has those of
    `core`; where that isn't named either, only `concurrency` holds, and what the upstream's headers say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    resources: Mapping[ResourceName, tuple[Limit, ...]] = Field(
        default={}, description="By resource, for each credential."
    )
    anonymous: Mapping[ResourceName, tuple[Limit, ...]] | None = Field(
        default=None, description="The same without a credential. Null: no difference."
    )
    concurrency: int = Field(default=8, ge=1, le=100, description="Requests at once, over all workers.")

    def choose(self, resource: str, *, anonymous: bool) -> tuple[Limit, ...]:
        """The limits that hold for one request."""
        stated = self.resources if self.anonymous is None or not anonymous else self.anonymous
        return stated.get(resource, stated.get(DEFAULT_RESOURCE, ()))
