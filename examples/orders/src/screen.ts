/**
 * What a person sees in a terminal: a legend, one line for each order, and one for each other event that matters.
 */

/** The parts of a log line that the screen shows. */
export interface Event {
  readonly level: "DEBUG" | "INFO" | "WARN" | "ERROR"
  readonly message: string
  readonly annotations: Readonly<Record<string, unknown>>
}

type Colour = "green" | "yellow" | "red" | "grey" | "bold"

const codes: Readonly<Record<Colour, string>> = { green: "32", yellow: "33", red: "31", grey: "90", bold: "1" }

export type Paint = (colour: Colour, text: string) => string

export const colours: Paint = (colour, text) => `\u001b[${codes[colour]}m${text}\u001b[0m`

export const plain: Paint = (_, text) => text

export const legend = (paint: Paint): string =>
  [
    paint("bold", "An order a second, each with the next kind of card:"),
    `  ${paint("green", "✓")} valid    is paid at once`,
    `  ${paint("green", "✓")} flaky    is paid at the third attempt: the bank doesn't answer the first two`,
    `  ${paint("green", "✓")} limited  is paid after 3 seconds: the bank is asked too often at first`,
    `  ${paint("red", "✗")} stolen   is declined, and goes to the topic of dead letters`,
    "Ctrl-C stops the program; the order in hand is finished first."
  ].join("\n")

const order = (sign: string, id: unknown, card: unknown, outcome: string): string =>
  `${sign} ${String(id).padEnd(12)} ${String(card).padEnd(8)} ${outcome}`

/** The events of an order before its outcome, and of a program that works. */
const hidden = new Set([
  "Order placed",
  "Handling failed; retrying",
  "Handling failed permanently; publishing a dead letter",
  "Producer starting",
  "Consumer starting",
  "Joined the group"
])

const url = ({ host, path, port }: Event["annotations"]): string =>
  `http://${host === "0.0.0.0" ? "localhost" : host}:${port}${path}`

/** The line for an event; undefined if it isn't shown. */
export const line = ({ annotations, level, message }: Event, paint: Paint): string | undefined => {
  if (level === "DEBUG" || hidden.has(message)) return undefined
  switch (message) {
    case "Order paid": {
      const { attempt, card, order: id } = annotations
      return order(paint("green", "✓"), id, card, attempt === 1 ? "paid" : `paid at attempt ${attempt}`)
    }
    case "Dead letter needs attention": {
      const { errorMessage, errorType, eventId } = annotations
      const card = errorType === "CardDeclined" ? "stolen" : ""
      return order(paint("red", "✗"), eventId, card, `dead letter: ${errorMessage}`)
    }
    case "Metrics served":
      return `${paint("bold", "Metrics")} ${url(annotations)}`
    case "Health served":
      return `${paint("bold", "Health")}  ${url(annotations)}`
    case "Consumer stopped": {
      const { deadLettered, groupId, handled, retried } = annotations
      return paint("grey", `${groupId} stopped: ${handled} handled, ${retried} retried, ${deadLettered} dead letters`)
    }
    default: {
      const details = Object.entries(annotations).map(([name, value]) => `${name}=${value}`)
      return paint(level === "ERROR" ? "red" : level === "WARN" ? "yellow" : "grey", [message, ...details].join(" "))
    }
  }
}
