"""What deploy/ ships is well-formed, and says what the programs understand."""

import json

import pytest
import yaml

from host import ROOT

DEPLOY = ROOT / "deploy"


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short functions."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: {suffix: loader.construct_scalar(node)})


@pytest.mark.parametrize("path", sorted(str(p.relative_to(DEPLOY)) for pattern in ("*.json", "*.conflist")
                                        for p in DEPLOY.rglob(pattern)))
def test_json(path):
    assert isinstance(json.loads((DEPLOY / path).read_text()), dict)


@pytest.mark.parametrize("path", sorted(str(p.relative_to(DEPLOY)) for pattern in ("*.yaml", "*.yml")
                                        for p in DEPLOY.rglob(pattern)))
def test_yaml(path):
    assert all(isinstance(d, dict) for d in yaml.load_all((DEPLOY / path).read_text(), Loader))


def resources():
    return yaml.load((DEPLOY / "aws" / "containers-account.yaml").read_text(), Loader)["Resources"]


def test_the_host_can_assume_container_roles_and_nothing_else():
    host = resources()["HostRole"]["Properties"]
    [policy] = host["Policies"]
    for document in (policy["PolicyDocument"], resources()["HostBoundary"]["Properties"]["PolicyDocument"]):
        [statement] = document["Statement"]
        assert statement["Action"] == ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
        assert statement["Resource"]["Sub"].endswith(":role${ContainerPath}*")
    assert host["PermissionsBoundary"] == {"Ref": "HostBoundary"}


def test_a_container_role_trusts_the_host_role_alone():
    web = resources()["WebRole"]["Properties"]
    assert web["Path"] == {"Ref": "ContainerPath"} and web["PermissionsBoundary"] == {"Ref": "ContainerBoundary"}
    for statement in web["AssumeRolePolicyDocument"]["Statement"]:
        assert statement["Principal"] == {"AWS": {"GetAtt": "HostRole.Arn"}}
        assert statement["Condition"]["StringEquals"]["aws:PrincipalOrgID"] == {"Ref": "OrganizationId"}
    assume = web["AssumeRolePolicyDocument"]["Statement"][0]
    assert assume["Condition"]["StringEquals"]["sts:ExternalId"] == {"Ref": "ExternalId"}
    assert assume["Condition"]["StringLike"] == {"sts:RoleSessionName": "rolegate-*", "sts:SourceIdentity": "*"}


def test_no_pod_annotation_passes_for_the_engines_word():
    text = (DEPLOY / "containerd" / "rolegate.toml").read_text()
    [line] = [line for line in text.splitlines() if line.strip().startswith("pod_annotations")]
    assert "io.kubernetes" not in line and '"*"' not in line
