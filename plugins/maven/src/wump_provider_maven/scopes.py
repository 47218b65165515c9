"""Maven's scopes in wump's words.

Source: Maven's documentation of dependency scopes, those of Maven 4 included. `provided` is what the environment
brings at run time, as npm's peers are.
"""

from collections.abc import Mapping

from wump_core import Scope

SCOPES: Mapping[str, Scope] = {
    "compile": "runtime",
    "runtime": "runtime",
    "provided": "peer",
    "system": "runtime",
    "test": "test",
    "test-only": "test",
    "test-runtime": "test",
    "compile-only": "build",
    "import": "build",
}
