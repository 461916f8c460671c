/** Put in by the bundler; the sources run from the tree have none. */
declare const SRV_EPMD_VERSION: string | undefined;

export const version: string = typeof SRV_EPMD_VERSION === "string" ? SRV_EPMD_VERSION : "0.0.0-source";
