"""The AWS API of the stand-in: moto where it is right, answers of its own where moto is known to be wrong.

What moto 5.2.5 gets wrong or lacks, and is therefore not asked: tokens (say 2015, and no registry knows
them), images (digests that are not sha256 of the manifest; shares nothing with a registry), replication (one
rule only), lifecycle previews, scans (static findings); suffix of registries in China. An operation that
stands in no table here is refused, so that no answer of moto's passes that nobody looked at.
"""

import base64
import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.ecr.state import Repository, State
from toolkit.regions import ecr_host

Answer = Mapping[str, Any]

# What moto does right: settings of repositories, as they were put.
_MOTOS = frozenset(
    {
        "CreateRepository",
        "DeleteRepository",
        "DescribeRepositories",
        "PutImageTagMutability",
        "PutImageScanningConfiguration",
        "SetRepositoryPolicy",
        "GetRepositoryPolicy",
        "DeleteRepositoryPolicy",
        "PutLifecyclePolicy",
        "GetLifecyclePolicy",
        "DeleteLifecyclePolicy",
    }
)
_PAGE = 1000


class Refused(Exception):
    """An error in AWS's form."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class _Plane(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, state: State, moto: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = state
        self.moto = moto


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Plane

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        target = str(self.headers.get("x-amz-target", "")).rpartition(".")[2]
        signed = re.search(r"Credential=[^/]+/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/", self._authorization)
        if signed is None:
            self._reply(403, {"__type": "MissingAuthenticationTokenException", "message": "not signed"})
        elif signed["service"] != "ecr":
            self._pass_on(body)
        else:
            self._ecr(target, signed["region"], json.loads(body or b"{}"), body)

    @property
    def _authorization(self) -> str:
        return str(self.headers.get("authorization", ""))

    def _ecr(self, operation: str, region: str, asked: Answer, body: bytes) -> None:
        state = self.server.state
        state.calls.append((operation, region, asked))
        try:
            if own := _OWN.get(operation):
                self._reply(200, own(state, region, asked))
            elif operation in _MOTOS:
                _CHECKS.get(operation, _unchecked)(asked)
                status, answer = self._moto(body)
                if status == 200:
                    _follow(state, region, operation, asked)
                self._reply(status, _with_suffix(answer, state.account, region))
            else:
                raise Refused("InvalidAction", f"the stand-in has no {operation}", status=501)
        except Refused as refused:
            self._reply(refused.status, {"__type": refused.code, "message": refused.message})

    def _moto(self, body: bytes) -> tuple[int, Any]:
        status, raw, _ = self._ask_moto(body)
        return status, json.loads(raw or b"{}")

    def _ask_moto(self, body: bytes) -> tuple[int, bytes, str]:
        headers = {key: value for key, value in self.headers.items() if key.lower() != "content-length"}
        request = urllib.request.Request(
            f"http://{self.server.moto}{self.path}", data=body, headers=headers, method="POST"
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as response:
                return response.status, response.read(), response.headers.get("content-type", "")
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers.get("content-type", "")

    def _pass_on(self, body: bytes) -> None:
        status, raw, kind = self._ask_moto(body)
        self._send(status, raw, kind)

    def _reply(self, status: int, answer: Answer) -> None:
        self._send(status, json.dumps(answer).encode(), "application/x-amz-json-1.1")

    def _send(self, status: int, raw: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *arguments: object) -> None:
        """Tests read `state.calls` instead."""


def _get(state: State, region: str, asked: Answer) -> Repository:
    name = str(asked["repositoryName"])
    found = state.repositories[region].get(name)
    if found is None:
        raise Refused(
            "RepositoryNotFoundException",
            f"The repository with name '{name}' does not exist in the registry with id '{state.account}'",
        )
    return found


def _follow(state: State, region: str, operation: str, asked: Answer) -> None:
    """What the data plane has to know of what moto was told."""
    with state.lock:
        repositories = state.repositories[region]
        name = str(asked.get("repositoryName", ""))
        if operation == "DeleteRepository":
            repositories.pop(name, None)
        if operation == "CreateRepository":
            repositories.setdefault(name, Repository(name=name))
        if operation in ("CreateRepository", "PutImageTagMutability") and "imageTagMutability" in asked:
            filters = asked.get("imageTagMutabilityExclusionFilters", ())
            repositories[name].mutability = str(asked["imageTagMutability"])
            repositories[name].filters = tuple(each["filter"] for each in filters)


def _with_suffix(answer: Any, account: str, region: str) -> Any:
    """moto ends every repositoryUri in amazonaws.com, in China too."""
    wrong, right = f"{account}.dkr.ecr.{region}.amazonaws.com/", f"{ecr_host(account, region)}/"
    return json.loads(json.dumps(answer).replace(wrong, right))


def _unchecked(asked: Answer) -> None:
    """For operations whose input botocore's model says all of."""


