import { describe, expect, test } from "vitest";
import { isHelperBeside, isHelperName } from "../../src/names/node-name.js";

describe("names of VMs that live for one command", () => {
  test.each([
    ["rpc-1a2b-web", "an Elixir release's rpc"],
    ["rem-00ff-web", "an Elixir release's remote"],
    ["rpc-0000b5e1-web", "the same with od's zero padding"],
    ["rabbitmqcli-88-rabbit", "rabbitmqctl"],
    ["rabbit_prelaunch_4711", "RabbitMQ before its boot"],
    ["rabbit_ctl_17", "RabbitMQ's rabbit_env"],
    ["epmd-starter-123456789", "RabbitMQ's look after EPMD"],
    ["remsh9f3c-web", "relx's remote console"],
    ["maint1-web", "relx's maintenance"],
    ["longname2-web", "relx's name check"],
    ["3F9-ctl-e1", "ejabberdctl"],
    ["3f9-ctl", "ejabberdctl without a node"],
    ["a0c-ping", "ejabberdctl ping"],
    ["b7e-top-e1", "ejabberdctl etop"],
    ["17-4242-ctl-e1", "ejabberdctl before OTP 23"],
    ["rpc--rel", "an Elixir release's rpc in an image without awk"],
    ["rem--rel", "an Elixir release's remote there"],
    ["peer-435-23047", "OTP's peer"],
    ["rabbit-2018-26012", "what RabbitMQ 4 starts to look for its peers"],
  ])("%s is one: %s", (name) => {
    expect(isHelperName(name)).toBe(true);
  });

  test.each([
    "web",
    "rpc",
    "rpc-server",
    "remote-web",
    "rem-xyz-web",
    "rabbitmqcli",
    "my-rabbitmqcli-88-x",
    "rabbit_prelaunch_x",
    "prelaunch_1_rabbit",
    "maintenance-1",
    "remsh",
    "epmd-starter-1-x",
    "db-ping",
    "db-top",
    "3f9-topic",
    "cafe-ctl",
    "ctl-1",
    "rpc-",
    "peer-1",
    "peer-1-x",
    "peer-1-2-3",
    "my-peer-1-2",
    "rabbit-1",
    "rabbit-01-2",
    "rabbit-0-1-2",
    "n1-130-26011",
    "ip-10-0-0-12",
    "shard-2-10",
  ])("%s only resembles one and stays public", (name) => {
    expect(isHelperName(name)).toBe(false);
  });

  test("n1-130-26011 is one beside n1 alone: a RabbitMQ that is called n1 has started it", () => {
    const beside =
      (...alive: string[]) =>
      (name: string) =>
        alive.includes(name);
    expect(isHelperName("n1-130-26011", beside("n2", "n1"))).toBe(true);
    expect(isHelperName("web-2-1-1234", beside("web-2"))).toBe(true);
    for (const name of ["n1", "n1-130", "n1-130-0", "n1-0130-26011", "n1-x-26011", "130-26011", "-130-26011"]) {
      expect(isHelperName(name, beside("n1", "130", "")), name).toBe(false);
    }
    expect(isHelperName("n1-130-26011", beside("n", "n1-130", "n1-130-26011"))).toBe(false);
  });

  test("the other beside which a name is one is told from all others", () => {
    const names = [
      "n1",
      "n1-130",
      "n1-130-26011",
      "n1-0130-26011",
      "n1-1-2-3-4",
      "n1-1-2",
      "N1",
      "n",
      "",
      "-130-26011",
    ];
    for (const name of names) {
      for (const other of names) {
        const isOne = isHelperName(name, (alive) => alive === other);
        expect(isHelperBeside(name, other), `${name} beside ${other}`).toBe(isOne);
      }
    }
    expect(isHelperBeside("n1-1-2-3-4", "n1-1-2")).toBe(true);
  });
});
