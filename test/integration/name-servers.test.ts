import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { createLogger } from "../../src/daemon/logger.js";
import { NameServers } from "../../src/dns/name-servers.js";
import { hostPort } from "../../src/net/ip.js";
import { run } from "../support/child.js";
import { temporaryFolder } from "../support/temporary.js";

const log = createLogger({ level: "silent", format: "json", write: () => {} });
let resolvConf: string;
beforeEach(async () => {
  resolvConf = join(await temporaryFolder("resolv-conf"), "resolv.conf");
});

const servers = async (nameServers: NameServers, name = "a.example", now = 0) =>
  (await nameServers.serversFor(name, now)).servers.map(({ address, port }) => hostPort(address, port));

test("resolv.conf is read again when it is written, replaced, removed and put back", async () => {
  const nameServers = new NameServers({ rules: [], resolvConf, log });
  expect(await servers(nameServers)).toEqual(["127.0.0.1:53"]);
  await writeFile(resolvConf, "nameserver 10.0.0.1\nnameserver 2001:db8::1\noptions timeout:2 attempts:3\n");
  expect(await servers(nameServers)).toEqual(["10.0.0.1:53", "[2001:db8::1]:53"]);
  expect(await nameServers.serversFor("a.example", 0)).toMatchObject({ timeout: 2000, attempts: 3 });
  await writeFile(`${resolvConf}.new`, "nameserver 10.0.0.9\nnameserver 2001:db8::9\noptions timeout:2 attempts:3\n");
  await rename(`${resolvConf}.new`, resolvConf);
  expect(await servers(nameServers)).toEqual(["10.0.0.9:53", "[2001:db8::9]:53"]);
  await rm(resolvConf);
  expect(await servers(nameServers)).toEqual(["127.0.0.1:53"]);
  await writeFile(resolvConf, "nameserver 10.0.0.7\n");
  expect(await servers(nameServers)).toEqual(["10.0.0.7:53"]);
});

test("a resolv.conf that is no regular file holds up no look-up", async () => {
  await run("mkfifo", [resolvConf]);
  expect(await servers(new NameServers({ rules: [], resolvConf, log }))).toEqual(["127.0.0.1:53"]);
});

test("--dns with a domain serves that domain, and resolv.conf with its search list the rest", async () => {
  await writeFile(resolvConf, "nameserver 10.0.0.1\nsearch corp.example\noptions ndots:2\n");
  const rules = [{ address: "127.0.0.1", port: 8600, domain: "consul" }];
  const nameServers = new NameServers({ rules, resolvConf, log });
  expect(await servers(nameServers, "a.consul")).toEqual(["127.0.0.1:8600"]);
  expect(await servers(nameServers, "a.example")).toEqual(["10.0.0.1:53"]);
  expect(await nameServers.namesFor("a.consul")).toEqual(["a.consul"]);
  expect(await nameServers.namesFor("a.example")).toEqual(["a.example.corp.example", "a.example"]);
  expect(nameServers.knownNamesFor("a.consul")).toEqual(["a.consul"]);
  expect(nameServers.knownNamesFor("a.example")).toEqual(["a.example.corp.example", "a.example"]);
});

test("--dns without a domain serves everything that no other one does", async () => {
  const rules = [
    { address: "127.0.0.1", port: 1, domain: undefined },
    { address: "127.0.0.1", port: 2, domain: "consul" },
    { address: "127.0.0.1", port: 3, domain: undefined },
  ];
  const nameServers = new NameServers({ rules, resolvConf, log });
  expect(await servers(nameServers, "consul")).toEqual(["127.0.0.1:2"]);
  expect(await servers(nameServers, "a.example")).toEqual(["127.0.0.1:1", "127.0.0.1:3"]);
});

test("a server that failed is asked last for half a minute, or until it answers", async () => {
  const rules = [1, 2].map((port) => ({ address: "127.0.0.1", port, domain: undefined }));
  const nameServers = new NameServers({ rules, resolvConf, log });
  nameServers.failed({ address: "127.0.0.1", port: 1 }, 1_000);
  expect(await servers(nameServers, "a", 30_999)).toEqual(["127.0.0.1:2", "127.0.0.1:1"]);
  expect(await servers(nameServers, "a", 31_000)).toEqual(["127.0.0.1:1", "127.0.0.1:2"]);
  nameServers.failed({ address: "127.0.0.1", port: 1 }, 40_000);
  nameServers.answered({ address: "127.0.0.1", port: 1 });
  expect(await servers(nameServers, "a", 40_001)).toEqual(["127.0.0.1:1", "127.0.0.1:2"]);
});
