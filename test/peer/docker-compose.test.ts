import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { type Child, run, startChild } from "../support/child.js";
import { addressOf, COMPOSE, execsOfRun, networkOwner, ours, readCompose } from "../support/compose.js";
import { consoleBlocks, pattern } from "../support/console-blocks.js";
import { findConsul } from "../support/consul-agent.js";
import { execForm, parseDockerfile, type Stage, valueIn } from "../support/dockerfile.js";
import { cleanEnvironment } from "../support/environment.js";
import { createHosts, type Host } from "../support/netns.js";
import { requirePeer } from "../support/require-peer.js";
import { BIN } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

const file = readCompose();
const image = parseDockerfile(readFileSync(resolve(COMPOSE, "../../Dockerfile"), "utf8")).stages.at(-1) as Stage;
const readme = readFileSync(`${COMPOSE}README.md`, "utf8");

requirePeer(
  "erl",
  "erlc",
  "epmd",
  "consul",
  "netns",
)("what compose.yaml starts, in network namespaces instead of containers", () => {
  /** A network for each service that has its own, with the names that Docker's DNS would give. */
  async function networks(): Promise<(service: string) => Host> {
    const owners = Object.keys(file.services).filter((name) => networkOwner(name, file) === name);
    const hosts = owners.map((name) => `${addressOf(name, file)} ${name}`);
    const specs = owners.map((name) => ({
      addresses: [`${addressOf(name, file)}/24`],
      hosts,
      hostname: hostnameOf(name),
    }));
    const made = await createHosts(specs);
    return (service) => made.hosts[owners.indexOf(networkOwner(service, file))] as Host;
  }
  const hostnameOf = (name: string) => file.services[name]?.hostname ?? name;
  const healthy = (what: string, check: () => Promise<{ readonly code: number | null }>, child?: Child) =>
    waitFor(async () => (await check()).code === 0, { what: `${what} healthy`, timeout: 60_000 }).catch((error) => {
      throw new Error(`${error}\n${child?.stdout()}${child?.stderr()}`);
    });

  test("is healthy in turn, connects by itself, and shows what the README shows", async () => {
    const host = await networks();
    const { command = [], healthcheck } = file.services.consul ?? {};
    const consul = findConsul() ?? "";
    startChild(consul, command, { netns: host("consul"), env: cleanEnvironment() });
    await healthy("consul", () => run(consul, healthcheck?.test?.slice(2) ?? [], { netns: host("consul") }));

    const program = (words: readonly string[]) => [BIN, ...words.slice(2)];
    const [serve, check] = ["CMD", "HEALTHCHECK"].map((keyword) =>
      execForm(valueIn(image, keyword).replace(/^CMD /, "")),
    );
    for (const [name, { environment = {} }] of ours(file)) {
      const place = { netns: host(name), env: cleanEnvironment(environment) };
      startChild(process.execPath, [BIN, ...(serve ?? [])], place);
      await healthy(name, () => run(process.execPath, program(check ?? []), place));
    }

    const tmp = await temporaryFolder("compose");
    // What a container has elsewhere: its files, and node's and srv-epmd's place.
    const here = (service: string, text: string) =>
      (file.services[service]?.volumes ?? [])
        .map((volume) => volume.split(":") as [string, string])
        // The container's /tmp first: the checkout itself may lie below that of this machine.
        .reduce(
          (done, [source, target]) => done.replaceAll(target, resolve(COMPOSE, source)),
          text.replaceAll("/tmp", join(tmp, service)),
        )
        .replaceAll("node /usr/local/lib/srv-epmd/srv-epmd.cjs", `${process.execPath} ${BIN}`);
    const place = (service: string) => {
      const environment = Object.entries(file.services[service]?.environment ?? {});
      const own = Object.fromEntries(environment.map(([name, value]) => [name, here(service, value)]));
      return { netns: host(service), env: cleanEnvironment({ ...own, HOME: tmp }) };
    };
    const vms = Object.keys(file.services).filter((name) => networkOwner(name, file) !== name);
    const children = new Map<string, Child>();
    for (const name of vms) {
      const [shell = "", ...words] = file.services[name]?.command ?? [];
      await run("mkdir", [join(tmp, name)]);
      const child = startChild(
        shell,
        words.map((word) => here(name, word)),
        place(name),
      );
      children.set(name, child);
    }
    for (const name of vms) {
      const command = file.services[name]?.healthcheck.test?.[1] ?? "";
      await healthy(name, () => run("sh", ["-c", command], place(name)), children.get(name));
    }

    const [block] = consoleBlocks(readme);
    const shown = block?.shown.flatMap(({ output }) => output) ?? [];
    const output = async () => {
      const done = [];
      for (const { service, command } of execsOfRun()) {
        done.push(await run("sh", ["-c", here(service, command)], place(service)));
      }
      return done
        .map(({ stdout, stderr }) => stdout + stderr)
        .join("")
        .trim()
        .split("\n");
    };
    // Nodes connect within 2 s, which containers have by then.
    await waitFor(async () => (await output()).at(-1) === shown.at(-1), { what: "the cluster", timeout: 10_000 });
    expect(await output()).toEqual(shown.map((line) => expect.stringMatching(pattern(line))));
  }, 120_000);
});
