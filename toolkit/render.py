"""Build unit → Dockerfile, build context and build_id. Pure: no clock, environment, network or disk.

A value of the catalog reaches a Dockerfile only as one plain word (`templates`). Free text such as the
title travels as a label argument, requirements as a file of the context.
"""

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache, cached_property, lru_cache

from toolkit.catalog.model import Base, Consumer, Install, Support
from toolkit.errors import LockInvalid, UsageError
from toolkit.layers import members
from toolkit.lock import Lock, LockedDownload, get_locked
from toolkit.oci import Architecture, Reference
from toolkit.sortedjson import SortedJson
from toolkit.support import Ends, in_texts, known_ends, support_of
from toolkit.templates import Templates, is_word
from toolkit.units import BuildUnit

LABEL = "io.multiarch-images"
PORT = 8080


@dataclass(frozen=True, kw_only=True)
class BaseIdentity:
    """What stands behind a base for one architecture.

    `reference` is what people call it; `digest` is the image's on this architecture, which goes into
    build_id; `index` is the digest that pins an image of a registry for every platform at once.
    `unlocked` is why there is neither: the base could not be looked at when the catalog was locked.
    """

    reference: str
    digest: str
    index: str = ""
    unlocked: str = ""

    @property
    def source(self) -> str:
        """What FROM says: pinned, or the local name of a bootstrapped base."""
        return f"{self.reference}@{self.index}" if self.index else self.reference


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The files a render reads, already read: templates by name, the serving runtime by path.

    `programs` are run by builds and come into no image, by name.
    `ends` say when what images are made of stops being looked after.
    """

    templates: Mapping[str, str]
    serving: Mapping[str, bytes]
    programs: Mapping[str, bytes] = field(default_factory=dict)
    ends: Ends = field(default_factory=known_ends)
    # With a unit each, so that its image and base stay the objects that are known by these ids.
    _judged: dict[tuple[int, int, str], tuple[BuildUnit, Support]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _written: dict[tuple[int, int, str, str], tuple[BuildUnit, "_Text"]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def support_of(self, unit: BuildUnit, day: str) -> Support:
        """Units of one image and base have one answer: it is looked for once. `day` is year-month-day."""
        key = (id(unit.image), id(unit.base), day)
        found = self._judged.get(key)
        if found is None:
            found = self._judged[key] = unit, support_of(unit, self.ends, on=date.fromisoformat(day))
        return found[1]

    def dockerfile_of(self, unit: BuildUnit, base: str) -> "_Text":
        """The Dockerfile; `base` is what FROM says. Raises UsageError for a mistake in a template.

        Where an image neither downloads nor drops anything, all that its units of one architecture can differ
        in is their name.
        """
        if unit.image.downloads or unit.image.drops or self.compiled.mentions("identifier"):
            return _text(render_dockerfile(unit, self.compiled, base))
        key = (id(unit.image), id(unit.base), unit.cell.architecture, base)
        found = self._written.get(key)
        if found is None:
            found = self._written[key] = unit, _text(render_dockerfile(unit, self.compiled, base))
        return found[1]

    @cached_property
    def compiled(self) -> Templates:
        return Templates(self.templates)

    @cached_property
    def runtime(self) -> Mapping[str, bytes]:
        """What of the serving runtime is copied into images, by path."""
        return {path: content for path, content in self.serving.items() if path != "requirements.in"}

    @cached_property
    def runtime_inputs(self) -> Mapping[str, str]:
        """The inputs of a build id that the runtime's files are."""
        return {f"file {path}": _short(content) for path, content in self.runtime.items()}

    @cached_property
    def inputs_json(self) -> SortedJson:
        """What build ids are taken over: a unit's own inputs with the runtime's."""
        return SortedJson(common=self.runtime_inputs)

    @cached_property
    def serving_requirements(self) -> tuple[str, ...]:
        """The serving runtime's own needs: the lines of its requirements.in."""
        text = self.serving.get("requirements.in", b"").decode()
        lines = (line.partition("#")[0].strip() for line in text.splitlines())
        return tuple(line for line in lines if line)


@dataclass(frozen=True, kw_only=True)
class RenderedUnit:
    """All that a build takes. `build_id` is taken over the digests of its `inputs`.

    What ten thousand units have in common stands in memory once: of `context` and `inputs` a unit has
    `own_files` and `own_inputs`; the rest is the runtime's, the same for all.
    `own_labels` are those that are inputs themselves. `support` is that of the day the unit was locked: no
    image changes because a day has passed. `downloads` lie in the named build context `downloads`, each
    under its path.
    """

    unit: BuildUnit
    dockerfile: str
    own_files: Mapping[str, bytes]
    runtime: Mapping[str, bytes]
    own_labels: Mapping[str, str]
    own_inputs: Mapping[str, str]
    runtime_inputs: Mapping[str, str]
    build_id: str
    base: BaseIdentity
    created: str
    support: Support
    downloads: tuple[LockedDownload, ...] = ()
    unlocked: str = ""

    @property
    def context(self) -> Mapping[str, bytes]:
        """The files of the build context, by path."""
        return {**self.own_files, **self.runtime}

    @property
    def inputs(self) -> Mapping[str, str]:
        """Every input by name, with its digest or itself."""
        return {**self.own_inputs, **self.runtime_inputs}

    @property
    def labels(self) -> Mapping[str, str]:
        """Every label but the revision, which says where the sources came from and not what goes into the
        image: a commit that changes nothing here must not rebuild the world."""
        return {
            **self.own_labels,
            f"{LABEL}.build-id": self.build_id,
            f"{LABEL}.inputs": _COMPACT.encode(self.inputs),
        }


