/**
 * Treats a signal that repeats within a second as one signal. Ctrl-C under `npm start` reaches the program twice, from
 * the terminal and from npm, and the second would kill it during its drain. A later signal kills it, as it should.
 */
export const ignoreEchoes = (): void => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      const ignore = () => {}
      process.on(signal, ignore)
      setTimeout(() => process.off(signal, ignore), 1000).unref()
    })
  }
}
