import { Buffer } from "node:buffer";
import { uint32 } from "../../epmd/wire/codec.js";
import { inBounds } from "./bounds.js";
import { atom, list, type Pid, pid, readTerm, smallInteger, type Term, tuple, versioned } from "./term.js";

/**
 * Messages on a link after the handshake (ERTS User's Guide, "Distribution Protocol", "Protocol between Connected
 * Nodes"). Without the flags of the atom cache and of fragments a node sends them whole, behind the octet 112.
 */

/** Octets of a message: a list of some thousand node names. */
const MAX_MESSAGE = 1024 * 1024;
const PASS_THROUGH = 112;
/** Octets of the length before each message, over TCP and TLS. */
const LENGTH = 4;

/** A message without contents, by which a node sees that its peer lives. */
export const TICK = uint32(0);

type Framed =
  | { readonly kind: "message"; readonly message: Buffer; readonly rest: Buffer }
  | { readonly kind: "tick"; readonly rest: Buffer }
  | { readonly kind: "more" }
  | { readonly kind: "invalid" };

/** Takes the first message off the bytes that a linked node has sent. */
export function readLinkMessage(bytes: Buffer): Framed {
  if (bytes.length < LENGTH) return { kind: "more" };
  const length = bytes.readUInt32BE();
  if (length > MAX_MESSAGE) return { kind: "invalid" };
  const end = LENGTH + length;
  if (length === 0) return { kind: "tick", rest: bytes.subarray(end) };
  if (bytes.length < end) return { kind: "more" };
  return { kind: "message", message: bytes.subarray(LENGTH, end), rest: bytes.subarray(end) };
}

/** A function of a module, and its arguments as terms. */
export interface Call {
  readonly module: string;
  readonly name: string;
  readonly args: readonly Buffer[];
}

/** REG_SEND: `{6, FromPid, Unused, ToName}` */
const REG_SEND = 6;

/**
 * A request to the node's rpc server, with its length: `{From, {call, M, F, A, user}}`, the form of C nodes (erl_interface's
 * ei_rpc_to; rpc:handle_info/2), which OTP 23 to 29 serve.
 */
export function encodeCall(from: Pid, { module, name, args }: Call): Buffer {
  const control = tuple(smallInteger(REG_SEND), pid(from), atom(""), atom("rex"));
  const request = tuple(pid(from), tuple(atom("call"), atom(module), atom(name), list(...args), atom("user")));
  const body = Buffer.concat([Buffer.of(PASS_THROUGH), versioned(control), versioned(request)]);
  return Buffer.concat([uint32(body.length), body]);
}

/** SEND `{2, Unused, ToPid}` and SEND_SENDER `{22, FromPid, ToPid}`; both have the receiver third. */
const SENDS: readonly bigint[] = [2n, 22n];

interface Reply {
  /** The id of the pid that asked. */
  readonly to: number;
  readonly result: Term;
}

/**
 * The reply of a node's rpc server, `{rex, Result}`, to a pid of ours. Undefined for every other message: a node may
 * send what it likes to a node that is linked.
 * @param us our node name
 * @throws ProtocolError DIST_MESSAGE
 */
export function decodeReply(message: Buffer, us: string): Reply | undefined {
  return inBounds(message, (reader) => {
    if (reader.uint8() !== PASS_THROUGH) return undefined;
    const control = readTerm(reader);
    if (control.kind !== "tuple") return undefined;
    const [operation, , to] = control.elements;
    if (operation?.kind !== "integer" || !SENDS.includes(operation.value)) return undefined;
    if (to?.kind !== "pid" || to.node !== us) return undefined;
    const answer = readTerm(reader);
    if (answer.kind !== "tuple" || answer.elements.length !== 2) return undefined;
    const [tag, result] = answer.elements;
    if (tag?.kind !== "atom" || tag.name !== "rex" || !result) return undefined;
    return { to: to.id, result };
  });
}
