import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findProgram } from "./environment.js";
import { type ErlangServer, type ServerOptions, startServer } from "./erlang-server.js";
import { freePort } from "./free-port.js";
import { findUnpackedServer, type UnpackedServer } from "./unpacked.js";

/** The one domain that it serves: users are `someone@chat.test`. */
export const VIRTUAL_HOST = "chat.test";

export interface EjabberdOptions extends ServerOptions {
  /**
   * FIREWALL_WINDOW, first and last distribution port, of the node and of its tool; the VM takes an ephemeral port when not
   * given. With a window of one port the tool has none.
   */
  readonly distPorts?: readonly [number, number];
  /** For clients, on 127.0.0.1; a free one when not given. */
  readonly xmppPort?: number;
}

export interface Ejabberd extends ErlangServer {
  readonly xmppPort: number;
}

export function findEjabberd(): UnpackedServer | undefined {
  return findUnpackedServer("ejabberd");
}

/** Real ejabberd, its code unmodified; it is started when this returns. @throws with the tail of its log */
export async function startEjabberd(options: EjabberdOptions): Promise<Ejabberd> {
  const server = findEjabberd();
  if (server === undefined) throw new Error("ejabberd is not there: bash test/install-peers.sh");
  const { name, distPorts, xmppPort = await freePort() } = options;
  const started = await startServer(server, options, async (dir) => {
    const file = (path: string) => join(dir, path);
    await mkdir(file("config"), { recursive: true });
    await mkdir(file("spool"), { recursive: true });
    await mkdir(file("log"), { recursive: true });
    const script = await readFile(server.path("usr/sbin/ejabberdctl"), "utf8");
    // It would become the user of the installed package, which is not there.
    await writeProgram(file("ejabberdctl"), script.replace(/^INSTALLUSER=.*$/m, "INSTALLUSER="));
    await writeProgram(file("erl"), erl(server));
    await writeFile(file("config/ejabberdctl.cfg"), ctlConfig(file("erl"), distPorts));
    await writeFile(file("config/ejabberd.yml"), config(xmppPort));
    await writeFile(file("config/inetrc"), await readFile(server.path("etc/ejabberd/inetrc")));
    const flags = ["-n", name, "-d", file("config"), "-l", file("log"), "-s", file("spool")];
    return {
      command: [file("ejabberdctl"), ...flags, "foreground"],
      ctl: [file("ejabberdctl"), ...flags],
      logFile: file("log/ejabberd.log"),
      ready: /ejabberd \S+ is started in the node/,
      env: { CONTRIB_MODULES_PATH: file("modules") },
    };
  });
  return { ...started, xmppPort };
}

/** The script sets ERL_LIBS to where the package would be installed. Its VMs end with it: it does not become them. */
function erl(server: UnpackedServer): string {
  const libraries = [server.path("usr/lib/*-linux-gnu"), server.path("usr/lib/erlang/lib")].join(":");
  const program = server.otp.program("erl");
  return `#!/bin/sh\nERL_LIBS=${libraries} exec setpriv --pdeathsig KILL -- ${program} "$@"\n`;
}

function ctlConfig(erl: string, distPorts: EjabberdOptions["distPorts"]): string {
  const lines = [`ERL=${erl}`, `EPMD=${findProgram("epmd") ?? "epmd"}`];
  return [...lines, ...(distPorts ? [`FIREWALL_WINDOW=${distPorts.join("-")}`] : []), ""].join("\n");
}

function config(xmppPort: number): string {
  return `hosts: [${VIRTUAL_HOST}]
loglevel: info
acme:
  auto: false
listen:
  - port: ${xmppPort}
    ip: 127.0.0.1
    module: ejabberd_c2s
api_permissions:
  "console commands":
    from: ejabberd_ctl
    who: all
    what: "*"
modules:
  mod_admin_extra: {}
  mod_roster: {}
`;
}

async function writeProgram(file: string, text: string): Promise<void> {
  await writeFile(file, text);
  await chmod(file, 0o755);
}
