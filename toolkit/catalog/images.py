"""[images.NAME] → Image."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from toolkit import tags
from toolkit.catalog import grammar
from toolkit.catalog.drops import read_drops
from toolkit.catalog.faults import Faults, did_you_mean, nearest, quote
from toolkit.catalog.model import Accelerator, Base, Consumer, Emulation, ForeignElf, Image
from toolkit.catalog.parts import Extent, read_exclusions
from toolkit.catalog.positions import Path
from toolkit.catalog.requirements import Identity, identity, requirement_problem
from toolkit.catalog.sources import Sources
from toolkit.catalog.support import read_support
from toolkit.catalog.table import Table
from toolkit.catalog.vendors import ALL, read_sdk, read_vendors
from toolkit.oci import Architecture

DEFAULT_TEMPLATE = "inference.Dockerfile.j2"


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What an image refers to; `base_names` has the faulty bases too. None is: not known, not checked."""

    bases: Mapping[str, Base]
    base_names: Collection[str] | None
    templates: Collection[str] | None
    sources: Sources


def read_image(name: str, table: Table, around: Surroundings, faults: Faults) -> Image | None:
    """The image, None when its names cannot be told. With any fault noted, it is good for comparing only."""
    before = len(faults)
    framework = table.text("framework", grammar.NAME)
    versions = table.texts("versions", grammar.VERSION, word="version")
    python = table.text("python", grammar.PYTHON)
    base = _read_base(table, around, python)
    accelerator = table.choice("accelerator", Accelerator)
    architectures = table.choices("architectures", Architecture, word="architecture")
    consumers = table.choices("consumers", Consumer, word="consumer")
    exclusions = read_exclusions(table, versions, architectures)
    repository = table.text("repository", grammar.REPOSITORY)
    sdk = read_sdk(table, accelerator)
    tag = _read_tag_pattern(table)
    revision = table.count("revision", default=1)
    names = (framework, versions, python, base, architectures, consumers, repository, tag)
    has_names = all(names) and len(faults) == before

    title = table.text("title")
    template = _read_template(table, around.templates)
    packages = _read_packages(table, versions, architectures, faults)
    remarks = _read_remarks(table, architectures)
    extent = Extent.of(python=python, versions=versions, architectures=architectures, exclusions=exclusions)
    vendors = read_vendors(table, extent, around.sources)
    drops = read_drops(table, extent)
    support = read_support(table)
    foreign_elf = _read_foreign_elf(table)
    emulation = table.choice("emulation", Emulation, required=False) or Emulation.ALLOW
    table.close()
    if accelerator is None or not has_names:
        return None
    return Image(
        name=name,
        title=title,
        framework=framework,
        versions=versions,
        python=python,
        base=base,
        accelerator=accelerator,
        architectures=architectures,
        consumers=consumers,
        template=template,
        repository=repository,
        tag=tag,
        packages=packages,
        remarks=remarks,
        foreign_elf=foreign_elf,
        exclusions=exclusions,
        drops=drops,
        revision=revision,
        line=table.line(table.path),
        indexes=vendors.indexes,
        apt=vendors.apt,
        downloads=vendors.downloads,
        sdk=sdk,
        support=support,
        emulation=emulation,
    )


def _read_base(table: Table, around: Surroundings, python: str) -> str:
    name = table.text("base", grammar.BASE_NAME)
    if not name:
        return ""
    if around.base_names is not None and name not in around.base_names:
        mend = did_you_mean(name, around.base_names) or f": add [bases.{name}]"
        table.fault(table.at("base"), f"base {quote(name)} is not defined{mend}")
        return ""
    base = around.bases.get(name)
    if base and python and python != base.python:
        table.fault(
            table.at("python"),
            f"python {quote(python)} is not the Python of base {quote(name)}, "
            f"which has {quote(base.python)} (line {base.line})",
        )
    return name


def _read_template(table: Table, templates: Collection[str] | None) -> str:
    name = table.text("template", grammar.TEMPLATE, default=DEFAULT_TEMPLATE)
    if name and templates is not None and name not in templates:
        mend = did_you_mean(name, templates)
        table.fault(table.at("template"), f"template {quote(name)} is not in dockerfiles/{mend}")
    return name


