import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { gatewayDns } from "../support/gateway-dns.js";

/** The first port that every user may listen on. */
const firstPort = Number(readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8"));
const canBecomeNobody = process.geteuid?.() === 0 && firstPort > 53;

test.skipIf(!canBecomeNobody)(
  "a user without the right to port 53 is told which right that is, and how to do without",
  async () => {
    // Root's effective capabilities go with its effective user id, and come back with it.
    process.seteuid?.(65534);
    try {
      await expect(gatewayDns({ at: { address: "127.0.0.1", port: 53 } })).rejects.toMatchObject({
        name: "ListenError",
        code: "LISTEN_FAILED",
        at: { address: "127.0.0.1", port: 53 },
        message: expect.stringMatching(
          /^the gateway's DNS is not allowed to listen on 127\.0\.0\.1:53: .*EACCES[^;]*; give srv-epmd CAP_NET_BIND_SERVICE \(AmbientCapabilities in a systemd unit, or setcap\); in a container run it as root \(docker run --user 0, .*ip_unprivileged_port_start=53 \(docker run --sysctl,.*\); or use --gateway-listen 127\.0\.0\.1:5300 .*--gateway-listen none .*srv-epmd hosts/,
        ),
      });
    } finally {
      process.seteuid?.(0);
    }
  },
);
