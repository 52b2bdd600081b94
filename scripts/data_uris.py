"""Write the tables of AWS images and of regions in toolkit/data from the SageMaker SDKs and botocore.

`make data` calls it; by hand: `.venv/bin/python -m scripts.data_uris [DIRECTORY]`. The SDKs are packages of
locks/sdk.txt (2.x, which is also what the resolver is compared with) and locks/sdk3.txt (the tables of 3.x).
They pin other versions of what the toolkit needs and therefore live in virtual environments of their own.
"""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import botocore

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "toolkit" / "data"

Json = dict[str, Any]


def site_packages(name: str) -> Path:
    """The packages of locks/NAME.txt, in a virtual environment that is made when it is not there."""
    venv = ROOT / f".venv-{name}"
    subprocess.run(["scripts/venv.sh", venv, f"locks/{name}.txt"], cwd=ROOT, check=True)
    (found,) = venv.glob("lib/python3*/site-packages")
    return found


def version(site: Path, distribution: str) -> str:
    (found,) = (each.version for each in Distribution.discover(path=[str(site)]) if each.name == distribution)
    return found


def read_configs(directory: Path) -> dict[str, Json]:
    """Framework → its configuration, as the SDK ships it; other files of the directory are left out."""
    configs = {path.stem: json.loads(path.read_text()) for path in sorted(directory.glob("*.json"))}
    return {name: config for name, config in configs.items() if any(_leaves(config))}


def _leaves(node: object) -> Iterator[Json]:
    if isinstance(node, dict):
        if "repository" in node:
            yield node
        for child in node.values():
            yield from _leaves(child)


def name_registries(*sources: Mapping[str, Json]) -> dict[str, dict[str, str]]:
    """Every distinct map of region → account, under the first repository that has it."""
    named: dict[str, dict[str, str]] = {}
    for source in sources:
        for leaf in _leaves(dict(source)):
            accounts = dict(sorted(leaf["registries"].items()))
            if accounts not in named.values():
                repository = leaf["repository"]
                count = sum(name.partition("#")[0] == repository for name in named)
                named[f"{repository}#{count + 1}" if count else repository] = accounts
    return named


def compacted(node: Any, names: Mapping[str, str]) -> Any:
    """The same configuration with the name of each map of accounts in its place."""
    if not isinstance(node, dict):
        return node
    return {
        key: names[_key(child)] if key == "registries" else compacted(child, names)
        for key, child in node.items()
    }


def _key(accounts: Mapping[str, str]) -> str:
    return json.dumps(accounts, sort_keys=True)


def dumped(node: Any, indent: str = "") -> str:
    """JSON with one line per image, so that a new version is one added line. Order is kept: the SDK's
    answer depends on it."""
    if not isinstance(node, dict) or not any(isinstance(child, dict) for child in node.values()):
        return json.dumps(node, separators=(",", ":"))
    if "repository" in node or not node:
        return json.dumps(node, separators=(",", ":"))
    rows = [f"{indent} {json.dumps(key)}:{dumped(child, indent + ' ')}" for key, child in node.items()]
    return "{\n" + ",\n".join(rows) + f"\n{indent}}}"


# Read from `_validate_instance_deprecation` and `_should_auto_select_container_version` of image_uris.py:
# conditions, not tables, so they are written down here. Family → framework → first version it cannot run.
RETIRED = {"p2": {"pytorch": "1.13", "tensorflow": "2.12"}}
CUDA_SUFFIX_FAMILIES = ["p4d"]


def rules(package: Path) -> Json:
    """The tables that the SDK keeps in its code."""
    uris = ast.parse((package / "image_uris.py").read_text())
    frameworks = ast.parse((package / "fw_utils.py").read_text())
    return {
        "graviton_families": assigned(frameworks, "GRAVITON_ALLOWED_TARGET_INSTANCE_FAMILY"),
        "graviton_frameworks": assigned(frameworks, "GRAVITON_ALLOWED_FRAMEWORKS"),
        "arm64_tags": assigned(uris, "version_to_arm64_tag_mapping"),
        "cuda_suffixes": assigned(uris, "container_versions"),
        "cuda_suffix_families": CUDA_SUFFIX_FAMILIES,
        "retired": RETIRED,
    }


def assigned(module: ast.Module, name: str) -> Any:
    """The literal that is assigned to `name` somewhere in the module."""
    (value,) = (
        node.value
        for node in ast.walk(module)
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
    )
    return ast.literal_eval(value.args[0] if isinstance(value, ast.Call) else value)


def partitions() -> Json:
    """What botocore knows about partitions: DNS suffix, the pattern of a region's name, regions."""
    path = Path(botocore.__file__).parent / "data" / "endpoints.json"
    return {
        each["partition"]: {
            "dns_suffix": each["dnsSuffix"],
            "region_pattern": each["regionRegex"],
            "regions": {name: region["description"] for name, region in sorted(each["regions"].items())},
        }
        for each in json.loads(path.read_text())["partitions"]
    }


def tables() -> dict[str, str]:
    """File name → content of everything that this script writes."""
    second, third = site_packages("sdk"), site_packages("sdk3")
    packages = {
        "aws_images_sdk2.json": (f"sagemaker {version(second, 'sagemaker')}", second / "sagemaker"),
        "aws_images_sdk3.json": (
            f"sagemaker-core {version(third, 'sagemaker-core')}",
            third / "sagemaker" / "core",
        ),
    }
    configs = {name: read_configs(package / "image_uri_config") for name, (_, package) in packages.items()}
    registries = name_registries(*configs.values())
    names = {_key(accounts): name for name, accounts in registries.items()}
    written = {
        "regions.json": {"source": f"botocore {botocore.__version__}", "partitions": partitions()},
        "aws_accounts.json": {
            "source": ", ".join(source for source, _ in packages.values()),
            "registries": registries,
        },
        **{
            name: {
                "source": source,
                "rules": rules(package),
                "frameworks": compacted(configs[name], names),
            }
            for name, (source, package) in packages.items()
        },
    }
    return {name: dumped(content) + "\n" for name, content in written.items()}


def main(directory: Path = DATA) -> None:
    for name, text in tables().items():
        (directory / name).write_text(text)
        print(f"{directory.name}/{name}: {len(text)} bytes")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
