"""Model, script and sample payload of a deployment: in S3 already, or packed from local paths."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from toolkit.cli.settings import Settings
from toolkit.deployers.archives import ARCHIVE_SUFFIX, Place, is_remote, members, parse_place
from toolkit.deployers.calls import Call
from toolkit.deployers.sagemaker import CODE_DIR, Deployment, Script, Variant
from toolkit.deployers.sagemaker_checks import fetches_code
from toolkit.errors import UsageError

# Stands for the URI of an archive that is not packed yet.
UNPACKED = "s3://unpacked/archive.tar.gz"


def planned_uri(path: str) -> str:
    return path if is_remote(path) else UNPACKED


@dataclass(frozen=True, kw_only=True)
class Material:
    """As the command line has it: each is a URI of S3 or a local path; `script` and `payload` may be ""."""

    model: str
    script: str
    program: str
    upload_to: str
    payload: str = ""

    @property
    def stored(self) -> tuple[str, ...]:
        """What is in S3 already."""
        return tuple(uri for uri in (self.model, self.script, self.payload) if is_remote(uri))

    def planned_script(self, variants: Sequence[Variant]) -> Script | None:
        """Where the containers will find the script. Raises UsageError for paths that cannot be packed."""
        local = [path for path in (self.model, self.script, self.payload) if path and not is_remote(path)]
        if local and not self.upload_to:
            raise UsageError(
                f"{local[0]} is on this machine, and SageMaker reads from S3",
                remedy="Say where it may be put: --upload-to s3://BUCKET/PREFIX",
            )
        for path in local:
            members(Path(path))
        if not self.script:
            return None
        if is_remote(self.script):
            return Script(program=self.program, directory=self.script)
        if self.program not in members(Path(self.script)):
            raise UsageError(f"{self.script} has no file {self.program}", remedy="Name it: --program FILE")
        if not is_remote(self.model) and not self.model.endswith(ARCHIVE_SUFFIX):
            return Script(program=self.program, directory=CODE_DIR)
        if not all(fetches_code(variant.image) for variant in variants):
            raise UsageError(
                "the images look for their code in the model archive, which is packed already",
                remedy="Give --model-data as a local directory: both are packed into one archive.",
            )
        return Script(program=self.program, directory=UNPACKED)

    def packed(self, deployment: Deployment, settings: Settings) -> tuple[Deployment, tuple[Call, ...]]:
        """The deployment with the URIs that the archives will have, and their uploads."""
        uploads: list[Call] = []
        if not is_remote(self.model):
            inside = deployment.script is not None and deployment.script.directory == CODE_DIR
            code = members(Path(self.script), "code/") if inside else {}
            uri, upload = self._archive("model", {**members(Path(self.model)), **code}, settings)
            deployment, uploads = replace(deployment, model_data=uri), [upload]
        if deployment.script and deployment.script.directory == UNPACKED:
            uri, upload = self._archive("sourcedir", members(Path(self.script)), settings)
            deployment = replace(deployment, script=Script(program=self.program, directory=uri))
            uploads.append(upload)
        return deployment, tuple(uploads)

    def packed_payload(self, files: Mapping[str, Path], settings: Settings) -> tuple[str, tuple[Call, ...]]:
        """The URI of the sample payload, and its upload where it is not there already."""
        if is_remote(self.payload):
            return self.payload, ()
        uri, upload = self._archive("payload", files, settings)
        return uri, (upload,)

    def _archive(self, name: str, files: Mapping[str, Path], settings: Settings) -> tuple[str, Call]:
        from toolkit.adapters.archives import pack, read_archive

        place: Place = parse_place(self.upload_to)
        (path, *more) = files.values()
        is_packed = not more and path.name.endswith(ARCHIVE_SUFFIX)
        archive = read_archive(path) if is_packed else pack(files, settings.cache / "archives")
        return place.uri(archive, name), place.upload(archive, name)
