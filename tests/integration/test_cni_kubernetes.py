"""rolegate-cni under Kubernetes: the role is in the pod's or its service account's annotations."""

import pytest

from fake_kube import FakeKube
from host import ROLE, Host
from test_cni import PREV, cni

ARGS = "IgnoreUnknown=1;K8S_POD_NAMESPACE={};K8S_POD_NAME={};K8S_POD_UID=uid-{}"


@pytest.fixture(scope="module")
def shared():
    with Host({"runtime": {"account": "123456789012"}}) as host:
        yield host


@pytest.fixture
def kube(shared, tmp_path):
    kube = FakeKube(tmp_path)
    yield kube
    kube.close()


def add(host, kube, pod, namespace="shop", kubeconfig=None, uid=None, command="ADD", **extra):
    if pod not in host.containers:
        host.container(pod)
    return cni(host, command, pod, cni_args=ARGS.format(namespace, pod, uid or pod),
               kubeconfig=kubeconfig or kube.kubeconfig(), **extra)


@pytest.mark.parametrize("pod, account, role", [
    ({"iam.amazonaws.com/role": "web"}, None, "web"),
    ({"rolegate.io/role": ROLE + "web"}, {"eks.amazonaws.com/role-arn": ROLE + "other"}, "web"),
    (None, {"eks.amazonaws.com/role-arn": ROLE + "web"}, "web"),
    ({"some": "thing"}, {"iam.amazonaws.com/role": "web"}, "web"),
    ({"eks.amazonaws.com/role-arn": ROLE + "web"}, None, "web"),
    ({"some": "thing"}, {"other": "thing"}, None),
    (None, None, None),
])
def test_where_the_role_comes_from(shared, kube, pod, account, role):
    name = f"pod-{len(shared.containers)}"
    kube.add("pods", "shop", name, pod, serviceAccountName="web-account")
    kube.add("serviceaccounts", "shop", "web-account", account)
    assert add(shared, kube, name) == (0, PREV)
    entry = shared.show(name)
    if role is None:
        assert entry is None
    else:
        assert shared.containers[name].role() == role
        assert entry["labels"] == {"io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.name": name}
    assert add(shared, kube, name, command="CHECK") == (0, None)
    asked = len(kube.requests)
    assert add(shared, kube, name, command="DEL") == (0, None) and len(kube.requests) == asked


def test_a_static_pod_is_its_mirror(shared, kube):
    kube.add("pods", "shop", "static", {"rolegate.io/role": "web", "kubernetes.io/config.mirror": "uid-hash"})
    status, answer = add(shared, kube, "static", uid="other")
    assert status == 1 and "another one" in answer["msg"], answer
    assert add(shared, kube, "static", uid="hash") == (0, PREV)
    assert shared.containers["static"].role() == "web"


def test_options_in_annotations(shared, kube):
    kube.add("pods", "shop", "options", {"rolegate.io/role": "web", "rolegate.io/session_tags": "team=web",
                                         "io.kubernetes.cri.image-name": "trusted", "io.kubernetes.pod.namespace": "prod"})
    assert add(shared, kube, "options")[0] == 0
    entry = shared.show("options")
    assert entry["session_tags"] == {"team": "web"} and entry.get("image") is None
    assert entry["labels"]["io.kubernetes.pod.namespace"] == "shop"


@pytest.mark.parametrize("how, code, said", [
    ("no pod", 11, "there is no pods gone"), ("another pod", 11, "another one"), ("no token", 11, "does not let"),
    ("other CA", 11, "cannot be asked"), ("down", 11, "cannot be asked"), ("garbage", 7, "no object"),
])
def test_a_pod_that_cannot_be_asked_for_does_not_start(shared, kube, tmp_path, how, code, said):
    kube.add("pods", "shop", "gone", {"rolegate.io/role": "web"})
    kubeconfig, uid = kube.kubeconfig(), None
    if how == "no pod":
        kube.objects.clear()
    elif how == "another pod":
        uid = "other"
    elif how == "no token":
        kubeconfig = kube.kubeconfig(user="token: wrong")
    elif how == "other CA":
        kubeconfig = kube.kubeconfig(cluster="certificate-authority: /etc/ssl/certs/ca-certificates.crt")
    elif how == "down":
        kube.close()
    elif how == "garbage":
        kube.objects = {path: b"<html>" for path in kube.objects}
    status, answer = add(shared, kube, "gone", kubeconfig=kubeconfig, uid=uid)
    assert status == 1 and answer["code"] == code and said in answer["msg"], answer
    assert "secret-token" not in str(answer) and shared.show("gone") is None


def test_token_file_and_ca_file(shared, kube, tmp_path):
    kube.add("pods", "shop", "files", {"rolegate.io/role": "web"})
    (tmp_path / "token").write_text(kube.token + "\n")
    kubeconfig = kube.kubeconfig(cluster=f"certificate-authority: {kube.certificate}", user=f"tokenFile: {tmp_path}/token")
    assert add(shared, kube, "files", kubeconfig=kubeconfig) == (0, PREV)
    assert shared.containers["files"].role() == "web"


@pytest.mark.parametrize("cluster, user, said", [
    ("insecure-skip-tls-verify: true", None, "insecure-skip-tls-verify"),
    (None, "exec: {command: aws}", "exec"),
    (None, "client-certificate: /x", "neither"),
    ("certificate-authority-data: '!!'", None, "base64"),
    ("server: http://127.0.0.1:1", None, "https"),
    ("x: [", None, "line"),
])
def test_bad_kubeconfigs(shared, kube, cluster, user, said):
    kube.add("pods", "shop", "bad", {"rolegate.io/role": "web"})
    status, answer = add(shared, kube, "bad", kubeconfig=kube.kubeconfig(cluster=cluster, user=user))
    assert status == 1 and answer["code"] == 7 and said in answer["msg"], answer


@pytest.mark.parametrize("namespace, name", [("../..", "x"), ("shop", "a/b"), ("shop", "X"), ("shop", "a%2fb"), ("", "x")])
def test_names_that_are_none_are_not_asked_for(shared, kube, namespace, name):
    shared.container(f"n{len(shared.containers)}")
    container = list(shared.containers)[-1]
    status, answer = cni(shared, "ADD", container, cni_args=f"K8S_POD_NAMESPACE={namespace};K8S_POD_NAME={name}",
                         kubeconfig=kube.kubeconfig())
    assert status == 1 and answer["code"] == 7 and kube.requests == [], answer


def test_a_missing_kubeconfig(shared, kube):
    status, answer = add(shared, kube, "missing", kubeconfig="/no/such")
    assert status == 1 and answer["code"] == 7 and "/no/such" in answer["msg"]
