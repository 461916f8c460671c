/**
 * Stands first in the bundled command, which loads its chunks with it. `require` of Node would look for each file: by its real
 * path, its package and its endings. That is a tenth of the time until serve listens, and V8 optimizes the loops over
 * these paths, so that 3.5 MiB of the optimizing compiler are in the memory of a daemon that has nothing to do.
 */
// biome-ignore lint/suspicious/noGlobalAssign: the parameter of the function that Node makes of this file.
require = ((ofNode) => {
  const { readFileSync } = ofNode("node:fs");
  const { getAsset, isSea } = ofNode("node:sea");
  const { compileFunction } = ofNode("node:vm");
  /** From this file (the build writes CHUNKS, sources by their names, before this), from an executable's assets, or from a file. */
  const sourceOf = (name, filename) =>
    CHUNKS[name] ?? (isSea() ? getAsset(name, "utf8") : readFileSync(filename, "utf8"));
  const modules = new Map([["srv-epmd.cjs", module]]);
  const load = (id) => {
    // Chunks have relative paths, and what belongs to Node has none.
    if (!id.startsWith(".")) return ofNode(id);
    const name = id.slice(id.lastIndexOf("/") + 1);
    const made = modules.get(name);
    if (made) return made.exports;
    const filename = `${__dirname}/chunks/${name}`;
    const run = compileFunction(sourceOf(name, filename), ["exports", "require", "module"], { filename });
    const chunk = { exports: {} };
    // Before it runs, because chunks may need each other.
    modules.set(name, chunk);
    try {
      run(chunk.exports, load, chunk);
    } catch (error) {
      modules.delete(name);
      throw error;
    }
    return chunk.exports;
  };
  return load;
})(require);
