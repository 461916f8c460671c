import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { findLookUps, lookUpFilter } from "../../src/admin/core/recent-look-ups.js";
import type { Status } from "../../src/admin/core/status.js";
import { POLICY } from "../../src/admin/http.js";
import PAGE_JS from "../../src/admin/page/page.client.js";
import PAGE_CSS from "../../src/admin/page/page.css";
import { renderPage } from "../../src/admin/page.js";

export interface PageServer {
  readonly url: string;
  /** Requests of the page itself so far. */
  readonly pages: () => number;
  /** Event streams that are open. */
  readonly streams: () => number;
  /** What the next request is shown. */
  readonly show: (status: Status, now: number) => void;
  readonly send: (type: "look-up" | "node" | "status", data?: object) => void;
  /** How the next streams are answered; those that are open end. */
  readonly stream: (how: "served" | "refused") => void;
  readonly close: () => Promise<void>;
}

/** The page as the daemon serves it, with a status and events that the test makes. */
export async function startPageServer(status: Status, now: number): Promise<PageServer> {
  let shown = { status, now };
  let served = true;
  let pages = 0;
  const streams = new Set<ServerResponse>();
  const texts: Readonly<Record<string, readonly [type: string, text: (query: URLSearchParams) => string]>> = {
    "/": ["text/html", (query) => pageOf(shown, query)],
    "/page.css": ["text/css", () => PAGE_CSS],
    "/page.js": ["text/javascript", () => PAGE_JS],
  };
  const server = createServer((request, response) => {
    const [path = "", query = ""] = (request.url ?? "").split("?", 2);
    const file = texts[path];
    if (path === "/") pages++;
    if (file !== undefined) {
      const headers = { "Content-Type": `${file[0]}; charset=utf-8`, "Content-Security-Policy": POLICY };
      response.writeHead(200, headers).end(file[1](new URLSearchParams(query)));
    } else if (path === "/v1/events" && served) {
      response.writeHead(200, { "Content-Type": "text/event-stream" }).write("retry: 200\n\n");
      streams.add(response);
      response.once("close", () => streams.delete(response));
    } else {
      response.writeHead(path === "/v1/events" ? 503 : 404).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    pages: () => pages,
    streams: () => streams.size,
    show: (next, at) => {
      shown = { status: next, now: at };
    },
    send: (type, data = {}) => {
      for (const stream of streams) stream.write(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
    },
    stream: (how) => {
      served = how === "served";
      for (const stream of streams) stream.destroy();
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** As the route of the daemon makes it. */
function pageOf({ status, now }: { readonly status: Status; readonly now: number }, query: URLSearchParams): string {
  return renderPage(status, now, findLookUps(status.lookUps, lookUpFilter(query)));
}
