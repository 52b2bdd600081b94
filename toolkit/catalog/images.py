"""[images.NAME] → Image."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from toolkit import tags
from toolkit.catalog import grammar
from toolkit.catalog.faults import Faults, did_you_mean, nearest, quote
from toolkit.catalog.matrix import covers
from toolkit.catalog.model import Accelerator, Base, Consumer, Exclusion, ForeignElf, Image
from toolkit.catalog.positions import Path
from toolkit.catalog.requirements import Identity, identity, requirement_problem
from toolkit.catalog.table import Table
from toolkit.oci import Architecture

DEFAULT_TEMPLATE = "inference.Dockerfile.j2"

ALL = "all"
"""The key of `packages` whose requirements every architecture gets."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What an image refers to; `base_names` has the faulty bases too. None is: not known, not checked."""

    bases: Mapping[str, Base]
    base_names: Collection[str] | None
    templates: Collection[str] | None


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
    exclusions = _read_exclusions(table, versions, architectures)
    repository = table.text("repository", grammar.REPOSITORY)
    tag = _read_tag_pattern(table)
    revision = table.count("revision", default=1)
    names = (framework, versions, python, base, architectures, consumers, repository, tag)
    has_names = all(names) and len(faults) == before

    title = table.text("title")
    template = _read_template(table, around.templates)
    packages = _read_packages(table, versions, architectures, faults)
    remarks = _read_remarks(table, architectures)
    foreign_elf = _read_foreign_elf(table)
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
        revision=revision,
        line=table.line(table.path),
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
    pattern = table.text("tag", grammar.TAG_PATTERN, default=tags.DEFAULT_PATTERN)
    path = table.at("tag")
    for placeholder in tags.PLACEHOLDER.findall(pattern):
        if placeholder not in tags.PATTERN_PLACEHOLDERS:
            known = ", ".join(f"{{{name}}}" for name in tags.PATTERN_PLACEHOLDERS)
            near = nearest(placeholder, tags.PATTERN_PLACEHOLDERS)
            mend = f". Did you mean {{{near}}}?" if near else ""
            shown = quote("{" + placeholder + "}")
            table.fault(path, f"tag {quote(pattern)} holds {shown}, which is not one of {known}{mend}")
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
    _fault_unbuilt(packages, architectures)
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
    _fault_unbuilt(remarks, architectures)
    return texts


def _fault_unbuilt(table: Table, architectures: tuple[Architecture, ...]) -> None:
    """A key for an architecture that the image is not built for does nothing: a slip."""
    for architecture in Architecture:
        if architecture in table and architectures and architecture not in architectures:
            table.fault(
                table.at(architecture),
                f"{table.label(architecture)} does nothing: {quote(architecture)} is not in architectures",
            )


def _read_foreign_elf(table: Table) -> tuple[ForeignElf, ...]:
    found = []
    for row in table.rows("foreign_elf"):
        path = row.text("path", grammar.FILE_GLOB)
        machine = row.text("machine", grammar.MACHINE, default="*")
        reason = row.text("reason")
        row.close()
        found.append(ForeignElf(path=path, machine=machine, reason=reason))
    return tuple(found)


def _read_exclusions(
    table: Table, versions: tuple[str, ...], architectures: tuple[Architecture, ...]
) -> tuple[Exclusion, ...]:
    """Each must exclude something that is there and that no row above it excludes."""
    left = {(version, architecture) for version in versions for architecture in architectures}
    found = []
    for row in table.rows("exclude"):
        version = row.text("version", grammar.VERSION, default="")
        architecture = row.choice("architecture", Architecture, required=False)
        exclusion = Exclusion(version=version, architecture=architecture, reason=row.text("reason"))
        row.close()
        found.append(exclusion)
        if "version" not in row and "architecture" not in row:
            row.fault(row.path, "names no version and no architecture: it would exclude the whole image")
            continue
        if bool(version) != ("version" in row) or bool(architecture) != ("architecture" in row):
            continue  # a faulty value, noted already
        covered = {cell for cell in left if covers(exclusion, *cell)}
        if left and not covered:
            why = _why_nothing(exclusion, versions, architectures)
            row.fault(row.path, f"there is nothing to exclude: {why}")
        left -= covered
    if versions and architectures and not left:
        table.fault(table.at("exclude"), "exclude leaves nothing to build: remove a row, or the image")
    return tuple(found)


def _why_nothing(
    exclusion: Exclusion, versions: tuple[str, ...], architectures: tuple[Architecture, ...]
) -> str:
    if exclusion.version and exclusion.version not in versions:
        mend = did_you_mean(exclusion.version, versions)
        return f"version {quote(exclusion.version)} is not in versions{mend}"
    if exclusion.architecture and exclusion.architecture not in architectures:
        return f"{quote(exclusion.architecture)} is not in architectures"
    return "the rows above exclude all of it already"
