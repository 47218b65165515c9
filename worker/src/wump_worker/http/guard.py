"""The guard between a provider and the network: which origins it may ask, and which addresses they may have.

Origins are checked for each request, redirects included. Addresses are checked when a connection is made, on
what the name resolves to just then, and the connection goes to the address that was checked: a name that
answers differently a moment later gains nothing.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import NamedTuple

import httpcore
import httpx
from wump_core.errors import InvalidResponse

_IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Where clouds tell a machine its secrets. Some are link-local; these are not.
_METADATA = frozenset({ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("100.100.100.200")})
_MAX_ADDRESSES = 4


class Origin(NamedTuple):
    """Scheme, host and port of an address that may be asked."""

    scheme: str
    host: str
    port: int


def origin_of(url: httpx.URL) -> Origin:
    """The origin of an address, with the scheme's own port where none is written."""
    return Origin(url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80))


def written_origin(url: httpx.URL) -> str:
    """The origin as a person writes it: what else stands in the address may be a secret."""
    return f"{url.scheme}://{url.host}" + (f":{url.port}" if url.port else "")


class GuardedTransport(httpx.AsyncBaseTransport):
    """Refuses every origin but the allowed ones."""

    def __init__(self, inner: httpx.AsyncBaseTransport, provider: str, allowed: frozenset[Origin]) -> None:
        self._inner = inner
        self._provider = provider
        self._allowed = allowed

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request if its origin is allowed. Raises `InvalidResponse` if it is not."""
        if origin_of(request.url) not in self._allowed:
            raise InvalidResponse(
                f"{self._provider} was sent to {written_origin(request.url)}, which is none of its hosts;"
                f" allow it in {_hosts_setting(self._provider)} if it is right"
            )
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._inner.aclose()


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections to public addresses only, but for hosts that the operator named or a certificate proves."""

    def __init__(
        self,
        inner: httpcore.AsyncNetworkBackend,
        provider: str,
        named: frozenset[str],
        proven: frozenset[str] = frozenset(),
    ) -> None:
        self._inner = inner
        self._provider = provider
        self._named = named
        self._proven = proven

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that answers. Raises `InvalidResponse` where none of them may be asked."""
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolve(host, port)
                share = timeout and timeout / max(len(addresses), 1)  # one that leads nowhere leaves time for the next
                for number, address in enumerate(addresses, start=1):
                    try:
                        return await self._inner.connect_tcp(address, port, share, local_address, socket_options)
                    except (httpcore.ConnectError, httpcore.ConnectTimeout):
                        if number == len(addresses):
                            raise
        except TimeoutError:
            raise httpcore.ConnectTimeout from None
        raise httpcore.ConnectError("the name has no address")

    async def connect_unix_socket(self, *_: object, **__: object) -> httpcore.AsyncNetworkStream:
        """Never: upstreams are not on this machine. Raises `InvalidResponse`."""
        raise InvalidResponse(f"{self._provider} was sent to a socket of this machine")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._inner.sleep(seconds)

    async def _resolve(self, host: str, port: int) -> list[str]:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            raise httpcore.ConnectError("the name can't be resolved") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))[:_MAX_ADDRESSES]
        allowed = [address for address in addresses if self._may_connect(host, address)]
        if addresses and not allowed:
            raise InvalidResponse(
                f"{self._provider} was sent to {host}, which is at {addresses[0]}, an address that is not public;"
                f" name the host in {_hosts_setting(self._provider)} if it is right"
            )
        return allowed

    def _may_connect(self, host: str, address: str) -> bool:
        if host in self._proven:
            return is_public(address) or is_elsewhere_inside(address)
        if host not in self._named:
            return is_public(address)
        # The operator's own host may be anywhere, but a name of theirs must not lead to a cloud's secrets.
        return not is_metadata(address) or host == address


def is_public(address: str) -> bool:
    """Whether anybody on the internet reaches the same machine under this address."""
    parsed = _unwrap(ipaddress.ip_address(address.partition("%")[0]))
    return parsed.is_global and not (parsed.is_multicast or parsed.is_reserved) and not is_metadata(address)


def is_elsewhere_inside(address: str) -> bool:
    """Whether it belongs to another machine of one's own network, so that a mirror may answer there."""
    parsed = _unwrap(ipaddress.ip_address(address.partition("%")[0]))
    is_this_machine = parsed.is_loopback or parsed.is_unspecified
    return parsed.is_private and not (is_this_machine or parsed.is_multicast or is_metadata(address))


def is_metadata(address: str) -> bool:
    """Whether it is link-local, or another address where a cloud tells its machines their secrets."""
    parsed = _unwrap(ipaddress.ip_address(address.partition("%")[0]))
    return parsed.is_link_local or parsed in _METADATA


def _unwrap(address: _IPAddress) -> _IPAddress:
    """The IPv4 address that an IPv6 one stands for: mapped, 6to4 or NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _hosts_setting(provider: str) -> str:
    return f"WUMP_PROVIDER_{provider.upper().replace('-', '_')}_HOSTS"
