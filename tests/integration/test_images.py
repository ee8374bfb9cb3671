"""Images: what the engine's records say counts for the policy, and signatures over their digests."""

import base64
import json
import subprocess

import pytest

from bundles import RUNC, Bundles, rootfs, words
from host import ROLE, Host

DIGEST = "sha256:" + "5a" * 32
IMAGE = "registry.example.com/web:1"
POLICY = {"version": 1, "rules": [{"name": "web", "roles": [ROLE + "web"], "images": ["registry.example.com/web*"],
                                   "require_digest": True}]}


def docker_store(base, container, image=IMAGE, digest=DIGEST):
    """A container's root in a directory laid out as Docker's; its path."""
    root = base / "overlay2" / "hash" / "merged"
    root.parent.mkdir(parents=True)
    subprocess.run(["cp", "-a", rootfs(), root], check=True)
    record = base / "containers" / container / "config.v2.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"Config": {"Image": image}, "Image": "sha256:id"}))
    repositories = base / "image" / "overlay2" / "repositories.json"
    repositories.parent.mkdir(parents=True)
    name = image.rsplit(":", 1)[0]
    repositories.write_text(json.dumps({"Repositories": {name: {image: "sha256:id", f"{name}@{digest}": "sha256:id"}}}))
    return root


def podman_store(base, container, image=IMAGE, digest=DIGEST):
    root = base / "overlay" / "hash" / "merged"
    root.parent.mkdir(parents=True)
    subprocess.run(["cp", "-a", rootfs(), root], check=True)
    for name, content in (("containers", [{"id": container, "image": "id", "metadata": json.dumps({"image-name": image})}]),
                          ("images", [{"id": "id", "digest": digest}])):
        (base / f"overlay-{name}").mkdir()
        (base / f"overlay-{name}" / f"{name}.json").write_text(json.dumps(content))
    return root


def start(runc, name, root, **annotations):
    path = runc.bundle(name, annotations={"rolegate.io/role": "web", **annotations})
    config = json.loads((path / "config.json").read_text())
    config["root"]["path"] = str(root)
    (path / "config.json").write_text(json.dumps(config))
    return runc.call("run", "--bundle", str(path), name)


@pytest.mark.parametrize("store", [docker_store, podman_store])
def test_the_engines_records_count_for_the_policy(store):
    with Host({"runtime": {"path": RUNC, "account": "123456789012"}}, POLICY) as host:
        runc = Bundles(host)
        root = store(host.dir / "store", "good")
        code, out, err = start(runc, "good", root)
        assert code == 0 and words(out)["role"] == "web", (out, err)
        # What an annotation says of the image is not believed where the engine has its own word.
        root = store(host.dir / "other", "bad", image="registry.example.com/evil:1")
        code, out, err = start(runc, "bad", root, **{"io.kubernetes.cri.image-name": f"{IMAGE}@{DIGEST}"})
        assert code != 0 and "no rule allows" in err and out == "", (out, err)


@pytest.mark.parametrize("how", ["owner", "mode", "link"])
def test_records_that_others_may_write_are_not_believed(how):
    with Host({"runtime": {"path": RUNC, "account": "123456789012"}}, POLICY) as host:
        runc = Bundles(host)
        root = docker_store(host.dir / "store", "c")
        record = host.dir / "store" / "containers" / "c" / "config.v2.json"
        if how == "owner":
            subprocess.run(["chown", "1000", record], check=True)
        elif how == "mode":
            record.chmod(0o666)
        else:
            record.rename(record.with_name("real"))
            record.symlink_to("real")
        code, out, err = start(runc, "c", root)
        assert code != 0 and out == "", (out, err)


def podman_image(base, annotations):
    """What Podman has of an image that podman_store() has made."""
    image = base / "overlay-images" / "id"
    image.mkdir()
    for name in ("manifest", "=bWFuaWZlc3Qtc2hhMjU2OjVhNWE="):
        (image / name).write_text(json.dumps({"schemaVersion": 2, "annotations": annotations}))


