/**
 * A soak: a real server under load of good, bad and hostile requests while its issuer flaps. Bounded to `SOAK_SECONDS` (60).
 *
 * Fails if one verdict was wrong, if the issuer was asked more often than the cooldown allows, or if memory grew
 * by more than noise.
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
const cooldown = 1000
const workers = 32
const resource = "https://api.example"

const issuer = await Issuer.start(700)
const stranger = await generateKey("ES256", "stable")

const child = fork(new URL("./server.ts", import.meta.url), [issuer.url, resource, String(cooldown)], {
  execArgv: [...process.execArgv, "--expose-gc"]
})
const message = <A>() => new Promise<A>((resolve) => child.once("message", (value) => resolve(value as A)))
const { address } = await message<{ address: AddressInfo }>()
const url = `http://127.0.0.1:${address.port}/`
const memory = async () => {
  child.send("memory")
  return (await message<{ memory: NodeJS.MemoryUsage }>()).memory
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
}

const by = (right: string, overrides?: Overrides) => async (): Promise<Attempt> => ({
  authorization: await signed(issuer.stable, overrides),
  right: [right]
})

const notKnownYet = ["KeyNotFound", "VerificationUnavailable"]

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
    right: notKnownYet
  }),
  async () => ({ authorization: await signed(issuer.rotating), right: ["accepted", ...notKnownYet] }),
  async () => {
    const { key, unpublishedAt } = issuer.removed
    // A good answer without the key was sent a second ago: the server has read it by now.
    const gone = unpublishedAt !== undefined && unpublishedAt < Date.now() - 1000
    return { authorization: await signed(key), right: gone ? notKnownYet : ["accepted", ...notKnownYet] }
  },
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

const request = async ({ authorization, right }: Attempt): Promise<void> => {
  const headers = authorization === undefined ? {} : { authorization }
  const response = await fetch(url, { headers })
  await response.arrayBuffer()
  judge(right, verdictOf(response.status, response.headers.get("www-authenticate")))
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

const load = (until: number) =>
  Promise.all([
    ...Array.from({ length: workers }, (_, worker) => {
      let turn = worker
      return during(until, async () => request(await attempts[turn++ % attempts.length]!()))
    }),
    during(until, hostile)
  ])

// Until the keys were read once, 503 is right for every token.
const startedAt = Date.now()
while ((await fetch(url, { headers: { authorization: await signed(issuer.stable) } })).status === 503) {
  await new Promise((resolve) => setTimeout(resolve, 100))
}
await load(Date.now() + Math.min(10, seconds / 4) * 1000)
const before = await memory()
await load(Date.now() + seconds * 1000)
const after = await memory()

child.kill()
issuer.stop()

const elapsed = Date.now() - startedAt
// Whatever it answers, it is asked once per cooldown at the most.
const bound = Math.floor(elapsed / cooldown) + 1
const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
const failures = [
  wrong.length > 0 && `wrong verdicts: ${[...new Set(wrong)].join("; ")}`,
  issuer.requests() > bound && "the issuer was asked too often",
  after.heapUsed > before.heapUsed * 1.2 + 2 ** 22 && "memory grew"
].filter((failure) => failure !== false)

console.log(`requests             ${requests} in ${(elapsed / 1000).toFixed(0)} s`)
for (const [verdict, count] of [...verdicts].sort(([, one], [, other]) => other - one)) {
  console.log(`  ${verdict.padEnd(26)} ${count}`)
}
console.log(`wrong verdicts       ${wrong.length}`)
console.log(`requests to issuer   ${issuer.requests()}, at most ${bound}`)
console.log(`heap                 ${mib(before.heapUsed)} at the start, ${mib(after.heapUsed)} at the end`)
console.log(`resident             ${mib(before.rss)} at the start, ${mib(after.rss)} at the end`)
for (const failure of failures) console.log(`FAILED               ${failure}`)
process.exit(failures.length === 0 ? 0 : 1)
