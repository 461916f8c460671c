/** What connection.ts uses of papi, which has no types of its own. */
declare module "papi" {
  import type { Agent } from "node:http";

  export class Client {
    constructor(options: { baseUrl: string; agent: Agent; socketPath?: string; type: "json" });
    _get(request: object): Promise<object>;
    _put(request: object): Promise<object>;
    _post(request: object): Promise<object>;
  }
}
