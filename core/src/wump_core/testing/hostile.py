"""Hostile answers and files: an upstream's bad days, and junk in place of a manifest."""

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from wump_core.errors import (
    CredentialsRejected,
    InvalidResponse,
    NotFound,
    ProviderError,
    RateLimited,
    Unavailable,
)

Answer = Callable[[httpx.Request, httpx.Response | None], httpx.Response]
"""What answers in place of the recorded answer, which may be null."""

PAGE_FOR_PEOPLE = b"<!DOCTYPE html><html><head><title>Please wait</title></head><body><h1>One moment</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which an upstream fails, and the errors that a hook may end with then."""

    name: str
    answer: Answer
    errors: tuple[type[ProviderError], ...]
    damages_body: bool = False
    """The status is 200 and only the body is wrong: a hook that returns bytes can't know."""


def _status(code: int, body: bytes = b'{"message": "no"}', **headers: str) -> Answer:
    kind = "text/html" if body.startswith(b"<") else "application/json"
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(request: httpx.Request, recorded: httpx.Response | None) -> httpx.Response:
        return httpx.Response(code, headers={"content-type": kind} | named, content=body)

    return answer


def _time_out(request: httpx.Request, recorded: httpx.Response | None) -> httpx.Response:
    raise httpx.ReadTimeout("the kit lets it take too long", request=request)


def _refuse(request: httpx.Request, recorded: httpx.Response | None) -> httpx.Response:
    raise httpx.ConnectError("the kit refuses to connect", request=request)


def _outgrow(request: httpx.Request, recorded: httpx.Response | None) -> httpx.Response:
    # What the worker's transport raises where a body is larger than its operator allows.
    raise InvalidResponse("a body of more bytes than are read")