def test_an_image_cannot_annotate_itself():
    """Podman makes the annotations of an image's manifest the container's."""
    policy = {"version": 1, "rules": [{"name": "web", "roles": [ROLE + "web"], "labels": {"team": "web"}}]}
    with Host({"runtime": {"path": RUNC, "account": "123456789012"}}, policy) as host:
        runc = Bundles(host)
        own = {"rolegate.io/role": "web", "rolegate.io/labels": "team=web"}
        root = podman_store(host.dir / "store", "c")
        podman_image(host.dir / "store", own)
        code, out, err = start(runc, "c", root, **own)
        assert code == 1 and out.startswith("failed ") and "image's own" in err, (out, err)
        # Who starts the container has a say, but the image's labels are still not believed.
        code, out, err = start(runc, "c", root, **own | {"rolegate.io/role": ROLE + "web"})
        assert code != 0 and out == "" and "no rule allows" in err, (out, err)
        code, out, err = start(runc, "c", root, **{"rolegate.io/role": ROLE + "web", "rolegate.io/labels": '{"team":"web"}'})
        assert code == 0 and words(out)["role"] == "web", (out, err)
        # One that cannot be read might say anything.
        (host.dir / "store" / "overlay-images" / "id" / "manifest").write_text('{"annotations":{"a":"1"},"annotations":{}}')
        code, out, err = start(runc, "c", root, **own)
        assert code != 0 and out == "" and "records" in err, (out, err)


@pytest.mark.parametrize("store", [docker_store, podman_store, None])
def test_annotations_of_another_engine_do_not_speak_of_the_pod(store):
    """CRI-O hands all of a pod's annotations on, and anybody annotates his own Docker or Podman container."""
    policy = {"version": 1, "rules": [{"name": "prod", "roles": [ROLE + "web"],
                                       "labels": {"io.kubernetes.pod.namespace": "prod"}}]}
    pod = {"io.kubernetes.cri.sandbox-namespace": "prod", "io.kubernetes.cri.image-name": f"{IMAGE}@{DIGEST}"}
    with Host({"runtime": {"path": RUNC, "account": "123456789012"}}, policy) as host:
        runc = Bundles(host)
        root = store(host.dir / "store", "c") if store else rootfs()
        if not store:
            pod |= {"io.kubernetes.cri-o.ContainerType": "container", "io.kubernetes.pod.namespace": "evil"}
        code, out, err = start(runc, "c", root, **pod)
        assert code != 0 and out == "" and "no rule allows" in err, (out, err)
        if store:
            code, out, err = start(runc, "c", root, **{"io.kubernetes.pod.namespace": "prod"})
        else:
            code, out, err = start(runc, "c", root, **pod | {"io.kubernetes.cri.container-type": "container"})
        assert code != 0 and out == "" and ("no rule allows" in err or "only one of" in err), (out, err)


def test_a_container_of_cri_o_is_in_its_pod():
    policy = {"version": 1, "rules": [{"name": "prod", "roles": [ROLE + "web"],
                                       "labels": {"io.kubernetes.pod.namespace": "prod"}}]}
    with Host({"runtime": {"path": RUNC, "account": "123456789012"}}, policy) as host:
        root = podman_store(host.dir / "store", "c")
        (host.dir / "store" / "overlay-containers" / "containers.json").write_text(json.dumps(
            [{"id": "c", "image": "id", "metadata": json.dumps({"pod-id": "p", "image-name": IMAGE})}]))
        code, out, err = start(Bundles(host), "c", root, **{"io.kubernetes.pod.namespace": "prod"})
        assert code == 0 and words(out)["role"] == "web", (out, err)


def test_a_root_without_image_has_none_by_annotation():
    """podman run --rootfs: the container is known, and no image of it."""
    with Host({"runtime": {"path": RUNC, "account": "123456789012"}}, POLICY) as host:
        root = podman_store(host.dir / "store", "c")
        (host.dir / "store" / "overlay-containers" / "containers.json").write_text(json.dumps([{"id": "c", "metadata": "{}"}]))
        code, out, err = start(Bundles(host), "c", root, **{"io.kubernetes.cri.image-name": f"{IMAGE}@{DIGEST}"})
        assert code != 0 and out == "" and "no rule allows" in err, (out, err)


@pytest.mark.parametrize("how", ["mode", "broken"])
def test_no_annotation_takes_the_place_of_records_that_are_not_believed(how):
    with Host({"runtime": {"path": RUNC, "account": "123456789012"}}, POLICY) as host:
        root = docker_store(host.dir / "store", "c")
        record = host.dir / "store" / "containers" / "c" / "config.v2.json"
        if how == "mode":
            record.chmod(0o666)
        else:
            record.write_text("{")
        code, out, err = start(Bundles(host), "c", root, **{"io.kubernetes.cri.image-name": f"{IMAGE}@{DIGEST}"})
        assert code != 0 and out == "" and "records" in err, (out, err)


