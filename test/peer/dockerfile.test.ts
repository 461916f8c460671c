import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { bareRoot, processOne, runBeside } from "../support/bare-root.js";
import { run, startChild } from "../support/child.js";
import { execForm, type Instruction, parseDockerfile, type Stage, valueIn } from "../support/dockerfile.js";
import { requirePeer } from "../support/require-peer.js";
import { temporaryFolder } from "../support/temporary.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const text = readFileSync(`${ROOT}Dockerfile`, "utf8");
const { buildArguments, stages } = parseDockerfile(text);
const [build, image] = stages as [Stage, Stage];
const [everything, ...context] = readFileSync(`${ROOT}.dockerignore`, "utf8").trim().split("\n");

describe("the Dockerfile", () => {
  test("builds in one stage and ships another, each on a base image that can be chosen", () => {
    expect(stages).toMatchObject([
      { name: "build", image: buildArguments.BUILD_IMAGE },
      { name: undefined, image: buildArguments.RUNTIME_IMAGE },
    ]);
    expect(Object.keys(buildArguments)).toEqual(["BUILD_IMAGE", "RUNTIME_IMAGE"]);
  });

  test("says how its base images are given by digest", () => {
    for (const [name, image] of Object.entries(buildArguments)) {
      expect(text).toContain(`--build-arg ${name}=${image}@sha256:`);
      expect(readFileSync(`${ROOT}src/help/packaging.md`, "utf8")).toContain(`--build-arg ${name}=${image}@sha256:`);
    }
  });

  test("ships node, the command and the licences of both, for a user that is not root by number", () => {
    expect(image.instructions.filter(({ keyword }) => keyword === "RUN")).toEqual([]);
    const copied = image.instructions.filter(({ keyword }) => keyword === "COPY");
    expect(copied.map(({ rest }) => rest.split(" ").at(-1))).toEqual([
      ...["/usr/local/bin/node", "/usr/local/lib/srv-epmd/", "/usr/local/lib/srv-epmd/chunks"],
      "/usr/local/share/doc/srv-epmd/",
    ]);
    expect(valueIn(image, "USER")).toMatch(/^[1-9][0-9]*:[1-9][0-9]*$/);
    expect(valueIn(image, "EXPOSE")).toBe("4369");
  });

  test("sends the builder no more than it copies", () => {
    expect(everything).toBe("*");
    const wanted = build.instructions.filter(({ keyword }) => keyword === "COPY").flatMap((copy) => sourcesOf(copy)[0]);
    expect(context.map((line) => line.replace(/^!/, "")).sort()).toEqual(wanted.sort());
  });
});

requirePeer("netns")("what the Dockerfile builds, as a container", () => {
  let root: string;

  beforeAll(async () => {
    const built = await carryOut(build, {});
    root = await carryOut(image, { build: built });
  });

  test("serves as process 1, is found healthy, and ends on SIGTERM with exit 0", async () => {
    const user = valueIn(image, "USER");
    const [program, ...args] = [...execForm(valueIn(image, "ENTRYPOINT")), ...execForm(valueIn(image, "CMD"))];
    const container = startChild(program ?? "", args, { env: {}, netns: await bareRoot(root, user) });
    await container.waitForOutput(/"port":4369,.*"msg":"ready"/);
    const pid = processOne(container);
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    expect(status).toMatch(/^NSpid:\t[0-9]+\t1$/m);
    expect(status).toMatch(/^Uid:\t65532\t65532\t/m);
    const check = execForm(valueIn(image, "HEALTHCHECK").replace(/^CMD /, ""));
    expect(await runBeside(pid, check)).toMatchObject({ code: 0, stderr: "" });
    process.kill(pid, "SIGTERM");
    expect(await container.exited).toMatchObject({ code: 0 });
    expect(container.stderr()).toContain('"msg":"stopped"');
  });

  test("has our licence, and those of the packages and of the node in it", () => {
    const read = (file: string) => readFileSync(join(root, "usr/local/share/doc/srv-epmd", file), "utf8");
    expect(read("LICENSE")).toBe(readFileSync(`${ROOT}LICENSE`, "utf8"));
    const notices = read("NOTICES.txt");
    expect(notices).toMatch(/^pino [0-9.]+ \(MIT\)$/m);
    expect(notices).toContain(`node is Node.js ${process.version}. Its licences:\nhttps://`);
  });

  test("is found unhealthy while no daemon answers", async () => {
    const [program, ...args] = execForm(valueIn(image, "HEALTHCHECK").replace(/^CMD /, ""));
    const netns = await bareRoot(join(root, "../other"), valueIn(image, "USER"));
    cpSync(join(root, "usr/local"), join(root, "../other/usr/local"), { recursive: true });
    expect(await run(program, args, { env: {}, netns })).toMatchObject({ code: 1 });
  });
});

function sourcesOf({ rest }: Instruction): readonly [sources: readonly string[], target: string] {
  const paths = rest.split(" ");
  return [paths.slice(0, -1), paths.at(-1) ?? ""];
}

/** Does in a folder what the instructions would do in an image. @param stages folders of earlier ones @returns the folder */
async function carryOut(stage: Stage, stagesBefore: Readonly<Record<string, string>>): Promise<string> {
  const folder = join(await temporaryFolder("image"), "root");
  let workdir = "/";
  for (const instruction of stage.instructions) {
    if (instruction.keyword === "WORKDIR") {
      workdir = instruction.rest;
      mkdirSync(join(folder, workdir), { recursive: true });
    } else if (instruction.keyword === "COPY") {
      const from = instruction.options.from;
      const [sources, target] = sourcesOf(instruction);
      for (const source of sources) {
        const inside = target.endsWith("/") ? join(target, basename(source)) : target;
        cpSync(
          join(from === undefined ? ROOT : (stagesBefore[from] ?? ""), source),
          resolveIn(folder, workdir, inside),
          {
            recursive: true,
          },
        );
      }
    } else if (instruction.keyword === "RUN") {
      await carryOutRun(instruction.rest, join(folder, workdir));
    }
  }
  return folder;
}

const resolveIn = (folder: string, workdir: string, path: string) =>
  join(folder, path.startsWith("/") ? path : join(workdir, path));

async function carryOutRun(command: string, cwd: string): Promise<void> {
  if (command.startsWith("npm ci")) {
    // It would install what is installed here, by the same lock file.
    expect(existsSync(join(cwd, "package-lock.json"))).toBe(true);
    symlinkSync(`${ROOT}node_modules`, join(cwd, "node_modules"));
    return;
  }
  const { code, stdout, stderr } = await run("sh", ["-ec", command], { cwd });
  if (code !== 0) throw new Error(`${command}: ${stdout}${stderr}`);
}
