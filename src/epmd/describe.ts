import type { EpmdRequest, EpmdResponse } from "../core/epmd/messages.js";
import type { Answer } from "./answer.js";

/** Requests and answers as the debug log shows them. */
export function describeRequest(request: EpmdRequest): string {
  switch (request.type) {
    case "ALIVE2_REQ":
      return `ALIVE2_REQ ${request.aliveName} port ${request.port}`;
    case "ALIVE2_REQ_REFUSED":
      return `ALIVE2_REQ with ${request.reason}`;
    case "PORT_PLEASE2_REQ":
      return `PORT_PLEASE2_REQ ${request.name}`;
    case "STOP_REQ":
      return `STOP_REQ ${request.aliveName}`;
    case "NAMES_REQ":
      return request.pattern === undefined ? request.type : `${request.type} ${request.pattern}`;
    default:
      return request.type;
  }
}

export function describeAnswer(result: Answer): string {
  if (result.action === "close") return `closed: ${result.reason}`;
  return describeResponse(result.response);
}

function describeResponse(response: EpmdResponse): string {
  switch (response.type) {
    case "ALIVE2_RESP":
      return response.result === 0 ? `registered, creation ${response.creation}` : "refused";
    case "PORT2_RESP":
      return response.result === 0 ? `port ${response.port}` : "not found";
    case "NAMES_RESP":
    case "DUMP_RESP":
      return `${response.nodes.length} names`;
    case "NAMES_MATCH_RESP":
      return `${response.names.length} names match`;
    default:
      return response.text;
  }
}