class Signer:
    def __init__(self, directory, name, kind):
        self.key, self.public = directory / f"{name}.key", directory / f"{name}.pem"
        options = {"ecdsa": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["-algorithm", "RSA"],
                   "ed25519": ["-algorithm", "ED25519"]}[kind]
        subprocess.run(["openssl", "genpkey", *options, "-out", self.key], check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", self.key, "-pubout", "-out", self.public], check=True)
        self.kind = kind

    def sign(self, directory, digest=DIGEST, ref="registry.example.com/web", number="", payload=None, about=None):
        name = directory / f"{digest.removeprefix('sha256:')}{number}"
        text = payload or json.dumps({"critical": {"identity": {"docker-reference": ref},
                                                   "image": {"docker-manifest-digest": about or digest},
                                                   "type": "cosign container image signature"}, "optional": None})
        name.with_name(name.name + ".payload").write_text(text)
        path = name.with_name(name.name + ".payload")
        command = (["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.key, "-in", path] if self.kind == "ed25519"
                   else ["openssl", "dgst", "-sha256", "-sign", self.key, path])
        signature = subprocess.run(command, check=True, capture_output=True).stdout
        name.with_name(name.name + ".sig").write_bytes(base64.b64encode(signature) + b"\n")
        return path


@pytest.fixture(scope="module")
def signing(tmp_path_factory):
    directory = tmp_path_factory.mktemp("keys")
    signers = {kind: Signer(directory, f"release-{kind}", kind) for kind in ("ecdsa", "rsa", "ed25519")}
    signers["stranger"] = Signer(directory, "stranger", "ecdsa")
    signatures = directory / "signatures"
    signatures.mkdir()
    keys = " ".join(str(signers[kind].public) for kind in ("ecdsa", "rsa", "ed25519"))
    with Host({"runtime": {"path": RUNC, "account": "123456789012", "image_keys": keys,
                           "image_signatures": str(signatures)}}) as host:
        yield Bundles(host), signers, signatures


def run(runc, name, image=f"registry.example.com/web:1@{DIGEST}"):
    annotations = {"io.kubernetes.cri.image-name": image} if image else {}
    return runc.run(name, annotations={"rolegate.io/role": "web", **annotations})


@pytest.mark.parametrize("kind", ["ecdsa", "rsa", "ed25519"])
def test_signed_images_start_and_their_signer_is_known(signing, kind):
    runc, signers, signatures = signing
    signers[kind].sign(signatures)
    out = runc.start(f"s-{kind}", annotations={"rolegate.io/role": "web",
                                               "io.kubernetes.cri.image-name": f"registry.example.com/web:1@{DIGEST}"})
    entry = runc.host.show(f"s-{kind}")
    assert runc.output(out)["role"] == "web"
    assert entry["labels"]["rolegate.io/image-signer"] == f"release-{kind}" and entry["image"]["digest"] == DIGEST
    runc.call("delete", "--force", f"s-{kind}")


def test_the_second_signature_may_be_the_trusted_one(signing):
    runc, signers, signatures = signing
    signers["stranger"].sign(signatures)
    signers["ecdsa"].sign(signatures, number=".1")
    assert run(runc, "second")[0] == 0
    for path in signatures.iterdir():
        path.unlink()


@pytest.mark.parametrize("how", ["none", "stranger", "changed", "other digest", "other image", "garbage", "unknown digest"])
def test_unsigned_images_do_not_start(signing, how):
    runc, signers, signatures = signing
    image = f"registry.example.com/web:1@{DIGEST}"
    if how == "stranger":
        signers["stranger"].sign(signatures)
    elif how == "changed":
        path = signers["ecdsa"].sign(signatures)
        path.write_text(path.read_text() + " ")
    elif how == "other digest":
        signers["ecdsa"].sign(signatures, about="sha256:" + "00" * 32)
    elif how == "other image":
        signers["ecdsa"].sign(signatures, ref="registry.example.com/other")
    elif how == "garbage":
        signers["ecdsa"].sign(signatures)
        next(signatures.glob("*.sig")).write_text("not base64 !")
    elif how == "unknown digest":
        signers["ecdsa"].sign(signatures)
        image = "registry.example.com/web:1"
    code, out, err = run(runc, "unsigned", image)
    assert code != 0 and out == "" and "signature" in err, (out, err)
    for path in signatures.iterdir():
        path.unlink()


def test_who_starts_a_container_cannot_claim_a_signer(signing):
    runc, signers, signatures = signing
    code, out, err = runc.run("claim", annotations={"rolegate.io/role": "web",
                                                    "rolegate.io/labels": "rolegate.io/image-signer=release-ecdsa"})
    assert code != 0 and "rolegate.io/labels" in err, err


def test_a_key_that_is_none(signing, tmp_path):
    runc, signers, signatures = signing
    signers["ecdsa"].sign(signatures)
    bad = tmp_path / "bad.pem"
    bad.write_text("x")
    with Host({"runtime": {"path": RUNC, "account": "123456789012", "image_keys": str(bad),
                           "image_signatures": str(signatures)}}) as host:
        code, out, err = run(Bundles(host), "c")
        assert code != 0 and "bad.pem" in err and "public key" in err, err
