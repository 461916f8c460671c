import type { HeldService } from "../core/service-entry.js";

/** Consul's JSON as it comes, read without trust: what has another shape is left out. */

export interface HeldCheck {
  readonly checkId: string;
  readonly serviceId: string;
  readonly status: string;
}

/** An instance in the health API. */
export interface HealthInstance {
  readonly serviceId: string;
  readonly meta: Readonly<Record<string, string>>;
}

type Json = Readonly<Record<string, unknown>>;

function record(value: unknown): Json | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
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
  const tags: unknown[] = Array.isArray(service.Tags) ? service.Tags : [];
  return {
    id: service.ID,
    service: text(service.Service),
    tags: tags.map(text),
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
export function parseHealth(value: unknown): HealthInstance[] {
  const items: unknown[] = Array.isArray(value) ? value : [];
  return items.flatMap((item) => {
    const service = record(record(item)?.Service);
    if (!service || text(service.Kind) !== "") return [];
    return { serviceId: text(service.ID), meta: texts(service.Meta) };
  });
}
