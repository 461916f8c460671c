# srv-epmd as the gateway of each node: the release is taken as it is, only its environment changes.
#
# Choose it when the release cannot take the module: RabbitMQ, ejabberd, whatever somebody else builds. Each link goes through a relay
# in the allocation, and names under the distribution service resolve to loopback addresses for every task of the group.
# It needs a Consul agent on each client that answers on the client's address. See README.md.
#
#   nomad job run -var srv_epmd=URL -var srv_epmd_checksum=sha256:... -var release=URL -var release_checksum=sha256:... gateway.nomad.hcl

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
  description = "Consul service for distribution alone; its domain is the host part of the nodes' names"
}

variable "count" {
  type        = number
  default     = 3
  description = "number of nodes"
}

variable "name_servers" {
  type        = list(string)
  default     = ["9.9.9.9", "1.1.1.1"]
  description = "asked for every name that is not Consul's; better those of your own network"
}

job "svc" {
  update {
    max_parallel     = 1
    canary           = 1
    auto_promote     = true
    auto_revert      = true
    min_healthy_time = "10s"
  }

  group "node" {
    count = var.count

    # At a stop the services leave Consul first, requests end meanwhile, and then the VM is told to stop.
    shutdown_delay = "5s"

    network {
      mode = "bridge"
      # All tasks ask the gateway, which passes on what is not its own. In bridge mode this stands here, not in a task.
      dns {
        servers = ["127.0.0.1"]
      }
      # Inside it is always 4370, and the ports above it are for the consoles beside the node (ERL_AFLAGS below).
      port "dist" {
        to = 4370
      }
      port "http" {
        to = -1
      }
    }

    # What the release is for. Its nodes are not published here: srv-epmd publishes each with its name, as var.service.
    service {
      name = "svc"
      port = "http"
      check {
        type     = "tcp"
        interval = "10s"
        timeout  = "2s"
      }
    }

    # The links between the nodes. A task of its own: it ends with none of the others, and no restart of srv-epmd cuts a link.
    task "relay" {
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
        args    = ["relay"]
      }
      env {
        SRV_EPMD_RELAY_SOCKET = "${NOMAD_ALLOC_DIR}/srv-epmd/relay.sock"
      }
      restart {
        attempts = 10
        interval = "1m"
        delay    = "1s"
        mode     = "delay"
      }
      resources {
        cpu    = 100
        memory = 128
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
      # With Consul's ACLs srv-epmd logs in with this JWT, which Nomad renews, and again whenever its token is gone: README.md says what
      # to set up. Without ACLs that is not needed, and the job is the same.
      identity {
        name = "consul"
        aud  = ["consul.io"]
        file = true
        ttl  = "1h"
      }
      # Variables and no arguments, for doctor in this task too: nomad alloc exec gives it the environment alone.
      env {
        SRV_EPMD_GATEWAY    = "true"
        SRV_EPMD_DOMAIN     = "${var.service}.service.consul"
        SRV_EPMD_PORT_LABEL = "dist"
        # The client's agent. 127.0.0.1 is the allocation's own here.
        SRV_EPMD_CONSUL                   = "http://${attr.unique.network.ip-address}:8500"
        SRV_EPMD_DNS                      = "consul=${attr.unique.network.ip-address}:8600"
        SRV_EPMD_GATEWAY_FORWARD          = join(",", var.name_servers)
        SRV_EPMD_RELAY_SOCKET             = "${NOMAD_ALLOC_DIR}/srv-epmd/relay.sock"
        SRV_EPMD_CONSUL_AUTH_METHOD       = "srv-epmd"
        SRV_EPMD_CONSUL_BEARER_TOKEN_FILE = "${NOMAD_SECRETS_DIR}/nomad_consul.jwt"
      }
      restart {
        attempts = 10
        interval = "1m"
        delay    = "1s"
        mode     = "delay"
      }
      # It leaves Consul as it should be within 4 s.
      kill_timeout = "10s"
      resources {
        cpu    = 100
        memory = 128
      }
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
        # Nomad waits until a sidecar runs, not until it answers, and a stock VM that starts without its EPMD ends. So its task
        # waits, 2 minutes at most, until the port accepts; a task for that alone would cost a copy of the chroot.
        command = "/bin/bash"
        args    = ["-c", "for _ in {1..600}; do : </dev/tcp/127.0.0.1/4369 && break; sleep 0.2; done 2>/dev/null; exec local/release/bin/svc start"]
      }
      env {
        RELEASE_DISTRIBUTION = "name"
        # NOMAD_ALLOC_INDEX is not unique: a canary has that of another allocation.
        RELEASE_NODE = "svc-${NOMAD_SHORT_ALLOC_ID}@${var.service}.service.consul"
        ERL_ZFLAGS   = "-start_epmd false"
        # The node takes the first of these ports, the one that is mapped; a remote console or rpc beside it the next.
        # Not ERL_DIST_PORT, of which relx makes a VM that asks no EPMD.
        ERL_AFLAGS = "-kernel inet_dist_listen_min ${NOMAD_PORT_dist} inet_dist_listen_max 4379"
        PORT       = "${NOMAD_PORT_http}"
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
