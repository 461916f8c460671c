import { expect, onTestFinished, test } from "vitest";
import { NativeSide, type NativeSideDeps } from "../../src/connect/native.js";
import { Registry } from "../../src/epmd/core/registry.js";
import type { RequestBody } from "../../src/relay/channel.js";
import type { RelayClient } from "../../src/relay/client.js";
import { collectLog } from "../support/log-lines.js";
import { registration, serveConfig } from "../support/registered-node.js";

const HOST = "svc.service.consul";
const place = (port: number) => ({ address: "127.0.0.1", port });

/** A daemon's part of a native end, and what it asks of a relay process. */
function startSide(flags: Parameters<typeof serveConfig>[0] = {}) {
  const registry = new Registry();
  const asked: RequestBody[] = [];
  let connectPort = 61000;
  const settings = serveConfig({ domain: ["svc"], connectNative: "true", ...flags });
  const consul = { connect: async () => ({ onNewToken: () => undefined, token: async () => undefined }) };
  const nodes = { resolve: () => Promise.reject(new Error("not asked")), fullName: () => "" };
  const deps = { settings, defaultPort: undefined, registry, nodes, consul, log: collectLog().log };
  const side = new NativeSide(deps as unknown as NativeSideDeps);
  onTestFinished(() => side.close());
  const ask: RelayClient["ask"] = async (body) => {
    asked.push(body);
    return body.type === "native" ? { type: "native", id: 1, port: connectPort } : { type: "kept", id: 1 };
  };
  side.use({ ask } as RelayClient);
  const up = (name: string, port: number) => {
    const node = registry.register(registration(name, port), Date.now());
    if (!node) throw new Error(`${name} is taken`);
    return node;
  };
  const listenAt = (port: number) => {
    connectPort = port;
  };
  return { side, registry, up, ask, listenAt, told: () => asked.splice(0) };
}

test("a node that is a helper only beside another is told again when that one comes and goes", () => {
  const { registry, up, told } = startSide();
  const serve = (name: string, port: number, isHelper: boolean) => {
    return { type: "serve", node: `${name}@${HOST}`, place: place(port), isHelper };
  };
  up("n1-33-4711", 20001);
  expect(told()).toEqual([serve("n1-33-4711", 20001, false)]);
  const origin = up("n1", 20002);
  expect(told()).toEqual([serve("n1", 20002, false), serve("n1-33-4711", 20001, true)]);
  up("n2", 20003);
  expect(told()).toEqual([serve("n2", 20003, false)]);
  registry.unregister(origin);
  expect(told()).toEqual([{ type: "drop", node: `n1@${HOST}` }, serve("n1-33-4711", 20001, false)]);
});

test("a helper that is published by its exact name is none, whoever is alive", async () => {
  const { side, up, ask, told } = startSide({ publish: ["n1", "n1-33-4711"] });
  up("n1-33-4711", 20001);
  up("n1", 20002);
  told();
  expect(await side.greet(ask)).toBeUndefined();
  const served = told().flatMap((body) => (body.type === "serve" ? [[body.node, body.isHelper]] : []));
  expect(served).toEqual([
    [`n1@${HOST}`, false],
    [`n1-33-4711@${HOST}`, false],
  ]);
});

test("a node that registers while a relay process is told of the others is told of as well", async () => {
  const { side, up, ask } = startSide();
  const late = ["n3", "n4"];
  const served: string[] = [];
  for (const [index, name] of ["n1", "n2"].entries()) up(name, 20001 + index);
  await side.greet(async (body) => {
    if (body.type === "serve") {
      served.push(body.node);
      const name = late.pop();
      if (name !== undefined) up(name, 20003 + late.length);
    }
    return ask(body);
  });
  expect(served.sort()).toEqual(["n1", "n2", "n3", "n4"].map((name) => `${name}@${HOST}`));
});

test("the port for callers is told with the one before: at the first the nodes are published, at others they move", async () => {
  const { side, ask, listenAt } = startSide();
  const ports: unknown[] = [];
  await side.greet(ask);
  side.onPort((...told) => void ports.push(told));
  await side.greet(ask);
  expect(ports).toEqual([[61000, undefined]]);
  listenAt(61001);
  await side.greet(ask);
  expect(ports).toEqual([
    [61000, undefined],
    [61001, 61000],
  ]);
});
