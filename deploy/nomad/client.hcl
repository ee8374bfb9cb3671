# /etc/nomad.d/rolegate.hcl: jobs may use the runtime of deploy/docker/daemon.json.
plugin "docker" {
  config {
    allow_runtimes = ["runc", "rolegate"]
  }
}
