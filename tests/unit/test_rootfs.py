"""The file system that packages make without being run."""

import io
import struct
import tarfile
from collections.abc import Sequence

import pytest

from tests.debs import TIME, deb, make_deb
from toolkit.errors import NeedNotMet
from toolkit.oci import Architecture, Digest, ImageConfig
from toolkit.rootfs.accounts import write_accounts
from toolkit.rootfs.certificates import subject_hash, write_certificates
from toolkit.rootfs.configure import load_practice, remarks
from toolkit.rootfs.deb import Deb, read_deb
from toolkit.rootfs.image import image_config, make_tree
from toolkit.rootfs.loader_cache import format_cache, read_soname, write_loader_cache
from toolkit.rootfs.pam import write_pam
from toolkit.rootfs.tree import Kind, Tree, write_layer

ARM64 = Architecture.ARM64

# `openssl x509 -hash` says a2ade470: a subject with umlauts, capitals and several spaces, no X.509 version.
CERTIFICATE = b"""\
-----BEGIN CERTIFICATE-----
MIIBgTCCAScCFGhNTMsFaeApTnvLh9hqmKybFDb/MAoGCCqGSM49BAMCMEIxCzAJ
BgNVBAYTAkRFMRswGQYDVQQKDBJHcsO2w59lICAgdW5kIE1BU1MxFjAUBgNVBAMM
DVRlc3QgIFJvb3QgQ0EwIBcNMjYxMTIxMDg1NDU0WhgPMjEyNjEwMjgwODU0NTRa
MEIxCzAJBgNVBAYTAkRFMRswGQYDVQQKDBJHcsO2w59lICAgdW5kIE1BU1MxFjAU
BgNVBAMMDVRlc3QgIFJvb3QgQ0EwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAT5
YrUm2VGiIts87ZEG4HYNmBj/8DjDvVn2iul/PfuYjI/po7ZIhcpAzMWKjL4n4N18
/s06UBOde1HSw+H1G4reMAoGCCqGSM49BAMCA0gAMEUCIGO7pCJ6T/u0mXSJWI9H
uB7Ns8/L/KSJCKU6+6hRau3MAiEAt8nCvfnMV+p3KpA3rsetddLj6akWGNjsn15x
3XWYJKM=
-----END CERTIFICATE-----
"""


def make(*debs: Deb, suite: str = "bullseye") -> Tree:
    return make_tree(debs, suite=suite, architecture=ARM64).tree


def layer_of(tree: Tree) -> bytes:
    stream = io.BytesIO()
    write_layer(tree, stream)
    return stream.getvalue()


def entries_of(tree: Tree) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(layer_of(tree))) as archive:
        return {entry.name: entry for entry in archive}


def content(tree: Tree, path: str) -> str:
    found = tree.lookup_content(path)
    assert found is not None, path
    return found.decode()


def test_a_package_is_read_with_its_files_scripts_and_times() -> None:
    package = read_deb(
        make_deb(
            "tool",
            {"/": None, "/usr/bin/tool": b"\x7fELF", "/usr/bin/t": "tool", "/usr/bin/x": "=/usr/bin/tool"},
            fields="Multi-Arch: same\n",
            info={"postinst": "#!/bin/sh\n"},
            modes={"/usr/bin/tool": 0o4755},
        ),
        "tool.deb",
    )
    assert (package.name, package.field("multi-arch"), package.newest) == ("tool", "same", TIME)
    assert package.info["postinst"] == b"#!/bin/sh\n"
    assert package.nodes["/usr/bin/tool"].mode == 0o4755
    assert package.nodes["/usr/bin/t"].target == "tool"
    assert package.nodes["/usr/bin/x"] is package.nodes["/usr/bin/tool"]


@pytest.mark.parametrize("damaged", [b"", b"<html>not found</html>", make_deb("tool", {"/a": b"a"})[:-40]])
def test_a_damaged_package_is_named(damaged: bytes) -> None:
    with pytest.raises(NeedNotMet, match=r"cache/tool\.deb is not a package") as caught:
        read_deb(damaged, "cache/tool.deb")
    assert "fetched again" in caught.value.remedy


def test_the_layer_does_not_depend_on_the_order_of_packages() -> None:
    one = deb("one", {"/usr": None, "/usr/bin": None, "/usr/bin/one": b"1"})
    two = deb("two", {"/usr": None, "/usr/bin": None, "/usr/bin/two": b"2"})
    assert layer_of(make(one, two)) == layer_of(make(two, one))


def test_layer_entries_carry_numbers_instead_of_names_and_nothing_newer_than_the_packages() -> None:
    entries = entries_of(make(deb("one", {"/usr": None, "/usr/one": b"1"})))
    assert {(entry.uname, entry.gname) for entry in entries.values()} == {("", "")}
    assert {entry.mtime for entry in entries.values()} == {TIME}
    assert not any(entry.pax_headers for entry in entries.values())


