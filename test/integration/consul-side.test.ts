import { expect, onTestFinished, test } from "vitest";
import { ConsulSide } from "../../src/consul/side.js";
import { Registry } from "../../src/epmd/core/registry.js";
import { startFakeConsul } from "../support/fake-consul.js";
import { collectLog } from "../support/log-lines.js";
import { registration, serveConfig } from "../support/registered-node.js";
import { waitFor } from "../support/wait-for.js";

const PLACE = { hostName: "box1", port: 4369 };
const ID = "srv-epmd:box1:node_a";

async function startSide() {
  const fake = await startFakeConsul();
  const settings = serveConfig({ domain: ["svc"], consul: fake.url, advertisePort: "30001" });
  const side = new ConsulSide(settings, collectLog().log);
  onTestFinished(async () => {
    await side.stopPublishing();
    await side.close();
    await fake.close();
  });
  const registry = new Registry();
  registry.register(registration("node_a", 20001), Date.now());
  return { fake, settings, side, registry, port: () => fake.services.get(ID)?.Port };
}

test("other settings are used, given before the registrar is loaded or after", async () => {
  const { settings, side, registry, port } = await startSide();
  side.publish(registry, settings, PLACE);
  side.use({ ...settings, advertisePort: 30002 });
  await waitFor(() => port() === 30002, { what: "the second port" });
  side.use({ ...settings, advertisePort: 30003 });
  await waitFor(() => port() === 30003, { what: "the third port" });
});

test("other settings alone publish nothing, nor do they after the stop", async () => {
  const { fake, settings, side, registry, port } = await startSide();
  side.use(settings);
  expect(await side.registrar()).toBeUndefined();
  side.publish(registry, settings, PLACE);
  await waitFor(() => port() === 30001, { what: "the first port" });
  await side.stopPublishing();
  const calls = fake.requests.length;
  side.use({ ...settings, advertisePort: 30002 });
  await side.registrar();
  await new Promise(setImmediate);
  expect([port(), fake.requests.length]).toEqual([30001, calls]);
});
