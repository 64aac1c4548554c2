/**
 * A soak: a real server under load of good, bad and hostile requests while its issuer flaps, for `SOAK_SECONDS` (60)
 * after a quarter of that, 10 seconds at the most, to warm up. Under 20 seconds the issuer may not come to a calm spell.
 *
 * Fails if one verdict was wrong, if a new key was not picked up while the issuer was well, if the issuer was asked more
 * often than the cooldown allows, if memory grew by more than noise, or if anything is waited for in vain.
 */
import { TokenError } from "effect-resource-server"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { fork } from "node:child_process"
import type { AddressInfo } from "node:net"
import { generateKey, type Key, mint, type Overrides } from "../support/issuer.ts"
import { raw } from "../support/server.ts"
import * as Issuer from "./issuer.ts"

const seconds = Number(process.env["SOAK_SECONDS"] ?? 60)
const cooldown = 250
const workers = 32
const resource = "https://api.example"

// The longest that a server may take to see that its issuer is well again, as documented: an answer is waited for five
// seconds, and after failures in a row up to four cooldowns go by. (`Retry-After`, one second here, is no longer.) A
// calm spell is two seconds longer, for a machine that has other things to do.
const patience = 5000 + 4 * cooldown
const issuer = await Issuer.start({ moodMillis: 500, calmMillis: patience + 2000 })
const stranger = await generateKey("ES256", "stable")

const child = fork(new URL("./server.ts", import.meta.url), [issuer.url, resource, String(cooldown)], {
  execArgv: [...process.execArgv, "--expose-gc"]
})
process.on("exit", () => child.kill())

/** The same, but the run fails if it takes longer: nothing is waited for without bound. */
const within = async <A>(limit: number, what: string, work: Promise<A>): Promise<A> => {
  const timer = setTimeout(() => {
    console.log(`FAILED               ${what} took over ${limit} s`)
    process.exit(1)
  }, limit * 1000)
  return work.finally(() => clearTimeout(timer))
}

const message = <A>() => new Promise<A>((resolve) => child.once("message", (value) => resolve(value as A)))
const { address } = await within(30, "the start of the server", message<{ address: AddressInfo }>())
const url = `http://127.0.0.1:${address.port}/`
const memory = async () => {
  child.send("memory")
  return (await within(30, "the server's memory", message<{ memory: NodeJS.MemoryUsage }>())).memory
}

const signed = (key: Key, overrides: Overrides = {}) =>
  Effect.runPromise(
    Effect.map(
      mint({ ...overrides, key, claims: { iss: issuer.url, aud: resource, ...overrides.claims } }),
      (token) => `Bearer ${Redacted.value(token)}`
    )
  )

/** A request, and the verdicts that are right for it. */
interface Attempt {
  readonly authorization: string | undefined
  readonly right: ReadonlyArray<string>
  /** The key that signed it, if it is one that comes and goes. */
  readonly key?: Key
}

const by = (right: string, overrides?: Overrides) => async (): Promise<Attempt> => ({
  authorization: await signed(issuer.stable, overrides),
  right: [right]
})

/** Keys that come and go, of which a token was accepted: the server has seen a set with them. */
const accepted = new Set<Key>()

const notKnown = ["KeyNotFound", "VerificationUnavailable"]
const maybeKnown = ["accepted", ...notKnown]

const byRotating = (token: (key: Key) => Promise<string>) => async (): Promise<Attempt> => {
  const key = issuer.rotating
  return { authorization: await token(key), right: maybeKnown, key }
}

const byRemoved = (token: (key: Key) => Promise<string>) => async (): Promise<Attempt> => {
  const key = issuer.removed
  // No set has both keys: a server that accepted its successor has read one without it, and must not go back.
  const gone = accepted.has(issuer.rotating)
  return { authorization: await token(key), right: gone ? notKnown : maybeKnown, key }
}

const tokens = new WeakMap<Key, Promise<string>>()

/** The same token for a key each time: that it was good before its key was removed must not help it. */
const again = (key: Key): Promise<string> => {
  const token = tokens.get(key) ?? signed(key)
  tokens.set(key, token)
  return token
}

const attempts: ReadonlyArray<() => Promise<Attempt>> = [
  by("accepted"),
  by("accepted"),
  by("accepted"),
  by("Expired", { claims: { exp: 1 } }),
  by("NotYetValid", { claims: { nbf: 9e9 } }),
  by("AudienceMismatch", { claims: { aud: "https://other.example" } }),
  by("IssuerMismatch", { claims: { iss: "https://other.example" } }),
  by("TypeMismatch", { header: { typ: "JWT" } }),
  by("ScopeMissing", { claims: { scope: "other" } }),
  by("ClaimInvalid", { claims: { exp: "soon" } }),
  by("BindingMismatch", { claims: { cnf: {} } }),
  by("AlgorithmNotAllowed", { header: { alg: "none" } }),
  by("CriticalHeaderUnsupported", { header: { crit: ["x"] } }),
  async () => ({ authorization: await signed(stranger), right: ["SignatureInvalid"] }),
  async () => ({
    authorization: await signed(stranger, { header: { kid: String(Math.random()) } }),
    right: notKnown
  }),
  byRotating(signed),
  byRotating(again),
  byRemoved(signed),
  byRemoved(again),
  async () => ({ authorization: `Bearer ${"x.".repeat(1 + Math.random() * 4000)}`, right: ["TokenMalformed"] }),
  async () => ({ authorization: "Bearer", right: ["CredentialsMalformed"] }),
  async () => ({ authorization: undefined, right: ["TokenMissing"] })
]

