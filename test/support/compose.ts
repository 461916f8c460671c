import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";

export const COMPOSE = fileURLToPath(new URL("../../examples/docker-compose/", import.meta.url));

interface Healthcheck {
  /** Not given: that of the image. */
  readonly test?: readonly string[];
  readonly interval?: string;
  readonly start_period?: string;
}

/** As much of a service as ours use. */
export interface Service {
  readonly image: string;
  readonly build?: { readonly context: string; readonly args: readonly string[] };
  readonly hostname?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly healthcheck: Healthcheck;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly network_mode?: string;
  readonly networks?: Readonly<Record<string, { readonly ipv4_address: string }>>;
  readonly volumes?: readonly string[];
}

export interface ComposeFile {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<Record<string, { readonly ipam: { readonly config: readonly { subnet: string }[] } }>>;
  readonly volumes?: Readonly<Record<string, unknown>>;
}

/**
 * With `<<` merged, `${NAME:-default}` filled in as Compose does, and `$$` as what a container gets, `$`.
 * @throws where it is no YAML
 */
export function readCompose(env: NodeJS.ProcessEnv = {}): ComposeFile {
  const text = readFileSync(`${COMPOSE}compose.yaml`, "utf8").replaceAll(
    /(?<!\$)\$\{([A-Z_]+):-([^}]+)\}/g,
    (_, name: string, standard: string) => env[name] || standard,
  );
  const variable = /(?<!\$)(?:\$\$)*\$(?!\$)/.exec(text);
  if (variable) throw new Error(`Compose would fill in a variable of its own at ${variable.index}`);
  return parse(text.replaceAll("$$", "$"), { merge: true }) as ComposeFile;
}

/** The services that run our image. */
export function ours({ services }: ComposeFile): [name: string, service: Service][] {
  return Object.entries(services).filter(([, { build }]) => build !== undefined);
}

/** The service whose network a service has, itself when it has its own. */
export function networkOwner(name: string, { services }: ComposeFile): string {
  return /^service:(.*)$/.exec(services[name]?.network_mode ?? "")?.[1] ?? name;
}

/** Address of a service in our only network. @throws when it has none */
export function addressOf(name: string, file: ComposeFile): string {
  const [network] = Object.values(file.services[networkOwner(name, file)]?.networks ?? {});
  if (!network) throw new Error(`${name} is in no network`);
  return network.ipv4_address;
}

/** What run.sh does in containers: the service, and the words of a shell. */
export function execsOfRun(): { service: string; command: string }[] {
  const script = readFileSync(`${COMPOSE}run.sh`, "utf8").replaceAll("\\\n", "");
  const lines = script.matchAll(/^docker compose exec -T (\S+) (.*)$/gm);
  return Array.from(lines, ([, service = "", command = ""]) => ({ service, command }));
}
