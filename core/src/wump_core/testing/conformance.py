"""The conformance kit: a pytest class to subclass. What passes it can be trusted to behave among other plugins.

    class TestLeftPad(ProviderConformance):
        provider = "left-pad"
        recordings = Path(__file__).parent / "recordings"
        cases = [
            Case("fetch_package", purl="npm:left-pad"),
            Case("parse_manifest", path="simple/left-pad.json"),
        ]

Each test's docstring is part of the contract.
"""

import difflib
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest

from wump_core.calls import PAGED_HOOKS
from wump_core.errors import InvalidDump, ProviderFailed, RateLimited, WumpError
from wump_core.hookspecs import ENTRY_POINT_GROUP
from wump_core.manifests import fits
from wump_core.providers import Provider
from wump_core.records import ProviderHealth
from wump_core.testing import hostile, junk
from wump_core.testing.cases import CANARY, Case, Played, load_provider, play, play_dump, play_manifest
from wump_core.testing.importing import list_forbidden_imports, list_import_faults
from wump_core.testing.judging import list_description_faults, list_distribution_faults, list_record_faults
from wump_core.testing.recorder import record_case
from wump_core.testing.recording import MAIL, list_leaks, list_secrets
from wump_core.testing.replay import Exchange, load_exchanges

SINGLE_HOOKS = frozenset({"fetch_package", "fetch_repository", "fetch_tree", "fetch_file", "fetch_organization"})
"""Hooks that fetch one thing, so that a 404 means: there is none."""

_FREE = frozenset({"provider", "recordings", "manifests", "cases", "settings", "excused", "pytestmark"})
_MOST_POSITIONS = 8
HOW_TO_RECORD = "record it with `wump providers check <folder of the plugin> --record`, or write it by hand"