def _check_mutability(asked: Answer) -> None:
    """Filters go with the two settings that have exclusions, and with no other."""
    excludes = str(asked.get("imageTagMutability", "")).endswith("_WITH_EXCLUSION")
    if excludes != bool(asked.get("imageTagMutabilityExclusionFilters")):
        raise Refused("InvalidParameterException", "exclusion filters and imageTagMutability do not fit")


def _check_policy(asked: Answer) -> None:
    """The rules of lifecycle policies that AWS documents.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
    """
    rules = json.loads(asked["lifecyclePolicyText"])["rules"]
    priorities = [rule["rulePriority"] for rule in rules]
    selections = [rule["selection"] for rule in rules]
    patterns = [each.get("tagPatternList") or each.get("tagPrefixList") for each in selections]
    named = zip(selections, patterns, strict=True)
    wrong = (
        len(set(priorities)) != len(priorities)
        or any((each["tagStatus"] == "tagged") != bool(of) for each, of in named)
        or any(pattern.count("*") > 4 for of in patterns for pattern in of or ())
        or any((each["countType"] == "sinceImagePushed") != ("countUnit" in each) for each in selections)
        or any(each["countNumber"] < 1 for each in selections)
    )
    if wrong:
        raise Refused("InvalidParameterException", "Invalid parameter at 'LifecyclePolicyText'")


_CHECKS: Mapping[str, Callable[[Answer], None]] = {
    "CreateRepository": _check_mutability,
    "PutImageTagMutability": _check_mutability,
    "PutLifecyclePolicy": _check_policy,
}


def _token(state: State, region: str, asked: Answer) -> Answer:
    ends = 1420070400.0 if state.behaviour.tokens_say_2015 else time.time() + state.behaviour.token_seconds
    text = base64.b64encode(f"AWS:{state.give_token()}".encode()).decode()
    return {
        "authorizationData": [
            {
                "authorizationToken": text,
                "expiresAt": ends,
                "proxyEndpoint": f"https://{ecr_host(state.account, region)}",
            }
        ]
    }


def _describe_images(state: State, region: str, asked: Answer) -> Answer:
    repository = _get(state, region, asked)
    with state.lock:
        kept = sorted(repository.manifests.values(), key=lambda each: each.digest)
        if wanted := asked.get("imageIds"):
            digests = {each.get("imageDigest") or repository.tags.get(each["imageTag"]) for each in wanted}
            kept = [each for each in kept if each.digest in digests]
            if len(kept) < len(digests):
                raise Refused("ImageNotFoundException", "The image does not exist within the repository")
        start = int(asked.get("nextToken", 0))
        page = kept[start : start + int(asked.get("maxResults", _PAGE))]
        more = {"nextToken": str(start + len(page))} if start + len(page) < len(kept) else {}
        return {
            "imageDetails": [
                {
                    "registryId": state.account,
                    "repositoryName": repository.name,
                    "imageDigest": each.digest,
                    **({"imageTags": tags} if (tags := repository.tags_of(each.digest)) else {}),
                    "imageSizeInBytes": each.size,
                    "imagePushedAt": each.pushed,
                    "imageManifestMediaType": each.media_type,
                }
                for each in page
            ],
            **more,
        }


def _list_images(state: State, region: str, asked: Answer) -> Answer:
    found = _describe_images(state, region, {**asked, "imageIds": None})
    ids = [
        {"imageDigest": each["imageDigest"], **({"imageTag": tag} if tag else {})}
        for each in found["imageDetails"]
        for tag in each.get("imageTags", [""])
    ]
    return {"imageIds": ids, **({"nextToken": found["nextToken"]} if "nextToken" in found else {})}


