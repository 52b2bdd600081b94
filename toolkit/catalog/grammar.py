"""What a text of the catalog may look like. Names end up in repository names, tags and file names."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from toolkit import tags
from toolkit.catalog.faults import quote
from toolkit.errors import UsageError
from toolkit.oci import Reference


@dataclass(frozen=True, kw_only=True)
class Grammar:
    """`what` finishes the sentence "TEXT is not …", with an `example` behind it.

    `hints` tell why a sign is not allowed; `mends` turn common misspellings into what was meant.
    """

    what: str
    example: str
    matches: Callable[[str], object]
    maximum: int = 64
    hints: tuple[tuple[str, str], ...] = ()
    mends: tuple[Callable[[str], str], ...] = ()

    def accepts(self, text: str) -> bool:
        return len(text) <= self.maximum and text.isprintable() and bool(self.matches(text))

    def problem(self, text: str) -> str | None:
        """What is wrong with `text`, to stand behind it in a sentence; None when nothing is."""
        if self.accepts(text):
            return None
        if not text.strip():
            return "is empty"
        if not text.isprintable():
            # A line break could end the instruction or the word that the value is put into.
            sign = next(ch for ch in text if not ch.isprintable())
            return f"holds the character U+{ord(sign):04X}: write one line of printable characters"
        if len(text) > self.maximum:
            return f"is {len(text)} characters long: at most {self.maximum} are allowed"
        why = next((f" ({reason})" for sign, reason in self.hints if sign in text), "")
        return f"is not {self.what}, like {quote(self.example)}{why}{self._suggestion(text)}"

    def _suggestion(self, text: str) -> str:
        candidates: Iterable[str] = (mend(text) for mend in self.mends)
        mended = next((candidate for candidate in candidates if self.accepts(candidate)), None)
        return f". Did you mean {quote(mended)}?" if mended else ""


def pattern(text: str) -> Callable[[str], object]:
    return re.compile(text).fullmatch


def as_name(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")


def _as_word(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "", text.lower())


def _major_minor(text: str) -> str:
    return re.sub(r"\D*(\d)\.?(\d+).*", r"\1.\2", text)


def _is_reference(text: str) -> bool:
    try:
        Reference.parse(text)
    except UsageError:
        return False
    return True


def _is_repository(text: str) -> bool:
    return _is_reference(f"localhost/{text}") and not set(text) & set(":@")


def _is_registry_host(text: str) -> bool:
    # A host without dot and port would be read as a part of a repository's name.
    try:
        return Reference.parse(f"{text}/name").registry == text
    except UsageError:
        return False


LINE = Grammar(what="a line of text", example="…", matches=str.strip, maximum=1000)

NAME = Grammar(
    what="a name (lower-case letters and digits, joined by single . _ or -)",
    example="pytorch",
    matches=pattern(r"[a-z0-9]+(?:[._-][a-z0-9]+)*"),
    mends=(as_name,),
)

BASE_NAME = Grammar(
    what="a base's name (lower-case letters, digits and dots)",
    example="debian11",
    matches=pattern(r"[a-z0-9]+(?:\.[a-z0-9]+)*"),
    hints=(("-", "- separates the parts of identifiers"),),
    mends=(_as_word,),
)

# The public part of PEP 440: https://packaging.python.org/en/latest/specifications/version-specifiers/
VERSION = Grammar(
    what="a version",
    example="1.12.1",
    matches=pattern(r"[0-9]+(?:\.[0-9]+)*(?:(?:a|b|rc)[0-9]+)?(?:\.post[0-9]+)?(?:\.dev[0-9]+)?"),
    hints=(
        ("+", "a tag cannot hold +, so a local version goes into `packages`"),
        ("-", "- separates the parts of identifiers"),
        ("{", "nothing is filled in here"),
    ),
    mends=(str.strip, str.lower, lambda text: text.lower().lstrip("v="), lambda text: text.partition("+")[0]),
)

PYTHON = Grammar(
    what="a Python version",
    example="3.9",
    matches=pattern(r"3\.(?:[0-9]|[1-9][0-9])"),
    mends=(_major_minor,),
)

GLIBC = Grammar(
    what="a glibc version", example="2.31", matches=pattern(r"2\.[0-9]{1,3}"), mends=(_major_minor,)
)

REPOSITORY = Grammar(
    what="a repository name (lower-case letters, digits, . _ - and /)",
    example="pytorch-inference",
    matches=_is_repository,
    maximum=200,
    hints=((":", "tags follow from `tag`"), ("@", "digests are found when it is pushed")),
    mends=(lambda text: "/".join(as_name(part) for part in text.split("/")),),
)

TEMPLATE = Grammar(
    what="a template below dockerfiles/",
    example="inference.Dockerfile.j2",
    matches=pattern(r"[A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)*"),
    maximum=200,
    mends=(lambda text: text.removeprefix("./").removeprefix("dockerfiles/"),),
)

REFERENCE = Grammar(what="an image reference", example="HOST/NAME:TAG", matches=_is_reference, maximum=500)

# Without dots, colons and slashes, which hosts have: --registry takes both.
REGISTRY_NAME = Grammar(
    what="a registry's name (lower-case letters, digits and single -; not localhost)",
    example="prod",
    matches=pattern(r"(?!localhost$)[a-z0-9]+(?:-[a-z0-9]+)*"),
    hints=((".", "a name with dots would be a host"), (":", "a name with a colon would be a host")),
    mends=(lambda text: re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-"),),
)

REGISTRY_HOST = Grammar(
    what="a registry's host",
    example="localhost:5000",
    matches=_is_registry_host,
    maximum=255,
    hints=(("/", "what follows the host is `prefix`"),),
    mends=(lambda text: text.partition("://")[2].partition("/")[0], lambda text: text.partition("/")[0]),
)

# Builders of Buildx are found by their name, which begins with a letter; its own is `default`.
# https://github.com/docker/buildx/blob/v0.13.1/store/util.go
BUILDER_NAME = Grammar(
    what="a builder's name (lower-case letters, digits and single -; not default)",
    example="fleet",
    matches=pattern(r"(?!default$)[a-z][a-z0-9]*(?:-[a-z0-9]+)*"),
    hints=((".", "a . separates the builder from its node"),),
    mends=(lambda text: re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-"),),
)

NODE_NAME = Grammar(
    what="a node's name (lower-case letters and digits)",
    example="arm64",
    matches=pattern(r"[a-z][a-z0-9]*"),
    mends=(_as_word, lambda text: _as_word(text).replace(".", "")),
)

_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
_PORT = r"[1-9][0-9]{0,4}"
_SOCKET = r"unix:///[A-Za-z0-9._/-]+"
_SSH = rf"ssh://(?:[A-Za-z0-9_.-]+@)?{_HOST}(?::{_PORT})?"

HOST_NAME = Grammar(
    what="a host's name",
    example="arm64.build.example",
    matches=pattern(_HOST),
    maximum=255,
    mends=(str.strip,),
)

SOCKET_ENDPOINT = Grammar(
    what="the socket of an engine on this machine",
    example="unix:///var/run/docker.sock",
    matches=pattern(_SOCKET),
    maximum=255,
    hints=(("tcp:", "an engine that listens takes orders from anyone: use ssh"),),
    mends=(lambda text: f"unix://{text}",),
)

SSH_ENDPOINT = Grammar(
    what="the address of an engine behind SSH",
    example="ssh://arm64.build.example",
    matches=pattern(_SSH),
    maximum=255,
    mends=(lambda text: f"ssh://{text}",),
)

REMOTE_ENDPOINT = Grammar(
    what="the address of a buildkitd",
    example="tcp://arm64.build.example:1234",
    matches=pattern(rf"tcp://{_HOST}:{_PORT}|{_SOCKET}"),
    maximum=255,
    mends=(lambda text: f"tcp://{text.rpartition('://')[2]}", lambda text: f"tcp://{text}:1234"),
)

ENGINE_ENDPOINT = Grammar(
    what="the socket of an engine on this machine, or the address of one behind SSH",
    example="ssh://arm64.build.example",
    matches=pattern(f"{_SOCKET}|{_SSH}"),
    maximum=255,
    mends=(lambda text: f"ssh://{text}",),
)

DIRECTORY_NAME = Grammar(
    what="the name of a directory beside docker's config.json",
    example="arm64-node",
    matches=pattern(r"[A-Za-z0-9_][A-Za-z0-9._-]*"),
    hints=(("/", "paths are of one machine: the directory lies in ~/.docker or DOCKER_CONFIG"),),
    mends=(lambda text: text.rstrip("/").rpartition("/")[2],),
)

# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names
NAMESPACE = Grammar(
    what="a namespace of Kubernetes",
    example="buildkit",
    matches=pattern(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"),
    mends=(str.lower,),
)

# https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-identifiers.html
ACCOUNT = Grammar(
    what="the id of an AWS account (12 digits)",
    example="123456789012",
    matches=pattern(r"[0-9]{12}"),
    mends=(lambda text: text.replace("-", "").strip(),),
)

REGION = Grammar(
    what="a region of AWS",
    example="us-west-2",
    matches=pattern(r"[a-z]{2,}(?:-[a-z]+)+-[0-9]+"),
    hints=(("_", "parts are joined by -"),),
    mends=(lambda text: text.strip().lower().replace("_", "-"),),
)

# https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id
KMS_KEY = Grammar(
    what="a key of AWS KMS (its alias, id or ARN)",
    example="alias/images",
    matches=pattern(
        r"alias/[A-Za-z0-9/_-]+|(?:mrk-)?[0-9a-f-]{32,36}|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-z0-9-]+"
    ),
    maximum=2048,
    mends=(lambda text: f"alias/{text}",),
)

# https://www.debian.org/doc/debian-policy/ch-controlfields.html#source
DEB_PACKAGE = Grammar(
    what="the name of a Debian package",
    example="libgomp1",
    matches=pattern(r"[a-z0-9][a-z0-9+.-]+"),
    maximum=100,
    hints=(("=", "versions are found by `toolkit lock`"),),
    mends=(str.lower, lambda text: text.partition("=")[0]),
)

SUITE = Grammar(
    what="a Debian suite",
    example="bullseye",
    matches=pattern(r"[a-z0-9]+(?:[.-][a-z0-9]+)*"),
    mends=(as_name,),
)

TAG_PATTERN = Grammar(
    what="a tag pattern (letters, digits, . _ - and placeholders)",
    example=tags.DEFAULT_PATTERN,
    matches=pattern(r"[A-Za-z0-9_.{}-]+"),
    maximum=200,
    hints=((" ", "no spaces"), ("/", "a tag has no /"), (":", "a tag has no :")),
)

GLOB = Grammar(
    what="an identifier or a glob over identifiers",
    example="pytorch-*-arm64",
    matches=pattern(r"[A-Za-z0-9._*?\[\]!-]+"),
    maximum=255,
    mends=(str.strip, str.lower),
)

FILE_GLOB = Grammar(
    what="the absolute path of a file in the image, or a glob",
    example="/opt/*.cubin",
    matches=pattern(r"/\S.*"),
    maximum=500,
    mends=(lambda text: f"/{text.removeprefix('./')}",),
)

# Below the directory that packages are installed into; the words of a list that a build reads.
ENVIRONMENT_GLOB = Grammar(
    what="a path below the installed packages, or a glob",
    example="torch/include",
    matches=pattern(r"(?!/)(?:/?(?!\.{1,2}(?:/|$))[A-Za-z0-9_.*?\[\]+-]+)+"),
    maximum=500,
    hints=((" ", "no spaces"), ("..", "nothing above the packages")),
    mends=(lambda text: text.partition("-packages/")[2], lambda text: text.removeprefix("./").strip("/")),
)

ELF_SECTION = Grammar(
    what="the name of an ELF section", example=".nv_fatbin", matches=pattern(r"[A-Za-z0-9_.]+")
)

MACHINE = Grammar(
    what="a machine as `toolkit verify` prints it", example="CUDA", matches=pattern(r"\*|[\w.-]+")
)