class ProviderConformance:
    """The standard tests of a provider.

    Attributes:
        provider: Name of the entry point.
        recordings: Folder of the recordings, one `<case>.json` each, with what comes out in `<case>.record.json`.
        cases: The calls, at least one for each hook that the plugin implements.
        settings: Settings to play with, where the defaults and `https://registry.example` won't do.
        excused: Reasons by test (`test_x`, or `test_x[case]`) why a standard test does not hold for this upstream.
            Such a test must fail, and its reason is shown.
    """

    provider: ClassVar[str]
    recordings: ClassVar[Path]
    cases: ClassVar[Sequence[Case]] = ()
    settings: ClassVar[Mapping[str, Any]] = {}
    excused: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        standard = {name for name in vars(ProviderConformance) if not name.startswith("__")} - _FREE
        for base in cls.__mro__[: cls.__mro__.index(ProviderConformance)]:
            if overridden := sorted(standard & set(vars(base))):
                raise TypeError(
                    f"{base.__name__} overrides {', '.join(overridden)}: standard tests can't be overridden. Where one"
                    f" can't hold, say why: excused = {{{overridden[0]!r}: 'the reason'}}"
                )
        for name, reason in cls.excused.items():
            if name.partition("[")[0] not in standard or not name.startswith("test_"):
                raise TypeError(f"{cls.__name__}.excused: there is no standard test {name!r}")
            if not isinstance(reason, str) or len(reason.strip()) < 10:
                raise TypeError(f"{cls.__name__}.excused: {name} needs a reason that others understand")
        names = [case.id for case in cls.cases]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise TypeError(f"{cls.__name__}.cases: several are called {', '.join(twice)}: give them a name=")

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        """Spread the tests over the cases."""
        for argument, values in cls._list_parameters().items():
            if argument in metafunc.fixturenames:
                metafunc.parametrize(argument, values)

    @classmethod
    def _list_parameters(cls) -> dict[str, list[Any]]:
        asking = [case for case in cls.cases if not case.is_manifest and not case.is_dump]
        # The first good case of each hook shows how it takes bad days.
        typical = list({case.hook: case for case in reversed(asking) if case.raises is None}.values())[::-1]
        single = [case for case in typical if case.hook in SINGLE_HOOKS]
        return {
            "case": [pytest.param(case, id=case.id) for case in cls.cases],
            "asking": [pytest.param(case, id=case.id) for case in asking],
            "paged": [
                pytest.param(case, id=case.id) for case in asking if case.hook in PAGED_HOOKS and not case.raises
            ],
            "manifest": [
                pytest.param(case, id=case.id) for case in cls.cases if case.is_manifest and case.raises is None
            ],
            "dump": [pytest.param(case, id=case.id) for case in cls.cases if case.is_dump and case.raises is None],
            "missing": _cross(single, hostile.ABSENCES),
            "faulty": _cross(typical, hostile.FAULTS),
        }

    @pytest.fixture
    def loaded(self) -> Provider:
        """The provider, loaded as wump loads it, with the settings to play with."""
        try:
            return _load_once(type(self))
        except WumpError as error:
            pytest.fail(str(error), pytrace=False)

    @pytest.fixture(autouse=True)
    def _excuse(self, request: pytest.FixtureRequest) -> None:
        standard = {name: item for name, item in vars(ProviderConformance).items() if name.startswith("test_")}
        if replaced := [name for name, item in standard.items() if getattr(type(self), name, None) is not item]:
            pytest.fail(f"standard tests were replaced: {', '.join(replaced)}", pytrace=False)
        for name in (request.node.name, getattr(request.node, "originalname", "")):
            if name in self.excused:
                request.applymarker(pytest.mark.xfail(reason=self.excused[name], strict=True))

    @pytest.fixture
    def records(self, request: pytest.FixtureRequest) -> bool:
        """Whether what is missing is recorded."""
        return bool(request.config.getoption("wump_record", default=False))

    # The distribution.

    def test_distribution_is_as_announced(self) -> None:
        """One distribution `wump-provider-<name>` announces the provider; it needs wump-core, and has a licence."""
        entries = [
            item for item in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP) if item.name == self.provider
        ]
        if len(entries) != 1:
            _fail([f"{len(entries)} distributions announce {self.provider} in {ENTRY_POINT_GROUP}: expected one"])
        _fail(list_distribution_faults(entries[0]))

    def test_import_is_light(self) -> None:
        """Importing loads no database, broker or web framework, does no input or output, starts and prints nothing."""
        _fail(list_import_faults(self._module()))

    def test_only_the_front_door_is_imported(self) -> None:
        """The source imports `wump_core` itself, none of its modules, and neither wump's other parts nor plugins."""
        _fail(list_forbidden_imports(self._module()))

    def test_description_is_pure_and_complete(self, loaded: Provider) -> None:
        """`describe_provider` gives the same each time and all that an operator needs; secrets are `SecretStr`."""
        _fail(list_description_faults(loaded))

    def test_each_hook_has_a_case(self, loaded: Provider) -> None:
        """Every hook that is implemented is played at least once to a good end."""
        have = {case.hook for case in self.cases if case.raises is None}
        lacking = sorted(loaded.capabilities - have)
        surplus = sorted({case.hook for case in self.cases} - loaded.capabilities)
        _fail(
            [
                *(f"{hook} has no case: add Case({hook!r}, …)" for hook in lacking),
                *(f"{hook} has a case, and is not implemented" for hook in surplus),
            ]
        )

    def test_recordings_are_clean(self) -> None:
        """Recordings hold no secret, no mail address, no registry's host, and each belongs to a case."""
        if not self.recordings.is_dir():
            return
        known = {f"{case.id}.json" for case in self.cases} | {f"{case.id}.record.json" for case in self.cases}
        files = sorted(path for path in self.recordings.rglob("*") if path.is_file())
        faults = [
            f"{path.name} belongs to no case" for path in self.recordings.glob("*.json") if path.name not in known
        ]
        for path in files:
            faults += [f"{path.name} holds {leak}" for leak in list_leaks(path.read_text("utf-8", errors="replace"))]
        _fail(faults)

    # Records.

    def test_record_is_valid(self, loaded: Provider, case: Case, records: bool) -> None:
        """Each case ends in a valid, canonical record about what was asked for, or in the error that it names."""
        played = self._play(loaded, case, records=records)
        if case.raises is not None:
            found = type(played.error).__name__ if played.error else "a record"
            _fail([] if type(played.error) is case.raises else [f"expected {case.raises.__name__}, found {found}"])
            return
        _raise_on_error(case, played)
        _fail([fault for page in played.pages for fault in list_record_faults(loaded, case, page)])

    def test_record_is_as_kept(self, loaded: Provider, case: Case, records: bool) -> None:
        """The record is the one that is kept beside the recording."""
        if case.raises is not None:
            return
        played = self._play(loaded, case, records=records)
        _raise_on_error(case, played)
        found = json.dumps(played.dump(case), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        path = self.recordings / f"{case.id}.record.json"
        if not path.exists() and records:
            path.write_text(found, "utf-8")
        if not path.exists():
            _fail([f"{path.name} is not there: {HOW_TO_RECORD}"])
        kept = path.read_text("utf-8")
        if json.loads(kept) != json.loads(found):
            lines = difflib.unified_diff(kept.splitlines(), found.splitlines(), path.name, "found", lineterm="", n=2)
            hint = f"if the new one is right, delete {path.name} and {HOW_TO_RECORD.partition(',')[0]}"
            _fail([hint, *list(lines)[:80]])

    def test_same_recording_same_record(self, loaded: Provider, case: Case, records: bool) -> None:
        """Playing a case again gives the same record: nothing is kept between calls, no clock, no dice."""
        first, second = (self._play(loaded, case, records=records) for _ in range(2))
        if (str(first.error), first.pages) != (str(second.error), second.pages):
            _fail(["the second time the result was another one"])
        if first.asked != second.asked:
            _fail([f"asked {first.asked} at first, then {second.asked}"])

    # Manners.

    def test_only_declared_hosts_are_asked(self, loaded: Provider, case: Case, records: bool) -> None:
        """Requests go through `context.http` alone, to hosts that the settings name; parsing opens no socket."""
        played = self._play(loaded, case, records=records)
        _fail(
            [
                *(f"{line}: the host is in no setting, neither `base_url` nor `hosts`" for line in played.undeclared),
                *(f"a socket was opened for {item}, past context.http" for item in played.sockets),
            ]
        )

    def test_cursors_end_and_never_repeat(self, loaded: Provider, paged: Case, records: bool) -> None:
        """Each page's cursor is a new one, and the last page has none; a feed of changes always has one."""
        played = self._play(loaded, paged, records=records)
        _raise_on_error(paged, played)
        cursors = [page.next_cursor for page in played.pages]
        given = [paged.arguments["cursor"], *cursors]
        if paged.hook == "fetch_changes":
            repeated = [
                page
                for page, before in zip(played.pages, given, strict=False)
                if page.items and page.next_cursor == before
            ]
            _fail(["a page with changes has the cursor that it was asked with"] if repeated else [])
            return
        known = [cursor for cursor in given if cursor is not None]
        if len(set(known)) < len(known):
            _fail([f"a cursor came again: {known}"])
        if cursors[-1] is not None:
            _fail([f"there was no end after {len(cursors)} pages: choose a smaller question"])

    def test_missing_is_not_found(self, loaded: Provider, missing: tuple[Case, hostile.Fault], records: bool) -> None:
        """Where the upstream answers 404 or 410 to everything, a hook that fetches one thing ends in `NotFound`."""
        self._play_fault(loaded, *missing, records=records)

    def test_fault_ends_in_its_error(self, loaded: Provider, faulty: tuple[Case, hostile.Fault], records: bool) -> None:
        """Each fault ends in its own error, whichever request it hits.

        401 and 403: `CredentialsRejected`. 429: `RateLimited`. 5xx, timeout, no connection: `Unavailable`. A page for
        people, half a body, too large a body: `InvalidResponse`. From the second request on a hook may instead make
        do with what it has; a health check says that it is not healthy.
        """
        self._play_fault(loaded, *faulty, records=records)

    def test_no_secret_leaves(self, loaded: Provider, asking: Case, records: bool) -> None:
        """No secret setting and no mail address is in a record, log or error, even if the upstream sends it back."""
        secrets = [secret for values in list_secrets(loaded.settings).values() for secret in values] or [CANARY]
        played = self._play(loaded, asking, records=records)
        told = {"the record": repr(played.pages), "the log": played.printed, "the error": repr(played.error)}
        exchanges = self._load(loaded, asking, records=records)
        for fault in hostile.list_echoes(secrets[0]):
            echoed = play(loaded, asking, exchanges, fault=fault.answer)
            told |= {f"the error after {fault.name}": repr(echoed.error), f"the log after {fault.name}": echoed.printed}
        faults = [f"{where} holds a secret setting" for where, text in told.items() if any(s in text for s in secrets)]
        faults += [f"{where} holds a mail address" for where, text in told.items() if MAIL in text]
        _fail(faults)

    # Manifests.

    def test_junk_raises_only_invalid_manifest(self, loaded: Provider, manifest: Case) -> None:
        """Junk of any kind is read or refused with `InvalidManifest`, within 20 seconds and 2 GiB a piece.

        Nothing is opened meanwhile: a parser is pure.
        """
        root = self.recordings / "manifests"
        record = play_manifest(loaded, manifest, root).pages[0]
        siblings = sorted(
            path.relative_to(root).as_posix() for need in record.needs for path in root.glob(need) if path.is_file()
        )
        task = {
            "provider": self.provider,
            "settings": dict(self.settings),
            "root": str(root),
            "path": manifest.path,
            "siblings": siblings,
        }
        _fail(junk.run(task))

    # Dumps.

    def test_damaged_dump_raises_only_invalid_dump(self, loaded: Provider, dump: Case, tmp_path: Path) -> None:
        """A dump whose files are cut, spoiled, emptied or gone is read, or ends in `InvalidDump`, whatever it is."""
        faults = []
        for number, (name, damaged) in enumerate(hostile.damage_dump(self.recordings / "dumps" / dump.path)):
            path = hostile.write_dump(tmp_path / str(number), damaged, dump.path)
            error = play_dump(loaded, path).error
            if error is not None and not isinstance(error, InvalidDump):
                faults.append(f"{name}: ended in {type(error).__name__} ({error}), expected InvalidDump")
        _fail(faults)

    # How.

    def _module(self) -> str:
        return f"wump_provider_{self.provider.replace('-', '_')}"

    def _play(self, provider: Provider, case: Case, *, records: bool) -> Played:
        if case.is_manifest:
            root = self.recordings / "manifests"
            if not (root / case.path).is_file():
                _fail([f"{root / case.path} is not there: put the file to parse there"])
            if not fits(provider.info.manifests, case.path):
                _fail([f"{case.path} fits none of the globs that describe_provider names"])
            return play_manifest(provider, case, root)
        if case.is_dump:
            path = self.recordings / "dumps" / case.path
            if not path.exists():
                _fail([f"{path} is not there: put a small dump there, a file or a folder"])
            return play_dump(provider, path)
        played = play(provider, case, self._load(provider, case, records=records))
        if played.unrecorded:
            _fail([f"{case.id}.json has no answer to {played.unrecorded[0]}", HOW_TO_RECORD])
        return played

    def _load(self, provider: Provider, case: Case, *, records: bool) -> list[Exchange]:
        path = self.recordings / f"{case.id}.json"
        refusal = _record_once(type(self), case, path) if records and not path.exists() else None
        if refusal is not None:
            _fail([f"{case.id} can't be recorded: {refusal}"])
        if not path.exists():
            asked = play(provider, case, []).unrecorded or ["nothing"]
            _fail([f"{path} is not there; the hook asks for {asked[0]}", HOW_TO_RECORD])
        exchanges, fault = _load_or_object(path)
        _fail([fault] if fault else [])
        return exchanges

    def _play_fault(self, provider: Provider, case: Case, fault: hostile.Fault, *, records: bool) -> None:
        exchanges = self._load(provider, case, records=records)
        asked = play(provider, case, exchanges).asked
        faults = []
        for position in range(min(len(asked), _MOST_POSITIONS)):
            played = play(provider, case, exchanges, fault=fault.answer, fault_from=position)
            if objection := _object(provider, case, fault, played, first=position == 0):
                faults.append(f"{fault.name} from request {position + 1} ({asked[position]}) on: {objection}")
        _fail(faults)


@cache
def _record_once(tested: type[ProviderConformance], case: Case, path: Path) -> str | None:
    """Why it could not be recorded; the upstream is asked once, however many tests want to know."""
    try:
        record_case(_load_once(tested), case, path)
    except WumpError as error:
        return str(error)
    return None


def _load_or_object(path: Path) -> tuple[list[Exchange], str]:
    try:
        return load_exchanges(path), ""
    except ValueError as error:
        return [], str(error)


@cache
def _load_once(tested: type[ProviderConformance]) -> Provider:
    return load_provider(tested.provider, tested.settings)


def _object(provider: Provider, case: Case, fault: hostile.Fault, played: Played, *, first: bool) -> str | None:
    """What is wrong with how a hook took a fault; null: nothing."""
    if case.hook == "health_check":
        healthy = played.pages and isinstance(played.pages[0], ProviderHealth) and played.pages[0].ok
        return "was called healthy" if healthy and fault.name in hostile.OUTAGES else None
    expected = " or ".join(kind.__name__ for kind in fault.errors)
    error = played.error
    if isinstance(error, RateLimited) and error.retry_at is None:
        return "RateLimited does not say when to ask again"
    if error is not None:
        # Behind the first request, a 404 may mean several things.
        is_absence = fault in hostile.ABSENCES and not first and not isinstance(error, ProviderFailed)
        if isinstance(error, fault.errors) or is_absence:
            return None
        return f"ended in {type(error).__name__} ({error}), expected {expected}"
    bytes_alone = fault.damages_body and isinstance(played.pages[-1], bytes)
    if first and not bytes_alone:
        return f"ended in a record, expected {expected}"
    return next((item for page in played.pages for item in list_record_faults(provider, case, page)), None)


def _cross(cases: Sequence[Case], faults: Sequence[hostile.Fault]) -> list[Any]:
    return [pytest.param((case, fault), id=f"{case.hook}-{fault.name}") for case in cases for fault in faults]


def _raise_on_error(case: Case, played: Played) -> None:
    if played.error is not None:
        _fail([f"{case.id} ended in {type(played.error).__name__}: {played.error}"])


def _fail(faults: Sequence[str]) -> None:
    """Fail with these faults, where there are any."""
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)