def render(
    unit: BuildUnit,
    *,
    lock: Lock,
    sources: Sources,
    base: BaseIdentity,
) -> RenderedUnit:
    """Raises LockInvalid when the lock does not fit, UsageError for a mistake in a template."""
    locked = get_locked(lock, unit, sources.serving_requirements)
    dockerfile = sources.dockerfile_of(unit, base.source)
    requirements = _requirements_file(locked.requirements)
    dropping = _dropping(unit, sources)
    support = sources.support_of(unit, locked.created[:10])
    labels = _labels(unit, base, locked.created, support)
    own_inputs = {
        "base": base.digest or "unlocked",
        "compression": members.FORMAT,
        "created": locked.created,
        "dockerfile": dockerfile.digest,
        "labels": _short(_LABELS.encode(labels).encode()),
        "media-types": media_family(unit.consumer),
        "platform": str(unit.platform),
        "file requirements.txt": requirements.digest,
    }
    for path, content in dropping.items():
        own_inputs[f"file {path}"] = _short(content)
    for each in locked.downloads:
        own_inputs[f"download {each.path}"] = each.sha256[:16]
    return RenderedUnit(
        unit=unit,
        dockerfile=dockerfile.text,
        own_files={"requirements.txt": requirements.content, **dropping},
        runtime=sources.runtime,
        own_labels=labels,
        own_inputs=own_inputs,
        runtime_inputs=sources.runtime_inputs,
        build_id=hashlib.sha256(sources.inputs_json.encode(own_inputs).encode()).hexdigest(),
        base=base,
        created=locked.created,
        support=support,
        downloads=locked.downloads,
        unlocked=locked.unlocked or base.unlocked,
    )


_LABELS = SortedJson()
# json.dumps would make an encoder for each of ten thousand units.
_COMPACT = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, kw_only=True)
class _Text:
    text: str
    digest: str


def _text(text: str) -> _Text:
    return _Text(text=text, digest=_short(text.encode()))


@dataclass(frozen=True, kw_only=True)
class _File:
    content: bytes
    digest: str


@lru_cache(maxsize=64)
def _requirements_file(lines: tuple[str, ...]) -> _File:
    """Units that follow each other often have one set: its file is made and hashed once."""
    content = "\n".join((*lines, "")).encode()
    return _File(content=content, digest=_short(content))


DROP_LIST, DROP_PROGRAM = "drop.txt", "drop.py"


def _dropping(unit: BuildUnit, sources: Sources) -> dict[str, bytes]:
    """The files of the context that say what of the packages goes, and do it; none where all stays.

    Raises UsageError where dockerfiles/ lacks the program.
    """
    if not unit.drops:
        return {}
    if DROP_PROGRAM not in sources.programs:
        raise UsageError(
            f"images.toml:{unit.image.line}: drop takes {DROP_PROGRAM}, which dockerfiles/environment lacks",
            remedy="Restore it from version control.",
        )
    lines = "".join(f"{' '.join((each.path, *each.sections))}\n" for each in unit.drops)
    return {DROP_LIST: lines.encode(), DROP_PROGRAM: sources.programs[DROP_PROGRAM]}


def media_family(consumer: Consumer) -> str:
    """`docker` where the consumer refuses OCI media types, else `oci`.

    https://github.com/aws/amazon-sagemaker-feedback/issues/180
    """
    return "docker" if consumer is Consumer.SAGEMAKER else "oci"


