import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"

const source = new URL("../src/", import.meta.url)

/** The packages that a module and the modules it imports load. */
const packagesOf = (module: string): ReadonlyArray<string> => {
  const found = new Set<string>()
  const seen = new Set<string>()
  const visit = (url: URL): void => {
    if (seen.has(url.href)) return
    seen.add(url.href)
    for (const [, isType, from] of readFileSync(url, "utf8").matchAll(
      /^(?:import|export) (type )?.*?from "([^"]+)"$/gms
    )) {
      if (isType !== undefined) continue
      if (from!.startsWith(".")) visit(new URL(from!.replace(/\.js$/, ".ts"), url))
      else if (!from!.startsWith("node:")) found.add(from!.split("/", from!.startsWith("@") ? 2 : 1).join("/"))
    }
  }
  visit(new URL(`${module}.ts`, source))
  return Array.from(found).sort()
}

describe("an import of @spillway/observability", () => {
  it("loads no optional peer, for the metrics and health servers", () => {
    assert.deepStrictEqual(packagesOf("index"), ["@spillway/transport", "effect"])
  })

  it("loads @effect/platform only for apps, and @effect/opentelemetry only for OTLP", () => {
    assert.deepStrictEqual(packagesOf("HttpApps"), ["@effect/platform", "@spillway/transport", "effect"])
    const optional = ["@effect/opentelemetry", "@effect/platform"]
    assert.deepStrictEqual(packagesOf("Telemetry"), [...optional, "@spillway/transport", "effect"])
  })
})
