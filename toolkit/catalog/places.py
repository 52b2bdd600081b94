"""What names vendors' places may have: URLs, files below them, packages of their apt repositories.

Each of these ends up in a command, a URL or a Dockerfile, so none can hold a space, a quote or a line break.
"""

import re
from calendar import monthrange
from dataclasses import replace
from datetime import date

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from toolkit.catalog.grammar import NAME, Grammar, as_name, pattern


def last_day(text: str) -> date:
    """The day that `text` names, or the last one of the month that it names. Raises ValueError."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}", text):
        return date.fromisoformat(text)
    year, month = int(text[:4]), int(text[5:])
    return date(year, month, monthrange(year, month)[1])


def _is_date(text: str) -> bool:
    try:
        return last_day(text).isoformat().startswith(text)
    except ValueError:
        return False


def _is_wheel(text: str) -> bool:
    try:
        parse_wheel_filename(text.rpartition("/")[2])
    except InvalidWheelFilename:
        return False
    return bool(_OBJECT(text))


def _without_credentials(text: str) -> str:
    return re.sub(r"//[^/]*@", "//", text)


_NO_SPACES = (" ", "no spaces")
_NO_DOTS = "no part of it may be . or .."

# What RFC 3986 allows, without user, query and fragment; and no segment that leads upwards.
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_PORT = r"(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_URL = pattern(
    rf"https?://{_LABEL}(?:\.{_LABEL})*(?::{_PORT})?"
    r"(?:/(?!\.{1,2}(?:/|$))(?:[A-Za-z0-9._~+=,-]|%[0-9A-Fa-f]{2})+)*/?"
)

SOURCE_NAME = replace(NAME, what="the name of a source", example="neuron-apt")

SOURCE_URL = Grammar(
    what="the URL of a source",
    example="https://download.pytorch.org/whl/cpu",
    matches=_URL,
    maximum=500,
    hints=(
        ("@", "credentials belong into ~/.netrc, not into this file"),
        ("?", "a source has no query"),
        ("#", "a source has no fragment"),
        ("s3://", "name the bucket's https:// address"),
        _NO_SPACES,
        ("/.", _NO_DOTS),
    ),
    mends=(_without_credentials, lambda text: f"https://{text}", str.strip),
)

KEY_URL = replace(
    SOURCE_URL,
    what="the URL of a signing key",
    example="https://apt.repos.neuron.amazonaws.com/GPG-PUB-KEY-AMAZON-AWS-NEURON.PUB",
)

PAGE_URL = Grammar(
    what="the URL of a page",
    example="https://endoflife.date/debian",
    matches=pattern(r"https?://[A-Za-z0-9][A-Za-z0-9.:-]*(?:[/?#][A-Za-z0-9._~:/?#@!$&'()*+,;=%\[\]-]*)?"),
    maximum=500,
    mends=(lambda text: f"https://{text}", str.strip),
)

# The signs that S3 calls safe, and plus; the last part is the name of a file, and one word of a Dockerfile.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_OBJECT = pattern(r"(?:[A-Za-z0-9_][A-Za-z0-9._+=~-]*/)*[A-Za-z0-9][A-Za-z0-9._+=-]*")

_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")

OBJECT = Grammar(
    what="the path of a file below its source",
    example="v1.0/tool.tar.gz",
    matches=_OBJECT,
    maximum=500,
    hints=(
        ("%", "write the object's own name: it is encoded when it is asked for"),
        ("://", "write it without the URL of its source"),
        ("{", "nothing is filled in here: give each version its own row"),
        _NO_SPACES,
        ("..", _NO_DOTS),
    ),
    mends=(str.strip, lambda text: text.lstrip("/")),
)

WHEEL = replace(
    OBJECT,
    what="the path of a wheel below its source",
    example="torch/torch-1.5.1-cp36-cp36m-linux_x86_64.whl",
    matches=_is_wheel,
)

DEB_FILE = replace(
    OBJECT,
    what="the path of a .deb below its source",
    example="pool/tool_1.0_amd64.deb",
    matches=lambda text: text.endswith(".deb") and _OBJECT(text),
)

ARCHIVE = replace(
    OBJECT,
    what="the path of a tar archive below its source",
    example="v1.0/tool.tar.gz",
    matches=lambda text: text.endswith(_ARCHIVES) and _OBJECT(text),
)

PLACE = Grammar(
    what="an absolute path in the image",
    example="/opt/tools",
    matches=pattern(r"/[A-Za-z0-9][A-Za-z0-9._+-]*(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._+-]+)*"),
    maximum=500,
    hints=(_NO_SPACES, ("/.", _NO_DOTS)),
    mends=(str.strip, lambda text: "/" + text.strip("/")),
)

# https://packaging.python.org/en/latest/specifications/name-normalization/
PYTHON_PACKAGE = Grammar(
    what="the name of a Python package",
    example="torch",
    matches=pattern(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"),
    hints=(("=", "versions belong into an image's packages"), ("*", "each package by its name")),
    mends=(str.strip, lambda text: re.split(r"[=<>~! \[]", text, maxsplit=1)[0]),
)

COMPONENT = Grammar(
    what="a component of an apt repository",
    example="main",
    matches=pattern(r"[a-z0-9]+(?:-[a-z0-9]+)*"),
    mends=(as_name,),
)

# https://www.debian.org/doc/debian-policy/ch-controlfields.html#version
APT_PACKAGE = Grammar(
    what="a package of an apt repository, with its version or without",
    example="aws-neuronx-tools=2.20.*",
    matches=pattern(r"[a-z0-9][a-z0-9+.-]+(?:=[A-Za-z0-9][A-Za-z0-9.+~:-]*\*?)?"),
    maximum=200,
    hints=(("==", "apt's equals sign is a single one"), _NO_SPACES),
    mends=(lambda text: re.sub(r"\s*==?\s*", "=", text.strip()), str.lower),
)

SDK_VERSION = Grammar(
    what="the version of an SDK",
    example="2.20.2",
    matches=pattern(r"[0-9]+(?:\.[0-9]+)+"),
    hints=(("-", "- separates the parts of identifiers"),),
    mends=(str.strip, lambda text: text.lower().lstrip("sdkv ")),
)

DATE = Grammar(what="a day (year-month-day) or a month (year-month)", example="2026-08-31", matches=_is_date)
