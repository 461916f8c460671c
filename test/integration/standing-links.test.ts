import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import type { Authorization } from "../../src/connect/core/credentials.js";
import { type Admitted, type Caller, StandingLinks } from "../../src/connect/standing-links.js";
import { waitFor } from "../support/wait-for.js";

const uriOf = (service: string) => `spiffe://t.consul/ns/default/dc/dc1/svc/${service}`;
const admittedTo = (service: string): Admitted => {
  return { service, own: uriOf(service), uri: uriOf("web"), serial: "0a:01" };
};

/** Both ends of a connection. */
async function pair(): Promise<[Socket, Socket]> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const near = connect((server.address() as { port: number }).port, "127.0.0.1");
  const [far] = (await once(server, "connection")) as [Socket];
  onTestFinished(() => {
    for (const socket of [near, far]) socket.destroy();
    server.close();
  });
  for (const socket of [near, far]) socket.on("error", () => {});
  return [near, far];
}

/** Links that are rechecked all the time, and what becomes of them. */
function standing(authorize: (service: string, caller: Caller) => Promise<Authorization>) {
  const cuts: unknown[] = [];
  const links = new StandingLinks({
    linger: 1_000,
    authorize,
    onLinkEnd: () => undefined,
    onCut: (cut) => void cuts.push(cut),
  });
  onTestFinished(() => links.close());
  /** @returns the caller's end */
  const join = async (node: string, admitted: Admitted) => {
    const [[caller, inside], [vm]] = await Promise.all([pair(), pair()]);
    links.join(inside as TLSSocket, vm, node, admitted);
    return caller;
  };
  return { links, cuts, join };
}

test("a link is judged by the service that its caller was let in to, whatever the service is by now", async () => {
  const asked = new Set<string>();
  const { links, cuts, join } = standing(async (service, { uri, serial }) => {
    asked.add(`${service} ${uri} ${serial}`);
    return { isAllowed: service !== "svc", reason: "DENY web => svc" };
  });
  const [before, now] = [await join("a@svc", admittedTo("svc")), await join("a@shop", admittedTo("shop"))];
  links.recheckEvery(10);
  await waitFor(() => before.destroyed || before.readableEnded, { what: "the cut" });
  expect(cuts).toEqual([{ reason: "DENY web => svc", node: "a@svc", service: uriOf("svc"), caller: uriOf("web") }]);
  expect(asked).toEqual(new Set([`svc ${uriOf("web")} 0a:01`, `shop ${uriOf("web")} 0a:01`]));
  expect([links.all.map(({ node }) => node), now.destroyed]).toEqual([["a@shop"], false]);
});

test.each([
  ["is rejected", async () => Promise.reject(new Error("no answer"))],
  [
    "cannot be put at all",
    () => {
      throw new Error("no daemon has said how to reach the Consul agent");
    },
  ],
])("a question that %s cuts nothing, and the next turn asks again", async (_how, fail) => {
  let questions = 0;
  const { links, cuts, join } = standing(() => {
    questions++;
    return questions <= 2 ? fail() : Promise.resolve({ isAllowed: false, reason: "DENY" });
  });
  await join("a@svc", admittedTo("svc"));
  links.recheckEvery(10);
  await waitFor(() => cuts.length > 0, { what: "the cut by an answer", timeout: 3_000 });
  expect(questions).toBeGreaterThan(2);
});
