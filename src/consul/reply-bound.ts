import type { ClientRequest, RequestOptions } from "node:http";

/** As much of papi's request as its extensions get, after it was put together and before it is sent. */
interface PapiRequest {
  transport: { readonly request: (options: RequestOptions) => ClientRequest };
}

/**
 * An extension of papi, which keeps whatever an agent sends: an answer that is longer fails the call and ends its
 * connection.
 * @param most bytes
 */
export function bounded(most: number) {
  return (papi: PapiRequest, next: () => void): void => {
    const { transport } = papi;
    papi.transport = { request: (options) => watch(transport.request(options), most) };
    next();
  };
}

function watch(request: ClientRequest, most: number): ClientRequest {
  request.on("response", (response) => {
    let length = 0;
    response.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length <= most) return;
      // What a request is destroyed with is told to nobody once its response has begun.
      request.emit("error", new Error(`the answer is longer than ${most} bytes`));
      request.destroy();
    });
  });
  return request;
}
