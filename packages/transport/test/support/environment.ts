/** Reads options from variables, and the variables from an error. */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"

export type Variables = Readonly<Record<string, string>>

export const withVariables = (variables: Variables) =>
  Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables))))

export const read = <A>(config: Config.Config<A>, variables: Variables): Effect.Effect<A, ConfigError.ConfigError> =>
  withVariables(variables)(Config.unwrap<A>(config as Config.Config.Wrap<A>))

/** Every variable that an error names, with its message. */
export const problemsOf = (error: ConfigError.ConfigError): ReadonlyArray<string> => {
  switch (error._op) {
    case "And":
    case "Or":
      return [...problemsOf(error.left), ...problemsOf(error.right)]
    default:
      return [`${error.path.join("_")}: ${error.message}`]
  }
}
