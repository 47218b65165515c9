"""Judging what a plugin says: of itself, and in its records. Each fault is a sentence for the plugin's author."""

import json
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import BaseModel, ValidationError

from wump_core.calls import describe_result, dump_result
from wump_core.hookspecs import ProviderInfo
from wump_core.hosts import is_code_host, parse_repository_url
from wump_core.providers import Provider
from wump_core.records import DependencyRecord, ManifestRecord, PackageRecord, Page, RepositoryClaim
from wump_core.settings import ProviderSettings, TokenSettings
from wump_core.testing.cases import Case
from wump_core.testing.recording import MAIL, holds_secrets
from wump_core.testing.replay import closed_sockets

_SECRET_WORDS = ("token", "secret", "password", "api_key", "apikey", "credential")


def list_distribution_faults(entry: EntryPoint) -> list[str]:
    """What is wrong with how a distribution announces its provider."""
    if entry.dist is None:
        return ["the entry point belongs to no distribution"]
    expected = f"wump-provider-{entry.name}"
    headers = {name.lower() for name in entry.dist.metadata}
    needed = {canonicalize_name(Requirement(item).name) for item in entry.dist.requires or ()}
    faults = []
    if canonicalize_name(entry.dist.name) != canonicalize_name(expected):
        faults.append(f"the distribution is called {entry.dist.name}: expected {expected}")
    if entry.value != expected.replace("-", "_"):
        faults.append(f"the entry point names {entry.value}: expected the module {expected.replace('-', '_')}")
    if "wump-core" not in needed:
        faults.append("it does not need wump-core: add it to `dependencies`, with a lower bound")
    if not headers & {"license", "license-expression"}:
        faults.append("it has no licence: add `license` to pyproject.toml")
    if "requires-python" not in headers:
        faults.append("it does not say which Python it needs: add `requires-python` to pyproject.toml")
    return faults


def list_description_faults(provider: Provider) -> list[str]:
    """What is wrong with what `describe_provider` says."""
    with closed_sockets() as attempts:
        first, second = provider.hooks.describe_provider(), provider.hooks.describe_provider()
    info: ProviderInfo = first
    faults = [f"describe_provider opens a socket for {item}" for item in attempts]
    if first != second:
        faults.append("describe_provider says something else the second time")
    faults += [f"{name} is empty" for name in ("title", "licence", "attribution") if not getattr(info, name).strip()]
    if not provider.capabilities:
        faults.append("no hook but describe_provider is implemented")
    if info.provider_type == "registry" and not info.ecosystems:
        faults.append("a registry names its ecosystems")
    if ("parse_manifest" in provider.capabilities) != bool(info.manifests):
        faults.append("`manifests` names the globs of what parse_manifest reads, and is empty without it")
    for capability, setting in info.needs.items():
        if capability not in provider.capabilities | provider.lacking.keys():
            faults.append(f"needs: {capability} is not implemented")
        if setting not in info.settings_class.model_fields:
            faults.append(f"needs: the settings have no {setting}")
    return faults + list(_setting_faults(info.settings_class))


def _setting_faults(settings_class: type[ProviderSettings]) -> Iterator[str]:
    for name, field in settings_class.model_fields.items():
        # A known setting may get another default without being described again.
        if not field.description and name not in TokenSettings.model_fields:
            yield f"the setting {name} has no description"
        if any(word in name for word in _SECRET_WORDS) and not holds_secrets(field.annotation):
            yield f"the setting {name} must be a SecretStr"


def list_record_faults(provider: Provider, case: Case, result: Any) -> list[str]:
    """What is wrong with a hook's result: its type, its values, how they fit together."""
    adapter = describe_result(case.hook)
    if isinstance(result, bytes):
        return []
    if not isinstance(result, BaseModel):
        return [f"returned {type(result).__name__}"]
    dumped = dump_result(result)
    try:
        validated = adapter.validate_json(json.dumps(dumped))
    except (ValidationError, ValueError) as error:
        return [f"is no valid record: {error}"]
    faults = [] if validated == result else ["is another record after it went through JSON: items of a wrong type?"]
    if MAIL in json.dumps(dumped):
        faults.append("holds a mail address")
    items = result.items if isinstance(result, Page) else (result,)
    for item in items:
        if isinstance(item, PackageRecord):
            faults += _package_faults(item, asked=case.hook == "fetch_package")
        elif isinstance(item, ManifestRecord):
            faults += _manifest_faults(provider, case, item)
        elif isinstance(item, DependencyRecord):
            faults += _dependency_faults(item)
        if isinstance(claim := getattr(item, "repository", None), RepositoryClaim):
            faults += _claim_faults(claim)
    return faults


def _package_faults(record: PackageRecord, *, asked: bool) -> Iterator[str]:
    if asked and (record.dependencies is None) != bool(record.dependencies_unknown):
        yield "dependencies is null with a reason in dependencies_unknown, or given without one"
    for dependency in record.dependencies or ():
        yield from _dependency_faults(dependency)


def _manifest_faults(provider: Provider, case: Case, record: ManifestRecord) -> Iterator[str]:
    if record.path != case.path:
        yield f"path is {record.path}: expected {case.path}"
    if record.ecosystem not in provider.info.ecosystems:
        yield f"ecosystem is {record.ecosystem}: describe_provider names {', '.join(provider.info.ecosystems)}"
    if (record.status == "partial") != bool(record.diagnostics):
        yield "status is partial where there are diagnostics, and ok where there are none"
    for dependency in record.dependencies:
        yield from _dependency_faults(dependency)


def _dependency_faults(record: DependencyRecord) -> Iterator[str]:
    if record.purl is not None and record.source != "registry":
        yield f"{record.name}: a dependency from {record.source} has no purl, as it is not counted"
    if record.alias is not None and record.alias == record.name:
        yield f"{record.name}: an alias is another name"


def _claim_faults(claim: RepositoryClaim) -> Iterator[str]:
    if not is_code_host(claim.host):
        return
    read = parse_repository_url(f"https://{claim.host}/{claim.path}")
    if read is None or (read.host, read.path, read.owner) != (claim.host, claim.path, claim.owner):
        yield f"{claim.host}/{claim.path} is not canonical: make claims with parse_repository_url"
