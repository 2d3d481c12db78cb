"""Every overlay, as kubectl renders it: valid by Kubernetes' own schemas, and what we promise of it."""

import re
from itertools import product
from pathlib import Path

import kubernetes_validate
import pytest
from rendering import KUBERNETES, MODELS, PLACES, SOFTWARE, Document, of_kind, pods, rendered, served, text_of

OVERLAYS = (*SOFTWARE, *MODELS)
VERSION = "1.31"
# README, "Who may talk to whom": from -> (to, port).
TALK = {
    ("backend", "model-service", 8001),
    ("backend", "nats", 4222),
    ("monitoring", "model-service", 8001),
    ("monitoring", "nats", 4222),
    ("ml-pipeline", "mlflow", 8003),
    ("nats", "nats", 6222),
}
OUTSIDE = {("backend", 5432), ("mlflow", 443), ("mlflow", 5432)}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_document_is_valid_by_the_schema_of_its_kind(overlay: str) -> None:
    documents = rendered(overlay)

    for document in documents:
        kubernetes_validate.validate(document, VERSION, strict=True)
    assert len(documents) >= 7
    assert {d["metadata"].get("namespace", d["metadata"]["name"]) for d in documents} == {
        f"steel-additives-{Path(overlay).name}"
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_is_restricted(overlay: str) -> None:
    for name, template in pods(overlay).items():
        spec = template["spec"]
        (container,) = spec["containers"]
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["automountServiceAccountToken"] is False, name
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        assert all("hostPath" not in volume for volume in spec["volumes"]), name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_container_asks_for_what_it_needs_and_has_a_limit(overlay: str) -> None:
    for name, template in pods(overlay).items():
        resources = template["spec"]["containers"][0]["resources"]
        assert set(resources["requests"]) == set(resources["limits"]) == {"cpu", "memory"}, name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_runs_on_says_whether_it_lives_and_is_ready(overlay: str) -> None:
    templates = pods(overlay)

    for name in served(overlay):
        assert {"livenessProbe", "readinessProbe"} <= set(templates[name]["spec"]["containers"][0]), name


@pytest.mark.parametrize("place", PLACES)
def test_no_more_than_can_be_spared_is_taken_away_at_once(place: str) -> None:
    budgets = {
        document["metadata"]["name"]: document["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"]
        for overlay in (f"overlays/{place}", f"model/overlays/{place}")
        for document in of_kind(overlay, "PodDisruptionBudget")
    }

    assert budgets == {"backend": "backend", "nats": "nats", "model-live": "model-live"}


@pytest.mark.parametrize("overlay", MODELS)
def test_live_models_are_as_many_as_their_load_asks_for(overlay: str) -> None:
    (scaler,) = of_kind(overlay, "HorizontalPodAutoscaler")
    (live,) = [d for d in of_kind(overlay, "Deployment") if d["metadata"]["name"] == "model-live"]

    assert scaler["spec"]["scaleTargetRef"]["name"] == "model-live"
    assert scaler["spec"]["maxReplicas"] > scaler["spec"]["minReplicas"]
    assert "replicas" not in live["spec"]  # an apply would take the autoscaler's away


@pytest.mark.parametrize("overlay", SOFTWARE)
def test_the_bus_has_three_nodes_on_three_machines(overlay: str) -> None:
    (nats,) = of_kind(overlay, "StatefulSet")
    (settings,) = [d for d in of_kind(overlay, "ConfigMap") if d["metadata"]["name"] == "nats"]
    apart = nats["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"]

    assert nats["spec"]["replicas"] == 3
    assert (
        apart["requiredDuringSchedulingIgnoredDuringExecution"][0]["topologyKey"] == "kubernetes.io/hostname"
    )
    assert len(re.findall(r"nats://nats-\d", settings["data"]["nats.conf"])) == 3


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_secrets_are_named_and_none_is_here(overlay: str) -> None:
    assert of_kind(overlay, "Secret") == []
    for name, template in pods(overlay).items():
        for variable in template["spec"]["containers"][0]["env"]:
            if re.search(r"PASSWORD|SECRET|KEY|DATABASE_URL|STORE_URI|TOKEN", variable["name"]):
                assert "secretKeyRef" in variable["valueFrom"], (name, variable["name"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_images_are_never_whatever_is_newest(overlay: str) -> None:
    images = [template["spec"]["containers"][0]["image"] for template in pods(overlay).values()]

    assert all("@sha256:" in image or (":" in image and not image.endswith(":latest")) for image in images)


@pytest.mark.parametrize("overlay", SOFTWARE)
def test_migrations_are_a_job_of_the_same_image_as_the_backend(overlay: str) -> None:
    templates = pods(overlay)
    images = {templates[n]["spec"]["containers"][0]["image"] for n in ("backend", "backend-migrate")}

    assert templates["backend-migrate"]["spec"]["containers"][0]["args"] == ["migrate"]
    assert len(images) == 1


@pytest.mark.parametrize("place", PLACES)
def test_nobody_talks_but_who_stands_in_the_table(place: str) -> None:
    policies = [
        d["spec"]
        for o in (f"overlays/{place}", f"model/overlays/{place}")
        for d in of_kind(o, "NetworkPolicy")
    ]

    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in policies
    assert asked(policies) == TALK
    assert answered(policies) == TALK
    assert outside(policies) == OUTSIDE


def component(selector: Document) -> str | None:
    labels: dict[str, str] = selector.get("podSelector", selector).get("matchLabels", {})
    return labels.get("app.kubernetes.io/component")


def pairs(policies: list[Document], rules: str, peers: str) -> set[tuple[str | None, str | None, int]]:
    """(the policy's component, the peer's component, port) of every rule that names pods."""
    return {
        (component(policy["podSelector"]), component(peer), port["port"])
        for policy in policies
        for rule in policy.get(rules, [])
        for peer, port in product(rule.get(peers, []), rule["ports"])
        if "podSelector" in peer
    }


def asked(policies: list[Document]) -> set[tuple[str | None, str | None, int]]:
    return pairs(policies, "egress", "to")


def answered(policies: list[Document]) -> set[tuple[str | None, str | None, int]]:
    return {(asking, answering, port) for answering, asking, port in pairs(policies, "ingress", "from")}


def outside(policies: list[Document]) -> set[tuple[str | None, int]]:
    return {
        (component(policy["podSelector"]), port["port"])
        for policy in policies
        for rule in policy.get("egress", [])
        if "to" not in rule
        for port in rule["ports"]
    }


@pytest.mark.parametrize("place", PLACES)
def test_software_and_models_are_deployed_apart(place: str) -> None:
    software, models = (
        {(d["kind"], d["metadata"]["name"]) for d in rendered(o)}
        for o in (f"overlays/{place}", f"model/overlays/{place}")
    )

    assert software & models == set()
    assert "model-" not in {name for _, name in software}
    assert "additives/model" not in text_of(f"overlays/{place}")
    assert not {"backend", "monitoring"} & {name for _, name in models}


def test_both_bases_harden_pods_alike() -> None:
    one, other = (KUBERNETES / base / "hardened-pod.yaml" for base in ("base", "model/base"))

    assert one.read_text() == other.read_text()


def test_the_table_of_the_readme_is_the_one_that_is_held() -> None:
    readme = (KUBERNETES / "README.md").read_text()
    rows = re.findall(r"^\| `([\w-]+)` \| `([\w-]+)` \| (\d+) \|", readme, re.MULTILINE)

    assert {(asking, answering, int(port)) for asking, answering, port in rows} == TALK
