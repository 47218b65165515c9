"""The kit can fail: for each standard test a provider that breaks it, and one provider that holds them all."""

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import probe_plugin as plugin
import pytest
from wump_core.testing import ProviderConformance, junk
from wump_core.testing.checking import STANDARD_TESTS
from wump_core.testing.conformance import _load_once
from wump_core.testing.hostile import ABSENCES, FAULTS

pytest_plugins = ["pytester"]


class Kit:
    """Writes the plugin, spoiled or not, and runs standard tests on it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.recordings = folder / "tests" / "recordings"
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, plugin.MODULE, raising=False)

    def judge(self, test: str, *, cases: Any = None) -> str:
        """What a standard test says, over all of its parameters; empty where it holds."""
        probe = type("TestProbe", (ProviderConformance,), {
            "provider": "probe",
            "recordings": self.recordings,
            "cases": plugin.CASES if cases is None else cases,
            "settings": {"key": "a-very-secret-key"},
        })  # fmt: skip
        names = inspect.signature(getattr(probe, test)).parameters
        spread = next((values for name, values in probe._list_parameters().items() if name in names), [None])
        said = []
        for value in spread:
            given = dict.fromkeys(names.keys() - {"self"}, value.values[0] if value else None)
            given |= {"loaded": _load_once(probe)} if "loaded" in names else {}
            given |= {"records": False} if "records" in names else {}
            given |= {"tmp_path": self.folder / "damaged"} if "tmp_path" in names else {}
            try:
                getattr(probe(), test)(**given)
            except pytest.fail.Exception as failure:
                said.append(str(failure))
        return "\n".join(said)


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kit]:
    """Runs standard tests on a plugin that is written first."""
    yield Kit(tmp_path / "plugin", monkeypatch)
    sys.modules.pop(plugin.MODULE, None)


@pytest.mark.parametrize("test", sorted(STANDARD_TESTS))
def test_a_good_provider_passes(kit: Kit, test: str) -> None:
    plugin.write(kit.folder)
    assert kit.judge(test) == ""


FETCHED = "    return read(response.json(), purl.name)\n"
RECORD = '    return PackageRecord(\n        purl=str(make_purl("npm", name)), description=document.get("about"), dependencies=(),\n    )\n'  # noqa: E501
SEARCHED = "    return Page(items=items, next_cursor=following, diagnostics=diagnostics)\n"
HOOK = "@hookimpl\nasync def fetch_package(context, purl):\n"
GET = '    response = await context.http.get(f"{context.settings.base_url}/p/{purl.name}")\n'
PARSED = "    try:\n        document = json.loads(content)\n"

# Which standard test must object, what is spoiled, and a piece of what it says.
BAD: dict[str, tuple[str, dict[str, str], str]] = {
    "imports a database": ("test_import_is_light", {"import json\n": "import json\nimport sqlalchemy\n"}, "sqlalchemy"),
    "writes at import": (
        "test_import_is_light",
        {"import json\n": "import json\nopen(__file__ + '.log', 'w').close()\n"},
        "writing",
    ),
    "asks at import": (
        "test_import_is_light",
        {"import json\n": "import json, socket\nsocket.socket().connect_ex(('127.0.0.1', 9))\n"},
        "socket.connect",
    ),
    "prints at import": ("test_import_is_light", {"import json\n": "import json\nprint('hello')\n"}, "it prints"),
    "goes round the front door": (
        "test_only_the_front_door_is_imported",
        {"import json\n": "import json\nfrom wump_core.records import Record\n"},
        "wump_core.records",
    ),
    "describes itself anew": (
        "test_description_is_pure_and_complete",
        {'title="Probe"': "title=str(__import__('time').time_ns())"},
        "something else the second time",
    ),
    "has an open secret": (
        "test_description_is_pure_and_complete",
        {"    key: SecretStr": "    token: str = Field(default='', description='A token.')\n    key: SecretStr"},
        "token must be a SecretStr",
    ),
    "names no globs": ("test_description_is_pure_and_complete", {'manifests=("probe.json",),': ""}, "globs"),
    "needs what is not there": (
        "test_description_is_pure_and_complete",
        {"settings_class=Settings,": "settings_class=Settings, needs={'fetch_changes': 'feed_url'},"},
        "the settings have no feed_url",
    ),
    "returns no records": (
        "test_record_is_valid",
        {SEARCHED: "    return Page(items=({'name': 'left'},), next_cursor=following)\n"},
        "returned dict instead of PackageRecord",
    ),
    "builds without validating": (
        "test_record_is_valid",
        {RECORD: '    return PackageRecord.model_construct(purl=f"pkg:npm/{name}", description=7, dependencies=())\n'},
        "description",
    ),
    "knows nothing and does not say so": (
        "test_record_is_valid",
        {"dependencies=(),\n    )": "dependencies=None,\n    )"},
        "dependencies_unknown",
    ),
    "claims in its own spelling": (
        "test_record_is_valid",
        {
            "dependencies=(),\n    )": "dependencies=(), repository=RepositoryClaim(host='github.com', path='A/B'))",
            "collect_items,": "collect_items, RepositoryClaim,",
        },
        "not canonical",
    ),
    "takes the wrong error": (
        "test_record_is_valid",
        {"    response.raise_for_status()\n" + FETCHED: "    assert response.status_code < 400\n" + FETCHED},
        "expected NotFound, found ProviderFailed",
    ),
    "changed its mind": (
        "test_record_is_as_kept",
        {'document.get("about")': 'document.get("about", "").upper()'},
        "PADS",
    ),
    "rolls dice": (
        "test_same_recording_same_record",
        {'document.get("about")': "str(__import__('time').time_ns())"},
        "another one",
    ),
    "remembers": (
        "test_same_recording_same_record",
        {HOOK: "seen = []\n\n" + HOOK + "    if seen:\n        return PackageRecord(purl=str(purl), dependencies=())\n",
         FETCHED: "    seen.append(read(response.json(), purl.name))\n    return seen[0]\n"},
        "another one",
    ),
    "asks elsewhere": (
        "test_only_declared_hosts_are_asked",
        {GET: '    try:\n        await context.http.get("https://elsewhere.example/")\n    except InvalidResponse:\n        pass\n' + GET},  # noqa: E501
        "GET https://elsewhere.example/",
    ),
    "opens its own socket": (
        "test_only_declared_hosts_are_asked",
        {GET: "    import socket\n    try:\n        socket.create_connection(('127.0.0.1', 9))\n    except OSError:\n        pass\n" + GET},  # noqa: E501
        "past context.http",
    ),
    "turns in a circle": (
        "test_cursors_end_and_never_repeat",
        {"page = int(cursor or 1)": "page = 1"},
        "came again",
    ),
    "finds what is missing": (
        "test_missing_is_not_found",
        {GET: GET + "    if response.is_error:\n        return PackageRecord(purl=str(purl), dependencies=())\n"},
        "ended in a record, expected NotFound",
    ),
    "overlooks the status": (
        "test_fault_ends_in_its_error",
        {"    response.raise_for_status()\n" + FETCHED: FETCHED},
        "expected Unavailable",
    ),
    "swallows what goes wrong": (
        "test_fault_ends_in_its_error",
        {GET: "    try:\n    " + GET + "        response.raise_for_status()\n    except Exception:\n        return PackageRecord(purl=str(purl), dependencies=())\n"},  # noqa: E501
        "ended in a record",
    ),
    "fails in its own way": (
        "test_fault_ends_in_its_error",
        {"    response.raise_for_status()\n" + FETCHED: "    response.raise_for_status()\n    if 'name' not in response.text:\n        raise KeyError('name')\n" + FETCHED},  # noqa: E501
        "ended in ProviderFailed",
    ),
    "is healthy whatever happens": (
        "test_fault_ends_in_its_error",
        {"ok=response.status_code < 500": "ok=True"},
        "was called healthy",
    ),
    "logs its key": (
        "test_no_secret_leaves",
        {GET: "    context.log.info('asking', key=context.settings.key.get_secret_value())\n" + GET},
        "the log holds a secret",
    ),
    "quotes the upstream": (
        "test_no_secret_leaves",
        {"    response.raise_for_status()\n" + FETCHED: "    if response.is_error:\n        raise InvalidResponse(response.text)\n" + FETCHED},  # noqa: E501
        "the error after 401 with the secret in it",
    ),
    "sends its key in the address": (
        "test_no_secret_leaves",
        {GET: GET.replace('{purl.name}")', '{purl.name}?key={context.settings.key.get_secret_value()}")')},
        "has no answer to GET",
    ),
    "reads the disk while it parses": (
        "test_junk_raises_only_invalid_manifest",
        {PARSED: "    open('/etc/hostname').close()\n" + PARSED},
        "a parser is pure, and this one does open",
    ),
    "lets junk through": (
        "test_junk_raises_only_invalid_manifest",
        {"except (ValueError, KeyError, TypeError, RecursionError):": "except (ValueError, KeyError, RecursionError):"},
        "TypeError",
    ),
    "lets a damaged dump through": (
        "test_damaged_dump_raises_only_invalid_dump",
        {"except (OSError, ValueError, KeyError": "except (OSError, KeyError"},
        "expected InvalidDump",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_bad_provider_fails(kit: Kit, what: str) -> None:
    test, spoiled, said = BAD[what]
    source = plugin.SOURCE
    for old, new in spoiled.items():
        assert old in source
        source = source.replace(old, new)
    plugin.write(kit.folder, source=source)
    assert said in kit.judge(test)


def test_each_fault_is_seen(kit: Kit) -> None:
    swallowing = "    try:\n    " + GET + "        response.raise_for_status()\n    " + FETCHED
    swallowing += "    except Exception:\n        return PackageRecord(purl=str(purl), dependencies=())\n"
    source = plugin.SOURCE.replace(GET + "    response.raise_for_status()\n" + FETCHED, swallowing)
    plugin.write(kit.folder, source=source)
    faults, absences = kit.judge("test_fault_ends_in_its_error"), kit.judge("test_missing_is_not_found")
    assert [fault.name for fault in FAULTS if f"{fault.name} from request 1 (" not in faults] == []
    assert [fault.name for fault in ABSENCES if f"{fault.name} from request 1 (" not in absences] == []


DIRT = {
    "a token": ("ghp_" + "a1B2" * 9, "looks like a token"),
    "a mail address": ("joe.bloggs@company.co", "a mail address"),
    "a password": ("https://joe:hunter2@files.example/x", "looks like a token"),
}


@pytest.mark.parametrize("what", DIRT)
def test_dirty_recordings_fail(kit: Kit, what: str) -> None:
    dirt, said = DIRT[what]
    plugin.write(kit.folder, recordings=plugin.RECORDINGS | {"health_check": [("/", 200, {"ok": dirt})]})
    assert said in kit.judge("test_recordings_are_clean")


def test_a_recording_without_a_case_fails(kit: Kit) -> None:
    plugin.write(kit.folder, recordings=plugin.RECORDINGS | {"forgotten": []})
    assert "forgotten.json belongs to no case" in kit.judge("test_recordings_are_clean")


def test_a_hook_without_a_case_fails(kit: Kit) -> None:
    plugin.write(kit.folder)
    assert "health_check has no case" in kit.judge("test_each_hook_has_a_case", cases=plugin.CASES[:-1])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Requires-Dist: wump-core>=0.1\n", "does not need wump-core"),
        ("License-Expression: Apache-2.0\n", "no licence"),
        ("Requires-Python: >=3.11\n", "which Python"),
    ],
)
def test_a_distribution_that_lacks_something_fails(kit: Kit, line: str, said: str) -> None:
    plugin.write(kit.folder, metadata=plugin.METADATA.replace(line, ""))
    assert said in kit.judge("test_distribution_is_as_announced")


def test_an_unrecorded_request_says_how_to_record_it(kit: Kit) -> None:
    plugin.write(kit.folder)
    (kit.recordings / "fetch_package-npm-left.json").write_text("[]")
    said = kit.judge("test_record_is_valid")
    assert "has no answer to GET https://probe.example/p/left" in said
    assert "--record" in said
    (kit.recordings / "fetch_package-npm-left.json").unlink()
    assert "the hook asks for GET https://probe.example/p/left" in kit.judge("test_record_is_valid")


# The kit can't be weakened without a word.


def test_a_standard_test_can_not_be_overridden() -> None:
    with pytest.raises(TypeError, match="Mine overrides test_no_secret_leaves: standard tests can't be overridden"):
        type("Mine", (ProviderConformance,), {"test_no_secret_leaves": lambda self: None})
    lax = type("Lax", (), {"test_no_secret_leaves": None})
    with pytest.raises(TypeError, match="Lax overrides test_no_secret_leaves"):
        type("Mine", (lax, ProviderConformance), {})


@pytest.mark.parametrize(
    ("excused", "said"),
    [
        ({"test_no_secret_leaves": ""}, "test_no_secret_leaves needs a reason"),
        ({"test_nothing": "there is no such test"}, "no standard test 'test_nothing'"),
        ({"loaded": "it is no test, but a fixture"}, "no standard test 'loaded'"),
    ],
)
def test_an_excuse_needs_a_test_and_a_reason(excused: dict[str, str], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        type("Mine", (ProviderConformance,), {"excused": excused})


@pytest.fixture
def check(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Writes the plugin with a test of its own, and runs that as `wump providers check` does."""

    def check(test: str, *arguments: str, source: str = plugin.SOURCE) -> pytest.RunResult:
        folder = pytester.path / "plugin"
        plugin.write(folder, source=source, test=test)
        pytester.syspathinsert(folder)
        options = ("-p", "wump_core.testing.checking", "-p", "no:cacheprovider")
        return pytester.runpytest_inprocess(*options, *arguments, str(folder / "tests"))

    return check


