import { afterAll, beforeAll, beforeEach, expect } from "vitest";
import { waitFor } from "../../support/wait-for.js";
import type { LabOptions } from "./agents.js";
import { type Job, nomadJob, type Variables } from "./job.js";
import { type Lab, startLab } from "./lab.js";
import type { Observer } from "./observer.js";
import { elixirRelease, executable } from "./releases.js";
import type { ReleaseName, Way } from "./scenarios.js";
import { observeDns, tellStoryOf, whenComplete } from "./service.js";
import { watchVms } from "./vms.js";

export interface WayOptions {
  /** In the folder nomad/. */
  readonly file: string;
  /** The release has the srv_epmd module, and connects by itself. */
  readonly hasModule: boolean;
  readonly lab?: LabOptions;
  readonly variables?: Variables;
  readonly observe?: (lab: Lab) => Observer;
}

const VERSIONS: Readonly<Record<ReleaseName, string>> = {
  one: "1.0.0",
  two: "2.0.0",
  broken: "3.0.0",
  nameless: "4.0.0",
};

const MISTAKES: Readonly<Partial<Record<ReleaseName, { readonly envSh: string }>>> = {
  broken: { envSh: "exit 1" },
  nameless: { envSh: "export RELEASE_DISTRIBUTION=none" },
};

/** The domain of the jobs' default for the variable `service`. */
export const DOMAIN = "svc-dist.service.consul";

/**
 * A lab for the tests of a suite, with a job of nomad/ in it that runs three nodes of the first release whenever a test begins:
 * each test can be run by itself.
 */
export function useWay({
  file,
  hasModule,
  lab: labOptions,
  variables,
  observe = (lab) => observeDns(lab, DOMAIN),
}: WayOptions): () => Way {
  let way: Way | undefined;
  const theWay = () => {
    if (way === undefined) throw new Error("the lab is not there");
    return way;
  };

  beforeAll(async () => {
    const program = await executable();
    const archives: Partial<Record<ReleaseName, string>> = {};
    for (const [name, version] of Object.entries(VERSIONS) as [ReleaseName, string][])
      archives[name] = await elixirRelease({ version, hasModule, ...MISTAKES[name] });
    const lab = await startLab(labOptions);
    const job: Job = nomadJob(lab, file, "svc");
    const own = await lab.artifacts.offer(program);
    const vms = watchVms(lab.folder);
    way = {
      lab,
      job,
      observer: observe(lab),
      run: async (count, release = "one", edit) => {
        const { url, checksum } = await lab.artifacts.offer(archives[release] ?? "");
        const artifacts = {
          srv_epmd: own.url,
          srv_epmd_checksum: own.checksum,
          release: url,
          release_checksum: checksum,
        };
        await job.run({ ...variables, ...artifacts, count }, edit);
      },
      complete: async (count, wanted) => {
        await whenComplete(job, { count, connect: !hasModule, ...wanted });
        // One that is stopped leaves the catalogue some seconds before it ends.
        await waitFor(() => vms().length === count, { what: `the end of all but ${count} VMs`, timeout: 120_000 });
      },
    };
  });
  afterAll(async () => {
    await way?.observer.stop();
    await way?.lab.down();
  });
  beforeEach(async () => {
    const { job, run, complete, observer } = theWay();
    tellStoryOf(job);
    await run(3);
    expect(await job.deployed()).toBe("successful");
    await complete(3, { version: VERSIONS.one });
    observer.report();
  });
  return theWay;
}
