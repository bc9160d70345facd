"""Write what is made from other files below ``deploy/``: ``make deploy-render``.

The rendered manifests for who has no kustomize, and the Prometheus operator's copy of the alert rules.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.support import DEPLOY

KUBERNETES = DEPLOY / "kubernetes"
RENDERED = {
    "production": KUBERNETES / "rendered" / "campaignctl.yaml",
    # a directory below, because kubectl apply -f rendered/ shall not take both
    "dev": KUBERNETES / "rendered" / "dev" / "campaignctl.yaml",
}
OPERATOR_RULES = KUBERNETES / "components" / "prometheus-operator" / "rules.yaml"
_HEAD = "# Written by make deploy-render; change {source} instead.\n"


def kustomize() -> list[str] | None:
    """The command that renders a directory, where there is one."""
    if found := shutil.which("kustomize"):
        return [found, "build"]
    if found := shutil.which("kubectl"):
        return [found, "kustomize"]
    return None


def rendering(overlay: str) -> str:
    command = kustomize()
    assert command is not None, "neither kustomize nor kubectl is here"
    place = KUBERNETES / "overlays" / overlay
    return subprocess.run([*command, place], capture_output=True, text=True, check=True, timeout=60).stdout


def operator_rules() -> dict[str, Any]:
    """The alert rules as the Prometheus operator takes them."""
    groups = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())["groups"]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "campaignctl"},
        "spec": {"groups": groups},
    }


def _write(path: Path, source: str, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_HEAD.format(source=source) + text)


def main() -> None:
    rules = yaml.safe_dump(operator_rules(), sort_keys=False, width=120, allow_unicode=True)
    _write(OPERATOR_RULES, "deploy/prometheus/rules.yml", rules)
    for overlay, path in RENDERED.items():
        _write(path, f"deploy/kubernetes/overlays/{overlay}", rendering(overlay))


if __name__ == "__main__":
    main()
