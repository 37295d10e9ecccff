import * as adminApis from "./adminApis.js"
import type { Apis } from "./api.js"
import * as dataApis from "./dataApis.js"
import * as groupApis from "./groupApis.js"
import * as producerApis from "./producerApis.js"

/** Every request of the Protocol on the wire. Brokers from Kafka 2.4 on speak these versions. */
export const apis: Apis = { ...dataApis, ...groupApis, ...producerApis, ...adminApis }
