"""TLS to both servers by their URLs: encrypted, and refused where the certificate isn't the one that is trusted."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from valkey.asyncio import Valkey
from valkey.exceptions import ConnectionError as ValkeyConnectionError
from wump_core.embedded import Servers
from wump_core.store import make_engine

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@asynccontextmanager
async def speaking_tls(port: int, certificate: tuple[Path, Path], *, postgres: bool) -> AsyncGenerator[int]:
    """The port of a server that speaks TLS and hands on to a real one that doesn't."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if postgres:
                # Postgres is asked in the clear whether it speaks TLS.
                if (await reader.readexactly(8))[4:] != (80877103).to_bytes(4, "big"):
                    writer.close()
                    return
                writer.write(b"S")
                await writer.drain()
                await writer.start_tls(context)
            beyond_reader, beyond = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_pump(reader, beyond), _pump(beyond_reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=None if postgres else context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(65_536):
        writer.write(part)
        await writer.drain()
    writer.close()


async def test_postgres(servers: Servers, certificate: tuple[Path, Path]) -> None:
    url = make_url(servers.database_url)
    async with speaking_tls(url.port or 0, certificate, postgres=True) as port:
        beyond = url.set(host="localhost", port=port)

        async def ask(**query: str) -> object:
            shown = beyond.update_query_dict(query).render_as_string(hide_password=False)
            engine = make_engine(SecretStr(shown), application_name="tests")
            try:
                async with engine.connect() as connection:
                    return (await connection.execute(text("SELECT 1"))).scalar()
            finally:
                await engine.dispose()

        assert await ask(sslmode="require") == 1
        assert await ask(sslmode="verify-full", sslrootcert=str(certificate[0])) == 1
        with pytest.raises(ssl.SSLCertVerificationError):
            await ask(sslmode="verify-full", sslrootcert=ssl.get_default_verify_paths().openssl_cafile)
        with pytest.raises((DBAPIError, OSError)):
            await ask(sslmode="disable")


async def test_valkey(servers: Servers, certificate: tuple[Path, Path]) -> None:
    parts = urlsplit(servers.valkey_url)
    async with speaking_tls(parts.port or 0, certificate, postgres=False) as port:
        address = f"valkeys://:{parts.password or ''}@localhost:{port}/0"
        async with Valkey.from_url(f"{address}?ssl_ca_certs={certificate[0]}") as client:
            assert await client.ping()
        async with Valkey.from_url(address) as client:
            with pytest.raises(ValkeyConnectionError):
                await client.ping()
