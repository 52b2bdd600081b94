"""images.lock: text ↔ values, and whether it fits the catalog."""

from contextlib import suppress
from dataclasses import replace

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from tests.projects import (
    ARM64,
    CATALOG,
    CREATED,
    base_digest,
    digest,
    lock_of,
    locked_unit,
    rendered,
    unit,
    units,
)
from toolkit.bases import LockedPackage
from toolkit.errors import ExitCode, LockInvalid
from toolkit.lock import (
    Folder,
    Lock,
    LockedBase,
    LockedDownload,
    LockedUnit,
    UnlockedBase,
    base_inputs_digest,
    format_lock,
    get_base_row,
    get_locked,
    get_locked_base,
    inputs_digest,
    lookup_locked_base,
    parse_lock,
)
from toolkit.lock.written import read_written
from toolkit.oci import Architecture, Reference
from toolkit.render import BaseIdentity, require_locked

SERVING = ("starlette>=0.49",)
LIBC = LockedPackage(name="libc6", version="2.31-13+deb11u11", architecture="arm64", sha256="a" * 64)
WHEEL = LockedDownload(
    folder=Folder.WHEELS, name="mxnet_eia-1.7.0-py3-none-any.whl", sha256="b" * 64, url="https://eia.test/a?b"
)
LOCK = Lock(
    bases={
        "debian11": {
            Architecture.ARM64: LockedBase(inputs="3" * 16, digest=digest(1), packages=(LIBC,)),
            Architecture.AMD64: LockedBase(inputs="3" * 16, digest=digest(2)),
        },
        "ubuntu20.04": {Architecture.AMD64: UnlockedBase(inputs="4" * 16, reason="it does not answer")},
    },
    units={
        "b-arm64": LockedUnit(
            inputs="1" * 16,
            created="2026-11-21T08:15:00Z",
            requirements=("a==1 --hash=x",),
            downloads=(WHEEL,),
        ),
        "a-amd64": LockedUnit(
            inputs="2" * 16, created="2026-11-21T08:15:00Z", unlocked='no "route" to\nhost – ü'
        ),
    },
)
ANY_TEXT = st.text(st.characters(codec="utf-8"))
ANY_UNIT = st.builds(
    LockedUnit, inputs=ANY_TEXT, created=st.just(CREATED), requirements=st.lists(ANY_TEXT).map(tuple)
)
ANY_REASON = st.builds(LockedUnit, inputs=ANY_TEXT, created=st.just(CREATED), unlocked=ANY_TEXT.filter(bool))


def test_a_written_lock_is_read_back_as_it_was() -> None:
    assert parse_lock(format_lock(LOCK)) == LOCK


@given(st.dictionaries(ANY_TEXT, ANY_UNIT | ANY_REASON, max_size=3))
def test_whatever_texts_it_holds_a_lock_is_read_back_as_it_was(rows: dict[str, LockedUnit]) -> None:
    assert parse_lock(format_lock(Lock(units=rows))).units == rows


def test_the_same_lock_gives_the_same_bytes_whatever_the_order_it_was_made_in() -> None:
    again = Lock(
        bases={name: dict(reversed(list(rows.items()))) for name, rows in LOCK.bases.items()},
        units=dict(reversed(list(LOCK.units.items()))),
    )
    assert format_lock(again) == format_lock(LOCK)


def test_the_file_is_one_fact_to_a_line_so_that_a_change_is_a_small_diff() -> None:
    before = format_lock(lock_of(units())).splitlines()
    changed = lock_of(units()).with_unit(ARM64, locked_unit(unit(), requirements=("torch==1.12.2 --hash=x",)))
    after = format_lock(changed).splitlines()
    assert sorted(set(after) - set(before)) == ['  "torch==1.12.2 --hash=x",']


def test_a_lock_is_text_for_any_toml_reader() -> None:
    text = format_lock(LOCK)
    assert text.startswith("# Written by `toolkit lock`.")
    head = f'[bases."debian11".arm64]\ninputs = "{"3" * 16}"\ndigest = "{digest(1)}"\n'
    assert f'{head}packages = [\n  "{LIBC}",\n]' in text


