/** One instruction: `COPY --from=build a b` is COPY, its options, and the rest. */
export interface Instruction {
  readonly keyword: string;
  readonly options: Readonly<Record<string, string>>;
  readonly rest: string;
}

export interface Stage {
  /** As in `FROM image AS name`; the last one has none. */
  readonly name: string | undefined;
  readonly image: string;
  readonly instructions: readonly Instruction[];
}

export interface Dockerfile {
  /** ARG before the first FROM: name and default. */
  readonly buildArguments: Readonly<Record<string, string>>;
  readonly stages: readonly Stage[];
}

const KEYWORDS = new Set(
  "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL RUN SHELL STOPSIGNAL USER VOLUME WORKDIR".split(" "),
);

/** As much of the format as ours uses. @throws on what Docker would not take */
export function parseDockerfile(text: string): Dockerfile {
  const buildArguments: Record<string, string> = {};
  const stages: { name: string | undefined; image: string; instructions: Instruction[] }[] = [];
  const lines = text.replaceAll(/^\s*#.*\n/gm, "").replaceAll(/\\\n/g, " ");
  for (const line of lines.split("\n").filter((one) => one.trim() !== "")) {
    const instruction = parseInstruction(line);
    const { keyword, rest } = instruction;
    if (keyword === "FROM") {
      const [, image = "", name] = /^(\S+)(?: AS (\S+))?$/.exec(rest) ?? [];
      const known = image.replaceAll(/\$\{(\w+)\}/g, (_, variable: string) => buildArguments[variable] ?? "");
      if (known === "") throw new Error(`no image: ${line}`);
      stages.push({ name, image: known, instructions: [] });
    } else if (stages.length === 0) {
      const [, name, value] = /^(\w+)=(\S+)$/.exec(rest) ?? [];
      if (keyword !== "ARG" || name === undefined || value === undefined) throw new Error(`before FROM: ${line}`);
      buildArguments[name] = value;
    } else {
      stages.at(-1)?.instructions.push(instruction);
    }
  }
  return { buildArguments, stages };
}

function parseInstruction(line: string): Instruction {
  const [, keyword = "", options = "", rest = ""] = /^([A-Z]+)((?: --[a-z-]+=\S+)*) (.+)$/.exec(line) ?? [];
  if (!KEYWORDS.has(keyword)) throw new Error(`not an instruction: ${line}`);
  const pairs = Array.from(options.matchAll(/--([a-z-]+)=(\S+)/g), ([, name = "", value = ""]) => [name, value]);
  return { keyword, options: Object.fromEntries(pairs), rest: rest.trim() };
}

/** Value of an instruction that a stage has once. @throws when there is none */
export function valueIn({ instructions }: Stage, keyword: string): string {
  const found = instructions.findLast((instruction) => instruction.keyword === keyword);
  if (!found) throw new Error(`no ${keyword}`);
  return found.rest;
}

/** A command in exec form, the only one that gives the program the signals and needs no shell. @throws on any other */
export function execForm(text: string): readonly [string, ...string[]] {
  const words: unknown = JSON.parse(text);
  if (!Array.isArray(words) || words.length === 0 || !words.every((word) => typeof word === "string")) {
    throw new Error(`not the exec form: ${text}`);
  }
  return words as [string, ...string[]];
}
