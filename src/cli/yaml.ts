/** Loaded only for a YAML file. A static import, for only that gives the bundler the package's names. */
export { parse as parseYaml } from "yaml";