def test_parents_come_before_their_children_even_where_names_sort_otherwise() -> None:
    names = list(entries_of(make(deb("one", {"/a": None, "/a/b": b"", "/a-b": b""}))))
    assert names.index("a") < names.index("a/b")


def test_hard_links_stay_hard_links() -> None:
    entries = entries_of(make(deb("perl", {"/usr": None, "/usr/z": b"perl", "/usr/a": "=/usr/z"})))
    assert entries["usr/z"].islnk()
    assert entries["usr/z"].linkname == "usr/a"


def test_files_land_below_usr_in_a_merged_suite() -> None:
    package = deb("dash", {"/": None, "/bin": None, "/bin/dash": b"dash", "/bin/sh": "dash"})
    tree = make(package, suite="trixie")
    assert entries_of(tree)["bin"].linkname == "usr/bin"
    assert content(tree, "/usr/bin/sh") == "dash"


def test_bullseye_is_not_merged() -> None:
    tree = make(deb("dash", {"/": None, "/bin": None, "/bin/dash": b"dash"}), suite="bullseye")
    assert entries_of(tree)["bin"].isdir()


def test_an_unknown_suite_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(NeedNotMet, match="'buster' was never made; known are bookworm, bullseye, trixie"):
        make(deb("one", {}), suite="buster")


def test_two_packages_with_different_files_of_one_name_are_refused() -> None:
    with pytest.raises(NeedNotMet, match="two packages of the base bring /one"):
        make(deb("one", {"/one": b"1"}), deb("two", {"/one": b"2"}))


def test_links_in_a_circle_are_refused() -> None:
    tree = make(deb("one", {"/a": "b", "/b": "a"}))
    with pytest.raises(NeedNotMet, match="circle of links"):
        tree.lookup_content("/a")


def test_documentation_is_dropped_and_copyright_kept() -> None:
    names = entries_of(
        make(
            deb(
                "one",
                {
                    "/usr/share/doc/one": None,
                    "/usr/share/doc/one/copyright": b"GPL",
                    "/usr/share/doc/one/README": b"read me",
                    "/usr/share/man/man1/one.1.gz": b"manual",
                    "/usr/share/locale/de/LC_MESSAGES/one.mo": b"deutsch",
                },
            )
        )
    )
    assert [name for name in names if "share/" in name] == [
        "usr/share/doc/one",
        "usr/share/doc/one/copyright",
    ]


def test_temporary_directories_are_there_for_everyone() -> None:
    entries = entries_of(make(deb("one", {"/one": b""})))
    assert {entries[name].mode for name in ("tmp", "var/tmp")} == {0o1777}


def test_dpkg_sees_the_package_installed_with_its_conffiles_and_file_list() -> None:
    tree = make(
        deb(
            "tool",
            {"/": None, "/etc": None, "/etc/tool.conf": b"x=1\n"},
            fields="Multi-Arch: same\n",
            info={"conffiles": "/etc/tool.conf\n", "md5sums": "", "triggers": "interest-noawait tooling\n"},
        )
    )
    status = content(tree, "/var/lib/dpkg/status")
    assert "Package: tool\nStatus: install ok installed\n" in status
    assert " /etc/tool.conf f968f33f844c98de1d3b4fe70f2e1a0f\n" in status
    assert status.endswith("\n\n")
    assert content(tree, "/var/lib/dpkg/info/tool:arm64.list") == "/.\n/etc\n/etc/tool.conf\n"
    assert content(tree, "/var/lib/dpkg/triggers/tooling") == "tool/noawait\n"


def test_users_and_groups_come_from_the_master_files_with_locked_passwords() -> None:
    tree = Tree(mtime=86_400 * 100)
    tree.file("/usr/share/base-passwd/passwd.master", b"root:*:0:0:root:/root:/bin/bash\n")
    tree.file("/usr/share/base-passwd/group.master", b"root:*:0:\nshadow:*:42:\n")
    write_accounts(tree)
    assert content(tree, "/etc/passwd") == "root:x:0:0:root:/root:/bin/bash\n"
    assert content(tree, "/etc/group") == "root:x:0:\nshadow:x:42:\n"
    assert content(tree, "/etc/shadow") == "root:*:100:0:99999:7:::\n"
    shadow = tree.lookup("/etc/shadow")
    assert shadow is not None
    assert (shadow.mode, shadow.gid) == (0o640, 42)