def test_a_good_provider_passes_as_a_whole(check: Any) -> None:
    result = check(plugin.TEST)
    assert result.ret == 0
    assert "failed" not in result.parseoutcomes()
    assert "left out" not in result.stdout.str()


def test_what_is_replaced_later_is_seen(check: Any) -> None:
    result = check(plugin.TEST + "\n\nTestProbe.test_no_secret_leaves = lambda self: None\n", "-x")
    assert result.ret != 0
    assert "standard tests were replaced: test_no_secret_leaves" in result.stdout.str()


EXCUSING = plugin.TEST + '\n    excused = {"test_missing_is_not_found": "this upstream redirects to a search"}\n'


def test_an_excuse_must_be_needed(check: Any) -> None:
    result = check(EXCUSING, "-k", "test_missing_is_not_found")
    assert result.parseoutcomes()["failed"] == 4
    assert "[XPASS(strict)] this upstream redirects to a search" in result.stdout.str()


def test_an_excuse_is_shown(check: Any) -> None:
    source = plugin.SOURCE.replace(GET, GET + "    if response.status_code in (404, 410):\n        return None\n")
    result = check(EXCUSING, "-k", "test_missing_is_not_found", source=source)
    assert result.parseoutcomes()["xfailed"] == 4
    assert "excused: test_missing_is_not_found[fetch_package-404]: this upstream redirects" in result.stdout.str()


