"""Loading providers: their plugins are found by entry point, and imported one by one.

A plugin that can't be loaded is kept as broken, with its reason, distribution and version; the others run.
"""

import importlib.metadata
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint

import pluggy
import structlog
from pydantic import ValidationError

from wump_core.errors import ConfigurationError
from wump_core.failures import storable
from wump_core.hookspecs import CAPABILITIES, ENTRY_POINT_GROUP, PROJECT_NAME, DataProvider, ProviderInfo
from wump_core.probe import probe_imports
from wump_core.providers import BrokenProvider, Provider, Providers
from wump_core.registries import find_base_url
from wump_core.settings import ProviderSettings, describe_settings_error

log = structlog.get_logger("wump.providers")


def load_providers(wanted: Sequence[str] = (), *, probed: bool = False) -> Providers:
    """Load the wanted providers in their order, or all that are installed, by name.

    Entry points are walked one by one, since pluggy's own loader stops at the first bad plugin.

    Args:
        wanted: Names of entry points; a name that isn't installed is broken.
        probed: Import the plugins in a child process first, so that one that hangs or crashes there is broken too.
            Costs the start of a Python.
    """
    found: dict[str, list[EntryPoint]] = {}
    for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        found.setdefault(entry.name, []).append(entry)
    strangers = _find_strangers()
    names = list(dict.fromkeys(wanted or sorted({*found, *strangers})))
    unimportable = probe_imports([name for name in names if len(found.get(name, ())) == 1]) if probed else {}
    active: list[Provider] = []
    broken: list[BrokenProvider] = []
    for name in names:
        fault = _find_fault(name, found, strangers, unimportable)
        loaded = fault or _load_or_blame(found[name][0])
        if isinstance(loaded, BrokenProvider):
            broken.append(loaded)
            log.warning("provider.broken", provider=name, reason=loaded.reason)
        else:
            active.append(loaded)
    return Providers(active, broken)


def _find_fault(
    name: str,
    found: Mapping[str, Sequence[EntryPoint]],
    strangers: Mapping[str, EntryPoint],
    unimportable: Mapping[str, str],
) -> BrokenProvider | None:
    """Why a provider must not even be imported."""
    entries = found.get(name, ())
    if not entries and name in strangers:
        entry = strangers[name]
        reason = f"built for the hooks {entry.group}, and this wump has {ENTRY_POINT_GROUP}: upgrade one of them"
        return BrokenProvider(name, *_distribution(entry), reason)
    if not entries:
        known = ", ".join(sorted(found)) or "none"
        return BrokenProvider(name, f"wump-provider-{name}", "", f"not installed; installed are: {known}")
    if len(entries) > 1:
        rivals = ", ".join(sorted(_distribution(item)[0] for item in entries))
        reason = f"several distributions announce it ({rivals}): uninstall all but one"
        return BrokenProvider(name, *_distribution(entries[0]), reason)
    if name in unimportable:
        return BrokenProvider(name, *_distribution(entries[0]), unimportable[name])
    return None


def _load_or_blame(entry: EntryPoint) -> Provider | BrokenProvider:
    try:
        return _load(entry)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may even call sys.exit while it is imported
        reason = str(error) if isinstance(error, ConfigurationError) else f"{type(error).__name__}: {error}"
        return BrokenProvider(entry.name, *_distribution(entry), storable(reason))


def _find_strangers() -> dict[str, EntryPoint]:
    """Plugins that are built for another version of the hooks, by name; they are named, not imported."""
    everything = importlib.metadata.entry_points()
    groups = [group for group in everything.groups if re.fullmatch(r"wump\.providers\.v\d{1,4}", group)]
    return {
        entry.name: entry
        for group in sorted(groups)
        if group != ENTRY_POINT_GROUP
        for entry in everything.select(group=group)
    }


def _load(entry: EntryPoint) -> Provider:
    manager = pluggy.PluginManager(PROJECT_NAME)
    manager.add_hookspecs(DataProvider)
    module = entry.load()
    manager.register(module, entry.name)
    manager.check_pending()
    implemented = frozenset(caller.name for caller in manager.get_hookcallers(module) or ())
    if "describe_provider" not in implemented:
        raise ConfigurationError("the plugin has no describe_provider")
    info = manager.hook.describe_provider()
    if not isinstance(info, ProviderInfo):
        raise ConfigurationError(f"describe_provider returned {type(info).__name__} instead of ProviderInfo")
    settings, origin = _settings(entry.name, info, asks=bool(implemented - _SILENT))
    distribution, version = _distribution(entry)
    lacking = {
        hook: f"{settings_prefix(entry.name)}{setting.upper()}"
        for hook, setting in info.needs.items()
        if hook in implemented and getattr(settings, setting, None) in (None, "", ())
    }
    able = (implemented & set(CAPABILITIES)) - lacking.keys()
    return Provider(
        entry.name, distribution, version, info, settings, origin, able, manager.hook, entry.module, lacking
    )


_SILENT = frozenset(("describe_provider", "parse_manifest", "read_dump"))
"""Hooks that do no input or output over a network: who has no other needs no address."""


def settings_prefix(name: str) -> str:
    """How the variables of a provider's settings begin."""
    return f"WUMP_PROVIDER_{name.upper().replace('-', '_')}_"


def _settings(name: str, info: ProviderInfo, *, asks: bool) -> tuple[ProviderSettings, str]:
    """The provider's settings with a base URL: the operator's, else the user's own, else the tables'."""
    prefix = settings_prefix(name)
    try:
        settings = info.settings_class(_env_prefix=prefix)
    except ValidationError as error:
        raise ConfigurationError(describe_settings_error(error, prefix)) from None
    if settings.base_url is not None:
        return settings, f"{prefix}BASE_URL"
    if not asks:
        return settings, "asks nobody"
    # Only a registry is what the user's npm or pip settings and the tables name; others must be told.
    is_registry = info.provider_type == "registry" and info.ecosystems
    base_url = find_base_url(info.ecosystems[0], setting=f"{prefix}BASE_URL") if is_registry else None
    if base_url is None:
        raise ConfigurationError(f"needs the setting {prefix}BASE_URL")
    return settings.model_copy(update={"base_url": base_url.url}), base_url.origin


def _distribution(entry: EntryPoint) -> tuple[str, str]:
    return (entry.dist.name, entry.dist.version) if entry.dist else ("", "")
