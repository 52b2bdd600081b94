"""/etc/pam.d/common-*, as `pam-auth-update --package` writes them from the default profiles.

https://manpages.debian.org/bookworm/libpam-runtime/pam-auth-update.8.en.html
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from toolkit.rootfs.tree import Tree

_PROFILES = "/usr/share/pam-configs"
_TEMPLATES = "/usr/share/pam"


@dataclass(frozen=True, kw_only=True)
class _Stack:
    """One common-NAME file: the profiles' field, the word in PAM's first column, the template's variable."""

    name: str
    field: str
    word: str
    variable: str


_STACKS = (
    _Stack(name="account", field="Account", word="account", variable="account"),
    _Stack(name="auth", field="Auth", word="auth", variable="auth"),
    _Stack(name="password", field="Password", word="password", variable="password"),
    _Stack(name="session", field="Session", word="session", variable="session"),
    _Stack(name="session-noninteractive", field="Session", word="session", variable="session_nonint"),
)

Profile = Mapping[str, str]


def write_pam(tree: Tree) -> None:
    """Write the five files from their templates; profiles whose default is not "yes" are left out."""
    profiles = [
        _parse((tree.lookup_content(f"{_PROFILES}/{name}") or b"").decode())
        for name in tree.children(_PROFILES)
    ]
    enabled = sorted(
        (profile for profile in profiles if profile.get("Default") == "yes"),
        key=lambda profile: -int(profile.get("Priority", "0")),
    )
    for stack in _STACKS:
        chosen = [
            profile
            for profile in enabled
            if stack.name != "session-noninteractive" or profile.get("Session-Interactive-Only", "no") == "no"
        ]
        template = (tree.lookup_content(f"{_TEMPLATES}/common-{stack.name}") or b"").decode()
        primary = _lines(stack, chosen, "Primary") or [f"{stack.word}\t[default=1]\t\t\tpam_permit.so"]
        additional = _lines(stack, chosen, "Additional")
        text = _fill(
            _fill(template, f"{stack.variable}_primary", primary), f"{stack.variable}_additional", additional
        )
        tree.file(f"/etc/pam.d/common-{stack.name}", text.encode())


def _lines(stack: _Stack, profiles: Sequence[Profile], block: str) -> list[str]:
    """The block's modules; the first profile gives its -Initial form, as it has no password to reuse."""
    members = [profile for profile in profiles if profile.get(f"{stack.field}-Type") == block]
    modules: list[str] = []
    for number, profile in enumerate(members):
        initial = profile.get(f"{stack.field}-Initial") if number == 0 else None
        modules += (initial or profile.get(stack.field, "")).splitlines()
    # "end" jumps over the modules that are left and the pam_deny.so behind them.
    return [
        f"{stack.word}\t{re.sub(r'end', str(len(modules) - number), module)}"
        for number, module in enumerate(modules)
    ]


def _fill(template: str, variable: str, lines: Sequence[str]) -> str:
    return template.replace(f"${variable}\n", "".join(f"{line}\n" for line in lines))


def _parse(text: str) -> Profile:
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line[:1].isspace():
            fields[name] = (fields[name] + "\n" + line.strip()).strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    return fields
