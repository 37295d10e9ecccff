/**
 * Mutates sources that tests import.
 */
import { mergeConfig } from "vitest/config"
import config from "../../vitest.config.js"
import { apply, concerns } from "./mutation.mjs"

export default mergeConfig(config, {
  plugins: [
    { name: "mutation", enforce: "pre", transform: (source, path) => (concerns(path) ? apply(source) : undefined) }
  ]
})
