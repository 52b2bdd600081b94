"""Would the engine find something to execute when the consumer starts the image?"""

from collections.abc import Sequence
from dataclasses import dataclass
from posixpath import basename, join

from toolkit.checks import Check, printable
from toolkit.contracts import Contract
from toolkit.layers.elf import MALFORMED
from toolkit.layers.filesystem import FileSystem, Found
from toolkit.layers.scan import Entry
from toolkit.oci import ImageConfig

# What Docker and containerd set when the image has no PATH.
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# The kernel follows `#!` to a script as interpreter this often, then answers ELOOP.
_MAX_INTERPRETERS = 5


class _NotRunnable(Exception):
    """Why execve would refuse; the text ends a sentence."""


@dataclass(frozen=True, kw_only=True)
class _Shell:
    """Where the container's process starts: what relative names and bare program names mean."""

    files: FileSystem
    path: tuple[str, ...]
    working_directory: str
    architecture: str

    def find(self, program: str) -> tuple[Found, Entry]:
        """As runc's exec.LookPath does. Raises _NotRunnable."""
        if "/" in program:
            candidates = [join(self.working_directory, program)]
        else:
            candidates = [join(self.working_directory, directory, program) for directory in self.path]
        found = [hit for hit in map(self.files.lookup, candidates) if hit]
        for hit in found:
            if hit.entry and hit.entry.is_executable:
                return hit, hit.entry
        if found:
            raise _NotRunnable(f"{found[0].path} is not executable")
        where = "" if "/" in program else f" in PATH ({':'.join(self.path)})"
        raise _NotRunnable(f"{program} does not exist{where}")

    def run(self, program: str) -> list[str]:
        """The paths that are executed, a script's interpreters after it. Raises _NotRunnable."""
        executed: list[str] = []
        for _ in range(_MAX_INTERPRETERS):
            found, entry = self.find(program)
            executed.append(found.path)
            if not entry.interpreter:
                if entry.elf == self.architecture:
                    return executed
                what = {
                    "": "neither an ELF program nor a #! script",
                    MALFORMED: "an ELF file with a broken header",
                }.get(entry.elf, f"a program for {entry.elf}")
                raise _NotRunnable(f"{found.path} is {what}")
            interpreter, *arguments = entry.interpreter.split()
            # `#!/usr/bin/env NAME`: the kernel needs env, env needs NAME.
            if basename(interpreter) == "env" and arguments:
                executed.append(self.find(interpreter)[0].path)
                named = [word for word in arguments if not word.startswith("-") and "=" not in word]
                program = named[0] if named else interpreter
            else:
                program = interpreter
        raise _NotRunnable(f"{executed[0]} is a chain of more than {_MAX_INTERPRETERS} scripts")


def check_entrypoint(
    files: FileSystem, config: ImageConfig, contract: Contract, *, working_directory: str = "/"
) -> Check | None:
    """None when the consumer does not start the image by itself."""
    if contract.arguments is None:
        return None
    words = (*config.entrypoint, *(contract.arguments or config.command))
    if not words:
        return Check(name="entrypoint", ok=False, detail="the image has neither an Entrypoint nor a Cmd")
    shell = _Shell(
        files=files,
        path=_search_path(config.environment),
        working_directory=working_directory or "/",
        architecture=config.platform.architecture,
    )
    called = printable(" ".join(words))
    try:
        executed = shell.run(words[0])
    except _NotRunnable as reason:
        return Check(name="entrypoint", ok=False, detail=f"`{called}` cannot start: {printable(str(reason))}")
    return Check(name="entrypoint", ok=True, detail=f"`{called}` starts {printable(' by '.join(executed))}")


def _search_path(environment: Sequence[str]) -> tuple[str, ...]:
    values = [value for name, _, value in (item.partition("=") for item in environment) if name == "PATH"]
    return tuple((values[-1] if values else _DEFAULT_PATH).split(":"))
