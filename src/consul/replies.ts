import type { ServiceInstance } from "../core/catalogue.js";
import type { HeldService } from "../core/service-entry.js";

/** Consul's JSON as it comes, read without trust: what has another shape is left out. */

export interface HeldCheck {
  readonly checkId: string;
  readonly serviceId: string;
  readonly status: string;
}

type Json = Readonly<Record<string, unknown>>;

function record(value: unknown): Json | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function texts(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(record(value) ?? {}).map(([key, item]) => [key, text(item)]));
}

/** GET /v1/agent/service/:id */
export function parseService(value: unknown): HeldService | undefined {
  const service = record(value);
  if (!service || typeof service.ID !== "string") return undefined;
  return {
    id: service.ID,
    service: text(service.Service),
    tags: list(service.Tags).map(text),
    address: text(service.Address) || undefined,
    port: Number(service.Port ?? 0),
    weight: Number(record(service.Weights)?.Passing ?? 1),
    meta: texts(service.Meta),
  };
}

/** GET /v1/agent/services: by id. */
export function parseServices(value: unknown): HeldService[] {
  return Object.values(record(value) ?? {}).flatMap((item) => parseService(item) ?? []);
}

/** GET /v1/agent/checks: by check id. */
export function parseChecks(value: unknown): HeldCheck[] {
  return Object.values(record(value) ?? {}).flatMap((item) => {
    const check = record(item);
    if (!check) return [];
    return { checkId: text(check.CheckID), serviceId: text(check.ServiceID), status: text(check.Status) };
  });
}

/** GET /v1/health/service/:name, without the proxies that stand before services. */
export function parseHealth(value: unknown): ServiceInstance[] {
  return list(value).flatMap((item) => {
    const service = parseService(record(item)?.Service);
    if (!service || text(record(record(item)?.Service)?.Kind) !== "") return [];
    const { id, tags, port, meta } = service;
    const critical = list(record(item)?.Checks).some((check) => text(record(check)?.Status) === "critical");
    return { serviceId: id, tags, port, meta, critical };
  });
}