const tagOf = new Map(Object.entries(TokenError.answers).map(([tag, { description }]) => [description, tag]))

const verdictOf = (status: number, challenge: string | null | undefined): string => {
  if (status === 200) return "accepted"
  if (status === 503) return "VerificationUnavailable"
  const description = /error_description="([^"]*)"/.exec(challenge ?? "")?.[1]
  return (description === undefined ? status === 401 && "TokenMissing" : tagOf.get(description)) || `status ${status}`
}

const verdicts = new Map<string, number>()
const wrong: Array<string> = []
let requests = 0

const judge = (right: ReadonlyArray<string>, verdict: string) => {
  requests++
  verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1)
  if (!right.includes(verdict)) wrong.push(`${verdict} where ${right.join(" or ")} is right`)
}

const request = async ({ authorization, key, right }: Attempt): Promise<void> => {
  const headers = authorization === undefined ? {} : { authorization }
  const response = await fetch(url, { headers })
  await response.arrayBuffer()
  const verdict = verdictOf(response.status, response.headers.get("www-authenticate"))
  judge(right, verdict)
  if (key !== undefined && verdict === "accepted") accepted.add(key)
}

/** A client that hangs up in the middle; and one that says who it is twice. */
const hostile = async () => {
  const { authorization = "" } = await by("accepted")()
  await fetch(url, { headers: { authorization }, signal: AbortSignal.timeout(1) }).catch(() => {})
  const line = `Authorization: ${authorization}`
  const { challenge, status } = await Effect.runPromise(raw(address.port, "GET / HTTP/1.1", line, line))
  judge(["CredentialsMalformed"], verdictOf(status, challenge))
}

const during = async (until: number, work: () => Promise<void>) => {
  while (Date.now() < until) await work()
}

const load = (seconds: number) => {
  const until = Date.now() + seconds * 1000
  const work = Promise.all([
    ...Array.from({ length: workers }, (_, worker) => {
      let turn = worker
      return during(until, async () => request(await attempts[turn++ % attempts.length]!()))
    }),
    during(until, hostile)
  ])
  return within(seconds + 30, "the load", work)
}

/** Until the keys were read once, 503 is right for every token. */
const firstKeys = async () => {
  const authorization = await signed(issuer.stable)
  while ((await fetch(url, { headers: { authorization } })).status === 503) {
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

const startedAt = Date.now()
// Twice what the issuer takes from one calm spell to the end of the next.
await within(45, "reading the first keys", firstKeys())
const loadedAt = Date.now()
await load(Math.min(10, seconds / 4))
const before = await memory()
await load(seconds)
// Keys that tokens were sent of during a whole calm spell: whatever happened before, these must be known.
const calmed = issuer.calmed.filter(({ since }) => since >= loadedAt).map(({ key }) => key)
const after = await memory()

child.kill()
issuer.stop()

const elapsed = Date.now() - startedAt
// Whatever it answers, it is asked once per cooldown at the most.
const bound = Math.floor(elapsed / cooldown) + 1
const pickedUp = (keys: ReadonlyArray<Key>) => keys.filter((key) => accepted.has(key)).length
const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
const failures = [
  wrong.length > 0 && `wrong verdicts: ${[...new Set(wrong)].join("; ")}`,
  calmed.length === 0 && "no calm spell after a rotation: the run was too short to tell",
  pickedUp(calmed) < calmed.length && "new keys were not picked up while the issuer was well",
  issuer.requests() > bound && "the issuer was asked too often",
  after.heapUsed > before.heapUsed * 1.2 + 2 ** 22 && "memory grew"
].filter((failure) => failure !== false)

console.log(`requests             ${requests} in ${(elapsed / 1000).toFixed(0)} s`)
for (const [verdict, count] of [...verdicts].sort(([, one], [, other]) => other - one)) {
  console.log(`  ${verdict.padEnd(26)} ${count}`)
}
console.log(`wrong verdicts       ${wrong.length}`)
console.log(`rotations            ${issuer.rotated.length}, of which ${pickedUp(issuer.rotated)} were picked up`)
console.log(`  before a calm spell        ${calmed.length}, of which ${pickedUp(calmed)} were picked up`)
console.log(`requests to issuer   ${issuer.requests()}, at most ${bound}`)
console.log(`heap                 ${mib(before.heapUsed)} at the start, ${mib(after.heapUsed)} at the end`)
console.log(`resident             ${mib(before.rss)} at the start, ${mib(after.rss)} at the end`)
for (const failure of failures) console.log(`FAILED               ${failure}`)
process.exit(failures.length === 0 ? 0 : 1)
