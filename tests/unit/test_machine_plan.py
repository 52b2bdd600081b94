"""What set-up would do, by what it found."""

import json
from dataclasses import replace

import pytest

from tests.machine_fakes import ENGINE, bare_facts, bare_host, complete
from toolkit.machine import places
from toolkit.machine.facts import Disk, Facts, Registry, RegistryAnswer
from toolkit.machine.needs import GIB
from toolkit.machine.plan import plan_setup
from toolkit.machine.steps import InstallPackages, ServiceCommand, StartProcess, WriteFile


def names(facts: Facts) -> list[str]:
    return [step.name for step in plan_setup(facts)]


def packages(facts: Facts) -> tuple[str, ...]:
    effects = [effect for step in plan_setup(facts) for effect in step.effects]
    return next((effect.packages for effect in effects if isinstance(effect, InstallPackages)), ())


def test_a_bare_machine_gets_everything_in_an_order_that_works() -> None:
    assert names(bare_facts()) == ["engine settings", "packages", "emulation", "engine", "registry"]
    assert set(packages(bare_facts())) == {
        "containerd",
        "docker-buildx",
        "docker-cli",
        "docker-registry",
        "docker.io",
        "iproute2",
        "mount",
        "qemu-user-static",
    }


def test_nothing_is_done_where_everything_is_there() -> None:
    assert plan_setup(complete(bare_facts())) == ()


def test_after_a_restart_of_the_machine_only_what_is_gone_comes_back() -> None:
    restarted = replace(
        complete(bare_facts()),
        engine=None,
        emulators=(),
        has_binfmt=False,
        registry=bare_facts().registry,
    )
    assert names(restarted) == ["emulation", "engine", "registry"]


def test_an_engine_of_somebody_else_is_not_touched() -> None:
    theirs = replace(bare_facts(), engine=replace(ENGINE, has_image_store=False))
    assert names(theirs) == ["packages", "emulation", "registry"]
    assert not any(
        package.startswith(("docker.io", "docker-buildx", "containerd")) for package in packages(theirs)
    )


def test_settings_of_the_engine_that_are_there_are_not_written() -> None:
    assert "engine settings" not in names(replace(bare_facts(), engine_settings="{}"))


@pytest.mark.parametrize(("free", "limit"), [(0, 5), (15, 5), (42, 14), (500, 20)])
def test_the_build_cache_of_an_engine_that_set_up_brings_is_limited_by_what_is_free(
    free: int, limit: int
) -> None:
    disks = (
        Disk(purpose="engine", path="/var/lib/docker", device=1, free=free * GIB),
        Disk(purpose="project", path="/project", device=2, free=GIB),
    )
    step = plan_setup(replace(bare_facts(), disks=disks))[0]
    (written,) = (effect for effect in step.effects if isinstance(effect, WriteFile))
    assert written.path == places.ENGINE_SETTINGS
    settings = json.loads(written.text)
    assert settings["builder"] == {"gc": {"enabled": True, "defaultKeepStorage": f"{limit}GB"}}
    assert settings["features"] == {"containerd-snapshotter": True}
    assert f"at most {limit} GiB of build cache" in step.changes


def test_no_engine_is_started_when_another_one_was_asked_for() -> None:
    far = replace(bare_facts(), endpoint="tcp://build.example:2376")
    assert "engine" not in names(far)
    assert "docker.io" not in packages(far)


def test_an_engine_for_other_users_is_not_installed_again() -> None:
    forbidden = replace(complete(bare_facts()), engine=None, is_engine_forbidden=True)
    assert names(forbidden) == []


def test_a_registry_elsewhere_is_not_started() -> None:
    far = Registry(address="registry.example", answer=RegistryAnswer.NOTHING)
    assert "registry" not in names(replace(bare_facts(), registry=far))


def test_the_registry_listens_on_the_port_asked_for_and_on_this_machine_only() -> None:
    facts = replace(bare_facts(), registry=Registry(address="localhost:5001", answer=RegistryAnswer.NOTHING))
    (step,) = (step for step in plan_setup(facts) if step.name == "registry")
    assert "  addr: 127.0.0.1:5001" in step.lines
    assert [e.address for e in step.effects if isinstance(e, StartProcess)] == ["http://127.0.0.1:5001"]


def test_systemd_starts_the_engine_and_does_not_start_the_packages_registry_at_boot() -> None:
    steps = plan_setup(bare_facts(bare_host(has_systemd=True)))
    services = [e for step in steps for e in step.effects if isinstance(e, ServiceCommand)]
    assert services == [
        ServiceCommand(verb="disable", service="docker-registry"),
        ServiceCommand(verb="start", service="docker"),
    ]


def test_every_step_can_be_typed_by_hand() -> None:
    steps = plan_setup(bare_facts())
    assert all(step.lines for step in steps)
    lines = [line for step in steps for line in step.lines]
    assert "URIs: http://mirror.example/debian" in lines
    assert "apt-get update" in lines
    assert "mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc" in lines


def test_what_is_fetched_and_kept_is_told_before() -> None:
    (step,) = (step for step in plan_setup(bare_facts()) if step.name == "packages")
    assert step.download > 100_000_000
    assert step.disk > step.download
