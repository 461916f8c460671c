import { request } from "node:http";

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export interface HttpOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One request on a connection of its own. @param at `ip:port` */
export function http(
  at: string,
  path: string,
  { method = "GET", headers = {} }: HttpOptions = {},
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const sent = request(`http://${at}${path}`, { method, headers, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    sent.on("error", reject);
    sent.end();
  });
}

export interface ServerSentEvent {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface EventReader {
  readonly status: number;
  readonly headers: HttpAnswer["headers"];
  readonly events: readonly ServerSentEvent[];
  /** All that came, as it came. */
  readonly raw: () => string;
  readonly isClosed: () => boolean;
  readonly close: () => void;
}

/** Reads a stream of server-sent events, once its head is there. */
export function readEvents(at: string, path: string): Promise<EventReader> {
  const events: ServerSentEvent[] = [];
  let closed = false;
  return new Promise((resolve, reject) => {
    const sent = request(`http://${at}${path}`, { agent: false }, (response) => {
      let text = "";
      let all = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        all += chunk;
        const blocks = (text + chunk).split("\n\n");
        text = blocks.pop() ?? "";
        for (const block of blocks) {
          const [, type, data] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? [];
          if (type !== undefined && data !== undefined) events.push({ type, data: JSON.parse(data) });
        }
      });
      response.on("error", () => {});
      response.on("close", () => {
        closed = true;
      });
      const { statusCode: status = 0, headers } = response;
      resolve({ status, headers, events, raw: () => all, isClosed: () => closed, close: () => sent.destroy() });
    });
    sent.on("error", reject);
    sent.end();
  });
}
