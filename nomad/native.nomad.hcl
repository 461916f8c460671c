# Nodes in Consul's mesh without a proxy: srv-epmd is the end of the mesh for the node beside it, with mTLS and intentions.
#
# Choose it when links must be encrypted and intentions must decide about them. It is one service for the whole cluster, so nodes may be
# scaled, updated with canaries and rescheduled freely; no Envoy, no upstreams, no Docker.
# It needs the release with the srv_epmd module, Consul's mesh (connect { enabled = true } at its servers), a Consul agent on each client
# that answers on the client's address, and an intention that lets the service reach itself. See README.md.
#
#   nomad job run -var srv_epmd=URL -var srv_epmd_checksum=sha256:... -var release=URL -var release_checksum=sha256:... native.nomad.hcl

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

    # At a stop the services leave Consul first, requests end meanwhile, and then the VM is told to stop.
    shutdown_delay = "5s"

    network {
      mode = "bridge"
      # Where the relay task takes mTLS for the node; the node itself listens on 127.0.0.1, where no other machine reaches it.
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

    # srv-epmd's own page, health and metrics: a deployment goes on when the node is in Consul, and Prometheus finds it here.
    # A service of its own: what is wrong with the cluster must not take the release out of its own service.
    service {
      name = "svc-epmd"
      port = "admin"
      check {
        type     = "http"
        path     = "/readyz"
        interval = "10s"
        timeout  = "2s"
      }
    }

    # The links between the nodes, and the certificates. A task of its own: it ends with none of the others, and no restart of srv-epmd cuts a link.
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
      env {
        SRV_EPMD_DOMAIN         = "${var.service}.service.consul"
        SRV_EPMD_CONNECT_NATIVE = "true"
        SRV_EPMD_PORT_LABEL     = "dist"
        SRV_EPMD_ADMIN          = "0.0.0.0:${NOMAD_PORT_admin}"
        # The client's agent. 127.0.0.1 is the allocation's own here.
        SRV_EPMD_CONSUL                   = "http://${attr.unique.network.ip-address}:8500"
        SRV_EPMD_RELAY_SOCKET             = "${NOMAD_ALLOC_DIR}/srv-epmd/relay.sock"
        SRV_EPMD_DNS                      = "consul=${attr.unique.network.ip-address}:8600"
        SRV_EPMD_CONSUL_AUTH_METHOD       = "srv-epmd"
        SRV_EPMD_CONSUL_BEARER_TOKEN_FILE = "${NOMAD_SECRETS_DIR}/nomad_consul.jwt"
      }
      # The VM comes back to it 2 s after a restart. A sidecar that has no restarts left would end the allocation.
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
        RELEASE_NODE = "svc-${NOMAD_SHORT_ALLOC_ID}@${var.service}.service.consul"
        ERL_ZFLAGS   = "-start_epmd false -epmd_module srv_epmd"
        # No other machine reaches the VM itself.
        ERL_AFLAGS = "-kernel inet_dist_use_interface {127,0,0,1}"
        # All nodes of the service connect by themselves; not needed where libcluster or the like does it.
        SRV_EPMD_CONNECT = "*@${var.service}.service.consul"
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
