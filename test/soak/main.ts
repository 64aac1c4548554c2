/**
 * A soak test: a real server under load of good, bad and hostile requests while its issuer fails and recovers. It lasts
 * `SOAK_SECONDS` (60), after a warm-up of a quarter of that and 10 seconds at most. In less than 20 seconds the issuer may not
 * reach a calm phase.
 *
 * Fails if a decision was wrong, if a new key was not used while the issuer worked, if the issuer was asked more often than the
 * cooldown allows, if memory grew by more than noise, or if a wait took too long.
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

// The longest time, as documented, until a server notices that its issuer works again: it waits five seconds for an answer,
// and up to four cooldowns after several failures in a row. (`Retry-After`, one second here, is not longer.) A calm phase is
// two seconds longer, because the machine may be busy.
const patience = 5000 + 4 * cooldown
const issuer = await Issuer.start({ moodMillis: 500, calmMillis: patience + 2000 })
const stranger = await generateKey("ES256", "stable")

const child = fork(new URL("./server.ts", import.meta.url), [issuer.url, resource, String(cooldown)], {
  execArgv: [...process.execArgv, "--expose-gc"]
})
process.on("exit", () => child.kill())

/** Waits for a promise, and fails the run if that takes longer than the limit. */
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

/** A request, and the decisions that are right for it. */
interface Attempt {
  readonly authorization: string | undefined
  readonly right: ReadonlyArray<string>
  /** The key that signed its token, if that is a key that the issuer replaces. */
  readonly key?: Key
}

const by = (right: string, overrides?: Overrides) => async (): Promise<Attempt> => ({
  authorization: await signed(issuer.stable, overrides),
  right: [right]
})

/** The replaced keys of which a token was accepted, so that the server has fetched a set with them. */
const accepted = new Set<Key>()

const notKnown = ["KeyNotFound", "VerificationUnavailable"]
const maybeKnown = ["accepted", ...notKnown]

const byRotating = (token: (key: Key) => Promise<string>) => async (): Promise<Attempt> => {
  const key = issuer.rotating
  return { authorization: await token(key), right: maybeKnown, key }
}

const byRemoved = (token: (key: Key) => Promise<string>) => async (): Promise<Attempt> => {
  const key = issuer.removed
  // No set has both keys, so that a server that accepted the new key has fetched a set without the old one.
  const gone = accepted.has(issuer.rotating)
  return { authorization: await token(key), right: gone ? notKnown : maybeKnown, key }
}

const tokens = new WeakMap<Key, Promise<string>>()

/** The same token for a key each time, which must not be accepted after its key was removed. */
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

const decisionOf = (status: number, challenge: string | null | undefined): string => {
  if (status === 200) return "accepted"
  if (status === 503) return "VerificationUnavailable"
  const description = /error_description="([^"]*)"/.exec(challenge ?? "")?.[1]
  return (description === undefined ? status === 401 && "TokenMissing" : tagOf.get(description)) || `status ${status}`
}

const decisions = new Map<string, number>()
const wrong: Array<string> = []
let requests = 0

const count = (right: ReadonlyArray<string>, decision: string) => {
  requests++
  decisions.set(decision, (decisions.get(decision) ?? 0) + 1)
  if (!right.includes(decision)) wrong.push(`${decision} where ${right.join(" or ")} is right`)
}

const request = async ({ authorization, key, right }: Attempt): Promise<void> => {
  const headers = authorization === undefined ? {} : { authorization }
  const response = await fetch(url, { headers })
  await response.arrayBuffer()
  const decision = decisionOf(response.status, response.headers.get("www-authenticate"))
  count(right, decision)
  if (key !== undefined && decision === "accepted") accepted.add(key)
}

/** A client that aborts its request, and one that sends two `Authorization` headers. */
const hostile = async () => {
  const { authorization = "" } = await by("accepted")()
  await fetch(url, { headers: { authorization }, signal: AbortSignal.timeout(1) }).catch(() => {})
  const line = `Authorization: ${authorization}`
  const { challenge, status } = await Effect.runPromise(raw(address.port, "GET / HTTP/1.1", line, line))
  count(["CredentialsMalformed"], decisionOf(status, challenge))
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

/** Waits for the first keys. Before that, 503 is right for every token. */
const firstKeys = async () => {
  const authorization = await signed(issuer.stable)
  while ((await fetch(url, { headers: { authorization } })).status === 503) {
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

const startedAt = Date.now()
// Twice the time of the issuer from one calm phase to the end of the next.
await within(45, "reading the first keys", firstKeys())
const loadedAt = Date.now()
await load(Math.min(10, seconds / 4))
const before = await memory()
await load(seconds)
// The keys of tokens that were sent during a whole calm phase. The server must know these.
const calmed = issuer.calmed.filter(({ since }) => since >= loadedAt).map(({ key }) => key)
const after = await memory()

child.kill()
issuer.stop()

const elapsed = Date.now() - startedAt
// The issuer is asked once per cooldown at most, whatever it answers.
const bound = Math.floor(elapsed / cooldown) + 1
const pickedUp = (keys: ReadonlyArray<Key>) => keys.filter((key) => accepted.has(key)).length
const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
const failures = [
  wrong.length > 0 && `wrong decisions: ${[...new Set(wrong)].join("; ")}`,
  calmed.length === 0 && "there was no calm phase after a rotation, because the run was too short",
  pickedUp(calmed) < calmed.length && "new keys were not used while the issuer worked",
  issuer.requests() > bound && "the issuer was asked too often",
  after.heapUsed > before.heapUsed * 1.2 + 2 ** 22 && "memory grew"
].filter((failure) => failure !== false)

console.log(`requests             ${requests} in ${(elapsed / 1000).toFixed(0)} s`)
for (const [decision, count] of [...decisions].sort(([, one], [, other]) => other - one)) {
  console.log(`  ${decision.padEnd(26)} ${count}`)
}
console.log(`wrong decisions       ${wrong.length}`)
console.log(`rotations            ${issuer.rotated.length}, of which ${pickedUp(issuer.rotated)} were used`)
console.log(`  before a calm phase        ${calmed.length}, of which ${pickedUp(calmed)} were used`)
console.log(`requests to issuer   ${issuer.requests()}, at most ${bound}`)
console.log(`heap                 ${mib(before.heapUsed)} at the start, ${mib(after.heapUsed)} at the end`)
console.log(`resident             ${mib(before.rss)} at the start, ${mib(after.rss)} at the end`)
for (const failure of failures) console.log(`FAILED               ${failure}`)
process.exit(failures.length === 0 ? 0 : 1)
