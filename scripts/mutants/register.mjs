/**
 * `--import` this before tsx: the sources that are imported have the mutation that MUTATION gives as JSON.
 */
import { register } from "node:module"

register("./load.mjs", import.meta.url)
