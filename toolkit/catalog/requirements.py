"""The requirements of an image: PEP 508, with `{version}` for the version that is built."""

import re
from collections.abc import Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from toolkit.catalog.faults import quote
from toolkit.tags import PLACEHOLDER

Identity = tuple[str, frozenset[str], str]
"""What two requirements may not share: name, extras, environment marker."""


# NAME==VERSION, as most are: parsing thousands of them would take longer than all else of a catalog.
_PLAIN = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)==[0-9]+(?:\.[0-9]+)*")


def requirement_problem(text: str, versions: Sequence[str]) -> str | None:
    """What is wrong with `text`, to stand behind it in a sentence; None when nothing is."""
    for placeholder in PLACEHOLDER.findall(text):
        if placeholder != "version":
            return f"holds {quote('{' + placeholder + '}')}: only {{version}} is filled in"
    if set(PLACEHOLDER.sub("", text)) & set("{}"):
        return "has a brace without its partner: only {version} is filled in"
    # Without a good version the form can still be judged: any version will do.
    filled = dict.fromkeys(text.replace("{version}", version) for version in versions or ("1.0",))
    if all(map(_PLAIN.fullmatch, filled)):
        return None
    problem = next((found for each in filled if (found := _problem(each))), None)
    return f"{problem}{_suggestion(text)}" if problem else None


def identity(text: str) -> Identity:
    """`text` is a requirement without problem."""
    filled = text.replace("{version}", "1.0")
    if plain := _PLAIN.fullmatch(filled):
        return canonicalize_name(plain[1]), frozenset(), ""
    parsed = Requirement(filled)
    return canonicalize_name(parsed.name), frozenset(parsed.extras), str(parsed.marker or "")


def _problem(text: str) -> str | None:
    try:
        parsed = Requirement(text)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        return f"is not a PEP 508 requirement ({reason[:1].lower()}{reason[1:]})"
    if parsed.url:
        return f"is fetched by URL, which no lock covers: write {quote(parsed.name + '==VERSION')}"
    return None


def _suggestion(text: str) -> str:
    """The most frequent slip: `torch=1.12.1` or `torch 1.12.1`."""
    mended = re.sub(r"^([\w.\[\],-]+?)(?:\s*=\s*|\s+)(\d[\w.]*|\{version\})$", r"\1==\2", text.strip())
    if mended == text or _problem(mended.replace("{version}", "1.0")):
        return ""
    return f". Did you mean {quote(mended)}?"
