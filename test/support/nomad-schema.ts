import type { Body } from "./nomad-job.js";

/** A kind of block of Nomad's job specification: what may stand in it, as far as our jobs use it. */
interface Kind {
  readonly attributes?: readonly string[];
  readonly required?: readonly string[];
  readonly blocks?: Readonly<Record<string, Kind>>;
  /** Blocks of this kind have a name. */
  readonly labelled?: boolean;
  /** Any attribute, as in `env`. */
  readonly free?: boolean;
}

const UPSTREAMS: Kind = {
  attributes: ["destination_name", "destination_type", "local_bind_port", "local_bind_address"],
  required: ["destination_name", "local_bind_port"],
};

const CHECK: Kind = {
  attributes: ["type", "task", "command", "args", "port", "path", "interval", "timeout"],
  required: ["type", "interval", "timeout"],
};

const SERVICE: Kind = {
  attributes: ["name", "port", "tags", "provider", "address_mode"],
  required: ["name", "port"],
  blocks: {
    check: CHECK,
    connect: {
      blocks: {
        sidecar_service: {
          attributes: ["tags", "port"],
          blocks: { proxy: { attributes: ["local_service_port"], blocks: { upstreams: UPSTREAMS } } },
        },
      },
    },
  },
};

const NETWORK: Kind = {
  attributes: ["mode", "hostname"],
  required: ["mode"],
  blocks: {
    port: { labelled: true, attributes: ["to", "static", "host_network"] },
    dns: { attributes: ["servers", "searches", "options"] },
  },
};

const RESTART: Kind = { attributes: ["attempts", "interval", "delay", "mode"] };

const UPDATE: Kind = {
  attributes: [
    ...["max_parallel", "canary", "auto_promote", "auto_revert", "stagger"],
    ...["health_check", "min_healthy_time", "healthy_deadline", "progress_deadline"],
  ],
};

const TASK: Kind = {
  labelled: true,
  attributes: ["driver", "user", "kill_signal", "kill_timeout", "leader", "shutdown_delay"],
  required: ["driver", "config", "resources"],
  blocks: {
    config: { attributes: ["command", "args"], required: ["command"] },
    lifecycle: { attributes: ["hook", "sidecar"], required: ["hook"] },
    artifact: {
      attributes: ["source", "destination", "mode"],
      required: ["source"],
      blocks: { options: { attributes: ["checksum"] } },
    },
    consul: { attributes: ["cluster", "namespace", "partition"] },
    identity: {
      // Without a name it is Nomad's own, which has no other audience.
      attributes: ["name", "aud", "env", "file", "filepath", "ttl", "change_mode", "change_signal"],
    },
    env: { free: true },
    restart: RESTART,
    resources: { attributes: ["cpu", "memory", "memory_max"], required: ["cpu", "memory"] },
  },
};

const JOB: Kind = {
  labelled: true,
  attributes: ["id", "name", "type", "priority", "namespace", "datacenters"],
  required: ["group"],
  blocks: {
    update: UPDATE,
    group: {
      labelled: true,
      attributes: ["count", "shutdown_delay"],
      required: ["task", "network"],
      blocks: { network: NETWORK, service: SERVICE, restart: RESTART, task: TASK },
    },
  },
};

/** What is wrong with the job blocks of a file: unknown, missing and misplaced things, each with its place. */
export function faultsOf(jobs: unknown): string[] {
  return check("job", jobs, JOB);
}

function check(path: string, found: unknown, kind: Kind): string[] {
  if (!kind.labelled) return list(found).flatMap((body) => checkBody(path, body, kind));
  if (Array.isArray(found)) return [`${path}: has no name`];
  return Object.entries(found as Body).flatMap(([label, bodies]) =>
    list(bodies).flatMap((body) => checkBody(`${path} "${label}"`, body, kind)),
  );
}

function checkBody(path: string, body: Body, kind: Kind): string[] {
  const { dynamic = {}, ...static_ } = body as Body & { readonly dynamic?: Readonly<Record<string, unknown>> };
  // `dynamic "kind" { for_each, content { ... } }` makes blocks of that kind.
  const made = Object.entries(dynamic).flatMap(([name, uses]) =>
    list(uses).flatMap((use) => {
      const { for_each: forEach, content, ...rest } = use;
      const faults = Object.keys(rest).map((key) => `${path} > dynamic "${name}": unknown ${key}`);
      if (forEach === undefined) faults.push(`${path} > dynamic "${name}": no for_each`);
      return [...faults, ...checkKey(path, name, content, kind)];
    }),
  );
  const missing = (kind.required ?? []).filter((key) => !(key in static_)).map((key) => `${path}: no ${key}`);
  return [...missing, ...made, ...Object.entries(static_).flatMap(([key, value]) => checkKey(path, key, value, kind))];
}

function checkKey(path: string, key: string, value: unknown, { blocks = {}, attributes = [], free }: Kind): string[] {
  const inner = blocks[key];
  const isBlock = Array.isArray(value) ? value.every((item) => typeof item === "object") : typeof value === "object";
  if (inner) return isBlock ? check(`${path} > ${key}`, value, inner) : [`${path}: ${key} is a block`];
  if (!free && !attributes.includes(key)) return [`${path}: unknown ${key}`];
  return isBlock && !(Array.isArray(value) && value.length === 0) ? [`${path}: ${key} is no block`] : [];
}

function list(found: unknown): readonly Body[] {
  return (Array.isArray(found) ? found : [found]) as Body[];
}
