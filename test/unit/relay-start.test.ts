import { expect, test } from "vitest";
import { relayCommand, supervisorOf } from "../../src/relay/autostart.js";
import { relayDescriptors } from "../../src/relay/limits.js";

const nowhere = () => false;

test("on a bare host what the daemon starts may outlive it", () => {
  expect(supervisorOf({ PATH: "/bin" }, nowhere)).toBeUndefined();
});

test.each([
  ["Nomad", { NOMAD_ALLOC_ID: "8a3c" }, nowhere, "this Nomad task;"],
  ["systemd", { INVOCATION_ID: "0f3e" }, nowhere, "this systemd unit;"],
  ["a service manager that is notified", { NOTIFY_SOCKET: "/run/systemd/notify" }, nowhere, "this systemd unit;"],
  ["Docker", {}, (path: string) => path === "/.dockerenv", "this container;"],
  ["Podman", {}, (path: string) => path === "/run/.containerenv", "this container;"],
  ["Nomad's Docker", { NOMAD_ALLOC_ID: "8a3c" }, () => true, "this Nomad task;"],
] as const)("under %s it ends with its task", (_what, env, exists, text) => {
  const supervisor = supervisorOf(env, exists);
  expect(supervisor).toContain(text);
  expect(supervisor).toContain("run srv-epmd relay");
});

test("a relay process that is started ends itself when nobody needs it", () => {
  expect(relayCommand(["/usr/bin/node", "/opt/srv-epmd.cjs"], "/run/r.sock", { low: 61000, high: 61999 })).toEqual([
    "/usr/bin/node",
    "/opt/srv-epmd.cjs",
    "relay",
    "--relay-socket",
    "/run/r.sock",
    "--relay-ports",
    "61000-61999",
    "--until-idle",
  ]);
});

test("most of the open files are for listeners and links, and with very few of them half", () => {
  expect(relayDescriptors(1024)).toBe(912);
  expect(relayDescriptors(100)).toBe(50);
  expect(relayDescriptors(undefined)).toBe(Number.POSITIVE_INFINITY);
});
