import * as Scenario from "./src/internal/simulation/scenario.js"
import * as Workload from "./src/internal/simulation/workload.js"
import { play } from "./src/internal/simulation/world.js"
if (process.env.COUNT) (globalThis as any).counts = {}
Error.stackTraceLimit = Number(process.env["STACK"] ?? 0)
const from = Number(process.argv[2] ?? 1), n = Number(process.argv[3] ?? 1), tracing = process.argv[4] === "t"
const t = process.cpuUsage(); let bad = 0; let virtual = 0
for (let seed = from; seed < from + n; seed++) {
  const scenario = Scenario.make(seed)
  const u0 = process.cpuUsage()
  const r = play(scenario, Workload.make(scenario), tracing)
  const u1 = process.cpuUsage(u0)
  if (process.env["SLOW"] && u1.user / 1000 > Number(process.env["SLOW"])) console.log(seed, u1.user/1000, r.virtualMillis)
  if ((seed - from) % 50 === 49) { const u = process.cpuUsage(t); console.log(seed, ((u.user + u.system) / 1000 - ((globalThis as any).last ?? 0)) / 50); (globalThis as any).last = (u.user + u.system) / 1000 }
  virtual += r.virtualMillis
  if (tracing) console.log(r.trace.join("\n"))
  if (r.violation) { bad++; console.log(seed, r.violation.at, r.violation.promise, "|", r.violation.description.slice(0, 300)) }
}
const u = process.cpuUsage(t)
console.log((globalThis as any).counts)
console.log({ n, bad, msPerSeed: (u.user + u.system) / 1000 / n, virtual: virtual / n })
