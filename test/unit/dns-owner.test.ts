import { expect, test } from "vitest";
import { srvOwner } from "../../src/resolve/core/resolution.js";

const node = { aliveName: "node_b", host: "svc.service.consul", family: undefined, form: "full" } as const;

test.each([
  ["{name}.{host}", "node_b.svc.service.consul"],
  ["_{service}._{name}.service.consul", "_svc._node_b.service.consul"],
  ["_erl._tcp.{host}.", "_erl._tcp.svc.service.consul"],
])("--srv-name %s asks for %s", (template, owner) => {
  expect(srvOwner(template, node)).toBe(owner);
});
