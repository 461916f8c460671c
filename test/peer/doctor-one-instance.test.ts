import { beforeAll, expect, test } from "vitest";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { type Examined, examine } from "../support/doctor.js";
import { rawNode } from "../support/raw-epmd.js";
import { requirePeer } from "../support/require-peer.js";
import { type Daemon, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

/** Of all daemons: as on machines with one host name. */
const INSTANCE = "vm";

requirePeer("consul")("srv-epmds of one --instance or host name", () => {
  let consuls: readonly [Consul, Consul];
  let daemons: [Daemon, Daemon];

  const flagsOf = ({ url, dnsPort }: Consul) => {
    const common = ["--domain", "svc", "--instance", INSTANCE, "--advertise-address", "127.0.0.1"];
    return [...common, "--consul", url, "--dns", `127.0.0.1:${dnsPort}`];
  };
  const serve = (consul: Consul, port = 0) => startDaemon({ port, args: flagsOf(consul) });
  const doctor = (consul: Consul, { port }: Daemon): Promise<Examined> =>
    examine([...flagsOf(consul), "--port", String(port)]);
  /** `srv-epmd:vm:node_a test-agent`, passing. */
  const inConsul = async () => {
    const { body } = await consuls[0].request("GET", "/v1/health/service/svc?passing=1");
    const entries = body as { readonly Node: { readonly Node: string }; readonly Service: { readonly ID: string } }[];
    return entries.map(({ Node, Service }) => `${Service.ID} ${Node.Node}`).sort();
  };
  const untilConsulHas = (...wanted: readonly string[]) =>
    waitFor(async () => JSON.stringify(await inConsul()) === JSON.stringify(wanted), {
      what: wanted.join(", "),
      timeout: 30_000,
    });

  beforeAll(async () => {
    const server = await startConsul({ node: "box-a" });
    consuls = [server, await startConsul({ join: server, node: "box-b" })];
    daemons = [await serve(consuls[0]), await serve(consuls[1])];
    await rawNode(daemons[0].port, { name: "node_a", port: 20_001 });
    await rawNode(daemons[1].port, { name: "node_b", port: 20_002 });
    await untilConsulHas("srv-epmd:vm:node_a box-a", "srv-epmd:vm:node_b box-b");
  });

  test("at two agents: doctor calls the node of the other none that nobody removes, and says what they share", async () => {
    const [a, b] = await Promise.all([doctor(consuls[0], daemons[0]), doctor(consuls[1], daemons[1])]);
    for (const [{ of }, other] of [
      [a, "box-b"],
      [b, "box-a"],
    ] as const) {
      expect(of("catalogue")).toMatchObject({ result: "ok" });
      expect(of("catalogue").evidence).toContain(
        `another srv-epmd, at the Consul agent of ${other}, has ids of this one, so it has the same --instance or host name (vm)`,
      );
      expect(of("registration-dns").result).toBe("ok");
    }
  });

  test("at two agents: neither touches the node of the other when it starts, or when a node of the same id comes and goes", async () => {
    const twin = await rawNode(daemons[1].port, { name: "node_a", port: 20_003 });
    await untilConsulHas("srv-epmd:vm:node_a box-a", "srv-epmd:vm:node_a box-b", "srv-epmd:vm:node_b box-b");
    await daemons[0].stop();
    daemons[0] = await serve(consuls[0], daemons[0].port);
    const node = await rawNode(daemons[0].port, { name: "node_c", port: 20_004 });
    // Its predecessor's node_a did not come back, and is removed after a while; that of box-b stays.
    await untilConsulHas("srv-epmd:vm:node_a box-b", "srv-epmd:vm:node_b box-b", "srv-epmd:vm:node_c box-a");
    await Promise.all([twin.close(), node.close()]);
    await untilConsulHas("srv-epmd:vm:node_b box-b");
    await rawNode(daemons[0].port, { name: "node_a", port: 20_001 });
    await untilConsulHas("srv-epmd:vm:node_a box-a", "srv-epmd:vm:node_b box-b");
  });

  test("at one agent: each has its own entry, and doctor of the later one takes that of the other for another's", async () => {
    const second = await serve(consuls[0]);
    await rawNode(second.port, { name: "node_a", port: 20_005 });
    const [early] = await waitFor(
      async () => {
        const ids = await inConsul();
        return ids.length === 3 && ids;
      },
      { what: "three entries" },
    );
    expect(early).toBe("srv-epmd:vm:node_a box-a");
    const { of } = await doctor(consuls[0], second);
    expect(of("registration")).toMatchObject({
      result: "ok",
      evidence: expect.stringContaining("registered as svc at 127.0.0.1:20005"),
    });
    expect(of("catalogue")).toMatchObject({ result: "ok" });
    expect(of("catalogue").evidence).toContain(
      "another srv-epmd at this agent has ids of this one (srv-epmd:vm:node_a), so it has the same --instance or host name (vm)",
    );
    // That there are two of one name is another matter.
    expect(of("same-name").code).toBe("NAME_TWICE");
  });
});
