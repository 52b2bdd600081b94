"""Posting to a model over HTTP."""

import ssl
from pathlib import Path

import httpx

from toolkit.deployers.prediction import Answer, Asker, Question
from toolkit.errors import PredictionFailed


class HttpAsker:
    """`timeout` is how many seconds an answer may take."""

    def __init__(self, url: str, *, timeout: float, ca_bundle: Path | None) -> None:
        self.name = url
        self._timeout = timeout
        self._verify: ssl.SSLContext | bool = (
            ssl.create_default_context(cafile=str(ca_bundle)) if ca_bundle else True
        )

    def ask(self, question: Question) -> Answer:
        headers = {"Content-Type": question.content_type}
        if question.accept:
            headers["Accept"] = question.accept
        try:
            found = httpx.post(
                self.name, content=question.body, headers=headers, timeout=self._timeout, verify=self._verify
            )
        except httpx.ConnectError as error:
            raise PredictionFailed(
                f"nothing answers at {self.name}: {error}",
                remedy="Start it (docker run -p 8080:8080 IMAGE serve), or forward its port (kubectl "
                "port-forward).",
            ) from error
        except httpx.TimeoutException as error:
            raise PredictionFailed(
                f"{self.name} gave no answer within {self._timeout:g} s",
                remedy="Give it longer: --timeout 300. An emulated container is slow at its first request.",
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise PredictionFailed(f"{self.name}: {error}", remedy="See the log of the container.") from error
        content_type = found.headers.get("content-type", "")
        return Answer(status=found.status_code, content_type=content_type, body=found.content)


def _conforms(http: HttpAsker) -> Asker:
    return http
