import type { ProducerError } from "@spillway/transport/Producer"
import type { TransactionError } from "../../Transaction.js"
import type { WireError } from "../../Wire.js"
import type { ResponseError } from "../cluster/cluster.js"

/** Why a commit has no answer, inside or outside of a transaction. */
export type CommitError = WireError | ResponseError | TransactionError | ProducerError
