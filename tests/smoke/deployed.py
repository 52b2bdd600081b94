"""What `toolkit deploy sagemaker` would start for an image of the release."""

from collections.abc import Mapping

from tests.deployments import deployment, variant
from tests.released import released
from toolkit.deployers.checks import Outcome, check_machine
from toolkit.deployers.image import describe_image
from toolkit.deployers.sagemaker import Script, requests
from toolkit.record import PublishedImage

INSTANCE_TYPES = {"amd64": "ml.c5.xlarge", "arm64": "ml.c7g.xlarge"}


def container_of(image: PublishedImage, script: Script | None = None) -> tuple[str, Mapping[str, str]]:
    """The image that CreateModel names and the environment that it sets."""
    named = describe_image(image.uri, released())
    wanted = deployment(variant(INSTANCE_TYPES[image.architecture], image=named), script=script)
    for check in check_machine(named, wanted.variants[0].machine, instead=lambda *_: ""):
        assert check.outcome is Outcome.PASSED, check.detail
    (model,) = requests(wanted).models
    container = model["PrimaryContainer"]
    return container["Image"], dict(container["Environment"])