def test_an_alternative_is_linked_and_recorded() -> None:
    tree = make(deb("mawk", {"/usr": None, "/usr/bin": None, "/usr/bin/mawk": b"mawk"}))
    assert content(tree, "/usr/bin/awk") == content(tree, "/usr/bin/nawk") == "mawk"
    assert content(tree, "/var/lib/dpkg/alternatives/awk").splitlines() == [
        *("auto", "/usr/bin/awk", "nawk", "/usr/bin/nawk", ""),
        *("/usr/bin/mawk", "5", "/usr/bin/mawk", ""),
    ]


def test_an_alternative_of_another_suite_is_left_out() -> None:
    tree = make(deb("tar", {"/bin": None, "/bin/tar": b"tar"}))
    assert tree.lookup("/usr/sbin/rmt") is None


def test_a_diversion_is_recorded_only_for_a_file_that_the_package_brings() -> None:
    shells = {"/bin": None, "/bin/sh": "dash", "/bin/dash": b"dash"}
    assert (
        content(make(deb("dash", shells)), "/var/lib/dpkg/diversions") == "/bin/sh\n/bin/sh.distrib\ndash\n"
    )
    assert content(make(deb("dash", {"/usr/bin/sh": "dash"})), "/var/lib/dpkg/diversions") == ""


def test_a_missing_template_says_what_has_to_follow() -> None:
    with pytest.raises(
        NeedNotMet, match=r"no package of the base brings /usr/share/libc-bin/nsswitch\.conf"
    ) as caught:
        make(deb("libc-bin", {"/usr": None}))
    assert "maintainer_scripts.toml" in caught.value.remedy


@pytest.mark.parametrize(
    "script",
    [
        "#!/bin/sh\nset -e\n# comment\nexit 0\n",
        "#!/bin/sh\nset -e\n# Automatically added by dh_python3/5.0\nif x; then\n\tpy3compile\nfi\n"
        "# End automatically added section\n",
    ],
)
def test_a_script_that_does_nothing_on_a_fresh_system_needs_no_remark(script: str) -> None:
    assert remarks([deb("tool", {}, info={"postinst": script})]) == ()


@pytest.mark.parametrize(
    "script",
    [
        "#!/bin/sh\nset -e\nadduser --system tool\n",
        "#!/bin/sh\n# Automatically added by dh_installalternatives/13\n"
        "update-alternatives --install /usr/bin/x x /usr/bin/tool 1\n# End automatically added section\n",
    ],
)
def test_a_script_that_nobody_has_looked_at_gets_a_remark(script: str) -> None:
    (remark,) = remarks([deb("tool", {}, info={"postinst": script})])
    assert "tool" in remark


def test_every_row_of_the_data_file_does_something_or_says_why_not() -> None:
    rows = load_practice().scripts
    idle = [name for name, row in rows.items() if not (row.done or row.files or row.links or row.copies
            or row.directories or row.alternatives or row.lines)]  # fmt: skip
    assert idle == []


def test_certificates_are_found_by_the_hash_that_openssl_looks_for() -> None:
    assert subject_hash(CERTIFICATE) == "a2ade470"


def test_two_certificates_of_one_subject_are_numbered() -> None:
    tree = Tree(mtime=0)
    tree.file("/usr/share/ca-certificates/mozilla/Root (1).crt", CERTIFICATE)
    tree.file("/usr/share/ca-certificates/mozilla/Root2.crt", CERTIFICATE.rstrip())
    write_certificates(tree)
    assert list(tree.children("/etc/ssl/certs")) == [
        *("Root2.pem", "Root_=1=.pem", "a2ade470.0", "a2ade470.1", "ca-certificates.crt"),
    ]
    assert content(tree, "/etc/ssl/certs/a2ade470.0").encode() == CERTIFICATE
    assert content(tree, "/etc/ssl/certs/ca-certificates.crt").encode() == CERTIFICATE * 2


def test_pam_stacks_jump_over_what_is_left_when_a_module_succeeds() -> None:
    tree = Tree(mtime=0)
    for name in ("account", "auth", "password", "session", "session-noninteractive"):
        variable = {"session-noninteractive": "session_nonint"}.get(name, name)
        template = f"${variable}_primary\n{variable} deny\n${variable}_additional\n# end\n"
        tree.file(f"/usr/share/pam/common-{name}", template.encode())
    for name, priority, default in (("first", 900, "yes"), ("unix", 256, "yes"), ("off", 999, "no")):
        tree.file(
            f"/usr/share/pam-configs/{name}",
            f"Name: {name}\nDefault: {default}\nPriority: {priority}\nAuth-Type: Primary\n"
            f"Auth:\n\t[success=end default=ignore]\tpam_{name}.so try_first_pass\n"
            f"Auth-Initial:\n\t[success=end default=ignore]\tpam_{name}.so\n"
            "Session-Type: Additional\nSession-Interactive-Only: "
            f"{'yes' if name == 'first' else 'no'}\nSession:\n\toptional\tpam_{name}.so\n".encode(),
        )
    write_pam(tree)
    assert content(tree, "/etc/pam.d/common-auth").splitlines() == [
        "auth\t[success=2 default=ignore]\tpam_first.so",
        "auth\t[success=1 default=ignore]\tpam_unix.so try_first_pass",
        "auth deny",
        "# end",
    ]
    assert "pam_first" in content(tree, "/etc/pam.d/common-session")
    assert "pam_first" not in content(tree, "/etc/pam.d/common-session-noninteractive")
    assert content(tree, "/etc/pam.d/common-session").startswith("session\t[default=1]\t\t\tpam_permit.so\n")


