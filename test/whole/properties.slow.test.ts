import { describe, expect, it } from "@effect/vitest"
import { BearerAuth, Check, Jwt, KeySet, TokenError } from "effect-resource-server"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { issuer, keyFor, mint, resource, sign } from "../support/issuer.ts"
import { Auth } from "../support/rejections.ts"
import { capture, type Line } from "../support/server.ts"

/** Everything that `Jwt.verify` may say of a token that no one minted. */
const refusals = [
  "TokenMalformed",
  "AlgorithmNotAllowed",
  "CriticalHeaderUnsupported",
  "KeyNotFound",
  "SignatureInvalid"
]

const algorithms: ReadonlyArray<KeySet.Algorithm> = ["RS256", "PS256", "ES256", "EdDSA"]

const Keys = KeySet.layerLocal({
  algorithms,
  jwks: { keys: await Promise.all(algorithms.map(async (algorithm) => (await keyFor(algorithm)).jwk)) }
})

const context = await Effect.runPromise(Effect.scoped(Layer.build(Keys)))

const verdict = (token: string) =>
  Jwt.verify(Redacted.make(token)).pipe(
    Effect.match({ onFailure: ({ _tag }) => _tag as string, onSuccess: () => "verified" }),
    Effect.provide(context)
  )

/** Runs a property over effects; a counterexample is printed with its seed. */
const holds = <A>(arbitrary: FastCheck.Arbitrary<A>, property: (value: A) => Effect.Effect<unknown>, numRuns: number) =>
  Effect.promise(() =>
    FastCheck.assert(
      FastCheck.asyncProperty(arbitrary, (value) => Effect.runPromise(Effect.asVoid(property(value)))),
      { numRuns }
    )
  )

const anyText = FastCheck.oneof(
  FastCheck.fullUnicodeString({ maxLength: 300 }),
  FastCheck.string16bits({ maxLength: 300 }),
  FastCheck.stringOf(FastCheck.constantFrom(..."AQgw-_.=+/ \t\n{}\"'\\\u0000"), { maxLength: 200 })
)

const segment = FastCheck.base64String({ maxLength: 200 }).map((text) =>
  text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")
)

const jsonSegment = FastCheck.json().map((text) => Buffer.from(text).toString("base64url"))

/** A header that gets far: known names with values of any kind. */
const header = FastCheck.record(
  {
    alg: FastCheck.oneof(FastCheck.constantFrom("ES256", "RS256", "none", "HS256", "__proto__"), FastCheck.jsonValue()),
    kid: FastCheck.oneof(FastCheck.constantFrom("es256", "rs256", "__proto__"), FastCheck.jsonValue()),
    typ: FastCheck.jsonValue(),
    crit: FastCheck.jsonValue(),
    b64: FastCheck.boolean(),
    cty: FastCheck.jsonValue(),
    jwk: FastCheck.jsonValue()
  },
  { requiredKeys: [] }
).map((value) => Buffer.from(JSON.stringify(value)).toString("base64url"))

/** A header that gets as far as the keys. */
const plainHeader = FastCheck.record({
  alg: FastCheck.constantFrom("ES256", "RS256"),
  kid: FastCheck.constantFrom("es256", "another")
}).map((value) => Buffer.from(JSON.stringify(value)).toString("base64url"))

const part = FastCheck.oneof(segment, jsonSegment, header)

describe("any string as a token", () => {
  it.effect("never throws and never verifies", () =>
    holds(
      FastCheck.oneof(
        anyText,
        FastCheck.tuple(part, part, part).map((parts) => parts.join(".")),
        FastCheck.tuple(header, jsonSegment, segment).map((parts) => parts.join("."))
      ),
      (token) => Effect.map(verdict(token), (tag) => expect(refusals).toContain(tag)),
      3000
    )
  )
})

/** A request with a header that a web `Request` may well refuse to hold. */
const requestWith = (authorization: string) => {
  const request = HttpServerRequest.fromWeb(new Request("http://127.0.0.1/"))
  return request.modify({ headers: { ...request.headers, authorization } as typeof request.headers })
}

/** The same as a real `Request`, which trims it; none where it is not legal there. */
const webRequestsWith = (authorization: string) => {
  try {
    return [HttpServerRequest.fromWeb(new Request("http://127.0.0.1/", { headers: { authorization } }))]
  } catch {
    return []
  }
}

