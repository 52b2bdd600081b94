"""Release record → Terraform variables, SSM parameters, a Kustomization."""

import json
import re

import pytest
import yaml
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from tests.records import DIGEST, HOST, INDEX, RELEASE, image, record
from toolkit.tables import FORMATS
from toolkit.tables.deployment import left_out_of_ssm, to_kustomize, to_ssm, to_tfvars

BOTH = record(image("pytorch-1.12.1-amd64"), image("pytorch-1.12.1-arm64"))
NASTY = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(
    [
        "${a}",
        "$${a}",
        "%{if}",
        "%%{",
        '"',
        "\\",
        "\\u0024{",
        "\n}\nimages = {",
        "\r\t\0\x85\u2028",
        "# no comment",
        "😀",
    ]
)

HCL_TEXT = r'"((?:[^"\\\n]|\\.)*)"'
HCL_LINE = re.compile(rf"    (?P<key>[a-z_]+) *= {HCL_TEXT}")


def hcl_text(quoted: str) -> str:
    """What HCL reads in a quoted template; interpolation would be a fault of the writer."""
    assert not re.search(r"[$%]\{", quoted)
    assert not re.search(r"[\0-\x1f]", quoted)
    plain = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), quoted)
    assert re.sub(r"\\u[0-9a-f]{4}", "", quoted).count("\\") == 0
    return plain


def read_hcl(text: str) -> dict[str, dict[str, str]]:
    """The map of objects, by a reader that takes the lines that are written and no others."""
    lines = [line for line in text.split("\n") if not line.startswith("#")]
    assert (lines[0], lines[-2:]) == ("images = {", ["}", ""])
    found: dict[str, dict[str, str]] = {}
    name = ""
    for line in lines[1:-2]:
        if opened := re.fullmatch(rf"  {HCL_TEXT} = {{", line):
            name = hcl_text(opened[1])
            found[name] = {}
        elif line != "  }":
            cell = HCL_LINE.fullmatch(line)
            assert cell, line
            found[name][cell["key"]] = hcl_text(cell[2])
    return found


def test_terraform_gets_a_map_of_images_by_identifier() -> None:
    found = read_hcl(to_tfvars(BOTH))
    assert list(found) == ["pytorch-1.12.1-amd64", "pytorch-1.12.1-arm64"]
    assert found["pytorch-1.12.1-arm64"]["uri"] == f"{HOST}/pytorch-inference@{DIGEST}"
    assert found["pytorch-1.12.1-arm64"]["architecture"] == "arm64"


def test_the_type_that_is_given_for_the_variable_has_the_keys_of_the_values() -> None:
    text = to_tfvars(BOTH)
    declared = re.findall(r"^#     (\w+) *= string$", text, re.MULTILINE)
    assert [tuple(each) for each in read_hcl(text).values()] == [tuple(declared)] * 2


@given(NASTY, NASTY)
def test_no_text_leaves_its_string_in_terraforms_variables(name: str, tag: str) -> None:
    (found,) = read_hcl(to_tfvars(record(image(identifier="a-arm64", tag=tag, framework=name)))).values()
    assert (found["framework"], found["tag"]) == (name, tag)


PUT_PARAMETER = ServiceModel(Loader().load_service_model("ssm", "service-2")).operation_model("PutParameter")


def test_every_entry_is_what_put_parameter_takes() -> None:
    found = json.loads(to_ssm(BOTH))
    assert PUT_PARAMETER.input_shape
    for each in found:
        report = ParamValidator().validate(each, PUT_PARAMETER.input_shape)
        assert not report.has_errors(), report.generate_report()
    assert {each["Name"]: each["Value"] for each in found} == {
        f"/multiarch-images/pytorch/pytorch-1.12.1/{architecture}": f"{HOST}/pytorch-inference@{DIGEST}"
        for architecture in ("amd64", "arm64")
    }
    assert all(RELEASE in each["Description"] for each in found)


@given(NASTY)
def test_a_name_that_no_parameter_can_have_is_left_out_and_told(framework: str) -> None:
    one = record(image(framework=framework))
    found, left_out = json.loads(to_ssm(one)), left_out_of_ssm(one)
    assert len(found) + len(left_out) == 1
    for each in found:
        assert re.fullmatch(r"(/[a-zA-Z0-9_.-]+)+", each["Name"])


def test_a_kustomization_names_the_list_which_fits_nodes_of_each_architecture() -> None:
    document = yaml.safe_load(to_kustomize(BOTH))
    assert document["kind"] == "Component"
    assert document["images"] == [
        {"name": "pytorch-1.12.1", "newName": f"{HOST}/pytorch-inference", "digest": INDEX}
    ]


def test_a_kustomization_names_the_image_where_there_is_no_list() -> None:
    alone = image("pytorch-arm64", index_digest="", index_uri="", index_tag="")
    assert yaml.safe_load(to_kustomize(record(alone)))["images"][0]["digest"] == DIGEST


@given(NASTY.filter(bool))
def test_no_text_leaves_its_place_in_a_kustomization(repository: str) -> None:
    (found,) = yaml.safe_load(to_kustomize(record(image(repository=repository))))["images"]
    assert found == {"name": "pytorch", "newName": f"{HOST}/{repository}", "digest": INDEX}


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_can_say_a_release_without_images(kind: str) -> None:
    assert FORMATS[kind].write(record()).endswith("\n")
    assert FORMATS[kind].left_out(record()) == ()
