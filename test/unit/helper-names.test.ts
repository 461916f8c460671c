import { describe, expect, test } from "vitest";
import { isHelperName } from "../../src/core/helper-names.js";

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
  ])("%s only resembles one and stays public", (name) => {
    expect(isHelperName(name)).toBe(false);
  });
});
