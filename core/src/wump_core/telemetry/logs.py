"""Logs by structlog: one line an event, with the ids of the trace it belongs to, and without secrets."""

import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import structlog
from opentelemetry import trace

_SECRETS_DIRECTORY = Path("/run/secrets")
_HIDDEN = "[redacted]"
_MAX_TEXT = 20_000
_MAX_DEPTH = 6
_MIN_SECRET = 8
"""A shorter secret isn't looked for: it would be found in words that are none."""
_SECRET_NAMES = re.compile(
    r"authorization|passw(or)?d|secret|token|api[-_]?key|private[-_]?key|cookie|pepper|credentials", re.IGNORECASE
)
_SECRET_VARIABLES = re.compile(rf"{_SECRET_NAMES.pattern}|otlp.*headers", re.IGNORECASE)
# What a secret looks like, wherever it stands: in a URL, in its query, in a header, and by the shape of known tokens.
_SHAPES = re.compile(
    r"(?<=://)[^/@\s]*:[^/@\s]*(?=@)"
    r"|(?<![\w-])(?P<name>[\w-]*(?:token|secret|password|api[-_]?key|signature)=)[^&\s#\"']+"
    r"|(?P<header>\bauthorization[\"']?\s*[:=]\s*[\"']?(?:bearer\s|basic\s|token\s)?\s*)[^\s\"',]+"
    r"|(?P<scheme>\bbearer\s+)[\w+/.~=-]{8,}"
    r"|\b(?-i:gh[a-z]_|github_pat_|glpat-|wump_(?:live|test)_)[\w-]{16,}",
    re.IGNORECASE,
)


def configure_logging(level: str, log_format: Literal["console", "json", "auto"]) -> None:
    """Send every log line, the standard library's too, through structlog to standard error.

    Replaced before a line is written: values under names that sound secret, what looks like a secret, and the
    secrets that this process was given by its environment and its files.
    """
    as_console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_trace,
        structlog.processors.format_exc_info,
        make_redactor(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        # What is below the level costs nothing: some events come with every request.
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=True,
    )
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if as_console else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # httpx logs whole URLs, which may carry keys; uvicorn's access log costs a third of the rate.
    for name in ("httpx", "httpcore", "uvicorn.access", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


def add_trace(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor: say which trace and span a line belongs to, where there is one."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event


class Redactor:
    """structlog processor: hide what must not stand in a log."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first: one may begin with another.
        known = sorted({secret for secret in secrets if len(secret) >= _MIN_SECRET}, key=len, reverse=True)
        self._known = re.compile("|".join(re.escape(secret) for secret in known)) if known else None

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Hide them in one event, however deep they stand in it."""
        for name, value in event.items():
            # The logging module's own record is taken out before a line is rendered.
            if not name.startswith("_"):
                event[name] = self._hide(name, value, 0)
        return event

    def _hide(self, name: str, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if _SECRET_NAMES.search(name):
            return _HIDDEN
        if isinstance(value, Mapping) and depth < _MAX_DEPTH:
            return {self.hide(str(key)): self._hide(str(key), item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset) and depth < _MAX_DEPTH:
            return [self._hide("", item, depth + 1) for item in value]
        return self.hide(value if isinstance(value, str) else str(value))

    def hide(self, text: str) -> str:
        """The text without the known secrets and without what looks like one; cut where it is endless."""
        if len(text) > _MAX_TEXT:
            text = text[:_MAX_TEXT] + "…"
        if self._known is not None:
            text = self._known.sub(_HIDDEN, text)
        return _SHAPES.sub(_keep_name, text)


def make_redactor() -> Redactor:
    """A redactor that knows the secrets of this process: those of its environment and of its secret files."""
    return Redactor(list_secrets(os.environ, _SECRETS_DIRECTORY))


def _keep_name(found: re.Match[str]) -> str:
    return (found["name"] or found["header"] or found["scheme"] or "") + _HIDDEN


def list_secrets(environment: Mapping[str, str], directory: Path) -> set[str]:
    """What this process was given and must not tell: values under names that sound secret, passwords in URLs.

    Args:
        environment: The process's variables.
        directory: Where a container's secrets are files; each of them counts.
    """
    found: set[str] = set()
    for name, value in environment.items():
        if _SECRET_VARIABLES.search(name):
            found.update(_split_secrets(value))
        found.update(_list_passwords(value))
    for path in sorted(directory.glob("*"))[:100] if directory.is_dir() else ():
        try:
            value = path.read_text("utf-8", errors="replace")[:4_096].strip() if path.is_file() else ""
        except OSError:
            continue
        found.update(_list_passwords(value) or _split_secrets(value))
    return found


def _split_secrets(value: str) -> set[str]:
    """The value itself, and its items where it is a list of secrets or of `header=secret`."""
    items = {value.strip(), *(item.strip() for item in re.split(r'[,"\[\]]', value))}
    return items | {unquote(item.partition("=")[2]) for item in items if "=" in item}


def _list_passwords(value: str) -> set[str]:
    if "://" not in value or "@" not in value:
        return set()
    try:
        password = urlsplit(value.strip()).password
    except ValueError:
        return set()
    return {password, unquote(password)} if password else set()
