"""A Kubernetes API server as far as rolegate-cni asks it: pods and service accounts by TLS, with a token."""

import base64
import http.server
import json
import ssl
import subprocess
import threading


class FakeKube:
    def __init__(self, directory):
        self.dir, self.objects, self.token, self.requests = directory, {}, "secret-token", []
        self.certificate, self.key = directory / "kube.pem", directory / "kube.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=kube",
                        "-addext", "subjectAltName=IP:127.0.0.1,DNS:kube", "-keyout", self.key, "-out", self.certificate],
                       check=True, capture_output=True)
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                fake.requests.append(self.path)
                if self.headers.get("Authorization") != f"Bearer {fake.token}":
                    return self.answer(401, {"kind": "Status"})
                found = fake.objects.get(self.path)
                return self.answer(200 if found else 404, found or {"kind": "Status"})

            def answer(self, status, body):
                text = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        # The handshake is the handler's, in a thread of its own: a client that is slow must not hold up the next.
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"https://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def add(self, kind, namespace, name, annotations=None, **spec):
        self.objects[f"/api/v1/namespaces/{namespace}/{kind}/{name}"] = {
            "metadata": {"name": name, "uid": f"uid-{name}", **({"annotations": annotations} if annotations else {})},
            "spec": spec}

    def kubeconfig(self, name="kubeconfig", cluster=None, user=None):
        """A file as kubeadm and EKS write it; its path."""
        data = base64.b64encode(self.certificate.read_bytes()).decode()
        path = self.dir / name
        path.write_text(f"""apiVersion: v1
kind: Config
current-context: node
clusters:
- name: other
  cluster: {{server: "https://127.0.0.1:1"}}
- name: cluster
  cluster:
    {cluster or f"certificate-authority-data: {data}"}
    server: {self.url}
contexts:
- context: {{cluster: cluster, user: node}}
  name: node
users:
- name: node
  user:
    {user or f"token: {self.token}"}
""")
        return str(path)
