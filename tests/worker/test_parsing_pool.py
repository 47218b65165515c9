"""The pool that reads manifests survives any file and any parser, and leaves no process behind."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from local_plugins import install_plugin
from wump_core import InvalidManifest, NoManifest
from wump_core.errors import ProviderFailed
from wump_worker.parsing import pool as pools
from wump_worker.parsing.pool import ParserPool

PLUGIN = r"""
import ctypes, os, pathlib, socket, subprocess, sys, threading, time
from wump_core import InvalidManifest, NoManifest, ProviderInfo, hookimpl, make_manifest

@hookimpl
def describe_provider():
    return ProviderInfo(title="T", provider_type="aggregator", ecosystems=("npm",), manifests=("*.odd",),
        licence="none", attribution="us")

def record(**more):
    return make_manifest("x", format="x", ecosystem="npm", kind="manifest", **more)

@hookimpl
def parse_manifest(path, content, siblings):
    what = content.decode()
    if path.endswith("started"):
        open(path, "w").close()
    if what == "good":
        print("noise on standard output")
        return record(dependencies=[{"purl": "pkg:npm/a", "name": "a", "scope": "runtime", "line": 2}], needs=siblings)
    if what == "invalid":
        raise InvalidManifest("bad \udc80 file")
    if what == "nothing":
        raise NoManifest("something else")
    if what == "bug":
        return {}["no such key"]
    if what == "wrong":
        return "a record"
    if what == "forged":
        return record().model_copy(update={"path": 7})
    if what == "loop":
        while True:
            pass
    if what == "sleep":
        time.sleep(3600)
    if what == "stuck":  # in C, without giving Python a chance
        ctypes.PyDLL(None).sleep(3600)
    if what == "busy":
        sum(range(10 ** 13))  # in C
    if what == "memory":
        return [bytearray(1_000_000) for _ in range(4_000)]
    if what == "crash":
        os.kill(os.getpid(), 11)
    if what == "exit":
        os._exit(3)
    if what == "abort":
        os.abort()
    if what == "run":
        subprocess.run(["/bin/true"])
    if what == "shell":
        os.system("true")
    if what == "connect":
        socket.create_connection(("127.0.0.1", 9), timeout=1)
    if what == "write":
        pathlib.Path(path).write_text("x" * 10)
    if what == "remove":
        os.remove(path)
    if what == "long":
        return record(needs=[str(number) for number in range(1_000)])
    if what == "secrets":
        return record(needs=sorted(name for name in os.environ if name.startswith("WUMP_")))
    if what == "modules":
        return record(needs=[str(sys.modules[name].__file__) for name in ("json", "wump_core")])
    if what == "pid":
        return record(needs=[str(os.getpid())])
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plugin that does as a file says, and some that can't be imported."""
    folder = tmp_path_factory.mktemp("site")
    install_plugin(folder, "odd", PLUGIN)
    install_plugin(folder, "mute", PLUGIN[: PLUGIN.index("def record")])
    install_plugin(folder, "hanging", "while True: pass")
    install_plugin(folder, "exiting", "import os; os._exit(1)")
    install_plugin(folder, "raising", "raise RuntimeError('no luck')")
    return folder


