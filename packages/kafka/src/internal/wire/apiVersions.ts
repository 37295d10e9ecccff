/**
 * ApiVersions: the versions that a broker supports. It also serves as a probe: it is answered at once, without effects.
 */

import type { Call } from "./api.js"
import type { Reader } from "./reader.js"
import type * as Versions from "./versions.js"

export interface ApiVersionsResponse {
  readonly errorCode: number
  readonly ranges: ReadonlyMap<number, Versions.VersionRange>
}

const readApiVersions = (reader: Reader): ApiVersionsResponse => {
  const errorCode = reader.int16()
  const ranges = reader.array((each) => [each.int16(), { min: each.int16(), max: each.int16() }] as const)
  return { errorCode, ranges: new Map(ranges) }
}

export const call = (waitMs: number): Call<ApiVersionsResponse> => ({
  key: 18,
  version: 2,
  waitMs,
  encode: () => [],
  decode: (reader) => ({
    response: readApiVersions(reader),
    throttleTimeMs: reader.remaining > 0 ? reader.int32() : 0
  })
})
