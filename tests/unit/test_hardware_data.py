"""The tables of instance types are those of the packages that are locked, and contradictions are told."""

from typing import Any

import pytest

from scripts import data_instances
from scripts.data_instances import (
    TABLES,
    Device,
    FamilyRow,
    TypeRow,
    add_unlisted,
    day_read,
    device_of,
    generated,
    machine_of,
    type_order,
)
from toolkit.hardware import get_family

FAMILIES = "instance_families.tsv"


def test_the_tables_are_what_make_data_writes_from_the_locked_packages() -> None:
    before = (TABLES / FAMILIES).read_text(encoding="utf-8")
    for name, text in generated(before, "2000-01-01").items():
        assert (TABLES / name).read_text(encoding="utf-8") == text, f"{name} is stale: run `make data`"


def test_the_tables_are_small_and_have_one_row_per_line() -> None:
    for name, columns in ((FAMILIES, 5), ("instance_types.tsv", 6)):
        text = (TABLES / name).read_text(encoding="utf-8")
        rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
        assert {len(row) for row in rows} == {columns}
        assert len({row[0] for row in rows}) == len(rows)
        assert len(text) < 60_000


def test_the_day_stays_while_the_packages_are_the_same_and_is_today_for_others() -> None:
    before = (TABLES / FAMILIES).read_text(encoding="utf-8")
    assert day_read(before, "2030-01-01") == get_family("c7g").source.date
    assert day_read(before.replace("in moto ", "in moto 0."), "2030-01-01") == "2030-01-01"
    assert day_read("", "2030-01-01") == "2030-01-01"


def test_sizes_are_in_order_from_small_to_large() -> None:
    names = ["c7g.metal", "c7g.xlarge", "c7g.16xlarge", "c7g.medium", "c7g.2xlarge", "c7g.large"]
    assert sorted(names, key=type_order) == [
        *("c7g.medium", "c7g.large", "c7g.xlarge", "c7g.2xlarge", "c7g.16xlarge", "c7g.metal"),
    ]


def neuron(version: int) -> dict[str, Any]:
    device = {"Count": 4, "Name": "Chip", "CoreInfo": {"Count": 2, "Version": version}}
    return {"NeuronInfo": {"NeuronDevices": [device], "TotalNeuronDeviceMemoryInMiB": 1024}}


def test_the_version_of_its_cores_says_which_neuron_a_device_needs() -> None:
    assert device_of(neuron(1)) == Device(what="neuron AWS Chip", count=4, memory_mib=1024)
    assert device_of(neuron(2)).what == "neuronx AWS Chip"
    assert device_of(neuron(4)).what == "neuronx AWS Chip"
    assert device_of({}) == Device()


def test_a_machine_that_boots_two_architectures_is_not_guessed_at() -> None:
    assert machine_of({"ProcessorInfo": {"SupportedArchitectures": ["i386", "x86_64"]}}) == ("amd64", "linux")
    with pytest.raises(ValueError, match="too many values"):
        machine_of({"ProcessorInfo": {"SupportedArchitectures": ["x86_64", "arm64"]}})


def test_a_family_whose_sizes_differ_stops_the_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    described = data_instances.described_types()
    odd = {**described["c7g.xlarge"], "ProcessorInfo": {"SupportedArchitectures": ["x86_64"]}}
    monkeypatch.setattr(data_instances, "described_types", lambda: {**described, "c7g.xlarge": odd})
    with pytest.raises(SystemExit, match=r"c7g\.xlarge differs from its family"):
        data_instances.tables()


def test_an_enum_that_nobody_mapped_to_a_use_stops_the_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    known = dict(data_instances.SHAPES)
    monkeypatch.setattr(data_instances, "SHAPES", {use: known[use] for use in known if use != "app"})
    with pytest.raises(SystemExit, match=r"leaves out the enum that has ml\.geospatial\.interactive"):
        data_instances.uses_of_types()


def family(accelerator: str = "-") -> FamilyRow:
    return FamilyRow(architecture="amd64", os="linux", accelerator=accelerator, source="ec2")


def test_an_unlisted_row_that_the_data_has_come_to_know_stops_the_writing() -> None:
    with pytest.raises(SystemExit, match="the data has p3 now: take that row out"):
        add_unlisted({"p3": family("gpu NVIDIA V100")}, {}, "p3", {"accelerator": "gpu", "source": "x"})
    types = {"p3.2xlarge": TypeRow(vcpus=8, memory_mib=1)}
    with pytest.raises(SystemExit, match="the data has p3 now"):
        add_unlisted({"p3": family()}, types, "p3", {"types": {"2xlarge": {"vcpus": 8}}})


def test_an_unlisted_row_fills_in_what_the_data_leaves_open() -> None:
    families, types = {"i3": family()}, {"i3.metal": TypeRow()}
    add_unlisted(families, types, "i3", {"types": {"metal": {"vcpus": 64, "memory_mib": 524288}}})
    assert types["i3.metal"] == TypeRow(vcpus=64, memory_mib=524288)
    assert families == {"i3": family()}


def test_an_unlisted_family_without_a_source_stops_the_writing() -> None:
    with pytest.raises(SystemExit, match="says neither a source nor is it in the data"):
        add_unlisted({}, {}, "z9", {"types": {}})