@pytest.fixture(autouse=True)
def with_plugins(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children find the plugins."""
    monkeypatch.setenv("PYTHONPATH", str(site))


@pytest.fixture(scope="module")
def pool() -> Iterator[ParserPool]:
    """A pool of one, after which no child is left."""
    with ParserPool(1) as opened:
        yield opened
    assert list_children() == []


def list_children() -> list[psutil.Process]:
    """The children of this process that read manifests."""
    return [
        child
        for child in psutil.Process().children()
        if any("wump_worker.parsing.child" in part for part in child.cmdline())
    ]


def read(pool: ParserPool, what: str, path: str = "x", siblings: dict[str, bytes] | None = None) -> tuple[str, ...]:
    """What the record needs, which is how the plugin speaks."""
    return pool.parse("odd", path, what.encode(), siblings or {}).needs


def test_a_record_comes_back_as_it_was_made(pool: ParserPool) -> None:
    record = pool.parse("odd", "x", b"good", {"a.txt": b"\x00" * 3_000_000})
    assert [(item.name, item.line, item.direct) for item in record.dependencies] == [("a", 2, True)]
    assert record.needs == ("a.txt",)


@pytest.mark.parametrize(
    ("what", "error", "message"),
    [
        ("invalid", InvalidManifest, r"bad \\udc80 file"),
        ("nothing", NoManifest, "something else"),
        ("bug", ProviderFailed, "the plugin odd failed: KeyError: 'no such key'"),
        ("wrong", ProviderFailed, "returned str instead of ManifestRecord"),
        ("loop", InvalidManifest, "took longer than 0.5 seconds of processor time"),
        ("sleep", InvalidManifest, "took longer than 1 seconds"),
        ("stuck", InvalidManifest, "took longer than 1 seconds"),
        ("busy", InvalidManifest, "took longer than 0.5 seconds of processor time"),
        ("memory", InvalidManifest, "needed more memory than 100 MB"),
        ("crash", InvalidManifest, "crashed its parser .SIGSEGV"),
        ("exit", InvalidManifest, "crashed its parser .it ended"),
        ("abort", InvalidManifest, "needed more memory than 100 MB to be read, or crashed its parser"),
        ("run", ProviderFailed, "may not do this: subprocess.Popen"),
        ("shell", ProviderFailed, "may not do this: os.system"),
        ("connect", ProviderFailed, "may not do this: socket"),
        ("write", ProviderFailed, "OSError"),
        ("remove", ProviderFailed, "may not do this: os.remove"),
        ("long", InvalidManifest, "says more than 200 bytes"),
    ],
)
def test_what_goes_wrong_has_a_reason_and_the_next_file_is_read(
    pool: ParserPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, error: type[Exception], message: str
) -> None:
    monkeypatch.setattr(pools, "FILE_SECONDS", 0.5 if "longer" in message else 60)
    monkeypatch.setattr(pools, "PATIENCE", 100 if "processor" in message else 2)
    if what == "long":
        monkeypatch.setattr(pools, "MAX_ANSWER_BYTES", 200)
    with pytest.raises(error, match=message):
        read(pool, what, path=str(tmp_path / "written"))
    assert read(pool, "good") == ()


def test_a_record_that_is_none_is_refused(pool: ParserPool) -> None:
    with pytest.raises(ProviderFailed, match="odd"):
        read(pool, "forged")


@pytest.mark.parametrize(
    ("provider", "message"),
    [("hanging", "hangs"), ("exiting", "ends the process"), ("raising", "no luck"), ("no", "not installed")],
)
def test_a_plugin_that_can_not_be_imported_is_at_fault(
    pool: ParserPool, monkeypatch: pytest.MonkeyPatch, provider: str, message: str
) -> None:
    assert read(pool, "good") == ()
    monkeypatch.setattr(pools, "IMPORT_SECONDS", 1.0 if provider == "hanging" else 60)
    with pytest.raises(ProviderFailed, match=message):
        pool.list_globs(provider)
    with pytest.raises(ProviderFailed, match=message):
        pool.parse(provider, "x", b"", {})


def test_globs_are_told_by_a_child(pool: ParserPool) -> None:
    assert pool.list_globs("odd") == ("*.odd",)
    assert pool.list_globs("mute") == ()


def test_children_are_used_again_and_replaced(pool: ParserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(pool, "pid")
    assert read(pool, "pid") == first
    monkeypatch.setattr(pools, "RETIRE_BYTES", 3)
    assert read(pool, "pid") == first  # its last
    assert read(pool, "pid") != first


def test_several_threads_share_few_children() -> None:
    before = list_children()
    with ParserPool(2) as pool, ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: read(pool, "pid"), range(40)))
    assert 1 <= len(found) <= 2
    assert list_children() == before


def test_a_child_gets_no_secret_and_imports_nothing_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WUMP_DATABASE_URL", "postgresql://user:secret@host.example/x")
    strange = tmp_path / "strange"
    strange.mkdir()
    for name in ("json", "wump_core", "sitecustomize"):
        (strange / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(strange)
    with ParserPool(1) as pool:
        assert read(pool, "secrets") == ()
        assert not [path for path in read(pool, "modules") if path.startswith(str(tmp_path))]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("what", ["good", "loop", "sleep", "stuck"])
def test_a_killed_parent_leaves_no_child(tmp_path: Path, what: str) -> None:
    started = tmp_path / "started"
    code = f"""if True:
        import psutil, threading
        from wump_worker.parsing import pool as pools
        pools.PATIENCE = {1 if what == "stuck" else 100}
        pool = pools.ParserPool(1)
        pool.parse("odd", "x", b"good", {{}})
        print(*[child.pid for child in psutil.Process().children()], flush=True)
        pool.parse("odd", {str(started)!r}, b"{what}", {{"a": bytes({0 if what == "stuck" else 50_000_000})}})
        threading.Event().wait()
    """
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout
    child = psutil.Process(int(parent.stdout.readline()))
    while not started.exists():
        time.sleep(0.02)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    psutil.wait_procs([child], timeout=20 if what == "stuck" else 5)
    assert not child.is_running()
