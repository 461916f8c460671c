import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { BlockList } from "node:net";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { complaintsOf, foreignToModule } from "../support/calls.js";
import { run } from "../support/child.js";
import { addressOf, COMPOSE, execsOfRun, networkOwner, ours, readCompose } from "../support/compose.js";
import { execForm, parseDockerfile, valueIn } from "../support/dockerfile.js";
import { temporaryFolder } from "../support/temporary.js";

const KEYS = /^(image|build|hostname|command|environment|healthcheck|depends_on|network_mode|networks|volumes)$/;

const file = readCompose();
const { services } = file;
const each = Object.entries(services);
const dockerfile = readFileSync(resolve(COMPOSE, "../../Dockerfile"), "utf8");

describe("compose.yaml", () => {
  test("has nothing in its services but what this checks", () => {
    for (const [name, service] of each) {
      expect(
        Object.keys(service).filter((key) => !KEYS.test(key)),
        name,
      ).toEqual([]);
    }
    expect(Object.keys(file).filter((key) => !/^(name|services|networks|volumes|x-[a-z-]+)$/.test(key))).toEqual([]);
  });

  test("builds our image, and takes others by a version", () => {
    expect(ours(file)).toHaveLength(3);
    for (const [name, { image, build }] of each) {
      if (build !== undefined) expect(existsSync(resolve(COMPOSE, build.context, "Dockerfile")), name).toBe(true);
      else expect(image, name).toMatch(/^[a-z/]+:[0-9][0-9a-z.-]*$/);
    }
  });

  test("takes base images by digest from variables, which its README names", () => {
    const digest = `@sha256:${"0".repeat(64)}`;
    const given = { ERLANG_IMAGE: `erlang:27-slim${digest}`, CONSUL_IMAGE: `hashicorp/consul:1.20${digest}` };
    for (const [name, { image, build }] of Object.entries(readCompose(given).services)) {
      if (build === undefined) expect(image, name).toContain(digest);
      else expect(build.args).toEqual(Object.keys(parseDockerfile(dockerfile).buildArguments));
    }
    const readme = readFileSync(join(COMPOSE, "README.md"), "utf8");
    for (const variable of [...Object.keys(given), "BUILD_IMAGE", "RUNTIME_IMAGE"]) expect(readme).toContain(variable);
  });

  test("mounts files that exist, for reading, or volumes that it declares", () => {
    for (const [name, { volumes = [] }] of each) {
      for (const volume of volumes) {
        const [source = "", target, mode] = volume.split(":");
        if (source.startsWith(".")) expect(statSync(resolve(COMPOSE, source)).isFile(), volume).toBe(true);
        else expect(Object.keys(file.volumes ?? {}), name).toContain(source);
        expect([target?.startsWith("/"), mode], volume).toEqual([true, "ro"]);
      }
    }
  });

  test("gives each network an address of its own, in a network that is declared, or shares that of another service", () => {
    const addresses = each.flatMap(([name, { networks, network_mode }]) => {
      const owner = networkOwner(name, file);
      expect(Object.keys(services), name).toContain(owner);
      // Compose takes only one of the two.
      expect(networks === undefined, name).toBe(network_mode !== undefined);
      for (const [network, { ipv4_address }] of Object.entries(networks ?? {})) {
        const subnets = new BlockList();
        for (const { subnet } of file.networks[network]?.ipam.config ?? []) {
          const [address = "", length] = subnet.split("/");
          subnets.addSubnet(address, Number(length));
        }
        expect(subnets.check(ipv4_address), `${ipv4_address} in ${network}`).toBe(true);
      }
      return owner === name ? [addressOf(name, file)] : [];
    });
    expect(new Set(addresses).size).toBe(addresses.length);
  });

  test("starts a service when those before it are healthy, which each has a check for", () => {
    const image = parseDockerfile(dockerfile).stages.at(-1);
    for (const [name, { depends_on = {}, healthcheck, build }] of each) {
      const checked = build === undefined ? healthcheck.test?.[0] : image && valueIn(image, "HEALTHCHECK");
      expect(checked, name).toMatch(/CMD/);
      for (const [other, { condition }] of Object.entries(depends_on)) {
        expect(Object.keys(services), name).toContain(other);
        expect(condition).toBe("service_healthy");
      }
      if (networkOwner(name, file) !== name) expect(Object.keys(depends_on)).toContain(networkOwner(name, file));
    }
  });

  test("calls srv-epmd as it can be called, with variables that it reads and addresses that are there", () => {
    const image = parseDockerfile(dockerfile).stages.at(-1);
    const standard = image ? execForm(valueIn(image, "CMD")) : [];
    for (const [name, { command = standard, environment = {} }] of ours(file)) {
      expect(complaintsOf(command, environment), name).toEqual([]);
      expect(environment.SRV_EPMD_ADVERTISE_ADDRESS).toBe(addressOf(name, file));
      expect(environment.SRV_EPMD_DNS).toBe(`consul=${addressOf("consul", file)}:8600`);
      expect(Object.keys(services)).toContain(new URL(environment.SRV_EPMD_CONSUL ?? "").hostname);
    }
  });

  test("gives VMs no variable of srv-epmd but the module's, and keeps them from starting an EPMD", () => {
    const vms = each.filter(([, { image }]) => image.startsWith("erlang:"));
    expect(vms).toHaveLength(3);
    for (const [name, { environment = {} }] of vms) {
      expect(foreignToModule(environment), name).toEqual([]);
      expect(environment.ERL_FLAGS).toContain("-start_epmd false -epmd_module srv_epmd");
      expect(environment.NODE).toBe(name);
    }
  });
});

test("run.sh calls, in services that are there, programs that their images have", () => {
  const execs = execsOfRun();
  expect(execs.map(({ service }) => service)).toEqual(["epmd-a", "a"]);
  const [first] = execs;
  const installed = "node /usr/local/lib/srv-epmd/srv-epmd.cjs ";
  expect(first?.command.startsWith(installed)).toBe(true);
  const words =
    first?.command
      .slice(installed.length)
      .split(" ")
      .map((word) => word.replaceAll("'", "")) ?? [];
  expect(complaintsOf(words)).toEqual([]);
});

test("run.sh says in one line that Docker has no Compose", async () => {
  const folder = await temporaryFolder("docker");
  writeFileSync(join(folder, "docker"), "#!/bin/sh\necho 'unknown command: compose' >&2\nexit 1\n", { mode: 0o755 });
  const { code, stdout, stderr } = await run(`${COMPOSE}run.sh`, [], { env: { PATH: `${folder}:/usr/bin:/bin` } });
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toBe("not found: docker compose (Docker with Compose 2.20 or later)\n");
});