def _delete_images(state: State, region: str, asked: Answer) -> Answer:
    repository = _get(state, region, asked)
    with state.lock:
        for each in asked["imageIds"]:
            digest = str(each.get("imageDigest") or repository.tags.get(each["imageTag"]))
            repository.manifests.pop(digest, None)
            repository.tags = {tag: named for tag, named in repository.tags.items() if named != digest}
    return {"imageIds": asked["imageIds"], "failures": []}


def _describe_registry(state: State, region: str, asked: Answer) -> Answer:
    rules = state.replication.get(region, {"rules": []})
    return {"registryId": state.account, "replicationConfiguration": rules}


def _put_replication(state: State, region: str, asked: Answer) -> Answer:
    wanted = asked["replicationConfiguration"]
    for rule in wanted["rules"]:
        own = {"region": region, "registryId": state.account}
        if own in rule["destinations"]:
            raise Refused(
                "InvalidParameterException",
                "Replication destination cannot be the same as the source registry",
            )
    state.replication[region] = wanted
    return {"replicationConfiguration": wanted}


def _start_preview(state: State, region: str, asked: Answer) -> Answer:
    repository = _get(state, region, asked)
    if code := state.behaviour.preview_error:
        raise Refused(code, "the stand-in was told to refuse previews")
    _check_policy(asked)
    return {"repositoryName": repository.name, "status": "IN_PROGRESS"}


def _get_preview(state: State, region: str, asked: Answer) -> Answer:
    repository = _get(state, region, asked)
    results = [
        {
            "imageDigest": digest,
            "imageTags": repository.tags_of(digest),
            "imagePushedAt": repository.manifests[digest].pushed,
            "action": {"type": "EXPIRE"},
            "appliedRulePriority": priority,
        }
        for digest, priority in state.behaviour.preview.items()
        if digest in repository.manifests
    ]
    return {
        "repositoryName": repository.name,
        "status": "COMPLETE",
        "previewResults": results,
        "summary": {"expiringImageTotalCount": len(results)},
    }


def _start_scan(state: State, region: str, asked: Answer) -> Answer:
    repository = _get(state, region, asked)
    state.behaviour.scan_states.pop(asked["imageId"]["imageDigest"], None)
    return {"repositoryName": repository.name, "imageScanStatus": {"status": "IN_PROGRESS"}}


def _scan_findings(state: State, region: str, asked: Answer) -> Answer:
    repository = _get(state, region, asked)
    digest = asked["imageId"]["imageDigest"]
    if digest not in repository.manifests:
        raise Refused("ImageNotFoundException", "The image does not exist within the repository")
    states = state.behaviour.scan_states.get(digest, ["COMPLETE"])
    status = states.pop(0) if len(states) > 1 else states[0]
    if status == "NONE":
        raise Refused("ScanNotFoundException", "Image scan does not exist for the image")
    answer = {
        "registryId": state.account,
        "repositoryName": repository.name,
        "imageId": {"imageDigest": digest},
        "imageScanStatus": {"status": status},
    }
    if status in ("COMPLETE", "ACTIVE"):
        answer["imageScanFindings"] = state.behaviour.findings.get(digest, {"findings": []})
    return answer


_OWN: Mapping[str, Callable[[State, str, Answer], Answer]] = {
    "GetAuthorizationToken": _token,
    "DescribeImages": _describe_images,
    "ListImages": _list_images,
    "BatchDeleteImage": _delete_images,
    "DescribeRegistry": _describe_registry,
    "PutReplicationConfiguration": _put_replication,
    "StartLifecyclePolicyPreview": _start_preview,
    "GetLifecyclePolicyPreview": _get_preview,
    "StartImageScan": _start_scan,
    "DescribeImageScanFindings": _scan_findings,
}


@contextmanager
def serving(state: State, *, moto: str) -> Iterator[str]:
    """Yields the endpoint's URL; `moto` is its server's HOST:PORT."""
    plane = _Plane(state, moto)
    thread = threading.Thread(target=plane.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{plane.server_address[1]}"
    finally:
        plane.shutdown()
        plane.server_close()
        thread.join()
