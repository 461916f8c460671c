/** Loaded only for a YAML file. The import is static, because the bundler then knows which names are used. */
export { parse as parseYaml } from "yaml";
