import * as adminApis from "./adminApis.js"
import type { Apis } from "./api.js"
import * as dataApis from "./dataApis.js"
import { Fetch } from "./fetchApi.js"
import * as groupAdminApis from "./groupAdminApis.js"
import * as groupApis from "./groupApis.js"
import { Metadata } from "./metadataApi.js"
import * as producerApis from "./producerApis.js"
import * as transactionApis from "./transactionApis.js"

/** Every request of the Protocol, in versions that Kafka 2.4 supports; those of transactions need 2.5. */
export const apis: Apis = {
  Metadata,
  Fetch,
  ...dataApis,
  ...groupApis,
  ...producerApis,
  ...transactionApis,
  ...adminApis,
  ...groupAdminApis
}
