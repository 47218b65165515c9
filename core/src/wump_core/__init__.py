"""The front door: all that a plugin's author may import.

It imports nothing heavy: neither the store nor the database driver nor the providers' loader.
"""

from wump_core.errors import (
    CredentialsRejected,
    InvalidManifest,
    InvalidPurl,
    InvalidResponse,
    NotFound,
    ProviderError,
    RateLimited,
    Unavailable,
    WumpError,
)
from wump_core.hookspecs import Context, ProviderInfo, hookimpl
from wump_core.hosts import RepositoryUrl, is_code_host, parse_repository_url
from wump_core.purl import Purl, make_purl, parse_purl
from wump_core.records import (
    DependencyRecord,
    DependencySource,
    Diagnostic,
    FundingLink,
    ManifestRecord,
    PackageRecord,
    Project,
    ProviderHealth,
    RepositoryClaim,
    Scope,
)
from wump_core.settings import ProviderSettings

__all__ = [
    "Context",
    "CredentialsRejected",
    "DependencyRecord",
    "DependencySource",
    "Diagnostic",
    "FundingLink",
    "InvalidManifest",
    "InvalidPurl",
    "InvalidResponse",
    "ManifestRecord",
    "NotFound",
    "PackageRecord",
    "Project",
    "ProviderError",
    "ProviderHealth",
    "ProviderInfo",
    "ProviderSettings",
    "Purl",
    "RateLimited",
    "RepositoryClaim",
    "RepositoryUrl",
    "Scope",
    "Unavailable",
    "WumpError",
    "hookimpl",
    "is_code_host",
    "make_purl",
    "parse_purl",
    "parse_repository_url",
]
