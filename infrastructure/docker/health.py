"""The image's health checks: `python3 health.py api`, `worker` or `scheduler`; exit code 0 means healthy.

It stands apart from wump's own code because importing that takes longer than the check, every ten seconds.
"""

import http.client
import os
import sys
from pathlib import Path

TIMEOUT_SECONDS = 3
SECRET = Path("/run/secrets/wump_valkey_url")


def is_answering() -> bool:
    """The API in this container answers. http.client, since urllib would ask a configured proxy."""
    port = int(os.environ.get("WUMP_API_PORT", "8000"))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    connection.request("GET", "/health")
    return connection.getresponse().status == 200


def is_alive(service: str) -> bool:
    """Valkey holds the key that a running service renews, and that expires soon after it stopped."""
    from valkey import Valkey

    url = os.environ.get("WUMP_VALKEY_URL") or SECRET.read_text().strip()
    client = Valkey.from_url(
        url.replace("redis", "valkey", 1), socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS
    )
    return bool(client.exists(f"wump:alive:{service}"))


if __name__ == "__main__":
    service = sys.argv[1]
    try:
        healthy = is_answering() if service == "api" else is_alive(service)
    except Exception as error:
        # The text may hold an address with its password; the kind of error says enough.
        sys.exit(f"{service} is unhealthy: {type(error).__name__}")
    sys.exit(0 if healthy else f"{service} is unhealthy")
