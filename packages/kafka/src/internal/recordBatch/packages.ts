/**
 * Where the codec finds packages that make it faster: from this file, or from the bundle that it is part of.
 */
// Not by its own name, which the banner of an ESM bundle declares.
import * as NodeModule from "node:module"

/** Bundlers that write CommonJS leave `import.meta` empty. */
export const require: NodeJS.Require = NodeModule.createRequire(import.meta.url ?? __filename)

/** The result of the first function that doesn't throw; the last one must not. */
export const firstOf = <A>(loads: ReadonlyArray<(require: NodeJS.Require) => A>, from: NodeJS.Require): A => {
  for (const load of loads.slice(0, -1)) {
    try {
      return load(from)
    } catch {
      // Not installed, or not for this platform.
    }
  }
  return loads[loads.length - 1]!(from)
}
