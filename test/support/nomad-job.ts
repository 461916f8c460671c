import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

/** Its type declarations would bring those of browsers into every file. */
const { parse } = createRequire(import.meta.url)("@cdktf/hcl2json") as {
  readonly parse: (file: string, text: string) => Promise<unknown>;
};

export const JOBS = fileURLToPath(new URL("../../nomad/", import.meta.url));

/** A block as the parser gives it: attributes, and blocks as lists, or by label. Expressions are text, `${...}`. */
export type Body = Readonly<Record<string, unknown>>;

export interface JobFile {
  readonly text: string;
  readonly variables: Readonly<Record<string, Body>>;
  /** By label. */
  readonly jobs: Readonly<Record<string, readonly Body[]>>;
}

/**
 * @param edit what a user changes in the file
 * @throws where it is no HCL, with line and column
 */
export async function readJob(name: string, edit = (text: string) => text): Promise<JobFile> {
  const text = edit(await readFile(`${JOBS}${name}`, "utf8"));
  const file = (await parse(name, text)) as { variable?: Record<string, Body[]>; job?: JobFile["jobs"] };
  const variables = Object.fromEntries(Object.entries(file.variable ?? {}).map(([key, body]) => [key, first(body)]));
  return { text, variables, jobs: file.job ?? {} };
}

/** The only block of its kind, or that of the label. */
export function block(body: Body, kind: string, label?: string): Body | undefined {
  const found = body[kind];
  const list = label === undefined ? found : (found as Readonly<Record<string, unknown>> | undefined)?.[label];
  return list === undefined ? undefined : first(list as Body[]);
}

export function blocks(body: Body, kind: string): Readonly<Record<string, Body>> {
  const labelled = (body[kind] ?? {}) as Readonly<Record<string, Body[]>>;
  return Object.fromEntries(Object.entries(labelled).map(([label, list]) => [label, first(list)]));
}

function first(list: readonly Body[]): Body {
  const [body, ...more] = list;
  if (!body || more.length > 0) throw new Error(`${list.length} blocks where one is meant`);
  return body;
}

export type Values = Readonly<Record<string, string | number | readonly string[]>>;

/** What a job's expressions may name. */
export interface Scope {
  /** Those of `var.` without a value here stand at their default. */
  readonly variables: Values;
  /** What Nomad gives while it runs: `NOMAD_PORT_dist`, `attr.unique.network.ip-address`. */
  readonly runtime: Readonly<Record<string, string>>;
}

