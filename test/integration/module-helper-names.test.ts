import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { isHelperName } from "../../src/names/node-name.js";
import { run } from "../support/child.js";
import { cleanEnvironment } from "../support/environment.js";
import { requirePeer } from "../support/require-peer.js";
import { temporaryFolder } from "../support/temporary.js";

const SOURCE = fileURLToPath(new URL("../../src/beam/srv_epmd.erl", import.meta.url));

const HELPERS = [
  ...["rpc-1a2b-web", "rem-00ff-web", "RPC-0000B5E1-web", "rpc-1-x", "rabbitmqcli-88-rabbit", "rabbit_prelaunch_4711"],
  ...["rabbit_ctl_17", "epmd-starter-123456789", "remsh9f3c-web", "maint1-web", "longname2-web", "Remsh0-x"],
  ...["3F9-ctl-e1", "3f9-ctl", "a0c-ping", "fff-debug", "b7e-top-e1", "17-4242-ctl-e1", "1-2-debug"],
  ...["rpc--rel", "rem--rel", "REM--rel", "peer-435-23047", "rabbit-2018-26012"],
];
const NODES = [
  ...[
    "web",
    "rpc",
    "rpc-server",
    "remote-web",
    "rem-xyz-web",
    "rpc-123456789-web",
    "rabbitmqcli",
    "rabbitmqcli-x-rabbit",
  ],
  ...["my-rabbitmqcli-88-x", "rabbit_prelaunch_x", "prelaunch_1_rabbit", "maintenance-1", "remsh", "remsh-web"],
  ...[
    "epmd-starter-1-x",
    "db-ping",
    "3f9-topic",
    "cafe-ctl",
    "ctl-1",
    "3f9-control",
    "1-2-pinger",
    "node_a",
    "a_ctl_1_b",
    "",
  ],
  ...["rpc-", "peer-1", "peer-1-x", "peer-1-2-3", "my-peer-1-2", "rabbit-1", "rabbit-01-2", "n1-130-26011"],
  ...["ip-10-0-0-12", "shard-2-10"],
  // These are told by case.
  ...["Peer-1-2", "RABBIT-1-2"],
  ...["Rabbit_PRELAUNCH_1", "RABBITMQCLI-88-rabbit", "EPMD-starter-1", "1-2-CTL"],
];

requirePeer("erl", "erlc")("the module and the daemon", () => {
  test("agree on which names are helpers: the module gives those no ERL_DIST_PORT", async () => {
    const folder = await temporaryFolder("helper-names");
    expect(await run("erlc", ["-Werror", "-o", folder, SOURCE])).toMatchObject({ code: 0, stdout: "" });
    const names = [...HELPERS, ...NODES];
    const ask = `[io:format("~s ~p~n", [N, srv_epmd:listen_port_please(list_to_atom(N), "h")]) || N <- ${JSON.stringify(names)}], halt().`;
    const { stdout, stderr } = await run("erl", ["-noshell", "-pa", folder, "-eval", ask], {
      env: cleanEnvironment({ ERL_DIST_PORT: "4242", HOME: folder }),
    });
    const helpers = (port: number) =>
      stdout.match(new RegExp(`^.* \\{ok,${port}\\}$`, "gm"))?.map((line) => line.split(" ")[0]);
    expect(helpers(0), stderr).toEqual(HELPERS);
    expect(helpers(4242)).toEqual(NODES);
    expect(names.filter((name) => isHelperName(name))).toEqual(HELPERS);
  });
});
