import { defineConfig } from "vitest/config"

export default defineConfig({
  resolve: { conditions: ["@spillway/source"] },
  ssr: { resolve: { conditions: ["@spillway/source"] } },
  test: {
    include: [
      "packages/*/test/**/*.test.ts",
      "examples/*/test/**/*.test.ts",
      "scripts/test/**/*.test.ts",
      "ops/test/**/*.test.ts"
    ],
    globalSetup: ["scripts/kafka/globalSetup.ts"],
    setupFiles: ["scripts/leaks.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: "forks",
    maxWorkers: 2
  }
})
