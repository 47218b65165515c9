"""The figures of the API process as Prometheus reads them; there only with `WUMP_TELEMETRY=prometheus`."""

from fastapi import FastAPI, Request, Response
from wump_core.telemetry import Telemetry

PATH = "/metrics"


def install_metrics(app: FastAPI, telemetry: Telemetry) -> None:
    """Add the route. It is answered in a thread of its own, so that other requests don't wait for it."""

    @app.get(PATH, include_in_schema=False)
    def read_metrics(request: Request) -> Response:
        text, content_type = telemetry.render_figures(request.headers.get("accept", ""))
        return Response(text, media_type=content_type)