def test_adding_a_row_leaves_the_others_alone() -> None:
    more = LOCK.with_unit("c", locked_unit(unit())).with_base("debian12", {})
    assert more.units.keys() == {"a-amd64", "b-arm64", "c"}
    assert more.bases.keys() == {"debian11", "debian12", "ubuntu20.04"}
    assert more.units["b-arm64"] == LOCK.units["b-arm64"]


PLAIN_ROWS = {
    name: LockedUnit(
        inputs=name[0] * 16,
        created=CREATED,
        requirements=("a==1 --hash=x", "b==2 --hash=y [z]"),
        downloads=(WHEEL,),
    )
    for name in ("a-amd64", "a-arm64", "b-arm64")
}
WRITTEN = format_lock(replace(LOCK, keys={"https://keys.test/a": "c" * 64}, units=PLAIN_ROWS))
LINES = [
    *WRITTEN.splitlines(keepends=True),
    *("<<<<<<< HEAD\n", "[units]\n", '["requirements"]\n', "units.a = 1\n"),
]


def by_any_reader(text: str) -> dict[str, object] | None:
    try:
        return tomli.loads(text)
    except ValueError:
        return None


def test_what_the_toolkit_wrote_is_read_without_a_reader_of_all_of_toml() -> None:
    assert read_written(WRITTEN) == tomli.loads(WRITTEN)


@given(st.dictionaries(ANY_TEXT, ANY_UNIT | ANY_REASON, max_size=3))
def test_what_the_toolkit_wrote_says_what_toml_says(rows: dict[str, LockedUnit]) -> None:
    text = format_lock(Lock(units=rows))
    assert read_written(text) in (None, tomli.loads(text))


@given(
    st.integers(0, len(WRITTEN)),
    st.integers(0, 40),
    st.text(st.sampled_from("\"\\\n[]=,# \t\x7f\r'aü."), max_size=4),
)
def test_what_is_changed_by_hand_says_what_toml_says(at: int, removed: int, added: str) -> None:
    text = WRITTEN[:at] + added + WRITTEN[at + removed :]
    assert read_written(text) in (None, by_any_reader(text))


@given(st.integers(0, len(LINES)), st.lists(st.sampled_from(LINES), max_size=5), st.integers(0, 5))
def test_what_is_merged_line_by_line_says_what_toml_says(at: int, added: list[str], removed: int) -> None:
    text = "".join([*LINES[:at], *added, *LINES[at + removed : -4]])
    assert read_written(text) in (None, by_any_reader(text))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n", "\r\n"),
        ("a==1", "a==1\t"),
        ("a==1", "\\u0061==1"),
        ('"a==1 --hash=x",', "'a==1 --hash=x',"),
        ('"a==1 --hash=x",', '"a==1 --hash=x", # "b",'),
        ('\n  "a==1 --hash=x",', ' "a==1 --hash=x",'),
        ("\n[requirements]\n", "\n[requirements]\n[requirements]\n"),
        ('[units."a-arm64"]', '[units."a-amd64"]'),
        ("[keys]", "[units.c]\ninputs = 'i'\n[keys]"),
        ("[keys]", "'''\n[keys]"),
    ],
)
def test_another_spelling_is_left_to_a_reader_of_all_of_toml(old: str, new: str) -> None:
    assert old in WRITTEN
    assert read_written(WRITTEN.replace(old, new)) is None


def test_units_that_asked_for_the_same_share_one_set_in_the_file_and_in_memory() -> None:
    row = LockedUnit(inputs="5" * 16, created=CREATED, requirements=("torch==1 --hash=x",))
    text = format_lock(Lock(units={"a-eks-arm64": row, "a-sagemaker-arm64": row, "a-z": row}))
    assert text.count("torch==1") == 1
    assert '# "a-eks-arm64" and 2 more' in text
    read = parse_lock(text).units
    assert read["a-eks-arm64"].requirements is read["a-sagemaker-arm64"].requirements


def test_units_that_asked_for_the_same_at_other_times_keep_their_own_answers() -> None:
    rows = {
        name: LockedUnit(inputs="5" * 16, created=CREATED, requirements=(f"torch=={name} --hash=x",))
        for name in "123"
    }
    assert parse_lock(format_lock(Lock(units=rows))).units == rows


