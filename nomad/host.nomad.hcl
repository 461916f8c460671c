# srv-epmd in place of epmd on every client, for VMs in the host's network.
#
# Choose it when nodes of many jobs share the clients' network and you want one EPMD for them all. Their releases need in their
# environment:
#
#   ERL_ZFLAGS   = "-start_epmd false"
#   RELEASE_NODE = "svc-${NOMAD_SHORT_ALLOC_ID}@${attr.unique.network.ip-address}"     a release as it is: a client is a host
#   RELEASE_NODE = "svc-${NOMAD_SHORT_ALLOC_ID}@svc-dist.service.consul"               with the srv_epmd module: a service is a host
#
# It needs port 4369 on each client (stop epmd.service and epmd.socket), open between them for releases without the module, and a
# Consul agent on each. Nodes in a bridge network need a sidecar of their own: sidecar.nomad.hcl, gateway.nomad.hcl.
#
#   nomad job run -var srv_epmd=URL -var srv_epmd_checksum=sha256:... host.nomad.hcl

variable "srv_epmd" {
  type        = string
  description = "URL of the executable that npm run package makes"
}

variable "srv_epmd_checksum" {
  type        = string
  description = "its sum, sha256:..., from the file SHA256SUMS beside it"
}

variable "domains" {
  type        = list(string)
  default     = ["svc-dist.service.consul"]
  description = "services under which nodes are published; [\"rabbit*=rmq-dist\", \"svc-dist\"] chooses by alive name, the first that matches"
}

job "srv-epmd" {
  type = "system"
  # Ahead of the jobs whose nodes register with it.
  priority = 80

  # One client after the other. VMs register again 2 s after the new one is there, and their entries stay meanwhile.
  update {
    max_parallel = 1
    stagger      = "15s"
  }

  group "srv-epmd" {
    # It answers until its service has left Consul.
    shutdown_delay = "1s"

    network {
      mode = "host"
      port "epmd" {
        static = 4369
      }
    }

    # The EPMDs themselves, with a check for each.
    service {
      name = "epmd"
      port = "epmd"
      check {
        type     = "tcp"
        interval = "10s"
        timeout  = "2s"
      }
    }

    task "srv-epmd" {
      driver = "exec"
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
        args    = ["serve", "--replace-epmd"]
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
        SRV_EPMD_DOMAIN = join(",", var.domains)
        SRV_EPMD_PORT   = "${NOMAD_PORT_epmd}"
        # Stock VMs of other clients ask here.
        SRV_EPMD_LISTEN            = "${NOMAD_IP_epmd}"
        SRV_EPMD_ADVERTISE_ADDRESS = "${NOMAD_IP_epmd}"
        SRV_EPMD_DNS               = "consul=127.0.0.1:8600"
        # The default, the allocation, would name the entries of the same nodes anew at each update.
        SRV_EPMD_INSTANCE                 = "${node.unique.name}"
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
  }
}
