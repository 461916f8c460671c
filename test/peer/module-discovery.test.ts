import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { type ErlangNode, startNode } from "../support/erlang.js";
import { moduleFolder } from "../support/module-folder.js";
import { findOtp } from "../support/otp.js";
import { type Peer, requirePeer } from "../support/require-peer.js";
import { waitFor } from "../support/wait-for.js";

/** What is listed or answered by somebody who means harm: an EPMD in whose hands everything is. */
interface Epmd {
  readonly port: number;
  /** Names that were looked up, without their family. */
  readonly asked: string[];
  /** Look-ups under way at once, at most so far. */
  readonly most: () => number;
  /** Lists that were given. */
  readonly lists: () => number;
  readonly close: () => Promise<void>;
}

interface Answers {
  /** Full names for the list number n; undefined: that list is not given. */
  readonly list: (n: number, pattern: string) => Iterable<string> | undefined;
  readonly lookUp: (socket: Socket, name: string) => void;
}

async function startEpmd({ list, lookUp }: Answers): Promise<Epmd> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  let lists = 0;
  let open = 0;
  let most = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.once("data", (bytes) => {
      const [opcode, text] = [bytes.toString("latin1", 2, 3), bytes.toString("latin1", 3)];
      if (opcode === "x") socket.write(Buffer.from([118, 0, 0, 0, 0, 9]));
      else if (opcode === "n") {
        const names = text === "" ? [] : list(lists++, text);
        if (!names) return;
        const lines = Array.from(names, (name) => `name ${name} at port 9\n`);
        socket.end(Buffer.concat([Buffer.from([0, 0, 0x11, 0x11]), Buffer.from(lines.join(""))]));
      } else if (opcode === "l") {
        // As an EPMD that does not know the request.
        socket.end();
      } else {
        asked.push(text.replace(/\/[46]$/, ""));
        most = Math.max(most, ++open);
        socket.on("close", () => open--);
        lookUp(socket, text);
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    most: () => most,
    lists: () => lists,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

const notFound = (socket: Socket) => void socket.end(Buffer.from([119, 1]));
const silent = () => {};
const flood = (socket: Socket) => {
  const bytes = Buffer.alloc(1 << 20, "w");
  const go = () => {
    while (!socket.destroyed && socket.write(bytes));
  };
  socket.on("drain", go);
  go();
};
/** Names that nobody has heard before, ever. */
const everNew = (count: number) => (n: number) => Array.from({ length: count }, (_, i) => `x${n}-${i}@127.0.0.1`);

const counts = async (node: ErlangNode) => {
  const values = await node.eval("[erlang:system_info(atom_count), erlang:system_info(process_count)]");
  const [atoms = 0, processes = 0] = JSON.parse(values) as number[];
  return { atoms, processes };
};

for (const release of [23, 25, 27, 29] as const) {
  const peers: Peer[] = [`otp${release}`];
  requirePeer(...peers)(`on OTP ${release}, discovery with SRV_EPMD_CONNECT`, () => {
    const otp = findOtp(release);
    let node: ErlangNode;
    let epmd: Epmd;
    const start = async (answers: Answers, patterns = "*@127.0.0.1") => {
      epmd = await startEpmd(answers);
      node = await startNode({
        name: "a@127.0.0.1",
        epmdPort: epmd.port,
        env: { SRV_EPMD_CONNECT: patterns },
        args: ["-pa", await moduleFolder(otp), "-epmd_module", "srv_epmd"],
        ...(otp && { otp }),
      });
    };
    const said = (pattern: RegExp) => node.child.stdout().match(pattern)?.length ?? 0;
    afterEach(async () => {
      await node.kill();
      await epmd.close();
    });

    test("survives a list of ever new names: 16 attempts at once, and what is listed costs no atoms", async () => {
      await start({ list: everNew(8_000), lookUp: silent });
      // On a busy machine a VM needs seconds for a list of 8,000 names.
      await waitFor(() => epmd.asked.length >= 16, { what: "the first attempts", timeout: 20_000 });
      const before = await counts(node);
      await waitFor(() => epmd.lists() >= 4, { what: "four lists", timeout: 40_000 });
      const after = await counts(node);
      expect(epmd.most()).toBe(16);
      // Each attempt has a process of ours and one or two of OTP's.
      expect(after.processes - before.processes).toBeLessThan(60);
      expect(after.atoms - before.atoms).toBeLessThan(300);
      await node.child.waitForOutput(
        /srv_epmd: 8000 nodes match SRV_EPMD_CONNECT \(\*@127\.0\.0\.1\) and are not connected: each look takes 256 of them/,
      );
      // What is logged while OTP boots is printed at once, and again when its logger is there.
      expect(said(/not connected: each look takes/g), "one line for all looks").toBeLessThan(3);
    }, 90_000);

    test("with several patterns asks for all of them at once, and for each once", async () => {
      const list = (_: number, pattern: string) => (pattern === "*@127.0.0.1" ? ["b@127.0.0.1"] : undefined);
      await start({ list, lookUp: notFound }, "c*@silent.test,*@127.0.0.1, d*@silent.test,c*@silent.test");
      await waitFor(() => epmd.lists() > 0, { what: "the first list" });
      // A list without an answer is given up after 6 s.
      await waitFor(() => epmd.lists() === 3, { what: "three lists", timeout: 5_000 });
      await waitFor(() => epmd.asked.includes("b@127.0.0.1"), { what: "a look-up", timeout: 20_000 });
    });

    test("reaches one that is new before all that have failed, however many those are", async () => {
      // Each attempt takes a while, so that there are always some that wait.
      const slow = (socket: Socket) => void setTimeout(() => notFound(socket), 40);
      const many = everNew(250)(0);
      let before: number | undefined;
      const list = () => {
        if (new Set(epmd.asked).size < many.length) return many;
        before ??= epmd.asked.length;
        return [...many, "z_new@127.0.0.1"];
      };
      await start({ list, lookUp: slow });
      await waitFor(() => epmd.asked.includes("z_new@127.0.0.1"), { what: "a look-up of the new one" });
      // What was under way goes before it, no more: not those whose pause is over.
      expect(epmd.asked.indexOf("z_new@127.0.0.1") - (before ?? 0)).toBeLessThan(40);
    });

    test("makes 65,536 new names in a VM's life, and says that it makes no more; names that are there go on", async () => {
      let armed = false;
      const list = (n: number) => (armed ? [...everNew(12)(n), "known@127.0.0.1"] : []);
      await start({ list, lookUp: notFound });
      await node.eval(`list_to_atom("known@127.0.0.1"), atomics:put(persistent_term:get(srv_epmd), 3, 65536 - 3)`);
      armed = true;
      await node.child.waitForOutput(
        /srv_epmd: SRV_EPMD_CONNECT \(\*@127\.0\.0\.1\) has given this VM 65536 new names, which stay in its memory: until it is started again it connects to no further new one, such as x\d+-\d+@127\.0\.0\.1\. Does an entry of the service have ever new tags\?/,
      );
      const times = () => epmd.asked.filter((name) => name === "known@127.0.0.1").length;
      await waitFor(() => times() >= 2, { what: "another look-up of the known one" });
      expect(epmd.asked.filter((name) => name.startsWith("x"))).toHaveLength(3);
      expect(said(/has given this VM 65536 new names/g)).toBe(1);
    });

    test("is not flooded by whoever sits on the EPMD's port: an answer without end is cut", async () => {
      await start({ list: () => [], lookUp: flood });
      const memory = async () => Number(await node.eval("erlang:memory(binary)"));
      const before = await memory();
      const answer = node.eval(`srv_epmd:address_please("b", "127.0.0.1", inet)`);
      expect(await answer).toBe("{error,answer_too_long}");
      expect((await memory()) - before).toBeLessThan(10_000_000);
    });
  });
}
