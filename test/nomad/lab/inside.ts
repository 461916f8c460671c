import { type Examined, readExamined } from "../../support/doctor.js";
import type { Allocation } from "./job.js";
import type { Lab } from "./lab.js";

/** The arguments of `nomad` for a command in a task, before that. */
const inTask = ({ ID }: Allocation, task: string) => ["alloc", "exec", "-i=false", "-t=false", "-task", task, ID];

/** GET of the release's port from inside of the allocation, where none is mapped. @param path as of askRelease */
export async function askInside<T>(lab: Lab, allocation: Allocation, path: string): Promise<T> {
  const request = `exec 3<>/dev/tcp/127.0.0.1/8080; printf 'GET ${path} HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`;
  const answer = await lab.nomad(...inTask(allocation, "svc"), "/bin/bash", "-c", request);
  return JSON.parse(answer.slice(answer.indexOf("{"))) as T;
}

/** `srv-epmd doctor --json` in the task of srv-epmd, as a user runs it. */
export async function examineInside(lab: Lab, allocation: Allocation, ...args: string[]): Promise<Examined> {
  const command = ["local/srv-epmd", "doctor", "--json", ...args];
  return readExamined(await lab.tryNomad(...inTask(allocation, "srv-epmd"), ...command));
}
