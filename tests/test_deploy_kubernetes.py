"""The manifests: Kubernetes' own schemas accept them, and what they say agrees with the image and with camfleet."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pipeline.config import load_fleet
from pipeline.web.safety import OPEN
from tests.dockerfiles import DEPLOY, command, of, variables

FOLDER = DEPLOY / "kubernetes"
VERSION = "1.34"
Manifest = dict[str, Any]


def manifests(file: str) -> dict[str, Manifest]:
    """By kind."""
    return {one["kind"]: one for one in yaml.safe_load_all((FOLDER / file).read_text("utf-8"))}


FLEET, RAY = manifests("fleet.yaml"), manifests("ray.yaml")
POD: Manifest = FLEET["StatefulSet"]["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
CLUSTER: Manifest = RAY["RayCluster"]["spec"]
RAY_PODS: dict[str, Manifest] = {
    "head": CLUSTER["headGroupSpec"]["template"]["spec"],
    **{group["groupName"]: group["template"]["spec"] for group in CLUSTER["workerGroupSpecs"]},
}
PODS = {"fleet": POD, **RAY_PODS}


def check(manifest: Manifest) -> None:
    """Against the schema, in which no key is unknown."""
    kubernetes_validate.validate(manifest, VERSION, strict=True)


def pod(spec: Manifest) -> Manifest:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": spec}


@pytest.mark.parametrize("kind", ["ConfigMap", "StatefulSet", "Service"])
def test_fleet_manifest_is_what_kubernetes_accepts(kind: str):
    check(FLEET[kind])


def test_fleet_manifest_with_a_mistake_is_not():
    wrong = copy.deepcopy(FLEET["StatefulSet"])
    wrong["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnlyRootFileSystem"] = True
    with pytest.raises(kubernetes_validate.ValidationError, match="readOnlyRootFileSystem"):
        check(wrong)


@pytest.mark.parametrize("name", RAY_PODS)
def test_ray_pods_are_what_kubernetes_accepts(name: str):
    """The schema of RayCluster itself is KubeRay's, and in no package."""
    check(pod(RAY_PODS[name]))


def test_ray_start_parameters_are_texts_and_the_head_has_no_room_for_cameras():
    groups = [CLUSTER["headGroupSpec"], *CLUSTER["workerGroupSpecs"]]
    assert all(isinstance(value, str) for group in groups for value in group["rayStartParams"].values())
    assert groups[0]["rayStartParams"]["num-cpus"] == "0"


def test_ray_policy_is_what_kubernetes_accepts_and_is_for_the_cluster_s_pods():
    check(RAY["NetworkPolicy"])
    labels = RAY["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]
    groups = [CLUSTER["headGroupSpec"], *CLUSTER["workerGroupSpecs"]]
    assert all(group["template"]["metadata"]["labels"] == labels for group in groups)


def test_fleet_of_the_manifest_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(DEPLOY.parent)
    (name,) = FLEET["ConfigMap"]["data"]
    (tmp_path / name).write_text(FLEET["ConfigMap"]["data"][name], encoding="utf-8")
    given = {one["name"]: "0123456789abcdef" for one in CONTAINER["env"]}
    fleet = load_fleet(tmp_path / name, given)
    assert len(fleet.cameras) == 6
    assert fleet.model.threads == int(CONTAINER["resources"]["requests"]["cpu"])
    assert fleet.page is not None
    assert [port["containerPort"] for port in CONTAINER["ports"]] == [fleet.page.port]
    assert not fleet.page.is_local, "the kubelet asks from outside"
    assert str(fleet.sinks["records"].url).startswith(variables()["XDG_STATE_HOME"])


def test_fleet_container_is_the_image_s():
    assert CONTAINER["args"] == command()
    assert "command" not in CONTAINER, "the entry point stays"
    user, group = map(int, of("USER")[-1].split(":"))
    context = POD["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (user, group, group)


@pytest.mark.parametrize("name", PODS)
def test_pod_has_few_rights_and_those_that_landlock_needs(name: str):
    spec = PODS[name]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, (
        "it knows Landlock; Localhost may not"
    )
    for container in spec["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert not container["securityContext"].get("privileged")


@pytest.mark.parametrize("name", PODS)
def test_pod_mounts_what_it_has_and_shared_memory(name: str):
    volumes = {volume["name"]: volume for volume in PODS[name]["volumes"]}
    claims = FLEET["StatefulSet"]["spec"]["volumeClaimTemplates"] if name == "fleet" else []
    for container in PODS[name]["containers"]:
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert set(mounts.values()) == {*volumes, *(claim["metadata"]["name"] for claim in claims)}
        assert volumes[mounts["/dev/shm"]]["emptyDir"]["medium"] == "Memory"
        assert variables()["XDG_CACHE_HOME"] in mounts
        assert "/tmp" in mounts


def test_fleet_container_can_write_where_the_image_keeps_things():
    assert CONTAINER["securityContext"]["readOnlyRootFilesystem"]
    writable = {mount["mountPath"] for mount in CONTAINER["volumeMounts"] if not mount.get("readOnly")}
    assert {variables()["XDG_STATE_HOME"], variables()["XDG_CACHE_HOME"], "/tmp", "/dev/shm"} == writable


def test_fleet_probes_ask_what_there_is():
    for probe in ("startupProbe", "livenessProbe"):
        asked = CONTAINER[probe]["httpGet"]
        assert asked["path"] in OPEN, "the kubelet knows no token"
        assert asked["port"] in {port["name"] for port in CONTAINER["ports"]}
    program, file, what = CONTAINER["readinessProbe"]["exec"]["command"]
    assert program == "python"
    (folder,) = (line.split()[-1] for line in of("COPY") if "deploy/health.py" in line)
    assert file == f"{folder}health.py"
    assert f'"{what}"' in (DEPLOY / "health.py").read_text("utf-8")


def test_fleet_service_reaches_the_page():
    labels = FLEET["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    service = FLEET["Service"]["spec"]
    assert service["selector"].items() <= labels.items()
    assert FLEET["StatefulSet"]["spec"]["serviceName"] == FLEET["Service"]["metadata"]["name"]
    assert [port["targetPort"] for port in service["ports"]] == [port["name"] for port in CONTAINER["ports"]]


def test_secrets_are_those_that_the_readme_makes():
    made = re.search(
        r"kubectl create secret generic (\S+) --from-literal=([\w-]+)=", (DEPLOY / "README.md").read_text("utf-8")
    )
    wanted = [
        one["valueFrom"]["secretKeyRef"]
        for spec in PODS.values()
        for container in spec["containers"]
        for one in container.get("env", ())
    ]
    assert wanted
    assert all((one["name"], one["key"]) == made.groups() for one in wanted)


def test_ray_cluster_is_of_the_image_s_version():
    (version,) = (line.split("=")[1] for line in of("ARG") if line.startswith("RAY="))
    assert CLUSTER["rayVersion"] == version
    images = {container["image"] for spec in RAY_PODS.values() for container in spec["containers"]}
    assert images == {"camfleet:ray"}
    for group in CLUSTER["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        (container,) = group["template"]["spec"]["containers"]
        assert container["resources"]["requests"]["cpu"] == group["rayStartParams"]["num-cpus"]