SKIPPING = plugin.TEST.replace("class TestProbe", "@pytest.mark.skip(reason='later')\nclass TestProbe")


@pytest.mark.parametrize(
    ("test", "arguments"),
    [
        (plugin.TEST, ("-k", "test_distribution_is_as_announced")),
        (SKIPPING, ()),
        (plugin.TEST.replace("class TestProbe", "class ProbeTests"), ()),
    ],
    ids=["deselected", "skipped", "not collected"],
)
def test_what_is_left_out_fails_a_check(check: Any, test: str, arguments: tuple[str, ...]) -> None:
    result = check(test, *arguments)
    assert result.ret == 1
    assert "left out: " in result.stdout.str()


def test_each_standard_test_has_a_bad_provider_and_says_what_it_is_about() -> None:
    apart = {"test_distribution_is_as_announced", "test_each_hook_has_a_case", "test_recordings_are_clean"}
    assert {test for test, _, _ in BAD.values()} | apart == STANDARD_TESTS
    assert all(getattr(ProviderConformance, name).__doc__ for name in STANDARD_TESTS)


# Junk that hangs, and junk that eats.

HANGING = plugin.SOURCE.replace(PARSED, "    while not content:\n        pass\n" + PARSED)
EATING = plugin.SOURCE.replace(PARSED, "    if not content:\n        bytearray(8 * 1024**3)\n" + PARSED)
DYING = plugin.SOURCE.replace(PARSED, "    if not content:\n        import os\n        os.abort()\n" + PARSED)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (HANGING, "empty: took more than 1 seconds"),
        (EATING, "empty: probe failed on probe.json: MemoryError"),
        (DYING, "empty: ended the process"),
    ],
    ids=["hangs", "eats", "dies"],
)
def test_junk_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, said: str) -> None:
    if sys.platform != "linux":
        pytest.skip("there are no such limits")
    plugin.write(tmp_path, source=source)
    monkeypatch.syspath_prepend(tmp_path)
    task = {"provider": "probe", "settings": {}, "path": "probe.json", "siblings": [], "seconds": 1}
    found = junk.run(task | {"root": str(tmp_path / "tests" / "recordings" / "manifests")})
    assert any(said in fault for fault in found), found
