# VMs in the clients' network, as the head of nomad/host.nomad.hcl says: a release as it is, under the srv-epmd of its client.

variable "release" {
  type = string
}

variable "release_checksum" {
  type = string
}

job "stock" {
  group "node" {
    count = 3

    constraint {
      operator = "distinct_hosts"
      value    = "true"
    }

    network {
      port "dist" {}
      port "http" {}
    }

    task "svc" {
      driver = "exec"
      artifact {
        source      = var.release
        destination = "local/release"
        options {
          checksum = var.release_checksum
        }
      }
      config {
        command = "local/release/bin/svc"
        args    = ["start"]
      }
      env {
        RELEASE_DISTRIBUTION = "name"
        RELEASE_NODE         = "svc-${NOMAD_SHORT_ALLOC_ID}@${attr.unique.network.ip-address}"
        ERL_ZFLAGS           = "-start_epmd false"
        ERL_AFLAGS           = "-kernel inet_dist_listen_min ${NOMAD_PORT_dist} inet_dist_listen_max ${NOMAD_PORT_dist}"
        PORT                 = "${NOMAD_PORT_http}"
      }
      kill_signal = "SIGTERM"
      resources {
        cpu    = 500
        memory = 512
      }
    }
  }
}
