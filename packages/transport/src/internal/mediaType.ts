/** Whether a media type is JSON; so is a CloudEvent's data when none is named. */
export const isJson = (mediaType: string | undefined): boolean =>
  mediaType === undefined || /^[^;]*[/+]json\s*(;|$)/i.test(mediaType)

/** Whether a content type is of the CloudEvents formats: structured mode. */
export const isStructured = (mediaType: string | undefined): mediaType is string =>
  mediaType !== undefined && /^\s*application\/cloudevents/i.test(mediaType)
