/** Ports that are used unless an option says otherwise. */
export const DNS_PORT = 53;
export const EPMD_PORT = 4369;
/** Status page and HTTP API. */
export const ADMIN_PORT = 9369;
