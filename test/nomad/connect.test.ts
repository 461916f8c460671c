import { afterAll, beforeAll, expect, test } from "vitest";
import { problemsOf } from "../support/doctor.js";
import { waitFor } from "../support/wait-for.js";
import { askInside, examineInside } from "./lab/inside.js";
import { edited, type Job, killTask, nomadJob, type Variables } from "./lab/job.js";
import { type Lab, startLab } from "./lab/lab.js";
import { requireLab } from "./lab/needs.js";
import { elixirRelease, executable } from "./lab/releases.js";
import { type NodeState, tellStoryOf } from "./lab/service.js";

const NAMES = ["a", "b", "c"] as const;
type Name = (typeof NAMES)[number];
const nodeOf = (name: Name) => `${name}@svc-dist.service.consul`;
const serviceOf = (name: Name) => `svc-dist-${name}`;

/**
 * Consul's built-in proxy in place of Envoy, which needs Docker. With -sidecar-for it would bind the address that is registered, the
 * client's, which a bridge network does not have.
 */
function withBuiltInProxy(name: Name): (text: string) => string {
  const upstreams = NAMES.map((other, index) => [other, 21_000 + index] as const).filter(([other]) => other !== name);
  const args = [
    ...["connect", "proxy", "-http-addr", `\${attr.unique.network.ip-address}:8500`, "-service", serviceOf(name)],
    ...["-listen", `0.0.0.0:\${NOMAD_PORT_connect_proxy_${serviceOf(name).replaceAll("-", "_")}}`],
    ...["-service-addr", "127.0.0.1:4370"],
    ...upstreams.flatMap(([other, port]) => ["-upstream", `${serviceOf(other)}:${port}`]),
  ];
  const task = `sidecar_task {
          driver = "exec"
          config {
            command = "/usr/bin/consul"
            args    = ${JSON.stringify(args)}
          }
          env {
            CONSUL_GRPC_ADDR = "\${attr.unique.network.ip-address}:8502"
          }
        }`;
  return (text) => edited(text, [/( *)connect \{\n/, `$&        ${task}\n`]);
}

requireLab("consul", "mix")("the mesh job", () => {
  let lab: Lab;
  let jobs: Job[];
  let artifacts: Variables;

  beforeAll(async () => {
    const [program, archive] = [await executable(), await elixirRelease({ version: "1.0.0", hasModule: true })];
    lab = await startLab();
    const [own, release] = [await lab.artifacts.offer(program), await lab.artifacts.offer(archive)];
    const { url, checksum } = release;
    artifacts = { srv_epmd: own.url, srv_epmd_checksum: own.checksum, release: url, release_checksum: checksum };
    jobs = NAMES.map((name) => nomadJob(lab, "connect.nomad.hcl", `svc-${name}`));
  });
  afterAll(() => lab?.down());

  const allocationOf = async (name: Name) => {
    const [allocation] = (await jobs[NAMES.indexOf(name)]?.running()) ?? [];
    if (allocation === undefined) throw new Error(`${name} does not run`);
    return allocation;
  };
  const stateOf = async (name: Name) => askInside<NodeState>(lab, await allocationOf(name), "/");
  /** Nothing in these releases connects by itself. */
  const connect = async (from: Name, to: Name) => {
    const { result } = await askInside<{ result: string }>(lab, await allocationOf(from), `/connect/${nodeOf(to)}`);
    return result === "true";
  };
  const whenLinked = () =>
    waitFor(
      async () => {
        for (const [index, name] of NAMES.entries()) {
          for (const other of NAMES.slice(index + 1)) {
            if (!(await connect(name, other))) throw new Error(`${name} does not reach ${other}`);
          }
        }
        const states = await Promise.all(NAMES.map(stateOf));
        return states.every(({ nodes }) => nodes.length === 2);
      },
      { what: "three nodes, each connected to all", timeout: 300_000, interval: 1_000 },
    );
  const bothWays = [
    ["a", "b"],
    ["b", "a"],
  ] as const;

  test("links go through the proxies, as far as intentions allow", async () => {
    for (const job of jobs) tellStoryOf(job);
    for (const [index, job] of jobs.entries())
      await job.run({ ...artifacts, node: NAMES[index] ?? "" }, withBuiltInProxy(NAMES[index] ?? "a"));
    for (const job of jobs) expect(await job.deployed()).toBe("successful");
    await whenLinked();
    const doctor = async () => examineInside(lab, await allocationOf("a"), nodeOf("b"));
    expect(problemsOf(await doctor())).toEqual([]);

    for (const [from, to] of bothWays) await lab.consul("intention", "create", "-deny", serviceOf(from), serviceOf(to));
    // A link that is there stays: intentions are asked when one begins.
    await killTask(lab, await allocationOf("a"), "svc");
    const isDenied = async () => !(await connect("a", "b")) && !(await connect("b", "a"));
    await waitFor(isDenied, { what: "a node that is kept off", timeout: 120_000, interval: 1_000 });
    expect((await stateOf("a")).nodes).not.toContain(nodeOf("b"));
    // Nobody in the allocation can ask Consul: doctor says what to ask on the client.
    const denied = await doctor();
    expect(problemsOf(denied)).toEqual([expect.stringMatching(/^fail peer-handshake: .* ends it without a word$/)]);
    expect(denied.of("peer-handshake").advice).toContain("consul intention check svc-dist-a svc-dist-b");

    for (const [from, to] of bothWays) await lab.consul("intention", "delete", serviceOf(from), serviceOf(to));
    await whenLinked();
  });
});
