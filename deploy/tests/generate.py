#!/usr/bin/env python3
"""Generates deploy/k8s from the chart.

Called by `make k8s-manifests`.
"""
import re
from pathlib import Path

import yaml
from chart import DEPLOY, render_text

K8S = DEPLOY / "k8s"
HEADER = "# Made from deploy/helm/camo-fleet by `make k8s-manifests`, with deploy/k8s/values.yaml. Changes belong there.\n"
# The templates of each file.
FILES = {
    "ui.yaml": ["ui-deployment.yaml", "ui-service.yaml"],
    "control.yaml": ["control-rbac.yaml", "control-configmap.yaml", "control-deployment.yaml", "control-service.yaml"],
    "worker.yaml": ["profiles-claim.yaml", "worker-deployment.yaml", "worker-service.yaml"],
    "worker-vnc.yaml": ["worker-vnc-deployment.yaml", "worker-vnc-service.yaml"],
    "ingress.yaml": ["ingress.yaml"],
}
NOT_INSTALLED = {"NOTES.txt", "health.yaml"}
# Templates that render nothing with some values.
OPTIONAL = {"profiles-claim.yaml"}
# Labels and annotations by which Helm identifies releases.
HELM_LABELS = re.compile(r"^ *(app\.kubernetes\.io/managed-by|helm\.sh/chart): .*\n", re.MULTILINE)


def generated():
    """Every generated file with its text."""
    templates = render_text(yaml.safe_load((K8S / "values.yaml").read_text()))
    files = {}
    for name, sources in FILES.items():
        sources = [source for source in sources if source in templates or source not in OPTIONAL]
        documents = [HELM_LABELS.sub("", templates.pop(source)).strip() for source in sources]
        files[K8S / name] = HEADER + "\n---\n".join(documents) + "\n"
    if left := set(templates) - NOT_INSTALLED:
        raise SystemExit(f"these templates belong to no file of deploy/k8s: {', '.join(sorted(left))}")
    return files


def main():
    for path, text in generated().items():
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"wrote {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")


if __name__ == "__main__":
    main()
