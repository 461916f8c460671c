import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const read = (path: string) => readFileSync(ROOT + path, "utf8");

/** What SECURITY.md says, and the line of the source that makes it so. */
const LIMITS: readonly (readonly [said: string, file: string, line: string])[] = [
  ["3,057 bytes", "src/epmd/wire/codec.ts", "MAX_REQUEST = 3057;"],
  ["remembered (30 s) | 1,000 |", "src/epmd/registering.ts", "MAX_GAVE_WAY = 1000;"],
  ["remembered (30 s) | 1,000 |", "src/epmd/registering.ts", "GIVE_WAY_PAUSE = 30_000;"],
  ["64 KiB, 1 MiB", "src/epmd/connection.ts", "MAX_AHEAD = 64 * 1024;"],
  ["64 KiB, 1 MiB", "src/epmd/connection.ts", "MAX_UNREAD = 1024 * 1024;"],
  ["32 MiB; the one", "src/epmd/connection.ts", "MAX_UNREAD_OF_ALL = 32 * 1024 * 1024;"],
  ["32 SRV records or instances, 64 endpoints", "src/resolve/core/endpoints.ts", "MAX_OFFERS = 32;"],
  ["| 64, forgotten", "src/catalogue/catalogue.ts", "MAX_SERVICES = 64;"],
  ["forgotten 10 minutes", "src/catalogue/followed.ts", "idle: 600_000,"],
  ["8 probes", "src/resolve/node-resolver.ts", "MAX_PROBES = 8;"],
  ["`doctor --cluster` looks at 200 nodes, 128 at once", "src/each-of.ts", "MOST_UNDER_WAY = 128;"],
  ["16 address queries", "src/resolve/addresses.ts", "MAX_QUERIES = 16;"],
  ["8 attempts at once", "src/relay/dial.ts", "MAX_ATTEMPTS = 8;"],
  ["`/etc/hosts` 8 MiB", "src/os/hosts-file.ts", "MAX_SIZE = 8 * MEBIBYTE;"],
  ["nodes file 4 MiB", "src/resolve/local-sources.ts", "MAX_FILE_SIZE = 4 * MEBIBYTE;"],
  ["1,024 |", "src/publish/core/claims.ts", "1024"],
  ["255 characters", "src/epmd/wire/codec.ts", "MAX_NAME_CHARACTERS = 255;"],
  ["64 connections, of which strangers have 32", "src/admin/admin.ts", "MAX_CONNECTIONS = 64;"],
  ["4 more of each kind", "src/admin/admin.ts", "SPARE = 4;"],
  ["32 event streams (strangers 16)", "src/admin/event-streams.ts", "MAX_STREAMS = 32;"],
  ["256 KiB unread", "src/admin/event-streams.ts", "MAX_UNREAD = 256 * 1024;"],
  ["the last 500 look-ups", "src/admin/core/recent-look-ups.ts", "KEPT = 500;"],
  ["256 KiB, within a second", "src/cli/as-daemon.ts", "ASK_TIMEOUT = 1_000;"],
  ["256 KiB, within a second", "src/cli/as-daemon.ts", "MOST_BYTES = 256 * 1024;"],
  ["one a minute", "src/epmd/peer.ts", "MINUTE = 60_000;"],
  ["| 8 |", "src/resolve/fallback-source.ts", "MAX_EPMDS = 8;"],
  ["| 128, fewer", "src/dns/exchange.ts", "MOST_EXCHANGES = 128;"],
  ["64 UDP sockets of each family", "src/dns/udp-sockets.ts", "MOST_KEPT = 64;"],
  ["not needed for 10 s", "src/dns/udp-sockets.ts", "KEPT_FOR = 10_000;"],
  ["| 10,000,", "src/dns/resolver.ts", "MAX_CACHE_ENTRIES = 10_000;"],
  ["1,024 questions at once", "src/dns/responder.ts", "MAX_PENDING = 1_024;"],
  ["64 connections, idle for 10 s", "src/dns/responder.ts", "MAX_CONNECTIONS = 64;"],
  ["1,024 hosts (unused ones give way)", "src/gateway/core/addresses.ts", "MAX_HOSTS = 1024;"],
  ["4,096 relays", "src/relay/limits.ts", "MAX_RELAYS = 4096;"],
  ["32 endpoints for each", "src/relay/wire/target.ts", "MAX_ENDPOINTS = 32;"],
  ["passed on: 512", "src/gateway/forward.ts", "MAX_FORWARDS = 512;"],
  ["a JWT may be 64 KiB", "src/consul/core/login.ts", "MAX_JWT = 64 * 1024;"],
  ["pauses that grow to 30 s", "src/consul/login.ts", "LONGEST_PAUSE = 30_000;"],
  ["1,280 bytes", "src/distribution/wire/handshake.ts", "MAX_MESSAGE = 1280;"],
  ["messages of 1 MiB", "src/distribution/wire/link.ts", "MAX_MESSAGE = 1024 * 1024;"],
  ["4 MiB in all", "src/distribution/join.ts", "MAX_RECEIVED = 4 * 1024 * 1024;"],
  ["nested 32 deep", "src/distribution/wire/term.ts", "MAX_DEPTH = 32;"],
  ["20,000 in number", "src/distribution/wire/term.ts", "MAX_TERMS = 20_000;"],
  ["for the page 64 VMs every 3 s", "src/admin/vm-links.ts", "MOST_ASKED = 64;"],
  ["for the page 64 VMs every 3 s", "src/admin/vm-links.ts", "PAUSE = 3_000;"],
  ["of each 64 KiB of names are kept", "src/admin/vm-links.ts", "MOST_KEPT = 64 * 1024;"],
  ["within 2 s", "src/cli/doctor-cluster.ts", "PROBE_TIMEOUT = 2_000;"],
];

test.each(LIMITS)("SECURITY.md says %s, as %s has it: %s", (said, file, line) => {
  expect(read("SECURITY.md")).toContain(said);
  expect(read(file)).toContain(line);
});