describe("any string as an Authorization header", () => {
  it.effect("is missing, malformed, or one token; never an exception", () =>
    holds(
      FastCheck.oneof(
        anyText,
        anyText.map((text) => `Bearer ${text}`),
        segment.map((text) => `bearer   ${text}`)
      ),
      (authorization) =>
        Effect.sync(() => {
          const credentials = BearerAuth.credentials(requestWith(authorization))
          const said = Either.match(credentials, {
            onLeft: ({ _tag }): string => _tag,
            onRight: (token) => Redacted.value(token)
          })
          expect(["TokenMissing", "CredentialsMalformed", authorization.replace(/^bearer +/i, "")]).toContain(said)
        }),
      2000
    )
  )

  it.scopedLive("is refused by the whole edge with a typed error, one line and a well-formed challenge", () =>
    Effect.gen(function* () {
      const lines: Array<Line> = []
      const edge = yield* Effect.provide(BearerAuth.make(), yield* Layer.build(Auth.pipe(Layer.provide(capture([])))))
      const good = Redacted.value(yield* mint())
      const attempts = [requestWith(`Bearer ${good}`), ...webRequestsWith(`Bearer ${good}`)]
      expect(attempts.length).toBe(2)
      for (const request of attempts) expect((yield* edge.authenticate(request)).subject).toBe("user-1")

      // What is only space around the good token leaves it good.
      const junk = anyText.filter((text) => /[^\t\n\r ]/.test(text))
      const seen = new Set<string>()
      const isRefused = (request: HttpServerRequest.HttpServerRequest) =>
        Effect.gen(function* () {
          lines.length = 0
          const error = yield* Effect.flip(edge.authenticate(request)).pipe(
            Effect.orDieWith(() => new Error("the token was accepted"))
          )
          seen.add(error._tag)
          expect(["TokenMissing", "CredentialsMalformed", ...refusals]).toContain(error._tag)
          const { headers, status } = edge.challenge(error)
          expect(status).toBe(error._tag === "CredentialsMalformed" ? 400 : 401)
          // RFC 9110 section 11.6.1, the values by RFC 6750 section 3.
          expect(headers["www-authenticate"]).toMatch(
            /^Bearer [a-z_]+="[\x20-\x21\x23-\x5b\x5d-\x7e]*"(, [a-z_]+="[\x20-\x21\x23-\x5b\x5d-\x7e]*")*$/
          )
          expect(lines.map(({ annotations }) => annotations["error"])).toEqual([error._tag])
          expect(lines[0]?.message).toMatch(/^Request rejected: [\x20-\x7e]+$/)
        })
      yield* holds(
        FastCheck.oneof(
          anyText,
          anyText.map((text) => `Bearer ${text}`),
          segment.map((text) => `bearer   ${text}`),
          FastCheck.tuple(part, part, part).map((parts) => `Bearer ${parts.join(".")}`),
          FastCheck.tuple(FastCheck.oneof(header, plainHeader), jsonSegment, segment).map(
            (parts) => `Bearer ${parts.join(".")}`
          ),
          junk.map((text) => `${text}Bearer ${good}`),
          junk.map((text) => `Bearer ${text}${good}`),
          junk.map((text) => `Bearer ${good}${text}`)
        ),
        (authorization) =>
          Effect.forEach([requestWith(authorization), ...webRequestsWith(authorization)], isRefused).pipe(
            Effect.provide(capture(lines))
          ),
        1000
      )
      expect([...seen].sort()).toEqual(["TokenMissing", "CredentialsMalformed", ...refusals].sort())
    })
  )
})

describe("any change of one bit of a good token", () => {
  for (const algorithm of algorithms) {
    it.effect(`is refused (${algorithm})`, () =>
      Effect.gen(function* () {
        const token = Redacted.value(yield* mint({ algorithm }))
        expect(yield* verdict(token)).toBe("verified")
        const bytes = Buffer.from(token, "latin1")
        const verdicts = new Map<string, number>()
        // RSA tokens are long: every bit of the ends of each segment, and every seventh of the rest.
        const sampled = algorithm === "RS256" || algorithm === "PS256"
        const boundaries = [0, token.indexOf("."), token.lastIndexOf("."), token.length - 1]
        for (let bit = 0; bit < bytes.length * 8; bit++) {
          if (sampled && bit % 7 !== 0 && boundaries.every((boundary) => Math.abs(boundary - (bit >> 3)) > 2)) continue
          const changed = Buffer.from(bytes)
          changed[bit >> 3]! ^= 1 << (bit & 7)
          const tag = yield* verdict(changed.toString("latin1"))
          verdicts.set(tag, (verdicts.get(tag) ?? 0) + 1)
        }
        expect(refusals).toEqual(expect.arrayContaining([...verdicts.keys()]))
        expect(verdicts.get("SignatureInvalid")).toBeGreaterThan(50)
        const tried = [...verdicts.values()].reduce((sum, count) => sum + count, 0)
        expect(tried === bytes.length * 8).toBe(!sampled)
      })
    )
  }
})

