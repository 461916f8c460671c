import { readdirSync, readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { flagKeysOf } from "../../src/cli/parse.js";
import { flagOf } from "../../src/config/options.js";
import { complaintsOf, foreignToModule } from "../support/calls.js";
import {
  type Body,
  block,
  blocks,
  defaultsOf,
  groupOf,
  JOBS,
  type JobFile,
  readJob,
  type Scope,
  tasksOf,
} from "../support/nomad-job.js";
import { faultsOf } from "../support/nomad-schema.js";

const NAMES = readdirSync(JOBS).filter((name) => name.endsWith(".nomad.hcl"));

/** Node attributes and the like that Nomad has on every client, as in its page on interpolation. */
const ATTRIBUTES = ["attr.unique.network.ip-address", "node.unique.name", "node.unique.id", "node.datacenter"];
/** Variables that every task has (client/taskenv/env.go). */
const ALWAYS = ["ALLOC_ID", "SHORT_ALLOC_ID", "ALLOC_NAME", "ALLOC_INDEX", "TASK_NAME", "GROUP_NAME", "JOB_NAME"];
const FOLDERS = ["ALLOC_DIR", "TASK_DIR", "SECRETS_DIR"];
/** And for each port label. */
const OF_PORT = ["PORT", "IP", "ADDR", "HOST_PORT", "HOST_IP", "HOST_ADDR", "ALLOC_PORT", "ALLOC_IP", "ALLOC_ADDR"];

const portsOf = (group: Body) => Object.keys(blocks(block(group, "network") ?? {}, "port"));
const servicesOf = (group: Body) => (group.service ?? []) as Body[];

/** What stands in `${...}`, quoted text left out. */
const expressionsIn = (text: string) =>
  Array.from(text.matchAll(/(?<!\$)\$\{((?:[^"{}]|"[^"]*")*)\}/g), ([, expression = ""]) => expression.trim());

/** A value for whatever may be named, so that tasks can be filled in. */
function scopeFor(file: JobFile): Scope {
  const given = Object.fromEntries(Object.keys(file.variables).map((name) => [name, `some-${name}`]));
  const ports = portsOf(groupOf(file)).flatMap((label) =>
    OF_PORT.map((kind) => [`NOMAD_${kind}_${label}`, /IP|ADDR/.test(kind) ? "10.0.0.1" : "4369"]),
  );
  const rest = [...ALWAYS, ...FOLDERS].map((name) => [`NOMAD_${name}`, "abcd1234"]);
  const attributes = ATTRIBUTES.map((name) => [name, "10.0.0.1"]);
  return {
    variables: { ...given, ...defaultsOf(file) },
    runtime: Object.fromEntries([...ports, ...rest, ...attributes]),
  };
}

test("there is a job for each way to run, and the README names each", () => {
  expect(NAMES.sort()).toEqual([
    ...["connect.nomad.hcl", "gateway.nomad.hcl", "host.nomad.hcl"],
    ...["native.nomad.hcl", "sidecar.nomad.hcl", "without-consul.nomad.hcl"],
  ]);
  const readme = readFileSync(`${JOBS}README.md`, "utf8");
  for (const name of [...NAMES, "consul-policy.hcl"]) expect(readme).toContain(`](${name})`);
});

describe.each(NAMES)("%s", (name) => {
  let file: JobFile;
  let group: Body;
  beforeAll(async () => {
    file = await readJob(name);
    group = groupOf(file);
  });
  const tasks = () => tasksOf(file, scopeFor(file));
  const ours = () => tasks().filter(({ command }) => command === "local/srv-epmd");

  test("has the structure that Nomad requires, and nothing that it does not know", () => {
    expect(faultsOf(file.jobs)).toEqual([]);
  });

  test("says on top when to choose it, what it needs and how to run it", () => {
    const [top = ""] = file.text.split(/^(?!#)/m);
    for (const word of ["Choose it when", "It needs", `nomad job run -var `, name]) expect(top).toContain(word);
  });

  test("declares every var that it uses, uses each that it declares, and describes each", () => {
    // Comments use them, too.
    const used = file.text.replaceAll(/^\s*#.*$/gm, "").matchAll(/\bvar\.(\w+)/g);
    const names = new Set(Array.from(used, ([, used_]) => used_ ?? ""));
    expect(Array.from(names).sort()).toEqual(Object.keys(file.variables).sort());
    for (const [variable, body] of Object.entries(file.variables)) {
      expect(Object.keys(body), variable).toContain("type");
      expect(String(body.description ?? ""), variable).not.toBe("");
    }
  });

  test("names only what Nomad gives, and ports that the group has", () => {
    const given = new Set(Object.keys(scopeFor(file).runtime));
    const inCode = file.text.replaceAll(/^\s*#.*$/gm, "");
    const foreign = expressionsIn(inCode).filter(
      (expression) => !given.has(expression) && !/^(var\.\w+|upstreams\.(key|value))$/.test(expression),
    );
    expect(foreign).toEqual([]);
    for (const service of servicesOf(group)) {
      const port = String(service.port);
      const inMesh = block(service, "connect") !== undefined;
      // In a mesh a label is refused.
      expect(inMesh ? /^[0-9]+$/.test(port) : portsOf(group).includes(port), `service ${service.name}`).toBe(true);
      const checks = (service.check ?? []) as Body[];
      // A check of Nomad's would connect to the distribution port all the time, and the entry stays whatever it says.
      const isDistribution = service.provider === "nomad" && service.port === "dist";
      expect(checks.length > 0, `checks of ${service.name}`).toBe(!isDistribution);
      // A check of a group's service that runs a command says in which task.
      for (const check of checks) {
        if (check.type === "script") expect(Object.keys(blocks(group, "task"))).toContain(check.task);
      }
    }
    // In bridge mode a task's own dns is not looked at; it stands in the group's network only.
    for (const task of Object.values(blocks(group, "task"))) {
      expect(Object.keys(block(task, "resources") ?? {})).not.toContain("network");
    }
  });

  test("calls srv-epmd as it can be called, with variables that the called command reads", () => {
    expect(ours()).not.toHaveLength(0);
    for (const { name: task, args, env } of ours()) expect(complaintsOf(args, env), task).toEqual([]);
    const script = servicesOf(group).flatMap((service) => (service.check ?? []) as Body[]);
    for (const { args } of script.filter(({ type }) => type === "script")) {
      const [, line = ""] = /^\/local\/srv-epmd (\w+(?: --[a-z-]+)*) \|/.exec((args as string[])[1] ?? "") ?? [];
      expect(complaintsOf(line.split(" "))).toEqual([]);
    }
  });

  test("gives what resolve, names and wait need as variables: nomad alloc exec gives them the environment alone", () => {
    const tools = (["resolve", "names", "wait"] as const).flatMap((tool) =>
      flagKeysOf(tool).map((key) => `--${flagOf(key)}`),
    );
    for (const { name: task, args } of ours()) {
      expect(
        args.filter((arg) => tools.includes(arg.split("=")[0] ?? "")),
        task,
      ).toEqual([]);
    }
  });

  test("gives a VM no variable of srv-epmd but the module's, keeps it from starting an EPMD, and stops it in order", () => {
    for (const { command, env, killSignal } of tasks()) {
      if (command === "local/srv-epmd") continue;
      expect(foreignToModule(env)).toEqual([]);
      expect(env.ERL_ZFLAGS).toMatch(/^-start_epmd false( |$)/);
      expect(killSignal).toBe("SIGTERM");
    }
  });

  test("fetches what each task runs, checked, to where its command says", () => {
    for (const { name: task, command, args } of tasks()) {
      const artifacts = (blocks(group, "task")[task]?.artifact ?? []) as Body[];
      const destinations = artifacts.map(({ destination }) => String(destination));
      const run = [command, ...args].flatMap((words) => words.split(" ")).filter((word) => word.startsWith("local/"));
      const fetched = run.map((program) => destinations.find((destination) => program.startsWith(destination)));
      expect(fetched.sort(), task).toEqual(destinations.sort());
      for (const artifact of artifacts) {
        expect(block(artifact, "options")?.checksum, task).toMatch(/^\$\{var\.\w+_checksum\}$/);
        expect(artifact.mode, task).toBe(artifact.destination === "local/srv-epmd" ? "file" : undefined);
      }
    }
  });

  test("gives srv-epmd the time that it takes to stop, and restarts it before VMs come back", () => {
    for (const { name: task, lifecycle, args } of ours()) {
      const body = blocks(group, "task")[task] ?? {};
      if (args[0] === "serve") expect(Number.parseInt(String(body.kill_timeout), 10)).toBeGreaterThan(5);
      if (lifecycle !== "prestart") expect(block(body, "restart")).toMatchObject({ delay: "1s", mode: "delay" });
    }
  });

  test("with a VM: runs srv-epmd beside it, which the module waits for, or a shell before a stock VM", () => {
    const lifecycles = Object.fromEntries(ours().map(({ args, lifecycle }) => [args[0], lifecycle]));
    const vm = tasks().find(({ command }) => command !== "local/srv-epmd");
    if (!vm) {
      expect(lifecycles).toEqual({ serve: "main" });
      return;
    }
    expect(lifecycles.serve).toBe("sidecar");
    expect([undefined, "sidecar"]).toContain(lifecycles.relay);
    // A task costs a copy of the chroot: none has nothing to do but to wait.
    expect(Object.keys(lifecycles)).not.toContain("wait");
    const hasModule = /-epmd_module srv_epmd/.test(vm.env.ERL_ZFLAGS ?? "");
    const waits = hasModule ? "" : "/bin/bash -c for .+ </dev/tcp/127\\.0\\.0\\.1/4369 .+; exec ";
    expect([vm.command, ...vm.args].join(" ")).toMatch(new RegExp(`^${waits}local/release/bin/svc start$`));
  });

  test("where it asks Consul, logs in with a JWT of an identity that Nomad itself has no use for", () => {
    for (const { name: task, args, env, identities } of ours()) {
      const isNomads = /service\.nomad$/.test(env.SRV_EPMD_DOMAIN ?? "");
      const asks = args[0] === "serve" && env.SRV_EPMD_REGISTER !== "none" && !isNomads;
      // For one called consul_default Nomad logs in too, and fails where Consul's ACLs are off.
      expect(identities, task).toEqual(asks ? ["consul"] : []);
      const [identity] = (blocks(group, "task")[task]?.identity ?? []) as Body[];
      // Without env and change_mode, a new JWT restarts nothing.
      if (asks) expect(identity).toEqual({ name: "consul", aud: ["consul.io"], file: true, ttl: "1h" });
      expect(env.SRV_EPMD_CONSUL_AUTH_METHOD, task).toBe(asks ? "srv-epmd" : undefined);
      expect(env.SRV_EPMD_CONSUL_BEARER_TOKEN_FILE, task).toBe(asks ? "abcd1234/nomad_consul.jwt" : undefined);
    }
  });

  test("at a stop takes its services out of Consul before it stops a task", () => {
    expect(servicesOf(group)).not.toEqual([]);
    expect(String(group.shutdown_delay)).toMatch(/^[1-9][0-9]*s$/);
  });
});

test("without Consul each node has a tag that is its alive name, and all that is registered is Nomad's", async () => {
  const file = await readJob("without-consul.nomad.hcl");
  const scope = scopeFor(file);
  const services = servicesOf(groupOf(file));
  expect(services.map(({ provider }) => provider)).toEqual(["nomad", "nomad", "nomad"]);
  const identities = blocks(groupOf(file), "task")["srv-epmd"]?.identity as Body[];
  // Nomad's own: without a name, and without another audience.
  expect(identities).toEqual([{ env: true, file: true }]);
  const node = tasksOf(file, scope).find(({ env }) => env.RELEASE_NODE)?.env.RELEASE_NODE ?? "";
  const tags = services.filter(({ port }) => port === "dist").flatMap((entry) => entry.tags as string[]);
  const given = tags.map((tag) => tag.replace(`\${NOMAD_SHORT_ALLOC_ID}`, "abcd1234"));
  expect(given).toEqual([node.split("@")[0]]);
  expect(file.text.replaceAll(/^\s*#.*$/gm, "")).not.toMatch(/consul/i);
});

describe("names of nodes", () => {
  test.each([
    ["sidecar.nomad.hcl", "consul"],
    ["gateway.nomad.hcl", "consul"],
    ["native.nomad.hcl", "consul"],
    ["without-consul.nomad.hcl", "nomad"],
  ])("of %s are the allocation's own, also while a canary runs", async (name, catalogue) => {
    const file = await readJob(name);
    const scope = scopeFor(file);
    const nameIn = (alloc: string) =>
      tasksOf(file, { ...scope, runtime: { ...scope.runtime, NOMAD_SHORT_ALLOC_ID: alloc } }).find(
        ({ env }) => env.RELEASE_NODE,
      )?.env.RELEASE_NODE;
    expect([nameIn("0a1b2c3d"), nameIn("ffffffff")]).toEqual([
      `svc-0a1b2c3d@svc-dist.service.${catalogue}`,
      `svc-ffffffff@svc-dist.service.${catalogue}`,
    ]);
    const job = Object.values(file.jobs).flat()[0] ?? {};
    expect(block(job, "update")).toMatchObject({ canary: 1, max_parallel: 1 });
  });

  test("in the mesh are those that the upstreams of the others name, and there is no canary behind the same service", async () => {
    const file = await readJob("connect.nomad.hcl");
    const scope = scopeFor(file);
    const tasks = tasksOf(file, { ...scope, variables: { ...scope.variables, node: "b" } });
    expect(tasks.map(({ env }) => env.RELEASE_NODE).filter(Boolean)).toEqual(["b@svc-dist.service.consul"]);
    const [service = {}] = servicesOf(groupOf(file));
    expect(service.name).toBe(`\${var.service}-\${var.node}`);
    const job = Object.values(file.jobs).flat()[0] ?? {};
    expect(block(job, "update")).not.toHaveProperty("canary");
  });
});

describe("the check of the structure", () => {
  const job = (task: object, group: object = {}) => ({
    j: [{ group: { g: [{ network: [{ mode: "bridge" }], task: { t: [{ ...TASK, ...task }] }, ...group }] } }],
  });
  const TASK = { driver: "exec", config: [{ command: "x" }], resources: [{ cpu: 1, memory: 1 }] };

  test("finds nothing wrong with a small job", () => {
    expect(faultsOf(job({}))).toEqual([]);
  });

  test.each<[string, object, object, string]>([
    ["an unknown attribute", { kill_time: "5s" }, {}, 'task "t": unknown kill_time'],
    ["a missing one", { driver: undefined, config: [{}] }, {}, 'task "t" > config: no command'],
    ["a block where an attribute is meant", { user: [{}] }, {}, 'task "t": user is no block'],
    ["an attribute where a block is meant", { lifecycle: "prestart" }, {}, 'task "t": lifecycle is a block'],
    ["a block without its name", {}, { task: [{}] }, "> task: has no name"],
    ["a block in the wrong place", { update: [{}] }, {}, 'task "t": unknown update'],
    [
      "a fault in a dynamic block",
      {},
      { dynamic: { service: [{ content: [{ name: "n", port: "p", size: 1 }] }] } },
      "no for_each",
    ],
  ])("finds %s", (_, task, group, fault) => {
    expect(faultsOf(job(task, group)).join("\n")).toContain(fault);
  });
});
