/**
 * `npm run bench -- NAME` runs one benchmark. The last line of its output is JSON.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { codecs } from "./codecs.js"
import { computing } from "./compute.js"
import { consume } from "./consume.js"
import { frozen } from "./frozen.js"
import { memory } from "./memory.js"
import { observe } from "./observe.js"
import { partitionErrors } from "./partitionErrors.js"
import { produce, transactions } from "./produce.js"
import { rebalance } from "./rebalance.js"
import { recovery } from "./recovery.js"
import { unpack } from "./unpack.js"

const benchmarks = {
  codecs,
  compute: computing,
  consume,
  frozen,
  memory,
  observe,
  partitionErrors,
  produce,
  rebalance,
  recovery,
  transactions,
  unpack
}

const name = process.argv[2] ?? ""

if (name in benchmarks) {
  NodeRuntime.runMain(benchmarks[name as keyof typeof benchmarks])
} else {
  console.error(`usage: npm run bench -- ${Object.keys(benchmarks).join(" | ")} [--records N] [--rounds N]`)
  process.exitCode = 2
}