/** 1970, where the times of the claims below lie. */
const epoch: Clock.Clock = { ...Clock.make(), currentTimeMillis: Effect.succeed(0) }

describe("a pipeline's verdict", () => {
  const pipeline = (token: string) =>
    Jwt.verify(Redacted.make(token)).pipe(
      Effect.flatMap(Check.tokenType("at+jwt")),
      Effect.flatMap(Check.issuer(issuer)),
      Effect.flatMap(Check.audience({ audiences: [resource] })),
      Effect.flatMap(Check.lifetime()),
      Effect.flatMap(Check.bearer),
      Effect.flatMap(Check.rfc9068Claims),
      Effect.flatMap(Check.scopes(["mcp:tools"])),
      Effect.match({ onFailure: (error): string => error._tag, onSuccess: () => "accepted" }),
      Effect.provide(context)
    )
  /** Mostly what is good, so that the last checks are reached, too. */
  const usually = (good: unknown, ...others: ReadonlyArray<unknown>) =>
    FastCheck.oneof(
      { weight: 4, arbitrary: good instanceof FastCheck.Arbitrary ? good : FastCheck.constant(good) },
      { weight: 1, arbitrary: FastCheck.constantFrom(...others) }
    )
  const claims: ReadonlyArray<readonly [string, FastCheck.Arbitrary<unknown>]> = [
    ["iss", usually(issuer, `${issuer}/`, 1)],
    ["aud", usually(FastCheck.constantFrom(resource, [resource]), "x", {})],
    ["exp", usually(1000, -100, "1000", null)],
    ["nbf", usually(FastCheck.constantFrom(0, undefined), 1e9)],
    ["iat", usually(0, 1e9)],
    ["sub", usually("user", undefined)],
    ["client_id", FastCheck.constant("client")],
    ["jti", FastCheck.constant("jti")],
    ["scope", FastCheck.constantFrom("mcp:tools", "", undefined)],
    ["scp", FastCheck.constantFrom(["mcp:tools"], undefined)],
    ["cnf", usually(undefined, {})]
  ]

  it.effect("does not depend on the order of claims, is a tag of the table, and is reached for every tag", () =>
    Effect.gen(function* () {
      const key = yield* Effect.promise(() => keyFor("ES256"))
      const header = JSON.stringify({ alg: "ES256", kid: key.keyId, typ: "at+jwt" })
      const seen = new Set<string>()
      yield* Effect.promise(() =>
        FastCheck.assert(
          FastCheck.asyncProperty(
            FastCheck.tuple(...claims.map(([, value]) => value)),
            FastCheck.shuffledSubarray([...claims.keys()], { minLength: claims.length }),
            async (values, order) => {
              const entries = claims.map(([name], index) => [name, values[index]] as const)
              const written = (members: typeof entries) =>
                sign(key, header, JSON.stringify(Object.fromEntries(members)))
              const verdicts = await Promise.all(
                [entries, order.map((index) => entries[index]!)].map(async (members) =>
                  Effect.runPromise(Effect.withClock(pipeline(await written(members)), epoch))
                )
              )
              expect(verdicts[0]).toBe(verdicts[1])
              expect(["accepted", ...Object.keys(TokenError.answers)]).toContain(verdicts[0])
              seen.add(verdicts[0]!)
            }
          ),
          { numRuns: 1500 }
        )
      )
      expect([...seen].sort()).toEqual([
        "AudienceMismatch",
        "BindingMismatch",
        "ClaimInvalid",
        "Expired",
        "IssuerMismatch",
        "NotYetValid",
        "ScopeMissing",
        "accepted"
      ])
    })
  )
})
