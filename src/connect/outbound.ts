import type { Socket } from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { ConnectError, describeError } from "../errors.js";
import { type ExpectedPeer, urisOf, whyOtherService } from "./core/service-uri.js";
import type { Credentials } from "./trust.js";

/** For a connection to the mTLS port of a peer: our certificate is shown, and only that of the expected service is taken. */
export function connectOptions(
  credentials: Credentials,
  expected: ExpectedPeer,
  serverName: string,
): ConnectionOptions {
  return {
    secureContext: credentials.context,
    // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
    rejectUnauthorized: true,
    servername: serverName,
    // The name of a host says nothing here: the service in the certificate does.
    checkServerIdentity: (_, certificate) => {
      const why = whyOtherService(urisOf(certificate.subjectaltname), expected, credentials.own);
      return why === undefined ? undefined : new Error(why);
    },
  };
}

/** Milliseconds, beside those of the dialling: a VM gives up after 7 s. */
const HANDSHAKE_LIMIT = 3_000;

/**
 * Makes mutual TLS on a connection to the mTLS port of a peer: it shows our certificate, and takes only the certificate of the
 * service that was looked up. Rejects with a ConnectError; the connection is closed then.
 * @param serverName of the node: see serverNameOf
 */
export function secure(
  socket: Socket,
  credentials: Credentials,
  expected: ExpectedPeer,
  serverName: string,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const secured = connect({ socket, ...connectOptions(credentials, expected, serverName) });
    const timer = setTimeout(() => secured.destroy(new Error(`no TLS within ${HANDSHAKE_LIMIT} ms`)), HANDSHAKE_LIMIT);
    const failed = (error: Error) => {
      clearTimeout(timer);
      secured.destroy();
      reject(new ConnectError("TLS", describeError(error)));
    };
    const ended = () => failed(new Error("it ends the connection"));
    // It may fail between the end of the handshake and the next use of it.
    secured.on("error", () => {});
    secured.once("error", failed).once("close", ended);
    secured.once("secureConnect", () => {
      clearTimeout(timer);
      if (!secured.authorized)
        return failed(new Error(`its certificate is not accepted: ${secured.authorizationError}`));
      secured.off("error", failed).off("close", ended);
      resolve(secured);
    });
  });
}
