# As sidecar.nomad.hcl, and without Consul: nodes find each other in Nomad's own catalogue, under service.nomad.
#
# Choose it when there is no Consul. It needs Nomad 1.5 or later and a release with the srv_epmd module (srv-epmd module --app);
# nothing else: no agent, no policy, no open port, also with Nomad's ACLs. See README.md.
#
#   nomad job run -var srv_epmd=URL -var srv_epmd_checksum=sha256:... -var release=URL -var release_checksum=sha256:... without-consul.nomad.hcl

variable "srv_epmd" {
  type        = string
  description = "URL of the executable that npm run package makes"
}

variable "srv_epmd_checksum" {
  type        = string
  description = "its sum, sha256:..., from the file SHA256SUMS beside it"
}

variable "release" {
  type        = string
  description = "URL of the release's archive, with bin/svc in it"
}

variable "release_checksum" {
  type        = string
  description = "its sum, sha256:..."
}

variable "service" {
  type        = string
  default     = "svc-dist"
  description = "Nomad service for distribution alone; with .service.nomad it is the host part of the nodes' names"
}

variable "count" {
  type        = number
  default     = 3
  description = "number of nodes"
}

job "svc" {
  # A canary has a name of its own, so it is one more member of the cluster until it takes the place of another.
  update {
    max_parallel     = 1
    canary           = 1
    auto_promote     = true
    auto_revert      = true
    min_healthy_time = "10s"
  }

  group "node" {
    count = var.count

    # At a stop the services leave the catalogue first, requests end meanwhile, and then the VM is told to stop.
    shutdown_delay = "5s"

    network {
      mode = "bridge"
      # -1: the same number inside and outside, so that a node listens on the port that its peers dial.
      port "dist" {
        to = -1
      }
      port "http" {
        to = -1
      }
      port "admin" {
        to = -1
      }
    }

    # The node: found by the tag that is its name before the @. srv-epmd writes nothing; it checks this entry (/readyz).
    service {
      provider = "nomad"
      name     = var.service
      port     = "dist"
      tags     = ["svc-${NOMAD_SHORT_ALLOC_ID}"]
    }

    # What the release is for.
    service {
      provider = "nomad"
      name     = "svc"
      port     = "http"
      check {
        type     = "tcp"
        interval = "10s"
        timeout  = "2s"
      }
    }

    # srv-epmd's own page, health and metrics: a deployment goes on when Nomad has the node, and Prometheus finds it here.
    # A service of its own: what is wrong with the cluster must not take the release out of its own service.
    service {
      provider = "nomad"
      name     = "svc-epmd"
      port     = "admin"
      check {
        type     = "http"
        path     = "/readyz"
        interval = "10s"
        timeout  = "2s"
      }
    }

    task "srv-epmd" {
      driver = "exec"
      lifecycle {
        hook    = "prestart"
        sidecar = true
      }
      artifact {
        source      = var.srv_epmd
        destination = "local/srv-epmd"
        mode        = "file"
        options {
          checksum = var.srv_epmd_checksum
        }
      }
      config {
        command = "local/srv-epmd"
        args    = ["serve"]
      }
      # Nomad's API answers in the allocation (secrets/api.sock), and this token may read services.
      identity {
        env  = true
        file = true
      }
      env {
        SRV_EPMD_DOMAIN     = "${var.service}.service.nomad"
        SRV_EPMD_PORT_LABEL = "dist"
        SRV_EPMD_ADMIN      = "0.0.0.0:${NOMAD_PORT_admin}"
      }
      # The VM comes back to it 2 s after a restart. A sidecar that has no restarts left would end the allocation.
      restart {
        attempts = 10
        interval = "1m"
        delay    = "1s"
        mode     = "delay"
      }
      kill_timeout = "10s"
      resources {
        cpu    = 100
        memory = 128
      }
    }

    # Nomad waits until a sidecar runs, not until it answers: the module waits for it, 10 s at most (SRV_EPMD_WAIT).
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
        # NOMAD_ALLOC_INDEX is not unique: a canary has that of another allocation.
        RELEASE_NODE  = "svc-${NOMAD_SHORT_ALLOC_ID}@${var.service}.service.nomad"
        ERL_ZFLAGS    = "-start_epmd false -epmd_module srv_epmd"
        ERL_DIST_PORT = "${NOMAD_PORT_dist}"
        # All nodes of the service connect by themselves; not needed where libcluster or the like does it.
        SRV_EPMD_CONNECT = "*@${var.service}.service.nomad"
        PORT             = "${NOMAD_PORT_http}"
      }
      # At SIGINT, Nomad's default, a VM does not stop in order.
      kill_signal  = "SIGTERM"
      kill_timeout = "30s"
      resources {
        cpu    = 500
        memory = 512
      }
    }
  }
}