def render_dockerfile(unit: BuildUnit, templates: Templates, base: str) -> str:
    """The Dockerfile's text. Raises UsageError that names the template and line of a mistake."""
    asked_at = f"images.toml:{unit.image.line}"
    return templates.render(
        unit.image.template, _values(unit, base), asked_at=asked_at, subject=unit.identifier
    )


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A download as templates see it: its name below files/ of the context, and where it goes."""

    name: str
    to: str
    strip: int


def _values(unit: BuildUnit, base: str) -> dict[str, object]:
    """What templates may use. Raises UsageError unless each text is one plain word, whatever a template
    does with it afterwards. Paths have no slash before them, which would make them no word."""
    words = {
        "identifier": unit.identifier,
        "framework": unit.image.framework,
        "accelerator": unit.image.accelerator.value,
        "base": base,
        "python": unit.base.python,
        "wheel_platform": wheel_platform(unit.architecture, unit.base.glibc),
        **({"sdk": unit.sdk.version} if unit.sdk else {}),
    }
    archives, files = _placed(unit, Install.ARCHIVE), _placed(unit, Install.FILE)
    listed = [("install", name) for name in unit.base.install]
    listed += [("downloads", word) for each in (*archives, *files) for word in (each.name, each.to)]
    for name, word in (*words.items(), *listed):
        if not is_word(word):
            raise UsageError(
                f"images.toml:{unit.image.line}: {name} {word!r} is not one plain word; it cannot stand in a "
                "Dockerfile",
                remedy="Use letters, digits and . _ : / @ + = - alone.",
            )
    kinds = {each.install for each in unit.downloads}
    return {
        **words,
        "port": PORT,
        "install": unit.base.install,
        "debs": unit.apt is not None or Install.DEB in kinds,
        "drops": bool(unit.drops),
        "wheels": Install.WHEEL in kinds,
        "archives": archives,
        "files": files,
    }


def _placed(unit: BuildUnit, kind: Install) -> tuple[Placed, ...]:
    return tuple(
        [
            Placed(name=each.filename, to=each.to.lstrip("/"), strip=each.strip)
            for each in unit.downloads
            if each.install is kind
        ]
    )


def base_name(base: Base) -> str:
    """What FROM says: a registry's reference, or the local name of a bootstrapped base."""
    origin = base.origin
    return str(origin) if isinstance(origin, Reference) else f"debian:{origin.suite}"


# glibc levels that uv accepts as `ARCH-manylinux_2_N`; https://docs.astral.sh/uv/reference/cli/
_UV_GLIBC = (17, 28, *range(31, 41))


@cache
def wheel_platform(architecture: Architecture, glibc: str) -> str:
    """uv's name of the newest wheel platform that a base with this glibc can load.

    Raises UsageError for a glibc older than any wheel platform.
    """
    minor = int(glibc.partition(".")[2])
    fitting = [level for level in _UV_GLIBC if level <= minor]
    if not fitting:
        raise UsageError(f"no wheel platform is as old as glibc {glibc}", remedy="Choose a newer base.")
    return f"{architecture.uname}-manylinux_2_{fitting[-1]}"


def _labels(unit: BuildUnit, base: BaseIdentity, created: str, support: Support) -> dict[str, str]:
    """https://github.com/opencontainers/image-spec/blob/main/annotations.md"""
    labels = {
        "org.opencontainers.image.title": f"{unit.image.title} {unit.version}",
        "org.opencontainers.image.version": unit.version,
        "org.opencontainers.image.created": created,
        "org.opencontainers.image.base.name": base.reference,
        f"{LABEL}.identifier": unit.identifier,
    }
    if base.digest:
        labels["org.opencontainers.image.base.digest"] = base.digest
    if unit.remark:
        labels[f"{LABEL}.remark"] = unit.remark
    if unit.drops:
        labels[f"{LABEL}.dropped"] = dropped(unit)
    if unit.sdk:
        labels |= {f"{LABEL}.sdk": unit.sdk.version, f"{LABEL}.sdk-floor": unit.sdk.floor}
    said = in_texts(support)
    labels[f"{LABEL}.support"] = said.pop("state")
    return labels | {f"{LABEL}.support-{key}": text for key, text in said.items() if text}


def dropped(unit: BuildUnit) -> str:
    """What of its packages an image is without, in words: `torch/include, .nv_fatbin of torch/lib/*.so`."""
    return ", ".join(
        f"{' '.join(each.sections)} of {each.path}" if each.sections else each.path for each in unit.drops
    )


def changed_inputs(rendered: RenderedUnit, before: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the inputs that are not what `before` (a published image's) says, sorted."""
    inputs = rendered.inputs
    names = inputs.keys() | before.keys()
    return tuple(sorted(name for name in names if inputs.get(name) != before.get(name)))


def require_locked(rendered: Sequence[RenderedUnit]) -> None:
    """Raises LockInvalid for units whose sources were out of reach when they were locked."""
    for each in rendered:
        if each.unlocked:
            raise LockInvalid(
                f"{each.unit.identifier} is unlocked: {each.unlocked}",
                remedy=f"Where the source can be reached, run: toolkit lock '{each.unit.identifier}'",
            )


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


_ON_BUILD_PLATFORM = re.compile(r"--platform=\$(?:BUILDPLATFORM\b|\{BUILDPLATFORM\})")


def emulates(rendered: RenderedUnit, native: Collection[Architecture]) -> bool:
    """Whether building it runs programs that a machine of the `native` architectures does not run."""
    return rendered.unit.architecture not in native and runs_on_target(rendered.dockerfile)


@lru_cache(maxsize=256)
def runs_on_target(dockerfile: str) -> bool:
    """Whether any stage of the target's platform has a RUN: only then can a build need emulation."""
    native = False
    for line in re.sub(r"\\[ \t]*\n", " ", dockerfile).splitlines():
        instruction = line.lstrip().partition(" ")[0].upper()
        if instruction == "FROM":
            native = bool(_ON_BUILD_PLATFORM.search(line))
        elif instruction == "RUN" and not native:
            return True
    return False
