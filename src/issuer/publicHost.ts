/**
 * The IPv4 blocks that the Internet does not route (RFC 6890 and the IANA registry after it), and those from multicast
 * upwards: first address and length of the prefix.
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
 * Whether a host, as the URL parser spells it, may be on the public Internet. A literal of a loopback, link-local, private or
 * otherwise reserved address is not, nor is `localhost` or a name below it. Not checked: what another name resolves to.
 */
export const isPublicHost = (hostname: string): boolean => {
  if (hostname.startsWith("[")) return isPublicIpv6(hostname.slice(1, -1))
  if (/^[\d.]+$/.test(hostname))
    return !blocks.some(([first, length]) => prefix(hostname, length) === prefix(first, length))
  return !/(^|\.)localhost\.*$/.test(hostname)
}

const prefix = (address: string, length: number): number =>
  Math.floor(address.split(".").reduce((bits, byte) => bits * 256 + Number(byte), 0) / 2 ** (32 - length))

/** Only 2000::/3 is global unicast (RFC 4291 section 2.4). IPv4 addresses in IPv6 are outside of it, or in 2002::/16. */
const isPublicIpv6 = (address: string): boolean => {
  const [first = 0, second = 0] = address.split(":").map((group) => Number.parseInt(group || "0", 16))
  if (first < 0x2000 || first > 0x3fff || first === 0x2002) return false
  // 2001::/23 is for protocols such as Teredo. 2001:db8::/32 and 3fff::/20 are for documentation.
  if (first === 0x2001) return second >= 0x200 && second !== 0xdb8
  return first !== 0x3fff || second >= 0x1000
}
