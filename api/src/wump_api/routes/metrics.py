"""The figures of the API process as Prometheus reads them; there only with `WUMP_TELEMETRY=prometheus`."""

from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

PATH = "/metrics"


def install_metrics(app: FastAPI, registry: "CollectorRegistry") -> None:
    """Add the route. It is read in a thread of its own, so that other requests don't wait for it."""
    from prometheus_client.exposition import choose_encoder

    @app.get(PATH, include_in_schema=False)
    def read_metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), media_type=content_type)
