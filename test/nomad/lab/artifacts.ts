import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { basename } from "node:path";
import { pipeline } from "node:stream/promises";
import { OPERATOR } from "./machine.js";

export interface Artifact {
  readonly url: string;
  /** `sha256:...` */
  readonly checksum: string;
}

export interface ArtifactServer {
  /** Makes a file known under its name. */
  readonly offer: (file: string) => Promise<Artifact>;
  readonly close: () => Promise<void>;
}

/** Serves files to the clients of the lab. */
export async function serveArtifacts(): Promise<ArtifactServer> {
  const files = new Map<string, string>();
  const server = createServer((request, response) => {
    const file = files.get(request.url ?? "");
    if (file === undefined) response.writeHead(404).end();
    // A client that goes away in the middle asks again.
    else if (request.method === "HEAD") response.end();
    else pipeline(createReadStream(file), response).catch(() => undefined);
  });
  server.listen(0, OPERATOR);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    offer: async (file) => {
      const path = `/${basename(file)}`;
      files.set(path, file);
      const hash = createHash("sha256");
      await pipeline(createReadStream(file), hash);
      return { url: `http://${OPERATOR}:${port}${path}`, checksum: `sha256:${hash.digest("hex")}` };
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
