"""The conformance kit for plugins, in the extra `wump-core[testing]`: what a plugin's tests may import."""

from wump_core.testing.cases import Case
from wump_core.testing.conformance import ProviderConformance

__all__ = ["Case", "ProviderConformance"]
