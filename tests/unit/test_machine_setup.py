"""Set-up and uninstall on a machine in a dict: what one makes the other takes back."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.machine_fakes import BINFMT, ENGINE, QEMU, FakeSystem, bare_facts, bare_host, complete
from toolkit.errors import NeedNotMet
from toolkit.machine import places
from toolkit.machine.distributions import PROGRAMS
from toolkit.machine.facts import Facts, Registry, RegistryAnswer
from toolkit.machine.recorder import load_record
from toolkit.machine.setup import require, set_up
from toolkit.machine.system import Outcome
from toolkit.machine.undo import take_back


def silent(_: str) -> None:
    """What is said does not matter here."""


def watching(system: FakeSystem, start: Facts) -> Callable[[], Facts]:
    """Facts that follow what happens to `system`, as far as set-up reads them."""

    def observe() -> Facts:
        done = complete(start)
        has_engine = system.answers("unix://") or start.engine is not None
        return replace(
            start,
            programs=frozenset(
                program.name for program in PROGRAMS if system.packages.issuperset(program.packages)
            ),
            engine=(start.engine or ENGINE) if has_engine else None,
            engine_settings=system.files.get(str(places.ENGINE_SETTINGS)),
            client=done.client if "docker-cli" in system.packages else start.client,
            buildx=done.buildx if "docker-buildx" in system.packages else start.buildx,
            has_binfmt=bool(system.mounted),
            emulators=(QEMU,) if f"{BINFMT}/qemu-aarch64" in system.files else (),
            registry=done.registry if system.answers("http://") else start.registry,
        )

    return observe


def set_up_bare(system: FakeSystem, say: Callable[[str], None] = silent) -> None:
    set_up(watching(system, bare_facts()), system, say)


def test_uninstall_leaves_the_machine_as_it_was() -> None:
    system = FakeSystem()
    before = (dict(system.files), set(system.packages))
    set_up_bare(system)
    assert {command[0] for command in system.running} == {"/usr/sbin/dockerd", "/usr/bin/docker-registry"}
    assert "docker.io" in system.packages
    take_back(system, silent)
    files = {path: text for path, text in system.files.items() if path not in _NOT_OURS}
    assert (files, system.packages) == before
    assert (system.running, system.mounted) == ({}, [])


# What the fake's packages brought would go with them; forwarding is the kernel's.
_NOT_OURS = {"/usr/lib/binfmt.d/qemu-aarch64.conf", "/proc/sys/net/ipv4/ip_forward"}


def test_a_second_set_up_changes_nothing_and_takes_no_lock() -> None:
    system = FakeSystem()
    set_up_bare(system)
    files, commands, locks = dict(system.files), list(system.commands), system.locks
    set_up_bare(system)
    assert (system.files, system.commands, system.locks) == (files, commands, locks)


def test_uninstall_never_removes_a_package_that_set_up_did_not_install() -> None:
    """The list of Python packages is empty here: to dpkg-query no name means every package there is."""
    before = {"apt", "bash", "git"}
    system = FakeSystem(packages=set(before))
    set_up_bare(system, silent)
    take_back(system, silent)
    assert system.packages == before
    purged = [command for command in system.commands if "purge" in command or "remove" in command]
    assert not {name for command in purged for name in command} & before


def test_a_second_uninstall_has_nothing_to_take_back() -> None:
    system, said = FakeSystem(), list[str]()
    set_up_bare(system)
    take_back(system, silent)
    take_back(system, said.append)
    assert said == ["set-up made nothing here: nothing to take back"]


def test_changes_and_figures_are_told_before_anything_happens() -> None:
    system, said = FakeSystem(), list[str]()

    def say(line: str) -> None:
        if not said:
            assert system.commands == []
        said.append(line)

    set_up_bare(system, say)
    assert "about 166 MB to fetch" in said[0]
    assert any("Need to get 148 MB" in line for line in said)


@pytest.mark.parametrize("word", ["update", "--print-uris", "mount", "put"])
def test_a_set_up_that_was_cut_off_is_taken_back_all_the_same(word: str) -> None:
    system = FakeSystem()
    before = (dict(system.files), set(system.packages))
    system.fails[word] = Outcome(code=100, errors="E: Could not resolve the mirror")
    with pytest.raises(NeedNotMet):
        set_up_bare(system)
    system.fails.clear()
    take_back(system, silent)
    files = {path: text for path, text in system.files.items() if path not in _NOT_OURS}
    assert (files, system.packages, system.mounted) == (*before, [])


@pytest.mark.parametrize("word", ["update", "mount", "put"])
def test_a_set_up_that_was_cut_off_is_finished_by_the_next_one(word: str) -> None:
    system = FakeSystem(fails={word: Outcome(code=100, errors="E: no")})
    with pytest.raises(NeedNotMet):
        set_up_bare(system)
    system.fails.clear()
    set_up_bare(system)
    assert len(system.running) == 2


def test_what_was_there_before_stays() -> None:
    system = FakeSystem(packages={"runc", "make"})
    system.files |= {"/var/lib/docker/mine": "x", "/etc/docker/key.json": "{}", str(places.FORWARDING): "1"}
    set_up_bare(system)
    take_back(system, silent)
    assert system.packages == {"runc", "make"}
    assert system.files["/var/lib/docker/mine"] == "x"
    assert system.files["/etc/docker/key.json"] == "{}"
    assert "/etc/docker/daemon.json" not in system.files


def test_a_package_that_another_one_came_to_need_is_kept() -> None:
    system, said = FakeSystem(), list[str]()
    set_up_bare(system)
    system.packages.add("podman")
    take_back(system, said.append)
    assert system.packages == {"podman", "runc"}
    assert "keeps runc: a package that set-up did not install needs it" in said


def test_a_file_that_was_changed_since_is_kept() -> None:
    system = FakeSystem()
    set_up_bare(system)
    system.files[str(places.ENGINE_SETTINGS)] = '{"mine": true}'
    take_back(system, silent)
    assert system.files[str(places.ENGINE_SETTINGS)] == '{"mine": true}'


def test_an_emulator_of_somebody_else_keeps_the_mount() -> None:
    system = FakeSystem()
    set_up_bare(system)
    system.files[f"{BINFMT}/qemu-riscv64"] = "enabled"
    take_back(system, silent)
    assert system.mounted == [BINFMT]
    assert f"{BINFMT}/qemu-aarch64" not in system.files


def test_a_process_that_took_over_the_number_is_not_stopped() -> None:
    system = FakeSystem()
    set_up_bare(system)
    # The machine was restarted: the recorded numbers are other people's now.
    system.boot = "boot-2"
    (engine, *_) = system.running.values()
    other = replace(engine, boot="boot-2")
    system.running = {("/usr/bin/other",): other}
    take_back(system, silent)
    assert list(system.running.values()) == [other]


def test_a_stale_pid_file_does_not_keep_the_engine_from_starting() -> None:
    system = FakeSystem()
    system.files |= {"/var/run/docker.pid": "42", "/proc/42/comm": "sshd\n"}
    set_up_bare(system)
    assert "/var/run/docker.pid" not in system.files


def test_a_pid_file_of_a_running_engine_is_left() -> None:
    system = FakeSystem()
    system.files |= {"/var/run/docker.pid": "42", "/proc/42/comm": "dockerd\n"}
    set_up_bare(system)
    assert system.files["/var/run/docker.pid"] == "42"


def test_an_engine_that_dies_is_told_with_its_last_words_and_the_cause() -> None:
    system = FakeSystem(dies=frozenset({"/usr/sbin/dockerd"}))
    with pytest.raises(NeedNotMet, match="the disk is full") as caught:
        set_up_bare(system)
    assert "no space left on device" in str(caught.value)
    assert "Free some space" in caught.value.remedy


@pytest.mark.parametrize(
    ("errors", "cause"),
    [
        ("E: Failed to fetch http://mirror.example  Could not resolve 'mirror.example'", "not reachable"),
        ("E: Could not get lock /var/lib/dpkg/lock-frontend", "another apt is at work"),
        ("E: You don't have enough free space in /var/cache/apt/archives/.", "the disk is full"),
        ("E: dpkg was interrupted, you must manually run 'dpkg --configure -a'", "cut off"),
        ("E: something new", "apt's words are all there is"),
    ],
)
def test_trouble_with_apt_is_told_in_its_words_with_the_likely_cause(errors: str, cause: str) -> None:
    system = FakeSystem(fails={"update": Outcome(code=100, errors=f"Reading lists\n{errors}")})
    with pytest.raises(NeedNotMet, match=cause) as caught:
        set_up_bare(system)
    assert errors in str(caught.value)


def test_packages_start_no_service_while_they_are_installed() -> None:
    system = FakeSystem()
    set_up_bare(system)
    assert str(places.SERVICE_POLICY) not in system.files


def test_a_service_policy_of_the_owner_is_left_alone() -> None:
    system = FakeSystem()
    system.files[str(places.SERVICE_POLICY)] = "#!/bin/sh\nexit 0\n"
    set_up_bare(system)
    take_back(system, silent)
    assert system.files[str(places.SERVICE_POLICY)] == "#!/bin/sh\nexit 0\n"


@pytest.mark.parametrize(
    "facts",
    [
        bare_facts(bare_host(is_root=False)),
        bare_facts(bare_host(distribution="fedora", release="42")),
        bare_facts(replace(bare_host(), has_apt=False)),
    ],
)
def test_where_it_may_not_install_nothing_changes_and_the_lines_are_printed(facts: Facts) -> None:
    system = FakeSystem()
    with pytest.raises(NeedNotMet, match="nothing was changed") as caught:
        set_up(lambda: facts, system, silent)
    assert "5000" in str(caught.value)
    assert (system.commands, system.running, system.locks) == ([], {}, 0)


def test_no_set_up_asked_for_prints_the_lines() -> None:
    with pytest.raises(NeedNotMet, match=r"(?s)nothing was changed.*apt-get install .*docker\.io"):
        require(bare_facts())


def test_no_set_up_asked_for_is_silent_where_everything_is_there() -> None:
    require(complete(bare_facts()))


def test_a_port_taken_by_a_stranger_stops_set_up_before_it_changes_anything() -> None:
    system = FakeSystem()
    stranger = Registry(address="localhost:5000", answer=RegistryAnswer.STRANGER, trouble="HTTP 404")
    with pytest.raises(NeedNotMet, match=r"not as a registry.*HTTP 404"):
        set_up(lambda: replace(bare_facts(), registry=stranger), system, silent)
    assert system.commands == []


def test_engine_settings_without_the_image_store_are_not_overwritten_but_told() -> None:
    system = FakeSystem()
    with pytest.raises(NeedNotMet, match="containerd-snapshotter"):
        set_up(lambda: replace(bare_facts(), engine_settings="{}"), system, silent)
    assert system.commands == []


def test_the_record_is_written_before_the_change() -> None:
    system = FakeSystem(fails={"mount": Outcome(code=32, errors="mount: permission denied")})
    with pytest.raises(NeedNotMet, match="permission denied"):
        set_up_bare(system)
    assert "Mounted" in {type(change).__name__ for change in load_record(system).changes}


def test_a_damaged_record_stops_uninstall_instead_of_being_guessed_at() -> None:
    system = FakeSystem()
    system.files[str(places.RECORD)] = "{"
    with pytest.raises(NeedNotMet, match="cannot be read"):
        take_back(system, silent)


def test_rules_of_the_engine_go_and_others_stay() -> None:
    rules = """\
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i br-0123456789ab -j ACCEPT
COMMIT
"""
    system = FakeSystem(fails={"iptables-save": Outcome(code=0, output=rules)})
    system.files[str(places.FORWARDING)] = "0"
    set_up_bare(system)
    take_back(system, silent)
    assert system.rules == "*filter\n:FORWARD ACCEPT [0:0]\n-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT\n"
    assert system.files[str(places.FORWARDING)] == "0"