def shared_object(soname: str) -> bytes:
    """A 64-bit ELF file of nothing but a dynamic section: a name, and where the names are."""
    names = b"\0" + soname.encode() + b"\0"
    at, address = 64 + 2 * 56, 0x1000
    dynamic = struct.pack("<6Q", 14, 1, 5, address + at + 48, 0, 0)
    size = at + len(dynamic) + len(names)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header += struct.pack("<HHIQQQIHHHHHH", 3, 183, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    segments = struct.pack("<IIQQQQQQ", 1, 5, 0, address, address, size, size, 4096)
    segments += struct.pack("<IIQQQQQQ", 2, 6, at, address + at, address + at, 48, 48, 8)
    return header + segments + dynamic + names


def test_a_shared_objects_own_name_is_read() -> None:
    assert read_soname(shared_object("libgomp.so.1")) == "libgomp.so.1"


@pytest.mark.parametrize(
    "other", [b"", b"#!/bin/sh\n", b"\x7fELF\x01\x01" + bytes(60), b"\x7fELF\x02\x01" + bytes(58)]
)
def test_other_files_have_no_name_for_the_loader(other: bytes) -> None:
    assert read_soname(other) is None


def test_the_loader_cache_holds_libraries_by_their_own_names_only() -> None:
    tree = Tree(mtime=0)
    tree.file("/etc/ld.so.conf.d/arm64.conf", b"# Multiarch\n/usr/lib/aarch64-linux-gnu\n")
    tree.file("/usr/lib/aarch64-linux-gnu/libgomp.so.1.0.0", shared_object("libgomp.so.1"))
    tree.link("/usr/lib/aarch64-linux-gnu/libgomp.so.1", "libgomp.so.1.0.0")
    tree.link("/usr/lib/aarch64-linux-gnu/libgomp.so", "libgomp.so.1")
    write_loader_cache(tree, ARM64)
    cache = tree.lookup_content("/etc/ld.so.cache") or b""
    count, length = struct.unpack_from("<II", cache, 20)
    flags, key, value, _, _ = struct.unpack_from("<iIIIQ", cache, 48)
    assert (count, length, hex(flags)) == (1, len(cache) - 48 - 24, "0xa03")
    assert cache[key:].startswith(b"libgomp.so.1\0")
    assert cache[value:] == b"/usr/lib/aarch64-linux-gnu/libgomp.so.1\0"


def test_the_loader_cache_is_sorted_as_the_loader_searches_it() -> None:
    names = ["libz.so.1", "libz.so.10", "libz.so.9", "libz++.so.1", "ld-linux.so.2"]
    cache = format_cache(dict.fromkeys(names, "/x"), Architecture.AMD64)
    assert strings_of(cache) == ["libz.so.10", "libz.so.9", "libz.so.1", "libz++.so.1", "ld-linux.so.2"]


def strings_of(cache: bytes) -> Sequence[str]:
    return [part.decode() for part in cache[48 + 24 * 5 :].split(b"\0") if part not in (b"/x", b"")]


def test_the_image_configuration_names_platform_layer_and_version() -> None:
    tree = make(deb("base-files", BASE_FILES))
    raw = image_config(tree, Digest.of(b"layer"), suite="bullseye", architecture=ARM64)
    config = ImageConfig.parse(raw)
    assert config.platform == ARM64.platform
    assert config.diff_ids == (Digest.of(b"layer"),)
    assert config.created == "2020-09-13T12:26:40Z"
    assert config.labels["org.opencontainers.image.version"] == "11.11"
    assert config.command == ("bash",)


BASE_FILES = {
    "/": None,
    "/etc": None,
    "/etc/debian_version": b"11.11\n",
    "/usr": None,
    "/var": None,
    "/var/run": None,
    **{f"/usr/share/base-files/{name}": b"" for name in ("motd", "profile", "dot.bashrc", "dot.profile")},
}


def test_an_empty_directory_gives_way_to_the_link_that_the_script_makes() -> None:
    link = make(deb("base-files", BASE_FILES)).lookup("/var/run")
    assert link is not None
    assert (link.kind, link.target) == (Kind.SYMLINK, "/run")
