job "web" {
  datacenters = ["dc1"]
  group "web" {
    count = 3
    task "web" {
      driver = "docker"
      config {
        image   = "registry.example.com/web:1"
        runtime = "rolegate"
      }
      env {
        ROLEGATE_ROLE         = "team/web"
        ROLEGATE_SESSION_TAGS = "nomad-job=${NOMAD_JOB_NAME}"
      }
    }
  }
}
