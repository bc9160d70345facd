"""The Kubernetes manifests: as rendered, against the API's schemas, the restricted Pod Security, and the program itself."""

import os
import re
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
import yaml

from campaignctl.cli.stopping import STOP_WITHIN_S
from campaignctl.config import load_settings
from campaignctl.config.settings import Settings
from tests.deploy.render import KUBERNETES, OPERATOR_RULES, RENDERED, kustomize, operator_rules, rendering
from tests.deploy.support import DEPLOY, known_variables
from tests.deploy.test_docker import environment

Manifest = dict[str, Any]

OVERLAYS = tuple(RENDERED)
CUSTOM = {"keda.sh/v1alpha1", "monitoring.coreos.com/v1"}
"""Kinds that operators bring: their schemas are not the API's."""
EXAMPLES = sorted((KUBERNETES / "examples").glob("*.yaml"))


def manifests(overlay: str) -> list[Manifest]:
    return list(yaml.safe_load_all(RENDERED[overlay].read_text()))


def of_kind(overlay: str, kind: str) -> list[Manifest]:
    return [one for one in manifests(overlay) if one["kind"] == kind]


def pods(found: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Every pod template, by the name of what makes it."""
    for one in found:
        if one["kind"] in {"Deployment", "Job", "StatefulSet", "DaemonSet"}:
            yield one["metadata"]["name"], one["spec"]["template"]


def containers(template: Manifest) -> list[Manifest]:
    return template["spec"].get("initContainers", []) + template["spec"]["containers"]


def restricted(template: Manifest) -> list[str]:
    """What the Pod Security standard ``restricted`` forbids in the template; the rules of its newest version."""
    spec, wrong = template["spec"], []
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            wrong.append(name)
    of_pod = spec.get("securityContext", {})
    for name in ("sysctls", "windowsOptions", "seLinuxOptions"):
        if of_pod.get(name):
            wrong.append(name)
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    for volume in spec.get("volumes", []):
        if kinds := volume.keys() - {"name"} - allowed:
            wrong.append(f"volume {kinds}")
    for one in containers(template):
        own = one.get("securityContext", {})
        if own.get("privileged") or own.get("procMount", "Default") != "Default":
            wrong.append("privileged")
        if own.get("allowPrivilegeEscalation") is not False:
            wrong.append("allowPrivilegeEscalation")
        if own.get("runAsNonRoot", of_pod.get("runAsNonRoot")) is not True:
            wrong.append("runAsNonRoot")
        if own.get("runAsUser", of_pod.get("runAsUser")) == 0:
            wrong.append("runAsUser")
        profile = own.get("seccompProfile", of_pod.get("seccompProfile", {})).get("type")
        if profile not in {"RuntimeDefault", "Localhost"}:
            wrong.append("seccompProfile")
        capabilities = own.get("capabilities", {})
        if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
            wrong.append("capabilities")
        if any("hostPort" in port for port in one.get("ports", [])):
            wrong.append("hostPort")
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            if "host" in one.get(probe, {}).get("httpGet", {}):
                wrong.append("probe host")
    return wrong


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_rendered_files_are_what_kustomize_makes(overlay: str) -> None:
    if kustomize() is None:
        assert not os.environ.get("CA_TEST_REQUIRE_KUSTOMIZE"), "neither kustomize nor kubectl is here"
        pytest.skip("neither kustomize nor kubectl is here")
    assert list(yaml.safe_load_all(rendering(overlay))) == manifests(overlay), "run: make deploy-render"


def test_the_operators_rules_are_those_of_prometheus() -> None:
    assert yaml.safe_load(OPERATOR_RULES.read_text()) == operator_rules(), "run: make deploy-render"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_api_would_take_every_manifest(overlay: str) -> None:
    found = [one for one in manifests(overlay) if one["apiVersion"] not in CUSTOM]
    assert found[0]["kind"] == "Namespace", "applied in this order, what is in the namespace comes later"
    for one in found:
        kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_examples_can_be_read_and_those_of_the_api_are_valid(file: Any) -> None:
    found = list(yaml.safe_load_all(file.read_text()))
    for one in found:
        assert {"apiVersion", "kind", "metadata", "spec"} <= one.keys()
        if "." not in one["apiVersion"].partition("/")[0] or one["apiVersion"].partition("/")[0].endswith(".k8s.io"):
            kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)
    for name, template in pods(found):
        assert restricted(template) == [], name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_is_restricted_and_more(overlay: str) -> None:
    (namespace,) = of_kind(overlay, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    found = dict(pods(manifests(overlay)))
    assert found.keys() == {"campaignctl-api", "campaignctl-worker", "campaignctl-init-schema"}
    for name, template in found.items():
        spec = template["spec"]
        assert restricted(template) == [], name
        assert spec["enableServiceLinks"] is False, name
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsUser"] >= 10_000, name
        for one in spec["containers"]:
            assert one["securityContext"]["readOnlyRootFilesystem"] is True, name
            assert re.fullmatch(r".+:(?!latest$)[\w.-]+", one["image"]), one["image"]
            assert {"cpu", "memory"} <= one["resources"]["requests"].keys(), name
            assert "memory" in one["resources"]["limits"], name
            written = {mount["mountPath"] for mount in one["volumeMounts"] if not mount.get("readOnly")}
            assert written == {"/var/lib/campaignctl", "/tmp"}, name
        for volume in spec["volumes"]:
            assert volume.keys() - {"name"} in ({"emptyDir"}, {"secret"})
            assert "sizeLimit" in volume.get("emptyDir", {"sizeLimit": ""}), name


@pytest.mark.parametrize(
    ("breach", "said"),
    [
        ({"hostNetwork": True}, "hostNetwork"),
        ({"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}, "volume {'hostPath'}"),
        ({"securityContext": {}}, "runAsNonRoot"),
        ({"containers": [{"securityContext": {"privileged": True}}]}, "privileged"),
        ({"containers": [{"ports": [{"hostPort": 80}]}]}, "hostPort"),
    ],
)
def test_the_check_of_restricted_finds_breaches(breach: Manifest, said: str) -> None:
    (template,) = (template for name, template in pods(manifests("production")) if name == "campaignctl-api")
    assert said in restricted({"spec": template["spec"] | breach})


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_probes_mean_what_they_should(overlay: str) -> None:
    for name, template in pods(manifests(overlay)):
        (one,) = template["spec"]["containers"]
        if name.endswith("init-schema"):
            assert "livenessProbe" not in one
            continue
        paths = {probe: one[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
        ports = {port["name"]: port["containerPort"] for port in one["ports"]}
        assert {one[probe]["httpGet"]["port"] for probe in paths} <= ports.keys()
        assert paths["livenessProbe"] == "/health/live", "a store that is away must not restart anything"
        # The API is let in once it is ready and stays while a store is away; a worker tells rollouts of its readiness.
        assert "/health/ready" in (paths["startupProbe"], paths["readinessProbe"])
        target = name.removeprefix("campaignctl-")
        own = environment(target)
        named = {int(own[key]) for key in ("CA_SERVER_PORT", "CA_SERVER_METRICS_PORT") if key in own}
        assert set(ports.values()) == named
        pause_s = one.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert template["spec"]["terminationGracePeriodSeconds"] >= pause_s + STOP_WITHIN_S + 5


def settings_of(overlay: str) -> tuple[dict[str, str], Settings]:
    """The ConfigMap, and what the program makes of it beside the secrets that the README has people make."""
    (config,) = of_kind(overlay, "ConfigMap")
    values = {name: value for name, value in config["data"].items() if value}
    secrets = dict.fromkeys(secret_keys(), "k7Q2vX9mB4tN8wR1zL5cY3hJ6dF0gS2pA7uE4iO9")
    return config["data"], load_settings(environ=environment("api") | values | secrets)


def secret_keys() -> set[str]:
    text = (KUBERNETES / "README.md").read_text()
    command = text[text.index("create secret generic campaignctl-secrets") :]
    return set(re.findall(r"--from-literal=(CA_[A-Z_]+)", command[: command.index("\n$ ")]))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_settings_and_secrets_are_keys_that_the_program_takes(overlay: str) -> None:
    data, settings = settings_of(overlay)
    assert data.keys() <= known_variables()
    assert secret_keys() <= known_variables()
    assert not data.keys() & secret_keys()
    assert not [name for name in data if name.endswith(("PASSWORD", "_KEY"))], "secrets have no place in a ConfigMap"
    assert not settings.embedded
    assert not settings.embedded_cache
    for _, template in pods(manifests(overlay)):
        (one,) = template["spec"]["containers"]
        (from_config, from_secret) = one["envFrom"]
        assert from_config["configMapRef"]["name"] == of_kind(overlay, "ConfigMap")[0]["metadata"]["name"]
        assert from_secret["secretRef"]["name"] == "campaignctl-secrets"
        if settings.kafka.ssl_ca_file:
            mounted = {mount["mountPath"] for mount in one["volumeMounts"]}
            assert settings.kafka.ssl_ca_file.rpartition("/")[0] in mounted


def matches(selector: Manifest, labels: dict[str, str]) -> bool:
    for one in selector.get("matchExpressions", []):
        assert one["operator"] == "In"
        if labels.get(one["key"]) not in one["values"]:
            return False
    return all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items())


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_selectors_find_the_pods_they_are_for(overlay: str) -> None:
    labels = {name: template["metadata"]["labels"] for name, template in pods(manifests(overlay))}

    def found(selector: Manifest) -> set[str]:
        return {name for name, those in labels.items() if matches(selector, those)}

    for deployment in of_kind(overlay, "Deployment"):
        assert found(deployment["spec"]["selector"]) == {deployment["metadata"]["name"]}
        term = deployment["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"]
        (preferred,) = term["preferredDuringSchedulingIgnoredDuringExecution"]
        assert found(preferred["podAffinityTerm"]["labelSelector"]) == {deployment["metadata"]["name"]}
    for service in of_kind(overlay, "Service"):
        assert found({"matchLabels": service["spec"]["selector"]}) == {service["metadata"]["name"]}
    for budget in of_kind(overlay, "PodDisruptionBudget"):
        assert found(budget["spec"]["selector"]) == {budget["metadata"]["name"]}
    for kind in ("ServiceMonitor", "PodMonitor"):
        for monitor in of_kind(overlay, kind):
            assert found(monitor["spec"]["selector"]) == {monitor["metadata"]["name"]}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_traffic_is_denied_until_a_policy_allows_it(overlay: str) -> None:
    _, settings = settings_of(overlay)
    policies = {one["metadata"]["name"]: one["spec"] for one in of_kind(overlay, "NetworkPolicy")}
    deny = policies.pop("default-deny")
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, policy in policies.items():
        for rule in policy.get("ingress", []) + policy.get("egress", []):
            assert rule.get("ports"), f"{name}: a rule without ports is a rule for all of them"
            assert rule.get("from") or rule.get("to"), f"{name}: a rule without peers is one for everybody"
    stores = {port["port"] for port in policies["allow-stores"]["egress"][0]["ports"]}
    brokers = {int(broker.rpartition(":")[2]) for broker in settings.kafka.brokers}
    redis = int(settings.redis.addr.rpartition(":")[2])
    assert stores == brokers | {settings.clickhouse.port, settings.postgres.port, redis}
    assert [port["port"] for port in policies["allow-requests"]["ingress"][0]["ports"]] == [settings.server.port]
    scraped = {port["port"] for port in policies["allow-scrapes"]["ingress"][0]["ports"]}
    assert scraped == {int(environment(target)["CA_SERVER_METRICS_PORT"]) for target in ("api", "worker")}


def test_what_scales_scales_what_is_there() -> None:
    _, settings = settings_of("production")
    deployments = {one["metadata"]["name"]: one["spec"] for one in of_kind("production", "Deployment")}
    (api,) = of_kind("production", "HorizontalPodAutoscaler")
    assert api["spec"]["scaleTargetRef"]["name"] in deployments
    assert [metric["resource"]["name"] for metric in api["spec"]["metrics"]] == ["cpu"]
    assert api["spec"]["minReplicas"] >= 2
    (worker,) = of_kind("production", "ScaledObject")
    assert worker["spec"]["scaleTargetRef"]["name"] in deployments
    assert all("replicas" not in spec for spec in deployments.values()), "an apply must not undo the scaling"
    assert worker["spec"]["maxReplicaCount"] == settings.kafka.events_partitions
    (trigger,) = worker["spec"]["triggers"]
    asked = trigger["metadata"]
    assert asked["bootstrapServers"] == ",".join(settings.kafka.brokers)
    assert (asked["topic"], asked["consumerGroup"]) == (settings.kafka.events_topic, settings.kafka.group_id)
    assert asked["allowIdleConsumers"] == "false"
    assert asked["sasl"].replace("_", "") == settings.kafka.sasl_mechanism.lower().replace("-", "")
    assert (asked["tls"] == "enable") == settings.kafka.security_protocol.endswith("SSL")
    (sign_in,) = of_kind("production", "TriggerAuthentication")
    assert trigger["authenticationRef"]["name"] == sign_in["metadata"]["name"]
    used = {one["key"] for one in sign_in["spec"]["secretTargetRef"] if one["name"] == "campaignctl-secrets"}
    assert used <= secret_keys()


def test_scrapes_are_of_the_job_that_the_rules_speak_of() -> None:
    rules = (DEPLOY / "prometheus" / "rules.yml").read_text()
    for kind, ports_of in (("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")):
        (monitor,) = of_kind("production", kind)
        (endpoint,) = monitor["spec"][ports_of]
        assert endpoint["port"] == "metrics"
        label = monitor["spec"]["jobLabel"]
        job = {template["metadata"]["labels"][label] for _, template in pods(manifests("production"))}
        assert job == {"campaignctl"}
    assert set(re.findall(r'job="(\w+)"', rules)) == {"campaignctl"}