def _read_tag_pattern(table: Table) -> str:
    pattern = table.text(
        "tag", grammar.TAG_PATTERN, default=tags.SDK_PATTERN if "sdk" in table else tags.DEFAULT_PATTERN
    )
    path = table.at("tag")
    for placeholder in tags.PLACEHOLDER.findall(pattern):
        if placeholder not in tags.PATTERN_PLACEHOLDERS:
            known = ", ".join(f"{{{name}}}" for name in tags.PATTERN_PLACEHOLDERS)
            near = nearest(placeholder, tags.PATTERN_PLACEHOLDERS)
            mend = f". Did you mean {{{near}}}?" if near else ""
            shown = quote("{" + placeholder + "}")
            table.fault(path, f"tag {quote(pattern)} holds {shown}, which is not one of {known}{mend}")
    if "{sdk}" in pattern and "sdk" not in table:
        table.fault(
            path, f"tag {quote(pattern)} holds {{sdk}}, but the image has none: add sdk, or take it out"
        )
    if set(tags.PLACEHOLDER.sub("", pattern)) & set("{}"):
        table.fault(
            path, f"tag {quote(pattern)} has a brace without its partner: a placeholder is {{version}}"
        )
    return pattern


def _read_packages(
    table: Table, versions: tuple[str, ...], architectures: tuple[Architecture, ...], faults: Faults
) -> dict[Architecture, tuple[str, ...]]:
    """Per architecture what `packages.all` and then `packages.ARCH` ask for."""
    before = len(faults)
    packages = table.table("packages", example='{ all = ["torch=={version}"] }')
    shared = _read_requirements(packages, ALL, versions)
    own = {each: _read_requirements(packages, each, versions) for each in Architecture}
    packages.close()
    packages.fault_unbuilt(architectures)
    seen = _fault_doubles(packages, shared, {})
    for architecture in Architecture:
        _fault_doubles(packages, own[architecture], seen)
    merged = {each: (*shared, *own[each]) for each in architectures}
    for architecture, texts in merged.items():
        if "packages" in table and not texts and len(faults) == before:
            table.fault(
                packages.path,
                f"packages has nothing for {architecture}: add packages.{architecture} or packages.{ALL}",
            )
    return merged


def _read_requirements(packages: Table, key: str, versions: tuple[str, ...]) -> dict[str, Path]:
    found = packages.elements(key, grammar.LINE, word="requirement", required=False)
    good = {}
    for text, path in found.items():
        if problem := requirement_problem(text, versions):
            packages.fault(path, f"requirement {quote(text)} {problem}")
        else:
            good[text] = path
    return good


def _fault_doubles(
    packages: Table, texts: Mapping[str, Path], seen: Mapping[Identity, Path]
) -> Mapping[Identity, Path]:
    """Note what asks for a package that `seen` has already; returns `seen` with `texts` added."""
    known = dict(seen)
    for text, path in texts.items():
        first = known.setdefault(identity(text), path)
        if first != path:
            packages.fault(
                path,
                f"requirement {quote(text)} asks again for a package of line {packages.line(first)}: "
                "make one of the two, with a comma between their versions",
            )
    return known


def _read_remarks(table: Table, architectures: tuple[Architecture, ...]) -> dict[Architecture, str]:
    remarks = table.table("remarks")
    texts = {each: text for each in Architecture if (text := remarks.text(each, default=""))}
    remarks.close()
    remarks.fault_unbuilt(architectures)
    return texts


def _read_foreign_elf(table: Table) -> tuple[ForeignElf, ...]:
    found = []
    for row in table.rows("foreign_elf"):
        path = row.text("path", grammar.FILE_GLOB)
        machine = row.text("machine", grammar.MACHINE, default="*")
        reason = row.text("reason")
        row.close()
        found.append(ForeignElf(path=path, machine=machine, reason=reason))
    return tuple(found)
