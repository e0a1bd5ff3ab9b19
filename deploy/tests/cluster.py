"""A fake cluster API for Helm's `lookup`, with the objects that a test passes."""
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import helm_python as helm
from chart import CHART, NAMESPACE, RELEASE

# The supported kinds by API version, with their names in URLs.
RESOURCES = {"apps/v1": {"Deployment": "deployments"}, "v1": {"Secret": "secrets"}}


class Cluster:
    """Serves on loopback while it is open as a context manager."""

    def __init__(self, *objects):
        self.objects = {}
        for item in objects:
            version = item["apiVersion"]
            root = "/api" if version == "v1" else "/apis"
            name = RESOURCES[version][item["kind"]]
            self.objects[f"{root}/{version}/namespaces/{NAMESPACE}/{name}/{item['metadata']['name']}"] = item
        self.requested = []
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.partition("?")[0]
                cluster.requested.append(path)
                status, body = cluster.answer(path)
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, path):
        version = path.removeprefix("/apis/").removeprefix("/api/")
        if version in RESOURCES:
            kinds = RESOURCES[version].items()
            resources = [{"name": name, "singularName": "", "namespaced": True, "kind": kind, "verbs": ["get"]} for kind, name in kinds]
            return 200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}
        if path in self.objects:
            return 200, self.objects[path]
        return 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": f"no {path}"}

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def render_text(self, values):
        """The templates by file name, as an upgrade of the release renders them here."""
        kubeconfig = {
            "apiVersion": "v1", "kind": "Config", "current-context": "a",
            "clusters": [{"name": "a", "cluster": {"server": self.url}}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a", "namespace": NAMESPACE}}],
            "users": [{"name": "a", "user": {}}],
        }  # fmt: skip
        config = helm.Config(kubeconfig_content=json.dumps(kubeconfig), namespace=NAMESPACE)
        with config, helm.Chart.load(CHART) as chart:
            rendered = config.render(chart, values, name=RELEASE, namespace=NAMESPACE, is_upgrade=True, is_install=False)
        return {Path(path).name: text for path, text in rendered.items() if text.strip()}
