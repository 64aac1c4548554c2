/**
 * The IPv4 blocks that the Internet does not route (RFC 6890 and the IANA registry that follows it), and those of multicast
 * and above: first address and length of the prefix.
 */
const blocks = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3]
] as const

/**
 * Whether a host, as the URL parser spells it, may be one of the public Internet: no literal of a loopback, link-local, private
 * or otherwise reserved address, and not `localhost` or a name below it. Not checked: what another name resolves to.
 */
export const isPublicHost = (hostname: string): boolean => {
  if (hostname.startsWith("[")) return isPublicIpv6(hostname.slice(1, -1))
  if (/^[\d.]+$/.test(hostname))
    return !blocks.some(([first, length]) => prefix(hostname, length) === prefix(first, length))
  return !/(^|\.)localhost\.*$/.test(hostname)
}

const prefix = (address: string, length: number): number =>
  Math.floor(address.split(".").reduce((bits, byte) => bits * 256 + Number(byte), 0) / 2 ** (32 - length))

/** Global unicast is 2000::/3 alone (RFC 4291 section 2.4); IPv4 addresses in IPv6 are outside of it, or below 2002::/16. */
const isPublicIpv6 = (address: string): boolean => {
  const [first = 0, second = 0] = address.split(":").map((group) => Number.parseInt(group || "0", 16))
  if (first < 0x2000 || first > 0x3fff || first === 0x2002) return false
  // Protocol assignments with Teredo (2001::/23), and the two blocks of documentation.
  if (first === 0x2001) return second >= 0x200 && second !== 0xdb8
  return first !== 0x3fff || second >= 0x1000
}
