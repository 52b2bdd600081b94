"""Where a question goes, and what an answer that is none means."""

import io
from collections.abc import Iterator

import httpx
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from hypothesis import example, given
from hypothesis import strategies as st

from tests.deployments import REGION
from toolkit.adapters.aws import Aws
from toolkit.adapters.endpoint_prediction import EndpointAsker
from toolkit.deployers.prediction import Answer, HttpTarget, Question, content_type_of, http_target, predict
from toolkit.errors import DeploymentFailed, ExitCode, PredictionFailed, UsageError

QUESTION = Question(body=b"[[1]]", content_type="application/json")


@pytest.mark.parametrize(
    ("text", "model", "url", "is_tensorflow_serving"),
    [
        ("http://localhost:8080", "", "http://localhost:8080/invocations", False),
        ("http://localhost:8080/", "", "http://localhost:8080/invocations", False),
        ("http://localhost:9000", "half", "http://localhost:9000/v1/models/half:predict", True),
        (
            "https://h/v1/models/half/versions/2:predict",
            "",
            "https://h/v1/models/half/versions/2:predict",
            True,
        ),
        ("https://h/mine?x=1", "", "https://h/mine?x=1", False),
    ],
)
def test_a_url_is_completed_where_it_has_no_path(
    text: str, model: str, url: str, is_tensorflow_serving: bool
) -> None:
    assert http_target(text, model) == HttpTarget(url=url, is_tensorflow_serving=is_tensorflow_serving)


def test_a_name_is_an_endpoint() -> None:
    assert http_target("demo-1", "") is None


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("localhost:8080", ""),
        ("ftp://h", ""),
        ("http://", ""),
        ("http://[::1", ""),
        ("http://h:x", ""),
        ("demo", "m"),
    ],
)
def test_what_is_neither_is_told(text: str, model: str) -> None:
    with pytest.raises(UsageError):
        http_target(text, model)


@example("http://xn--a/", "")
@example("http://0", "\x1f")
@example("http://\u2488com/", "")
@given(st.text() | st.from_regex(r"https?://[^a-z]{0,5}[a-z:\[\]@/%]{0,20}"), st.text(max_size=5))
def test_any_text_is_a_url_a_name_or_told(text: str, model: str) -> None:
    try:
        found = http_target(text, model)
    except UsageError:
        return
    assert found is None or httpx.URL(found.url).host


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", "text/csv"),
        ("A.NPY", "application/x-npy"),
        ("a.json", "application/json"),
        ("-", "application/json"),
    ],
)
def test_the_content_type_follows_from_the_suffix(name: str, expected: str) -> None:
    assert content_type_of(name) == expected


class Says:
    name = "http://host/path"

    def __init__(self, status: int, text: str) -> None:
        self.answer = Answer(status=status, content_type="", body=text.encode())

    def ask(self, question: Question) -> Answer:
        return self.answer


def test_an_answer_is_given_back_as_it_is() -> None:
    assert predict(Says(200, "[[2]]"), QUESTION).body == b"[[2]]"


@pytest.mark.parametrize(
    ("status", "text", "is_tensorflow_serving", "cure"),
    [
        (404, '{"error": "Malformed request: POST /invocations"}', False, "--model NAME"),
        (404, '{"error": "Servable not found for request"}', True, "no model of this name"),
        (404, "", False, "/invocations"),
        (400, '{"error": "JSON Value: []"}', True, '{"instances": [...]}'),
        (415, "", False, "--content-type"),
        (503, "loading", False, "still loading"),
        (500, "", False, "log of the container"),
    ],
)
def test_an_error_has_the_servers_words_and_the_cure(
    status: int, text: str, is_tensorflow_serving: bool, cure: str
) -> None:
    with pytest.raises(PredictionFailed) as failed:
        predict(Says(status, text), QUESTION, is_tensorflow_serving=is_tensorflow_serving)
    assert f"http://host/path answers {status}: {text or '(no body)'}" in failed.value.message
    assert cure in failed.value.remedy
    assert failed.value.exit_code is ExitCode.DEPLOYMENT_REFUSED


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        made = Aws(REGION, ca_bundle=None)
        assert made.runtime
        yield made


def test_an_endpoint_is_asked_as_the_runtime_api_has_it(aws: Aws) -> None:
    body = StreamingBody(io.BytesIO(b"[[2]]"), 5)
    answer = {"Body": body, "ContentType": "application/json", "ResponseMetadata": {"HTTPStatusCode": 200}}
    with Stubber(aws.runtime) as stub:
        stub.add_response(
            "invoke_endpoint",
            answer,
            {
                "EndpointName": "demo",
                "Body": b"[[1]]",
                "ContentType": "application/json",
                "Accept": "text/csv",
                "TargetVariant": "ml-c7g-xlarge",
            },
        )
        question = Question(body=b"[[1]]", content_type="application/json", accept="text/csv")
        found = EndpointAsker(aws, "demo", variant="ml-c7g-xlarge").ask(question)
    assert found == Answer(status=200, content_type="application/json", body=b"[[2]]")


def test_an_error_of_the_container_is_told_with_its_own_status_words_and_log(aws: Aws) -> None:
    with Stubber(aws.runtime) as stub:
        stub.add_client_error(
            "invoke_endpoint",
            "ModelError",
            "Received client error (415) from primary",
            modeled_fields={
                "OriginalStatusCode": 415,
                "OriginalMessage": "Content-Type is not supported",
                "LogStreamArn": "arn:aws:logs:us-west-2:1:log-group:x",
            },
        )
        with pytest.raises(PredictionFailed, match="demo in us-west-2 answers 415") as failed:
            predict(EndpointAsker(aws, "demo"), QUESTION)
    assert "arn:aws:logs" in failed.value.message
    assert "--content-type" in failed.value.remedy


def test_an_endpoint_that_is_not_there_is_told(aws: Aws) -> None:
    with Stubber(aws.runtime) as stub:
        stub.add_client_error("invoke_endpoint", "ValidationError", "Endpoint demo of account 1 not found.")
        with pytest.raises(DeploymentFailed, match="Endpoint demo of account 1 not found"):
            EndpointAsker(aws, "demo").ask(QUESTION)
