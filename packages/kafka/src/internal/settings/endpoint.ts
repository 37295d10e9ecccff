import { isIPv6 } from "node:net"
import type { Endpoint } from "../../Wire.js"

const address = /^(?:\[(?<ipv6>[^\][\s]+)\]|(?<host>[^:/@\][\s]+)):(?<port>\d{1,5})$/

/** Reads `host:port`, or `[::1]:port`. */
export const parseEndpoint = (text: string): Endpoint | undefined => {
  const { ipv6, host = ipv6, port } = address.exec(text.trim())?.groups ?? {}
  if (host === undefined || Number(port) < 1 || Number(port) > 65535) return undefined
  if (ipv6 !== undefined && !isIPv6(ipv6)) return undefined
  return { host, port: Number(port) }
}

/** `host:port`, an IPv6 address in brackets. */
export const formatEndpoint = ({ host, port }: Endpoint): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`
