import { ConfigError, describeError } from "../errors.js";
import { MEBIBYTE, readBounded } from "../os/bounded-file.js";

export interface ConfigFile {
  readonly path: string;
  /** By flag name. */
  readonly contents: unknown;
}

/** Reads `--config`: YAML by its ending, else JSON. @throws ConfigError CONFIG_FILE */
export async function readConfigFile(path: string): Promise<ConfigFile> {
  try {
    const text = await readBounded(path, { limit: MEBIBYTE, orPipe: true });
    return { path, contents: /\.ya?ml$/i.test(path) ? (await import("./yaml.js")).parseYaml(text) : JSON.parse(text) };
  } catch (error) {
    throw new ConfigError("CONFIG_FILE", `--config: cannot use ${path}: ${describeError(error)}`, { cause: error });
  }
}
