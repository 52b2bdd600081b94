"""What a build asks for something, and asking whether it answers."""

import threading
import time
from dataclasses import replace

from tests.projects import CATALOG, base_digest, rendered, unit, units
from toolkit.adapters.probing import ask_all
from toolkit.errors import NeedNotMet
from toolkit.lock import Folder, LockedDownload
from toolkit.oci import Architecture, Reference
from toolkit.reach import Machine, Place, places_of

INDEX = "https://mirror.example/simple"
DEBIAN = "http://debian.example/debian/"
BARE = Machine(index=INDEX, mirror=DEBIAN, bases=(), files=())
UNIT = rendered(unit())


def download(name: str, sha256: str, host: str = "bucket.example") -> LockedDownload:
    return LockedDownload(folder=Folder.WHEELS, name=name, sha256=sha256, url=f"https://{host}/dir/{name}")


def test_a_bootstrapped_base_and_its_packages_come_from_the_machines_own_mirrors() -> None:
    assert places_of(UNIT, BARE) == (
        Place(name="Debian mirror", url="http://debian.example/debian/dists/bullseye/InRelease"),
        Place(name="package index", url="https://mirror.example/simple/"),
    )


def test_what_is_here_or_has_no_address_is_not_asked_for() -> None:
    here = replace(BARE, bases=["debian11"])
    assert [place.name for place in places_of(UNIT, here)] == ["package index"]
    assert places_of(UNIT, replace(here, index="file:///srv/simple")) == ()
    assert places_of(UNIT, Machine(index="", mirror="", bases=(), files=())) == ()


def test_a_base_of_a_registry_is_asked_for_by_the_digest_that_is_locked() -> None:
    text = CATALOG.replace('suite = "bullseye"\npackages = ["libc6", "python3-minimal"]', "").replace(
        'glibc = "2.31"', 'glibc = "2.31"\nreference = "public.example/ubuntu:20.04"'
    )
    (first, _) = places_of(rendered(units(text)[0]), BARE)
    digest = base_digest(Architecture.AMD64)
    assert first.image == Reference(registry="public.example", repository="ubuntu", digest=digest)
    assert (first.name, first.host) == ("base debian11", "public.example")


def test_a_vendors_index_is_asked_beside_the_machines_own() -> None:
    text = f'{CATALOG}index.all = ["vendor"]\n[sources.vendor]\nkind = "index"\nurl = "https://v.example/whl/cpu"\n'
    found = places_of(rendered(units(text)[-1]), replace(BARE, bases=["debian11"]))
    assert found[1] == Place(name="source vendor", url="https://v.example/whl/cpu/")


def test_of_files_from_one_host_the_first_that_is_not_here_stands_for_all() -> None:
    files = (download("a.whl", "a" * 64), download("b.whl", "b" * 64), download("c.whl", "c" * 64))
    other = download("d.whl", "d" * 64, host="other.example")
    machine = replace(BARE, index="", bases=["debian11"], files={"a" * 64})
    found = places_of(replace(UNIT, downloads=(*files, other)), machine)
    assert [place.url for place in found] == [files[1].url, other.url]


def test_places_are_asked_at_once_and_what_fails_says_why() -> None:
    places = [Place(name=str(number), url=f"https://{number}.example/") for number in range(5)]
    together = threading.Barrier(len(places))

    def ask(place: Place) -> None:
        together.wait(5)
        if place is places[3]:
            raise NeedNotMet("3.example refuses connections")

    assert ask_all(places, ask, within=5) == {places[3]: "3.example refuses connections"}


def test_a_place_that_is_silent_is_not_waited_for() -> None:
    silent = Place(name="silent", url="https://user:secret@silent.example/simple/")
    never = threading.Event()
    started = time.monotonic()

    def ask(place: Place) -> None:
        never.wait(30)

    reasons = ask_all([silent], ask, within=0.1)
    assert time.monotonic() - started < 5
    never.set()
    assert reasons == {silent: "silent.example does not answer within 0.1 s"}
