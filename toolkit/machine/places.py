"""Where set-up keeps things: one directory for data, one for logs, nothing in the repository."""

from pathlib import PurePosixPath

STATE = PurePosixPath("/var/lib/multiarch-toolkit")
LOGS = PurePosixPath("/var/log/multiarch-toolkit")
RECORD = STATE / "setup.json"
# One a line, from scripts/venv.sh, which runs before there is a Python to write the record with, and from
# scripts/browser.sh, which brings the tests their browser.
PYTHON_PACKAGES = STATE / "python-packages"
LOCK = PurePosixPath("/run/multiarch-toolkit.lock")

# apt works with a configuration, sources and lists of its own: /etc/apt stays as it is, so an
# `apt-get upgrade` of the owner never sees the borrowed suites.
APT = STATE / "apt"
APT_CONFIG = APT / "apt.conf"
APT_SOURCES = APT / "sources.list.d" / "toolkit.sources"
APT_PREFERENCES = APT / "preferences"

ENGINE_SETTINGS = PurePosixPath("/etc/docker/daemon.json")
ENGINE_SOCKET = PurePosixPath("/var/run/docker.sock")
ENGINE_PID = PurePosixPath("/var/run/docker.pid")
CONTAINERD_PID = PurePosixPath("/var/run/docker/containerd/containerd.pid")
ENGINE_DATA = (PurePosixPath("/var/lib/docker"), PurePosixPath("/var/lib/containerd"))
ENGINE_RUN = (PurePosixPath("/run/docker"), PurePosixPath("/run/containerd"))
# docker.io's prerm puts it there and its postrm runs it: purging empties the directory, whoever filled it.
ENGINE_NUKE = ENGINE_DATA[0] / "nuke-graph-directory.sh"

USERS = PurePosixPath("/etc/passwd")
GROUPS = PurePosixPath("/etc/group")

REGISTRIES = STATE  # registry-PORT and registry-PORT.yml for each that was asked for

FORWARDING = PurePosixPath("/proc/sys/net/ipv4/ip_forward")
INTERFACES = PurePosixPath("/sys/class/net")
BRIDGE = INTERFACES / "docker0"

BINFMT = PurePosixPath("/proc/sys/fs/binfmt_misc")
BINFMT_SETTINGS = PurePosixPath("/usr/lib/binfmt.d")

# While it says 101 no package starts a service: each is started by its own step, with its settings there.
# https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt
SERVICE_POLICY = PurePosixPath("/usr/sbin/policy-rc.d")

# Read as root by every `apt-get`; the sandbox user _apt needs to reach the directories below it.
APT_SETTINGS = f"""\
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "{APT_SOURCES.parent}";
Dir::Etc::Preferences "{APT_PREFERENCES}";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State::Lists "{APT}/lists";
Dir::Cache "{APT}/cache";
"""
