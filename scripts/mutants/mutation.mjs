/**
 * The mutation that MUTATION gives as JSON: a piece of one source file is replaced as the file is imported; the file
 * itself stays as it is.
 */
const { file, replace, by } = JSON.parse(process.env.MUTATION)

/** @param {string} path */
export const concerns = (path) => path.endsWith(`/${file}`)

/** @param {string} source */
export const apply = (source) => {
  const parts = source.split(replace)
  if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times what is to be replaced: ${replace}`)
  return parts.join(by)
}