def test_a_lock_of_another_version_names_both_versions() -> None:
    with pytest.raises(LockInvalid) as caught:
        parse_lock(format_lock(LOCK).replace("version = 2", "version = 7"))
    assert caught.value.message == "images.lock has version 7, this toolkit reads 2"
    assert "toolkit lock '*'" in caught.value.remedy
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    "text",
    [
        "}{",
        "version = 2\n<<<<<<< HEAD\n",
        "units = 3",
        "bases = []",
        "[units.x]\ninputs = 'i'",
        "[units]\nx = 3",
        "[units.x]\ninputs = 'i'\ncreated = 'c'\nrequirements = 3",
        "[units.x]\ninputs = 'i'\ncreated = '2026-11-21T08:15:00Z'\nrequirements = 'gone'",
        "[requirements]\nx = 3",
        f"[downloads]\nx = ['wheels/../a.whl sha256:{'b' * 64} https://eia.test/a']",
        f"[downloads]\nx = ['/a.whl sha256:{'b' * 64} https://eia.test/a']",
        f"[downloads]\nx = ['files/a sha256:{'b' * 64} file:///etc/passwd']",
        "[units.x]\ninputs = 1\ncreated = 'c'",
        "[units.x]\ninputs = 'i'\ncreated = 2026-11-21T08:15:00Z",
        "[units.x]\ninputs = 'i'\ncreated = 'yesterday'",
        "[units.x]\ninputs = 'i'\ncreated = 'c'\nrequirements = 'torch'",
        "[units.x]\ninputs = 'i'\ncreated = 'c'\nrequirements = [3]",
        "[units.x]\ninputs = 'i'\ncreated = 'c'\nunlocked = true",
        "[bases.x.arm64]\ninputs = 'i'\ndigest = 'sha256:short'",
        "[bases.x.arm64]\ninputs = 'i'\ndigest = 3",
        "[bases.x.armv64]\ninputs = 'i'\ndigest = ''",
        f"[bases.x.arm64]\ninputs = 'i'\ndigest = '{digest(1)}'\npackages = ['libc6']",
    ],
)
def test_text_that_is_no_lock_says_so_and_how_to_get_one(text: str) -> None:
    with pytest.raises(LockInvalid, match=r"images\.lock cannot be read: ") as caught:
        parse_lock(text)
    assert "toolkit lock '*'" in caught.value.remedy


@given(st.text(max_size=60))
def test_any_text_is_a_lock_or_lock_invalid(text: str) -> None:
    with suppress(LockInvalid):
        assert isinstance(parse_lock(text), Lock)


def test_a_unit_without_a_row_names_the_row_and_the_command() -> None:
    with pytest.raises(LockInvalid) as caught:
        get_locked(Lock(), unit(), SERVING)
    assert caught.value.message == f"images.lock has no entry for {ARM64}"
    assert caught.value.remedy == f"Run: toolkit lock '{ARM64}'"


def test_a_row_that_fits_is_handed_out() -> None:
    row = locked_unit(unit())
    assert get_locked(Lock(units={ARM64: row}), unit(), SERVING) is row


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("torch=={version}", "torch>={version}"),
        ("numpy==1.23.5", "numpy==1.23.4"),
        ('glibc = "2.31"', 'glibc = "2.36"'),
    ],
)
def test_a_row_that_does_not_fit_names_the_line_of_the_catalog_and_the_command(old: str, new: str) -> None:
    changed = unit(ARM64, CATALOG.replace(old, new))
    with pytest.raises(LockInvalid) as caught:
        get_locked(lock_of(units()), changed, SERVING)
    assert f"images.toml:{changed.image.line}: " in caught.value.message
    assert ARM64 in caught.value.message
    assert caught.value.remedy == f"Run: toolkit lock '{ARM64}'"


def test_a_new_need_of_the_serving_runtime_unfits_the_lock() -> None:
    with pytest.raises(LockInvalid):
        get_locked(lock_of(units()), unit(), (*SERVING, "uvicorn"))


def test_the_order_in_which_requirements_are_asked_for_does_not_unfit_a_lock() -> None:
    shuffled = CATALOG.replace('"numpy==1.23.5", "torch=={version}"', '"torch=={version}", "numpy==1.23.5"')
    assert inputs_digest(unit(ARM64, shuffled), SERVING) == inputs_digest(unit(), SERVING)


def test_a_title_does_not_unfit_a_lock() -> None:
    titled = CATALOG.replace("PyTorch inference", "Another title")
    assert inputs_digest(unit(ARM64, titled), SERVING) == inputs_digest(unit(), SERVING)


