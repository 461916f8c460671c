/** DNS messages written octet by octet, with nothing of our own encoder in them. */
export interface QueryOptions {
  readonly id?: number;
  /** Default RD. */
  readonly flags?: number;
  /** Default 1, A. */
  readonly type?: number;
  /** Default 1, IN. */
  readonly class?: number;
  /** Behind the question. */
  readonly additionals?: readonly Buffer[];
}

const uint16 = (value: number) => Buffer.from([value >> 8, value & 0xff]);

/** Labels as they are: with dots, blanks or NULs in them, if the test wants. */
export function nameOf(...labels: readonly (string | Buffer)[]): Buffer {
  const octets = labels.map((label) => (typeof label === "string" ? Buffer.from(label, "latin1") : label));
  return Buffer.concat([...octets.flatMap((label) => [Buffer.from([label.length]), label]), Buffer.from([0])]);
}

export function questionOf(name: Buffer, type = 1, qclass = 1): Buffer {
  return Buffer.concat([name, uint16(type), uint16(qclass)]);
}

export function message(id: number, flags: number, questions: readonly Buffer[], additionals: readonly Buffer[] = []) {
  const counts = [questions.length, 0, 0, additionals.length].map(uint16);
  return Buffer.concat([uint16(id), uint16(flags), ...counts, ...questions, ...additionals]);
}

/** @param name dots separate labels */
export function queryFor(name: string, options: QueryOptions = {}): Buffer {
  const labels = name === "" ? [] : name.split(".");
  const question = questionOf(nameOf(...labels), options.type, options.class);
  return message(options.id ?? 0x4d4d, options.flags ?? 0x0100, [question], options.additionals);
}

/** RFC 6891. @param flags 0x8000: DNSSEC answers are fine (DO) */
export function optRecord(size: number, flags = 0, options: Buffer = Buffer.alloc(0), version = 0): Buffer {
  const ttl = Buffer.concat([Buffer.from([0, version]), uint16(flags)]);
  return Buffer.concat([Buffer.from([0]), uint16(41), uint16(size), ttl, uint16(options.length), options]);
}

/** Two octets of length before each, as over TCP. */
export const framed = (...messages: readonly Buffer[]) =>
  Buffer.concat(messages.flatMap((bytes) => [uint16(bytes.length), bytes]));
