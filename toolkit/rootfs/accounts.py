"""Users and groups, as base-passwd's `update-passwd` and passwd's `shadowconfig on` leave them."""

from toolkit.rootfs.tree import Tree

_SECONDS_PER_DAY = 86_400
_SHADOW_GROUP = 42


def write_accounts(tree: Tree) -> None:
    """/etc/passwd and /etc/group from the master files, their locked passwords in the shadow files."""
    users = _master(tree, "passwd")
    groups = _master(tree, "group")
    # The day of the last password change: the tree's own, or two builds would differ.
    day = tree.mtime // _SECONDS_PER_DAY
    shadow = [f"{name}:*:{day}:0:99999:7:::" for name, *_ in users]
    gshadow = [f"{name}:*::{members}" for name, _, _, members in groups]
    _write(tree, "/etc/passwd", [":".join([name, "x", *rest]) for name, _, *rest in users], mode=0o644)
    _write(tree, "/etc/group", [":".join([name, "x", *rest]) for name, _, *rest in groups], mode=0o644)
    _write(tree, "/etc/shadow", shadow, mode=0o640, gid=_SHADOW_GROUP)
    _write(tree, "/etc/gshadow", gshadow, mode=0o640, gid=_SHADOW_GROUP)


def _master(tree: Tree, name: str) -> list[list[str]]:
    content = tree.lookup_content(f"/usr/share/base-passwd/{name}.master") or b""
    return [line.split(":") for line in content.decode().splitlines() if line]


def _write(tree: Tree, path: str, lines: list[str], *, mode: int, gid: int = 0) -> None:
    tree.file(path, "".join(f"{line}\n" for line in lines).encode(), mode=mode, gid=gid)
