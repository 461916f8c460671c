import { chmod } from "node:fs/promises";
import { beforeAll, expect, test } from "vitest";
import { type ErlangNode, startNode } from "../support/erlang.js";
import { moduleFolder } from "../support/module-folder.js";
import { type RunningTask, startTask, writeIdentities } from "../support/nomad-alloc.js";
import { type Client, startClients } from "../support/nomad-client.js";
import { defaultsOf, type JobFile, readJob, tasksOf } from "../support/nomad-job.js";
import { requirePeer } from "../support/require-peer.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

/** The system job's task on a client, with what Nomad gives in a host network. */
async function startHostTask({ address, host }: Client, file: JobFile, index: number): Promise<RunningTask> {
  const secrets = await temporaryFolder("secrets");
  // As Nomad makes it: the task's user reads it.
  await chmod(secrets, 0o755);
  const nomad: Record<string, string> = {
    NOMAD_ALLOC_ID: "5f6e7d8c-0000-4000-8000-000000000000",
    NOMAD_SHORT_ALLOC_ID: "5f6e7d8c",
    NOMAD_ALLOC_DIR: "/alloc",
    NOMAD_SECRETS_DIR: secrets,
    NOMAD_PORT_epmd: "4369",
    NOMAD_HOST_PORT_epmd: "4369",
    NOMAD_IP_epmd: address,
    NOMAD_HOST_IP_epmd: address,
    NOMAD_ADDR_epmd: `${address}:4369`,
  };
  const runtime = { ...nomad, "node.unique.name": `client${index + 1}` };
  const [task] = tasksOf(file, { variables: defaultsOf(file), runtime });
  if (!task) throw new Error("no task");
  await writeIdentities(task, secrets);
  const running = await startTask(task, { ...nomad, ...task.env }, host);
  await running.child.waitForOutput(/"ready"/);
  return running;
}

requirePeer(
  "erl",
  "consul",
  "netns",
)("the system job host.nomad.hcl on two clients", () => {
  let file: JobFile;
  let clients: readonly [Client, Client];
  let tasks: RunningTask[];
  const vms: ErlangNode[] = [];

  beforeAll(async () => {
    file = await readJob("host.nomad.hcl");
    clients = (await startClients(2)) as [Client, Client];
    tasks = await Promise.all(clients.map((client, index) => startHostTask(client, file, index)));
  });

  const node = async (client: Client, name: string, module = false) => {
    const args = module ? ["-pa", await moduleFolder(), "-epmd_module", "srv_epmd"] : [];
    const vm = await startNode({ name, netns: client.host, env: { ERL_ZFLAGS: "-start_epmd false" }, args });
    vms.push(vm);
    return vm;
  };
  const ids = async () => {
    const answers = await Promise.all(clients.map(({ consul }) => consul.request("GET", "/v1/agent/services")));
    return answers.map(({ body }) => Object.keys(body as object).sort());
  };

  test("releases as they are find each other by the address of the client, with the module by the service", async () => {
    const [one, other] = clients;
    const stock = await node(one, `stock-1@${one.address}`);
    await node(other, `stock-2@${other.address}`);
    expect(await stock.ping(`stock-2@${other.address}`)).toBe("pong");
    const inModule = await node(one, "module-1@svc-dist.service.consul", true);
    await node(other, "module-2@svc-dist.service.consul", true);
    await waitFor(async () => (await inModule.ping("module-2@svc-dist.service.consul")) === "pong", { what: "a link" });
  });

  test("entries are named after the client, so the next allocation of the job goes on with them", async () => {
    const expected = [
      ["srv-epmd:client1:module-1", "srv-epmd:client1:stock-1"],
      ["srv-epmd:client2:module-2", "srv-epmd:client2:stock-2"],
    ];
    await waitFor(async () => JSON.stringify(await ids()) === JSON.stringify(expected), { what: "the publications" });
    const exit = await tasks[0]?.stop();
    expect(exit?.code).toBe(0);
    expect(await ids()).toEqual(expected);
    const next = await startHostTask(clients[0], file, 0);
    await waitFor(() => next.log().filter(({ msg }) => msg === "node registered").length === 2, {
      what: "their return",
    });
    expect(await ids()).toEqual(expected);
    for (const vm of vms) expect((await vm.nodes()).length).toBeGreaterThan(0);
  });
});
