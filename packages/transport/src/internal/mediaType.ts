/** Whether a media type is JSON; a CloudEvent's data is JSON if it names none. */
export const isJson = (mediaType: string | undefined): boolean =>
  mediaType === undefined || /^[^;]*[/+]json\s*(;|$)/i.test(mediaType)

/** Whether a content type is one of the CloudEvents formats: structured mode. */
export const isStructured = (mediaType: string | undefined): mediaType is string =>
  mediaType !== undefined && /^\s*application\/cloudevents/i.test(mediaType)
