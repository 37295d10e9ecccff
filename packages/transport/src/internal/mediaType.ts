/** Whether a media type is JSON; so is a CloudEvent's data when none is named. */
export const isJson = (mediaType: string | undefined): boolean =>
  mediaType === undefined || /^[^;]*[/+]json\s*(;|$)/i.test(mediaType)
