"""The lowest layer: connections, the user's proxy, and the certificates that they trust."""

import functools
import os
import ssl
from pathlib import Path
from typing import Any
from urllib.request import getproxies, proxy_bypass

import certifi
import httpx

from wump_worker.http.guard import GuardedBackend

# Where people behind an inspecting proxy tell their tools about its certificate.
_CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")


def open_network(
    provider: str, base_url: httpx.URL, named: frozenset[str], proven: frozenset[str] = frozenset()
) -> httpx.AsyncHTTPTransport:
    """Connections for one provider, to addresses that it may ask.

    Args:
        provider: Its name, for messages.
        base_url: Decides about the proxy.
        named: Hosts that the operator named.
        proven: Hosts that are constants of the code and prove themselves by a certificate.
    """
    proxy = _proxy_for(base_url)
    transport = httpx.AsyncHTTPTransport(
        verify=_tls_context(_ca_files()),
        trust_env=False,
        proxy=proxy,
        limits=httpx.Limits(max_connections=100, max_keepalive_connections=10),
    )
    if proxy is None:
        # httpx has no argument for httpcore's backend. Behind a proxy, names are the proxy's to resolve.
        pool: Any = transport._pool
        pool._network_backend = GuardedBackend(pool._network_backend, provider, named, proven)
    return transport


def _ca_files() -> tuple[str, ...]:
    """Where certificates are that the system may not have: certifi's, and those of the user."""
    own = (os.environ.get(name) for name in _CA_VARIABLES)
    return (certifi.where(), *(path for path in own if path and Path(path).is_file()))


@functools.cache
def _tls_context(ca_files: tuple[str, ...]) -> ssl.SSLContext:
    """One for all providers: reading the certificates takes a tenth of a second."""
    context = ssl.create_default_context()
    for path in ca_files:
        context.load_verify_locations(path)
    return context


def _proxy_for(url: httpx.URL) -> str | None:
    """The proxy that the user's environment names for this address."""
    return None if proxy_bypass(url.host) else getproxies().get(url.scheme)
