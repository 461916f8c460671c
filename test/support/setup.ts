import { afterAll } from "vitest";
import { stopChildren } from "./child.js";
import { removeAllHosts } from "./netns.js";
import { removeFolders } from "./temporary.js";

// After the file's own hooks: nothing that a test started outlives its file.
afterAll(async () => {
  await stopChildren();
  await removeAllHosts();
  await removeFolders();
});
