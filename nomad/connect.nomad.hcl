# One node of a cluster in Consul's mesh: every link goes through the sidecar proxies, with mTLS and intentions.
#
# Choose it when distribution may not leave the mesh. Each node is a service of its own (svc-dist-a, svc-dist-b, ...) with an upstream
# for each of the others, because a service of several instances would lead a link to any of them. So the set of nodes is fixed,
# and there is a job for each: run them one after the other, which is the rolling update too.
# It needs Consul's mesh and Docker (Nomad runs Envoy in it) on the clients, intentions that let each of the services reach each
# other one, and the release with the srv_epmd module. Nomad registers the services; srv-epmd asks no Consul and needs no token.
# See README.md.
#
#   for node in a b c; do nomad job run -var node=$node -var srv_epmd=URL ... connect.nomad.hcl; done

variable "node" {
  type        = string
  description = "alive name of this node, one of var.nodes"
}

variable "nodes" {
  type        = list(string)
  default     = ["a", "b", "c"]
  description = "alive names of all nodes, in the same order in every job: the place in the list is the port of the upstream"
}

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
  description = "a node's service is this, a hyphen and its name; its domain is the host part of the nodes' names"
}

job "svc" {
  id   = "svc-${var.node}"
  name = "svc-${var.node}"

  # No canary: it would be a second instance behind the service of this node.
  update {
    max_parallel     = 1
    min_healthy_time = "10s"
  }

  group "node" {
    # At a stop the services leave Consul first, requests end meanwhile, and then the VM is told to stop.
    shutdown_delay = "5s"

    network {
      # No port: only the proxy is reached from outside.
      mode = "bridge"
    }

    service {
      name = "${var.service}-${var.node}"
      # In a mesh a number: where the proxy finds the node in the allocation.
      port = "4370"
      connect {
        sidecar_service {
          proxy {
            dynamic "upstreams" {
              for_each = { for index, name in var.nodes : name => 21000 + index if name != var.node }
              content {
                destination_name = "${var.service}-${upstreams.key}"
                local_bind_port  = upstreams.value
              }
            }
          }
        }
      }
      # Nothing outside may connect to the node, so the check runs inside: the node is registered with its EPMD.
      check {
        type     = "script"
        task     = "srv-epmd"
        command  = "/bin/sh"
        args     = ["-c", "/local/srv-epmd names --json | grep -q '\"name\":\"${var.node}\"'"]
        interval = "10s"
        # Long, for a busy client: when a check is over its time, Nomad (seen with 2.0.6) may end the task in which it runs.
        timeout = "30s"
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
      # Variables and no arguments, for doctor in this task too: nomad alloc exec gives it the environment alone.
      # The upstreams come from NOMAD_UPSTREAM_*; the one of node b is svc-dist-b (--upstream-service).
      env {
        SRV_EPMD_DOMAIN   = "${var.service}.service.consul"
        SRV_EPMD_MESH     = "true"
        SRV_EPMD_REGISTER = "none"
      }
      restart {
        attempts = 10
        interval = "1m"
        delay    = "1s"
        mode     = "delay"
      }
      kill_timeout = "10s"
      resources {
        cpu = 100
        # The check runs in this task.
        memory = 192
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
        # The upstreams of the others name it, so it is fixed: not the allocation's.
        RELEASE_NODE  = "${var.node}@${var.service}.service.consul"
        ERL_DIST_PORT = "4370"
        # On loopback only, or whoever reaches the allocation gets past the proxy.
        ERL_ZFLAGS = "-start_epmd false -epmd_module srv_epmd -kernel inet_dist_use_interface {127,0,0,1}"
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