def test_a_base_that_is_locked_is_handed_out() -> None:
    base = unit().base
    assert get_locked_base(lock_of(units()), base, Architecture.ARM64).digest == base_digest(
        Architecture.ARM64
    )


@pytest.mark.parametrize("lock", [Lock(), LOCK], ids=["no entry", "an entry of another recipe"])
def test_a_base_that_is_not_locked_as_it_is_names_base_architecture_and_command(lock: Lock) -> None:
    base = unit().base
    assert lookup_locked_base(lock, base, Architecture.ARM64) is None
    with pytest.raises(LockInvalid) as caught:
        get_locked_base(lock, base, Architecture.ARM64)
    assert "no base debian11 for arm64" in caught.value.message
    assert f"images.toml:{base.line}" in caught.value.message
    assert caught.value.remedy == "Run: toolkit lock"


UNLOCKED_BASE = Lock(
    bases={
        "debian11": {
            Architecture.ARM64: UnlockedBase(
                inputs=base_inputs_digest(unit().base), reason="the mirror does not answer"
            )
        }
    }
)


def test_a_base_that_is_unlocked_is_refused_with_the_reason_and_the_command() -> None:
    base = unit().base
    assert lookup_locked_base(UNLOCKED_BASE, base, Architecture.ARM64) is None
    assert (
        get_base_row(UNLOCKED_BASE, base, Architecture.ARM64)
        is (UNLOCKED_BASE.bases["debian11"][Architecture.ARM64])
    )
    with pytest.raises(LockInvalid) as caught:
        get_locked_base(UNLOCKED_BASE, base, Architecture.ARM64)
    assert caught.value.message == (
        f"base debian11 (images.toml:{base.line}) is unlocked for arm64: the mirror does not answer"
    )
    assert "toolkit lock" in caught.value.remedy


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ('"libc6", "python3-minimal"', '"python3-minimal", "libc6"', True),
        ('"libc6", "python3-minimal"', '"libc6"', False),
        ('suite = "bullseye"', 'suite = "bookworm"', False),
        ('glibc = "2.31"', 'glibc = "2.36"', True),
    ],
)
def test_a_base_fits_as_long_as_suite_and_packages_are_the_same(old: str, new: str, same: bool) -> None:
    other = unit(ARM64, CATALOG.replace(old, new)).base
    assert (base_inputs_digest(other) == base_inputs_digest(unit().base)) is same


def test_a_base_of_a_registry_fits_as_long_as_its_reference_is_the_same() -> None:
    one = replace(unit().base, origin=Reference.parse("mirror.example/debian:11"))
    other = replace(unit().base, origin=Reference.parse("mirror.example/debian:12"))
    assert base_inputs_digest(one) != base_inputs_digest(other)


def test_an_unlocked_row_renders_but_is_refused_by_builds_with_its_reason() -> None:
    reason = "https://mirror.example cannot be reached"
    unlocked = rendered(unit(), locked=locked_unit(unit(), unlocked=reason))
    assert unlocked.unlocked == reason
    with pytest.raises(LockInvalid) as caught:
        require_locked([rendered(unit()), unlocked])
    assert caught.value.message == f"{ARM64} is unlocked: {reason}"
    assert f"toolkit lock '{ARM64}'" in caught.value.remedy


def test_a_unit_on_an_unlocked_base_renders_without_a_pin_and_is_refused_by_builds() -> None:
    base = BaseIdentity(reference="public.ecr.aws/ubuntu:20.04", digest="", unlocked="it does not answer")
    made = rendered(unit(), base=base)
    assert "FROM public.ecr.aws/ubuntu:20.04\n" in made.dockerfile
    assert "org.opencontainers.image.base.digest" not in made.labels
    with pytest.raises(LockInvalid, match="is unlocked: it does not answer"):
        require_locked([made])


def test_downloads_are_inputs_of_the_build_id_by_what_they_are_and_not_where_they_come_from() -> None:
    def build_id(*downloads: LockedDownload) -> str:
        return rendered(unit(), locked=replace(locked_unit(unit()), downloads=downloads)).build_id

    one = build_id(WHEEL)
    assert len({one, build_id(), build_id(replace(WHEEL, sha256="c" * 64))}) == 3
    assert build_id(replace(WHEEL, url="https://elsewhere.test/a")) == one
