"""The one factory of clients for providers."""

import os
import ssl
from importlib.metadata import version
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

import certifi
import httpx
from wump_core.settings import ProviderSettings

from wump_worker.http.guard import GuardedTransport, Origin, origin_of
from wump_worker.settings import WorkerSettings

MAX_REDIRECTS = 5
# Where people behind an inspecting proxy tell their tools about its certificate.
_CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")


def make_client(
    provider: str, settings: ProviderSettings, worker: WorkerSettings, *, contact: str = ""
) -> httpx.AsyncClient:
    """A client that asks only the provider's hosts, says who it is, and bounds time and size."""
    base_url = httpx.URL(settings.base_url or "")
    allowed = frozenset({origin_of(base_url), *(_host_origin(host) for host in settings.hosts)})
    transport = httpx.AsyncHTTPTransport(
        verify=_tls_context(),
        trust_env=False,
        proxy=_proxy_for(base_url),
        limits=httpx.Limits(max_connections=10, max_keepalive_connections=5),
    )
    comment = f" (+{contact})" if contact else ""
    return httpx.AsyncClient(
        transport=GuardedTransport(transport, provider, allowed, worker.max_body_bytes),
        headers={"User-Agent": f"wump/{version('wump-worker')}{comment}", "Accept-Encoding": "gzip"},
        timeout=httpx.Timeout(worker.read_timeout_seconds, connect=worker.connect_timeout_seconds),
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        trust_env=False,
    )


def _host_origin(host: str) -> Origin:
    """Of a host as the settings have it: HTTPS unless it names another scheme."""
    return origin_of(httpx.URL(host if "://" in host else f"https://{host}"))


def _tls_context() -> ssl.SSLContext:
    """The system's certificates, certifi's where the system has none, and the user's own."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    for name in _CA_VARIABLES:
        path = os.environ.get(name)
        if path and Path(path).is_file():
            context.load_verify_locations(path)
    return context


def _proxy_for(url: httpx.URL) -> str | None:
    """The proxy that the user's environment names for this address."""
    return None if proxy_bypass(url.host) else getproxies().get(url.scheme)
