/**
 * Apache Kafka's jars, which Maven fetches once into a cache outside the repository.
 */
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { homedir } from "node:os"
import { dirname, join } from "node:path"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"

export const kafkaVersion = "4.3.1"

/** Why no broker can run on this machine. */
export class KafkaUnavailable extends Data.TaggedError("KafkaUnavailable")<{ readonly description: string }> {
  override get message(): string {
    return this.description
  }
}

const libraries = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "spillway", `kafka-${kafkaVersion}`)

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>spillway</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>${kafkaVersion}</version>
    </dependency>
  </dependencies>
</project>
`

const answers = (command: string, ...args: ReadonlyArray<string>): boolean =>
  spawnSync(command, args, { stdio: "ignore" }).status === 0

const download = (): void => {
  mkdirSync(dirname(libraries), { recursive: true })
  const fresh = mkdtempSync(`${libraries}-`)
  try {
    writeFileSync(join(fresh, "pom.xml"), pom)
    const maven = spawnSync(
      "mvn",
      ["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", `-DoutputDirectory=${fresh}`],
      { cwd: fresh, encoding: "utf8" }
    )
    if (maven.status !== 0) throw new KafkaUnavailable({ description: `Maven failed: ${maven.stdout}${maven.stderr}` })
    try {
      renameSync(fresh, libraries)
    } catch (error) {
      // Another process was faster; its jars are the same.
      if (!existsSync(libraries)) throw error
    }
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}

/** The class path of Kafka's jars. Downloads them when they aren't cached yet. */
export const classPath: Effect.Effect<string, KafkaUnavailable> = Effect.try({
  try: () => {
    if (!answers("java", "-version")) throw new KafkaUnavailable({ description: "java is not installed" })
    if (!existsSync(libraries)) {
      if (!answers("mvn", "-v")) throw new KafkaUnavailable({ description: "mvn (Maven) is not installed" })
      download()
    }
    return join(libraries, "*")
  },
  catch: (error) =>
    error instanceof KafkaUnavailable ? error : new KafkaUnavailable({ description: `no jars: ${String(error)}` })
})
