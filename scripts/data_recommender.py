"""inference_recommender.json of toolkit/data: what the service takes, from the texts of botocore's model.

The service model has no enumerations for these; its documentation lists their valid values.
"""

import json
import re
from pathlib import Path

import botocore.loaders

DATA = Path(__file__).parents[1] / "toolkit/data/inference_recommender.json"
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_RecommendationJobContainerConfig.html
SHAPE = "RecommendationJobContainerConfig"
MEMBERS = {"frameworks": "Framework", "domains": "Domain", "tasks": "Task"}


def table() -> str:
    """Raises ValueError when the texts list values no longer."""
    model = botocore.loaders.Loader().load_service_model("sagemaker", "service-2")
    members = model["shapes"][SHAPE]["members"]
    found = {name: values(members[member]["documentation"]) for name, member in MEMBERS.items()}
    limit = payload_limit()
    return json.dumps({**found, "payload_bytes": limit}, indent=1) + "\n"


def values(documentation: str) -> list[str]:
    """Of `<p>… Valid Values: <code>A | B</code></p>`."""
    text = re.sub(r"<[^>]+>", "", documentation)
    listed = re.search(r"Valid Values:\s*([A-Z_|\s-]+)", text)
    if not listed:
        raise ValueError(f"there are no valid values in {text!r}")
    return [each.strip() for each in listed[1].split("|")]


def payload_limit() -> int:
    """Each file of a sample payload is one body of InvokeEndpoint."""
    model = botocore.loaders.Loader().load_service_model("sagemaker-runtime", "service-2")
    return int(model["shapes"]["BodyBlob"]["max"])


def main() -> None:
    DATA.write_text(table(), encoding="utf-8")
    print(f"toolkit/data/{DATA.name}: {DATA.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