def _truncate(request: httpx.Request, recorded: httpx.Response | None) -> httpx.Response:
    body = recorded.content if recorded is not None else b""
    headers = {"content-type": recorded.headers.get("content-type", "") if recorded is not None else ""}
    return httpx.Response(200, headers=headers, content=body[: max(1, len(body) // 2)] if body else b"{")


FAULTS = (
    Fault("401", _status(401), (CredentialsRejected,)),
    Fault("403", _status(403), (CredentialsRejected,)),
    Fault("429", _status(429, PAGE_FOR_PEOPLE, retry_after="120"), (RateLimited,)),
    Fault("500", _status(500), (Unavailable,)),
    Fault("503", _status(503, PAGE_FOR_PEOPLE), (Unavailable,)),
    Fault("timeout", _time_out, (Unavailable,)),
    Fault("no-connection", _refuse, (Unavailable,)),
    Fault("html", _status(200, PAGE_FOR_PEOPLE), (InvalidResponse,), damages_body=True),
    Fault("foreign-json", _status(200, b"[[null]]"), (InvalidResponse,), damages_body=True),
    Fault("truncated", _truncate, (InvalidResponse, Unavailable), damages_body=True),
    Fault("oversized", _outgrow, (InvalidResponse,)),
)
OUTAGES = frozenset({"500", "503", "timeout", "no-connection"})
"""Those during which a health check must not call the upstream healthy."""

ABSENCES = (
    Fault("404", _status(404), (NotFound,)),
    Fault("404-html", _status(404, PAGE_FOR_PEOPLE), (NotFound,)),
    Fault("404-empty", _status(404, b""), (NotFound,)),
    Fault("410", _status(410), (NotFound,)),
)


def list_echoes(secret: str) -> tuple[Fault, ...]:
    """Answers in which an upstream sends a secret back."""
    body = b'{"message": "bad credentials: ' + secret.encode() + b'", "errors": ["' + secret.encode() + b'"]}'
    return (
        Fault("401 with the secret in it", _status(401, body), ()),
        Fault("422 with the secret in it", _status(422, body), ()),
        Fault("500 with the secret in it", _status(500, body), ()),
        Fault("another document with the secret in it", _status(200, body), ()),
        Fault("half a document with the secret in it", _status(200, body[:-8]), ()),
    )


Files = Mapping[str, bytes]
"""The files of a dump by their paths below it; a dump that is one file has that alone, with no path."""


def damage_dump(path: Path) -> Iterator[tuple[str, Files]]:
    """A dump in ways in which it may arrive, each with its name; the same ones for the same dump."""
    found = [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
    whole = {item.relative_to(path).as_posix() if path.is_dir() else "": item.read_bytes() for item in found}
    yield "nothing of it", dict.fromkeys(whole, b"")
    for name, content in whole.items():
        yield f"{name} gone", {other: text for other, text in whole.items() if other != name}
        yield f"{name} empty", {**whole, name: b""}
        for part in (1, 5, 8, 15):
            yield f"{name} cut at {part}/16", {**whole, name: content[: len(content) * part // 16]}
        yield f"{name} without its first line", {**whole, name: content.partition(b"\n")[2]}
        yield f"{name} without its last line", {**whole, name: content.rstrip(b"\n").rpartition(b"\n")[0] + b"\n"}
        yield f"{name} without end", {**whole, name: content + b'"' + b"a" * 10_000_000}
        dice = random.Random(len(content))  # noqa: S311 - the same junk each time is what is wanted
        for number in range(10):
            spoiled = bytearray(content)
            for _ in range(1 + number % 4):
                if spoiled:
                    spoiled[dice.randrange(len(spoiled))] = dice.choice(b'\0\xff",;-\n\t09a{}')
            yield f"{name} spoiled {number}", {**whole, name: bytes(spoiled)}


def write_dump(folder: Path, files: Files, name: str) -> Path:
    """Write a dump into a folder, under its own name; returns its path."""
    path = folder / Path(name).name
    for inside, content in files.items():
        target = path / inside if inside else path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    if not path.exists():
        path.mkdir(parents=True)
    return path


_VALUES = re.compile(
    rb'"[^"\n]*"|\'[^\'\n]*\'|\[[^\[\]]*\]|\{[^{}]*\}|(?<=[:=>] )[^\s,]+|(?<=>)[^<>\n]+(?=<)|\b\d[\d.]*'
)
"""What looks like a value, in whichever format."""
_OTHER_VALUES = (
    b"7",
    b"null",
    b"true",
    b"-1e999",
    b"[]",
    b"{}",
    b'""',
    b'"x"',
    b"[7]",
    b'{"x": 7}',
    b"2020-01-01",
    b"[[]]",
)


def list_junk(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Files that are none, each with its name; the same ones for the same content."""
    yield "empty", b""
    yield "NUL", b"\0" * 1_000
    yield "no UTF-8", b"\xff\xfe\xfa" + content[:1_000]
    yield "UTF-16", content[:5_000].decode("utf-8", "replace").encode("utf-16")
    yield "byte order mark", b"\xef\xbb\xbf" + content
    yield "lone surrogate", b'{"name": "\\ud800", "dependencies": {"\\udfff": "\\ud800"}}'
    yield "old Mac line ends", content.replace(b"\n", b"\r")
    yield "page for people", PAGE_FOR_PEOPLE
    yield "large number", b'{"a": ' + b"1" * 20_000 + b"}"
    yield "long line", content[:200] + b"a" * 1_000_000
    yield "long name", content[:200] + b'\n"' + b"a" * 100_000 + b'" = "1"\n'
    for opening in (b"[", b'{"a":', b"(", b"<a>", b"a:\n ", b"[[a.", b"- ", b"{"):
        yield f"nested {opening.decode()!r}", opening * (200_000 // len(opening))
        yield f"nested {opening.decode()!r} behind its start", content[:500] + opening * (200_000 // len(opening))
    yield (
        "entities",
        (
            b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
            + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(10))
            + b"]><a>&k;</a>"
        ),
    )
    yield (
        "anchors",
        b"a: &a [x]\n"
        + b"".join(b"%c: &%c [%s]\n" % (98 + n, 98 + n, b", ".join([b"*%c" % (97 + n)] * 9)) for n in range(20)),
    )
    yield "over and over", content * (1_000_000 // max(1, len(content)))
    yield from _mutations(content[:100_000])


def _mutations(content: bytes) -> Iterator[tuple[str, bytes]]:
    for part in range(1, 16):
        yield f"cut at {part}/16", content[: len(content) * part // 16]
    dice = random.Random(len(content))  # noqa: S311 - the same junk each time is what is wanted
    for number in range(40):
        spoiled = bytearray(content)
        for _ in range(1 + number % 8):
            if spoiled:
                spoiled[dice.randrange(len(spoiled))] = dice.choice(b"\0\xff\"'[]{}<>,:=\\#-@ \n\t0a")
        yield f"spoiled {number}", bytes(spoiled)
    values = list(_VALUES.finditer(content))
    for number in range(80 if values else 0):
        found = values[number % len(values)] if len(values) < 80 else dice.choice(values)
        other = dice.choice(_OTHER_VALUES)
        yield f"{other.decode()} at {found.start()}", content[: found.start()] + other + content[found.end() :]
    lines = content.splitlines(keepends=True)
    for number in range(10):
        yield f"shuffled {number}", b"".join(dice.sample(lines, len(lines)))
