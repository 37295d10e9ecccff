/**
 * The packages as a user gets them: packed by npm, and unpacked into the `node_modules` of a folder of their own.
 */
import { execFile } from "node:child_process"
import { mkdirSync, readdirSync, symlinkSync } from "node:fs"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import { locate } from "./docs/files.js"

const run = promisify(execFile)

/** The packages of this repository, by their folders. */
export const packages = ["transport", "kafka", "memory", "observability"] as const

/** Packs a built package into `folder`. Returns the tarball's path. */
export const pack = async (name: (typeof packages)[number], folder: string): Promise<string> => {
  const options = { cwd: locate(join("packages", name)) }
  const { stdout } = await run("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", folder], options)
  return join(folder, (JSON.parse(stdout) as ReadonlyArray<{ readonly filename: string }>)[0]!.filename)
}

/** Links every installed package that isn't part of this repository into `folder`'s `node_modules`. */
const linkDependencies = (folder: string): void => {
  const installed = locate("node_modules")
  const link = (name: string) => {
    const target = join(folder, "node_modules", name)
    mkdirSync(dirname(target), { recursive: true })
    symlinkSync(join(installed, name), target)
  }
  for (const name of readdirSync(installed)) {
    if (name === "@spillway" || name.startsWith(".")) continue
    if (name.startsWith("@")) for (const scoped of readdirSync(join(installed, name))) link(join(name, scoped))
    else link(name)
  }
}

/** Unpacks all packages, built before, into `folder`'s `node_modules`, beside their dependencies. */
export const unpackInto = async (folder: string): Promise<void> => {
  linkDependencies(folder)
  await Promise.all(
    packages.map(async (name) => {
      const target = join(folder, "node_modules/@spillway", name)
      mkdirSync(target, { recursive: true })
      await run("tar", ["xzf", await pack(name, folder), "--strip-components=1", "-C", target])
    })
  )
}
