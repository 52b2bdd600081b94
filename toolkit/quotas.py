"""What requests ask of a registry, and how many of each Amazon ECR takes."""

from collections.abc import Mapping
from enum import StrEnum


class Api(StrEnum):
    """What a request asks of a registry; ECR counts each on its own."""

    READ_MANIFEST = "read a manifest"
    PUT_MANIFEST = "put a manifest"
    LIST_TAGS = "list tags"
    FIND_BLOB = "find a blob"
    READ_BLOB = "read a blob"
    START_UPLOAD = "start an upload"
    SEND = "send a piece"
    END_UPLOAD = "end an upload"


# Requests per second, account and region that ECR takes unless its owner asked for more.
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
ECR_RATES: Mapping[Api, float] = {
    Api.READ_MANIFEST: 2000,  # BatchGetImage
    Api.PUT_MANIFEST: 10,  # PutImage
    Api.FIND_BLOB: 1000,  # BatchCheckLayerAvailability
    Api.READ_BLOB: 3000,  # GetDownloadUrlForLayer
    Api.START_UPLOAD: 100,  # InitiateLayerUpload
    Api.SEND: 500,  # UploadLayerPart
    Api.END_UPLOAD: 100,  # CompleteLayerUpload
}
