"""What AWS's errors mean for releases, with the line that mends each."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from toolkit.errors import NeedNotMet, RegistryTrouble, RegistryUnavailable, ToolkitError

_WHO = "See who you are: aws sts get-caller-identity"
_LOG_IN = f"Log in (aws sso login), or set AWS_PROFILE or AWS_ACCESS_KEY_ID. {_WHO}"

_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

# What STS and the services say of credentials that were good once or never.
# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html
_BAD_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
        "RequestExpired",
    }
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_BUSY = frozenset({"Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"})


@contextmanager
def aws_trouble(what: str) -> Iterator[None]:
    """Whatever boto3 raises inside becomes a ToolkitError; `what` begins its sentence."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise explained(error, what) from error


def error_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def explained(error: BotoCoreError | ClientError, what: str) -> ToolkitError:
    """The error with its likely cause and the line that mends it."""
    if isinstance(error, _NO_CREDENTIALS):
        return NeedNotMet(f"{what}: there are no credentials for AWS: {error}", remedy=_LOG_IN)
    if isinstance(error, NoRegionError):
        return NeedNotMet(f"{what}: no region is set", remedy="Set AWS_REGION.")
    if isinstance(error, ConnectionError | HTTPClientError):
        return RegistryUnavailable(
            f"{what}: AWS cannot be reached: {error}", remedy="Check the network and the proxy settings."
        )
    if not isinstance(error, ClientError):
        return RegistryTrouble(f"{what}: {error}")
    code = error_code(error)
    told = f"{code}: {error.response.get('Error', {}).get('Message', '')}".rstrip(": ")
    if code in _BAD_CREDENTIALS:
        return NeedNotMet(f"{what}: AWS does not take the credentials ({told})", remedy=_LOG_IN)
    if code in _DENIED:
        return RegistryTrouble(
            f"{what}: the credentials may not do this ({told})",
            remedy="`toolkit ecr policy` prints the policies that are needed.",
        )
    if code in _BUSY or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
        return RegistryUnavailable(f"{what}: AWS is busy ({told})", remedy="Run the same command again.")
    return RegistryTrouble(f"{what}: {told}")
