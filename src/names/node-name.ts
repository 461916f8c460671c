import { hostName, isAliveName } from "../config/network-values.js";
import { ValueError } from "../config/values.js";
import type { Family } from "../net/endpoint.js";

/** A node name as asked for. An alive name is what stands before the `@`. */
export interface NodeName {
  readonly aliveName: string;
  /** Host part, lower case, without trailing dot; undefined for a bare name. */
  readonly host: string | undefined;
  /** The host part is complete, whatever the search list of resolv.conf says: it was written with a trailing dot. */
  readonly absolute?: true;
  /** The family a client of the module way asked for (`name@host/4`). */
  readonly family: Family | undefined;
  /** `full`, with an `@`: only clients that read the endpoints in Extra ask like this; stock ones send what stands before it. */
  readonly form: "full" | "dotted" | "bare";
}

/**
 * `name@host[/4|/6]`, `name.rest.of.host` (an alive name has no dot), or a bare name.
 * @throws ValueError that says what would be right
 */
export function parseNodeName(text: string): NodeName {
  const full = /^([^@]*)@(.*?)(?:\/([46]))?$/s.exec(text);
  const [name, host, form] = full
    ? [full[1] ?? "", full[2] ?? "", "full" as const]
    : text.includes(".")
      ? [text.slice(0, text.indexOf(".")), text.slice(text.indexOf(".") + 1), "dotted" as const]
      : [text, undefined, "bare" as const];
  if (!isAliveName(name)) {
    throw new ValueError(
      "must be a node name such as node_a@svc.service.consul: the part before the @ is not a node's",
    );
  }
  return {
    aliveName: name,
    host: host === undefined ? undefined : parseHost(host),
    ...(host?.endsWith(".") ? { absolute: true } : {}),
    family: full?.[3] === undefined ? undefined : full[3] === "4" ? 4 : 6,
    form,
  };
}

function parseHost(host: string): string {
  try {
    return hostName(host);
  } catch (error) {
    throw new ValueError("must be a node name such as node_a@svc.service.consul: the host part is no domain name", {
      cause: error,
    });
  }
}

/** `node_a@svc.service.consul`, or the alive name alone. */
export function formatNodeName({ aliveName, host }: Pick<NodeName, "aliveName" | "host">): string {
  return host === undefined ? aliveName : `${aliveName}@${host}`;
}
