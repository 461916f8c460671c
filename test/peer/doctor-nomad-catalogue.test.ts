import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { examine } from "../support/doctor.js";
import { type ErlangNode, startNode } from "../support/erlang.js";
import { type FakeNomad, startFakeNomad } from "../support/fake-nomad.js";
import { freePort } from "../support/free-port.js";
import { requirePeer } from "../support/require-peer.js";
import { type Daemon, startDaemon } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";

const HOST = "svc-dist.service.nomad";
const ALLOC = "0a1b2c3d-0000-0000-0000-000000000000";
const NAME = "svc-0a1b2c3d";
const RIGHT = { ServiceName: "svc-dist", AllocID: ALLOC, Tags: [NAME] };

requirePeer("erl")("srv-epmd doctor, where nodes are in Nomad's catalogue", () => {
  let secrets: string;
  let nomad: FakeNomad;
  let daemon: Daemon;
  let vm: ErlangNode;
  let port: number;

  const env = (more: NodeJS.ProcessEnv = {}) => ({
    ...{ NOMAD_SECRETS_DIR: secrets, NOMAD_TOKEN: "identity", NOMAD_ALLOC_ID: ALLOC, NOMAD_NAMESPACE: "default" },
    ...{ NOMAD_PORT_dist: String(port), NOMAD_HOST_PORT_dist: String(port), NOMAD_HOST_IP_dist: "127.0.0.1" },
    ...more,
  });
  const doctor = (node: readonly string[] = [], more: NodeJS.ProcessEnv = {}) =>
    examine([...node, "--domain", HOST, "--port", String(daemon.port)], { env: env(more) });

  beforeAll(async () => {
    secrets = await temporaryFolder("secrets");
    port = await freePort();
    daemon = await startDaemon({ args: ["--domain", HOST], env: { NOMAD_SECRETS_DIR: secrets } });
    const range = ["inet_dist_listen_min", String(port), "inet_dist_listen_max", String(port)];
    vm = await startNode({ name: `${NAME}@${HOST}`, epmdPort: daemon.port, args: ["-kernel", ...range] });
  }, 60_000);
  afterAll(async () => {
    await vm.kill();
    await daemon.kill();
  });
  beforeEach(async () => {
    nomad = await startFakeNomad(join(secrets, "api.sock"));
  });
  afterEach(() => nomad.close());

  test("healthy: it asks Nomad, and neither a name server nor Consul", async () => {
    nomad.register({ ...RIGHT, Port: port });
    const { of, with: having, code } = await doctor([`${NAME}@${HOST}`]);
    expect(of("nomad-api")).toMatchObject({
      result: "ok",
      evidence: expect.stringContaining("svc-dist has 1 instance"),
    });
    expect(of("nomad-entry")).toMatchObject({ result: "ok", evidence: expect.stringContaining(NAME) });
    expect(having("fail")).toEqual([]);
    expect(code).toBe(0);
    const skipped = having("skip");
    for (const check of ["resolver", "consul-agent", "consul-token", "registration-dns", "clock"])
      expect(skipped).toContain(check);
  });

  test.each<[string, object | undefined, string]>([
    ["no entry", undefined, "NOMAD_NO_ENTRY"],
    ["no tag", { Tags: ["web"] }, "NOMAD_NO_TAG"],
    ["another port", { Port: 9 }, "NOMAD_OTHER_PORT"],
  ])("an entry that does not lead here (%s) fails nomad-entry", async (_, over, code) => {
    if (over) nomad.register({ ...RIGHT, Port: port, ...over });
    const { of } = await doctor();
    expect(of("nomad-entry")).toMatchObject({ result: "fail", evidence: expect.stringContaining(code) });
    expect(of("nomad-entry").advice).toMatch(/service/);
  });

  test.each<[string, () => void | Promise<void>, NodeJS.ProcessEnv, RegExp, RegExp]>([
    ["no identity", () => {}, { NOMAD_TOKEN: "" }, /Unauthorized \(401\)/, /identity \{ env = true, file = true \}/],
    [
      "a refusal",
      () => nomad.misbehave(() => ({ status: 403, body: "Forbidden" })),
      {},
      /Forbidden \(403\)/,
      /a new allocation has another/,
    ],
    ["no socket", () => nomad.stop(), {}, /api\.sock.*ENOENT/, /Nomad 1\.5/],
    ["an old Nomad", () => nomad.misbehave(() => ({ status: 404, body: "?" })), {}, /\(404\)/, /Nomad 1\.3/],
  ])("an API that does not tell (%s) fails nomad-api, with the cure", async (_, breakIt, more, evidence, advice) => {
    await breakIt();
    const { of } = await doctor([], more);
    expect(of("nomad-api")).toMatchObject({
      ...{ result: "fail", evidence: expect.stringMatching(evidence), advice: expect.stringMatching(advice) },
    });
    expect(of("nomad-entry")).toMatchObject({ result: "skip", evidence: expect.stringContaining("see nomad-api") });
  });

  test("a node that is none is explained from Nomad's catalogue", async () => {
    nomad.register({ ...RIGHT, Port: port });
    const explained = async (node: string) => (await doctor([node])).of("peer-records");
    expect(await explained(`svc-0a1b2c3e@${HOST}`)).toMatchObject({
      ...{ result: "fail", evidence: expect.stringMatching(/has the tag svc-0a1b2c3e/) },
      // The one that is near lives here.
      advice: expect.stringMatching(/^start svc-0a1b2c3e in an allocation/),
    });
    nomad.register({ ...RIGHT, ID: "other", Tags: ["svc-elsewhere"], Port: port });
    expect((await explained(`svc-elswehere@${HOST}`)).advice).toContain(`was svc-elsewhere@${HOST} meant?`);
    expect(await explained("x@svc-dits.service.nomad")).toMatchObject({
      advice: "was the service svc-dist meant?",
    });
    expect(await explained("x@svc-dist.prod.service.nomad")).toMatchObject({
      evidence: expect.stringMatching(/no instance of the service svc-dist in the namespace prod/),
      advice: expect.stringContaining("svc.<namespace>.service.nomad"),
    });
    expect(JSON.stringify(await explained("x@none.service.nomad"))).not.toMatch(/name server|SRV|dns/i);
  });
});