/** An attribute's value, with its expressions replaced as Nomad would. @throws on what it does not know */
export function fill(value: unknown, scope: Scope): string {
  return String(value).replaceAll(/(\$?)\$\{((?:[^"{}]|"[^"]*")*)\}/g, (whole, escaped: string, expression: string) =>
    escaped ? whole.slice(1) : evaluate(expression.trim(), scope),
  );
}

function evaluate(expression: string, { variables, runtime }: Scope): string {
  const joined = /^join\("([^"]*)", var\.(\w+)\)$/.exec(expression);
  const name = joined?.[2] ?? /^var\.(\w+)$/.exec(expression)?.[1];
  if (name !== undefined) {
    const value = variables[name];
    if (value === undefined) throw new Error(`var.${name} has no value`);
    return Array.isArray(value) ? value.join(joined?.[1]) : String(value);
  }
  const value = runtime[expression];
  if (value === undefined) throw new Error(`Nomad gives no \${${expression}}`);
  return value;
}

export interface Task {
  readonly name: string;
  readonly lifecycle: "main" | "prestart" | "sidecar";
  readonly command: string;
  readonly args: readonly string[];
  /** Of its `env` block. */
  readonly env: Readonly<Record<string, string>>;
  readonly killSignal: NodeJS.Signals;
  /** Names of its identities whose JWT Nomad writes into a file; the one without a name is for Nomad itself. */
  readonly identities: readonly string[];
}

/** The tasks of the job's only group, in the order of the file. */
export function tasksOf(file: JobFile, scope: Scope): Task[] {
  return Object.entries(blocks(groupOf(file), "task")).map(([name, body]) => {
    const config = block(body, "config") ?? {};
    const lifecycle = block(body, "lifecycle");
    return {
      name,
      lifecycle: lifecycle === undefined ? "main" : lifecycle.sidecar === true ? "sidecar" : "prestart",
      command: fill(config.command, scope),
      args: ((config.args ?? []) as string[]).map((arg) => fill(arg, scope)),
      env: Object.fromEntries(Object.entries(block(body, "env") ?? {}).map(([key, text]) => [key, fill(text, scope)])),
      // Nomad's default for every driver but docker.
      killSignal: (body.kill_signal ?? "SIGINT") as NodeJS.Signals,
      identities: ((body.identity ?? []) as Body[])
        .filter(({ file, name: own }) => file === true && own !== undefined)
        .map(({ name: own }) => String(own)),
    };
  });
}

/** @throws when the file has not exactly one job with one group */
export function groupOf({ jobs }: JobFile): Body {
  const groups = Object.values(jobs).flatMap((list) => list.flatMap((job) => Object.values(blocks(job, "group"))));
  return first(groups);
}

export function defaultsOf({ variables }: JobFile): Values {
  const given = Object.entries(variables).filter(([, body]) => body.default !== undefined);
  return Object.fromEntries(given.map(([name, body]) => [name, body.default as Values[string]]));
}

/** What a service of the job has to do with the mesh. */
export interface MeshService {
  readonly name: string;
  /** Where the proxy finds what it stands for, in the allocation. */
  readonly port: number;
  readonly upstreams: readonly { readonly destination: string; readonly port: number }[];
  /** Of its check, which runs in a task. */
  readonly check: { readonly task: string; readonly command: string; readonly args: readonly string[] };
}

/** The group's service with a `connect` block, with the blocks that its `dynamic "upstreams"` makes. */
export function meshServiceOf(file: JobFile, scope: Scope): MeshService | undefined {
  const services = (groupOf(file).service ?? []) as Body[];
  const service = services.find((each) => block(each, "connect"));
  if (!service) return undefined;
  const inner = ["connect", "sidecar_service", "proxy"].reduce((body, kind) => block(body, kind) ?? {}, service);
  const upstreams = block(inner.dynamic as Body, "upstreams") ?? {};
  const content = block(upstreams, "content") ?? {};
  const check = block(service, "check") ?? {};
  const port = (text: unknown, within: Scope) => Number(fill(text, within));
  return {
    name: fill(service.name, scope),
    port: port(service.port, scope),
    upstreams: eachOf(String(upstreams.for_each), scope).map(([key, value]) => {
      const within = { ...scope, runtime: { ...scope.runtime, "upstreams.key": key, "upstreams.value": value } };
      return { destination: fill(content.destination_name, within), port: port(content.local_bind_port, within) };
    }),
    check: {
      task: String(check.task),
      command: String(check.command),
      args: ((check.args ?? []) as string[]).map((arg) => fill(arg, scope)),
    },
  };
}

/** `{ for index, name in var.list : name => base + index if name != var.one }`, the one form that our jobs have. */
function eachOf(expression: string, { variables }: Scope): [string, string][] {
  const form = /^\$\{\{ for (\w+), (\w+) in var\.(\w+) : \2 => ([0-9]+) \+ \1 if \2 != var\.(\w+) \}\}$/;
  const [, , , list = "", base, one = ""] = form.exec(expression) ?? [];
  const items = variables[list];
  if (!Array.isArray(items)) throw new Error(`for_each: ${expression}`);
  const pairs = (items as readonly string[]).map((name, index): [string, string] => [
    name,
    String(Number(base) + index),
  ]);
  return pairs.filter(([name]) => name !== variables[one]);
}
