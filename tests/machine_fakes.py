"""A machine in a dict: what `toolkit.machine` changes, without changing one."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from toolkit.machine.facts import Buildx, Emulator, Engine, Facts, Host, Registry, RegistryAnswer
from toolkit.machine.plan import engine_settings
from toolkit.machine.sources import Source
from toolkit.machine.system import Outcome, Process, System
from toolkit.oci import Architecture

BINFMT = "/proc/sys/fs/binfmt_misc"
# What a package brings, and what it needs.
PACKAGE_FILES = {"qemu-user-static": {"/usr/lib/binfmt.d/qemu-aarch64.conf": ":qemu-aarch64:…\n"}}
DEPENDENCIES = {"docker.io": ("runc",), "podman": ("runc",)}
BOOT = "boot-1"


@dataclass
class FakeSystem:
    """Files, packages, mounts and processes as values; `fails` is a command word → how it fails."""

    files: dict[str, str] = field(default_factory=lambda: {"/etc/passwd": "root:x:0\n", "/etc/group": ""})
    packages: set[str] = field(default_factory=set)
    mounted: list[str] = field(default_factory=list)
    running: dict[tuple[str, ...], Process] = field(default_factory=dict)
    fails: dict[str, Outcome] = field(default_factory=dict)
    dies: frozenset[str] = frozenset()
    commands: list[tuple[str, ...]] = field(default_factory=list)
    rules: str = ""
    locks: int = 0
    boot: str = BOOT

    def run(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Outcome:
        words = tuple(command)
        self.commands.append(words)
        for word, outcome in self.fails.items():
            if word in words[:2] or (word.startswith("--") and word in words):
                return outcome
        match words:
            case ["apt-get", "install" | "purge" | "remove" as verb, *rest]:
                return self._apt(verb, rest)
            case ["dpkg-query", "--show", _, *named]:
                # As the real one: without a name it lists the whole system.
                known = [
                    f"{name} installed\n" for name in named or sorted(self.packages) if name in self.packages
                ]
                return Outcome(code=len(known) < len(named), output="".join(known))
            case ["mount", *_, target]:
                self.mounted.append(target)
                self.files[f"{target}/register"] = ""
            case ["umount", target]:
                self.mounted.remove(target)
                self.remove(PurePosixPath(target, "register"))
            case ["iptables-restore", path]:
                self.rules = self.files[path]
            case ["rmdir", path]:
                self.remove(PurePosixPath(path))
            case ["userdel", name]:
                self._drop_account("/etc/passwd", name)
            case ["groupdel", name]:
                self._drop_account("/etc/group", name)
        return Outcome(code=0)

    def _apt(self, verb: str, rest: Sequence[str]) -> Outcome:
        values = [rest[place + 1] for place, word in enumerate(rest) if word == "-o"]
        named = [word for word in rest if not word.startswith("-") and word not in values]
        if verb == "install":
            wanted = {package for name in named for package in (name, *DEPENDENCIES.get(name, ()))}
            changed, line = wanted - self.packages, "Inst {} (1.0 Debian)"
        else:
            gone = set(named) & self.packages
            gone |= {one for one in self.packages if gone & set(DEPENDENCIES.get(one, ()))}
            changed, line = gone, "Remv {} [1.0]"
        if "--print-uris" in rest:
            return Outcome(
                code=0, output="Need to get 148 MB of archives.\nAfter this operation, 733 MB used.\n"
            )
        if "--simulate" not in rest:
            self.packages ^= changed
            for package in changed if verb == "install" else ():
                self.files.update(PACKAGE_FILES.get(package, {}))
            if verb == "install" and "docker-registry" in changed:
                self.files["/etc/passwd"] += "docker-registry:x:102\n"
        return Outcome(code=0, output="\n".join(line.format(package) for package in sorted(changed)))

    def _drop_account(self, path: str, name: str) -> None:
        lines = self.files[path].splitlines(keepends=True)
        self.files[path] = "".join(line for line in lines if not line.startswith(f"{name}:"))

    def read(self, path: PurePosixPath) -> str | None:
        return self.files.get(str(path))

    def write(self, path: PurePosixPath, text: str, mode: int = 0o644) -> None:
        self.files[str(path)] = text

    def put(self, path: PurePosixPath, text: str) -> None:
        if "put" in self.fails:
            raise OSError(self.fails["put"].errors)
        if path.name == "register":
            self.files[f"{BINFMT}/qemu-aarch64"] = "enabled"
        elif text == "-1":
            self.remove(path)
        else:
            self.files[str(path)] = text

    def make_directory(self, path: PurePosixPath) -> None:
        self.files.setdefault(f"{path}/", "")

    def exists(self, path: PurePosixPath) -> bool:
        return str(path) == "/" or any(
            name == str(path) or name.startswith(f"{path}/") for name in self.files
        )

    def names(self, path: PurePosixPath) -> frozenset[str]:
        below = (name.removeprefix(f"{path}/") for name in self.files if name.startswith(f"{path}/"))
        return frozenset(name.partition("/")[0] for name in below) - {""}

    def mounts(self, path: PurePosixPath) -> tuple[PurePosixPath, ...]:
        found = (PurePosixPath(target) for target in self.mounted)
        return tuple(point for point in found if point == path or path in point.parents)

    def remove(self, path: PurePosixPath) -> None:
        for name in [name for name in self.files if name == str(path) or name.startswith(f"{path}/")]:
            del self.files[name]

    def start(self, command: Sequence[str], log: PurePosixPath) -> Process:
        process = Process(pid=100 + len(self.running), started=7, boot=self.boot)
        if command[0] in self.dies:
            self.files[str(log)] = "starting\nfailed to start daemon: no space left on device\n"
            return process
        self.running[tuple(command)] = process
        if command[0].endswith("dockerd"):
            self.files |= {
                "/var/lib/docker/volumes": "data",
                "/run/docker/x": "",
                "/proc/sys/net/ipv4/ip_forward": "1",
            }
        return process

    def lookup_process(self, command: Sequence[str]) -> Process | None:
        return self.running.get(tuple(command))

    def is_running(self, process: Process) -> bool:
        return process in self.running.values()

    def stop(self, process: Process) -> None:
        self.running = {command: one for command, one in self.running.items() if one != process}

    def answers(self, address: str) -> bool:
        word = "dockerd" if address.startswith("unix:") else "docker-registry"
        return any(word in command[0] for command in self.running)

    @contextmanager
    def lock(self) -> Iterator[None]:
        self.locks += 1
        yield

    def wait(self, seconds: float) -> None:
        """Time is nothing here."""


def bare_host(
    *, distribution: str = "debian", release: str = "12", is_root: bool = True, has_systemd: bool = False
) -> Host:
    return Host(
        kernel="Linux",
        name=f"{distribution} {release}",
        distribution=distribution,
        release=release,
        codename="bookworm",
        architecture=Architecture.AMD64,
        is_root=is_root,
        has_apt=True,
        has_systemd=has_systemd,
    )


MIRROR = Source(
    uris=("http://mirror.example/debian",),
    suites=("bookworm", "bookworm-updates"),
    components=("main",),
    options=(("Signed-By", "/usr/share/keyrings/key.gpg"),),
)


def bare_facts(host: Host | None = None) -> Facts:
    """A machine that has apt and nothing else."""
    return Facts(
        host=host or bare_host(),
        programs=frozenset(),
        endpoint="unix:///var/run/docker.sock",
        engine=None,
        engine_trouble="there is no such socket",
        registry=Registry(address="localhost:5000", answer=RegistryAnswer.NOTHING, trouble="refused"),
        apt_sources=(MIRROR,),
    )


ENGINE = Engine(
    version="26.1.5", architecture="amd64", name="Debian", root="/var/lib/docker", has_image_store=True
)
QEMU = Emulator(architecture=Architecture.ARM64, interpreter="/usr/bin/qemu", is_fixed=True)
EVERY_PROGRAM = frozenset({"engine", "buildx", "registry", "emulator", "bases"})


def complete(facts: Facts) -> Facts:
    """The same machine with all that a release needs."""
    return replace(
        facts,
        programs=EVERY_PROGRAM,
        engine=ENGINE,
        engine_settings=engine_settings(()),
        client="/usr/bin/docker",
        buildx=Buildx(path="/plugin"),
        has_binfmt=True,
        emulators=(QEMU,),
        registry=Registry(address="localhost:5000", answer=RegistryAnswer.ANONYMOUS),
    )


if TYPE_CHECKING:
    _conforms: System = FakeSystem()
