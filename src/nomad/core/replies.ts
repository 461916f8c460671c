import { list, record, text } from "../../api/core/json.js";
import { canonicalIp } from "../../net/ip.js";

/** An instance of a service as Nomad's catalogue has it: from its task's start to its end, whatever its health is. */
export interface NomadInstance {
  /** `_nomad-task-<alloc>-group-<group>-<name>-<port label>` */
  readonly id: string;
  readonly service: string;
  readonly namespace: string;
  readonly tags: readonly string[];
  /** The host's, or what `address_mode` says: an IP literal in its canonical form, or a name. */
  readonly address: string;
  /** 1 to 65535. */
  readonly port: number;
  readonly allocId: string;
  /** Of the Nomad client. */
  readonly nodeId: string;
  readonly jobId: string;
  /** ModifyIndex: another one after each change of the entry. */
  readonly version: number;
}

/** GET /v1/service/:name. Nomad's JSON is not trusted: what has another shape is left out. */
export function parseInstances(value: unknown): NomadInstance[] {
  return list(value).flatMap((item) => {
    const one = record(item);
    const [id, address, port] = [text(one?.ID), text(one?.Address), Number(one?.Port ?? 0)];
    if (!one || id === "" || address === "" || !Number.isInteger(port) || port < 1 || port > 65535) return [];
    return {
      id,
      service: text(one.ServiceName),
      namespace: text(one.Namespace),
      tags: list(one.Tags).filter((tag) => typeof tag === "string"),
      address: canonicalIp(address) ?? address.toLowerCase(),
      port,
      allocId: text(one.AllocID),
      nodeId: text(one.NodeID),
      jobId: text(one.JobID),
      version: Number(one.ModifyIndex ?? 0) || 0,
    };
  });
}

/** GET /v1/services: `[{Namespace, Services: [{ServiceName, Tags}]}]`. Names of the services. */
export function parseServiceNames(value: unknown): string[] {
  return list(value).flatMap((item) =>
    list(record(item)?.Services).flatMap((service) => text(record(service)?.ServiceName) || []),
  );
}
