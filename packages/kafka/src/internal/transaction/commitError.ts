import type { ProducerError } from "@spillway/transport/Producer"
import type { TransactionError } from "../../Transaction.js"
import type { WireError } from "../../Wire.js"
import type { ResponseError } from "../cluster/cluster.js"

/** Why there is no answer to a commit, outside of a transaction or in one. */
export type CommitError = WireError | ResponseError | TransactionError | ProducerError
