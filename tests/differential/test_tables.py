"""The tables of AWS images are what `make data` makes of the locked packages."""

from pathlib import Path

import pytest

from scripts import data_uris


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return data_uris.tables()


def test_the_tables_are_those_of_the_locked_packages(made: dict[str, str]) -> None:
    stale = [name for name, text in made.items() if (data_uris.DATA / name).read_text() != text]
    assert stale == [], "run make data"


def test_all_installed_data_is_less_than_a_megabyte() -> None:
    sizes = {path.name: path.stat().st_size for path in Path(data_uris.DATA).iterdir()}
    assert sum(sizes.values()) < 1_000_000, sizes
