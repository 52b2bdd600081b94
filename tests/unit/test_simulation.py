"""A release on many machines, on paper: bounds that hold for any of them, and what is read from a record."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.records import image
from toolkit.errors import UsageError
from toolkit.oci import Architecture
from toolkit.quotas import ECR_RATES, Api
from toolkit.simulation import Job, Scenario, Simulation, Wanted, list_schedule, repeated, simulate, timed

AMD64, ARM64 = Architecture.AMD64, Architecture.ARM64
# A registry that takes whatever comes, whose lists are put in no time.
UNBOUND = dict.fromkeys(ECR_RATES, 1e12)

# Whole seconds, so that sums are exact in whatever order they are made.
times = st.lists(st.integers(0, 5000).map(float), min_size=1, max_size=40)
slots = st.integers(1, 12)


def jobs(seconds: Sequence[float], architectures: Sequence[Architecture] = (AMD64, ARM64)) -> list[Job]:
    return [
        Job(
            identifier=f"unit-{at}",
            architecture=architectures[at % len(architectures)],
            seconds=each,
            blobs=6,
            group=(f"list-{at // len(architectures)}",),
        )
        for at, each in enumerate(seconds)
    ]


def staging(seconds: Sequence[float], nodes: int) -> float:
    """The makespan without what a job costs before and after its work."""
    scenario = Scenario(nodes=nodes, provision=0)
    return simulate(jobs(seconds), scenario, rates=UNBOUND, list_seconds=0).makespan


# --- list scheduling


@given(times, slots)
def test_the_makespan_is_between_its_lower_bound_and_grahams_upper_one(
    seconds: list[float], count: int
) -> None:
    bound = max(*seconds, sum(seconds) / count) if len(seconds) > 1 else seconds[0]
    found = list_schedule(seconds, count)
    assert bound <= found + 1e-9
    assert found <= (2 - 1 / count) * bound + 1e-9


@given(times, slots)
def test_one_node_more_never_makes_it_longer(seconds: list[float], count: int) -> None:
    assert list_schedule(seconds, count + 1) <= list_schedule(seconds, count)


@given(times, slots, st.data())
def test_a_unit_more_or_one_that_takes_longer_never_makes_it_shorter(
    seconds: list[float], count: int, data: st.DataObject
) -> None:
    before = list_schedule(seconds, count)
    assert list_schedule([*seconds, 1.0], count) >= before
    at = data.draw(st.integers(0, len(seconds) - 1))
    assert list_schedule([*seconds[:at], seconds[at] + 7, *seconds[at + 1 :]], count) >= before


def test_the_bound_of_graham_is_reached() -> None:
    # Nine short units and then a long one on ten nodes would be best; here the long one begins last.
    short = [1.0] * 90
    assert list_schedule([*short, 10.0], 10) == 19
    assert list_schedule([10.0, *short], 10) == 10


# --- a whole release


@given(times, slots)
def test_nodes_do_what_list_scheduling_does(seconds: list[float], count: int) -> None:
    assert staging(seconds, count) == pytest.approx(list_schedule(seconds, count), abs=1e-6)


scenarios = st.builds(
    Scenario,
    nodes=slots,
    jobs=st.integers(1, 3),
    units=st.sampled_from([0, 1, 17, 60]),
    provision=st.sampled_from([0.0, 90.0]),
    batch=st.sampled_from([0, 2, 7]),
)


@given(times, scenarios)
def test_no_release_is_quicker_than_any_of_its_bounds(seconds: list[float], scenario: Scenario) -> None:
    found = simulate(jobs(seconds), scenario)
    assert found.makespan >= found.lower_bound - 1e-6
    assert [each.seconds for each in found.bounds] == sorted((b.seconds for b in found.bounds), reverse=True)
    assert found.billed_minutes * 60 >= found.machine_seconds - 1e-6
    assert found.units == (scenario.units or len(seconds))


@given(times, scenarios)
def test_more_nodes_never_make_a_release_longer(seconds: list[float], scenario: Scenario) -> None:
    more = replace(scenario, nodes=scenario.nodes + 1)
    quick, slow = (simulate(jobs(seconds), each, rates=UNBOUND) for each in (more, scenario))
    assert quick.makespan <= slow.makespan + 1e-6


@given(times, scenarios)
def test_batches_never_make_a_release_shorter_and_all_of_it_is_counted(
    seconds: list[float], scenario: Scenario
) -> None:
    whole, parts = (simulate(jobs(seconds), each) for each in (replace(scenario, batch=0), scenario))
    assert parts.makespan >= whole.makespan - 1e-6
    assert (parts.units, parts.lists) == (whole.units, whole.lists)
    # Each batch asks for the record and puts it.
    extra = parts.requests[Api.PUT_MANIFEST] - whole.requests[Api.PUT_MANIFEST]
    assert extra == 2 * (parts.batches - whole.batches)


def test_nodes_of_one_platform_take_no_units_of_the_other() -> None:
    some = jobs([100.0] * 8)
    found = simulate(some, Scenario(own=((AMD64, 4), (ARM64, 1)), provision=0), rates=UNBOUND, list_seconds=0)
    assert found.makespan == pytest.approx(400)
    assert found.bounds[0].name == "arm64 nodes"
    with pytest.raises(UsageError, match=r"units for arm64 and no node"):
        simulate(some, Scenario(own=((AMD64, 4),)))


def test_the_registry_is_the_limit_when_there_are_nodes_enough() -> None:
    many = Scenario(nodes=100_000, units=10_000, provision=0)
    found = simulate(jobs([60.0, 60.0]), many)
    assert found.bounds[0].name == "put a manifest"
    # Two manifests when a unit is staged, one when it is published; its list; two of the record.
    assert found.requests[Api.PUT_MANIFEST] == 3 * 10_000 + 5_000 + 2
    assert found.lower_bound == pytest.approx(35_002 / 10)


def test_a_list_is_never_divided_among_batches() -> None:
    found = simulate(jobs([10.0] * 8), Scenario(nodes=8, batch=3))
    assert (found.batches, found.lists) == (4, 4)


def test_a_list_larger_than_a_batch_is_one_of_its_own() -> None:
    assert simulate(jobs([10.0] * 4), Scenario(nodes=8, batch=1)).batches == 2


def test_nothing_takes_no_time() -> None:
    found = simulate([], Scenario(nodes=5))
    assert (found.makespan, found.lower_bound, found.units, found.billed_minutes) == (0, 0, 0, 0)


def test_ten_thousand_units_are_other_units_each() -> None:
    many = repeated(jobs([1.0, 2.0, 3.0, 4.0]), 10_000)
    assert len({each.identifier for each in many}) == 10_000
    assert len({each.group for each in many}) == 5_000


# --- what is known of times


def wanted(identifier: str, framework: str = "pytorch", architecture: Architecture = ARM64) -> Wanted:
    return Wanted(
        identifier=identifier, framework=framework, architecture=architecture, blobs=6, group=(identifier,)
    )


RECORD = [
    image(identifier="a", framework="pytorch", architecture="arm64", durations={"build": 10.0}),
    image(
        identifier="b", framework="pytorch", architecture="arm64", durations={"build": 30.0, "verify": 10.0}
    ),
    image(identifier="c", framework="tensorflow", architecture="arm64", durations={"build": 100.0}),
    image(identifier="d", framework="tensorflow", architecture="amd64", durations={"build": 300.0}),
    image(identifier="e", framework="mxnet", architecture="amd64", durations={}),
]


@pytest.mark.parametrize(
    ("unit", "seconds", "assumed"),
    [
        (wanted("b"), 40.0, False),
        (wanted("new"), 25.0, True),
        (wanted("new", framework="mxnet"), 40.0, True),
        (wanted("e", framework="mxnet", architecture=AMD64), 300.0, True),
        (wanted("new", framework="pytorch", architecture=AMD64), 300.0, True),
    ],
)
def test_a_unit_that_no_record_has_takes_the_median_of_what_is_most_like_it(
    unit: Wanted, seconds: float, assumed: bool
) -> None:
    (job,) = timed([unit], RECORD)
    assert (job.seconds, job.assumed) == (seconds, assumed)


def test_without_any_record_nothing_is_made_up() -> None:
    with pytest.raises(UsageError, match="no record says how long builds take"):
        timed([wanted("a")], [])


# --- how it is asked for


@pytest.mark.parametrize(
    ("text", "scenario"),
    [
        ("nodes=50", Scenario(nodes=50)),
        ("arm64=20, amd64=30", Scenario(own=((AMD64, 30), (ARM64, 20)))),
        (
            "nodes=2,jobs=3,units=10000,provision=0,batch=98",
            Scenario(nodes=2, jobs=3, units=10_000, provision=0, batch=98),
        ),
    ],
)
def test_machines_are_written_in_words(text: str, scenario: Scenario) -> None:
    assert Scenario.parse(text) == scenario


@pytest.mark.parametrize(
    "text",
    [
        "",
        "50",
        "nodes",
        "nodes=0",
        "nodes=-1",
        "nodes=x",
        "nodes=1,nodes=2",
        "nodes=1,amd64=2",
        "jobs=2",
        "nodes=2,units=0",
        "nodes=9999999",
        "nodes=1,sparc=2",
    ],
)
def test_other_words_are_refused_with_how_to_write_them(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        Scenario.parse(text)
    assert "nodes=50 or amd64=30,arm64=20" in str(refused.value)


def test_json_has_every_figure_and_the_names_of_its_bounds() -> None:
    found: Simulation = simulate(jobs([60.0, 60.0]), Scenario(own=((AMD64, 1), (ARM64, 1)), batch=98))
    document = found.to_json()
    assert document["nodes"] == {"amd64": 1, "arm64": 1}
    assert {"amd64 nodes", "arm64 nodes", "longest unit", "put a manifest"} <= set(document["bounds"])
    assert document["requests"]["put a manifest"] == 9
