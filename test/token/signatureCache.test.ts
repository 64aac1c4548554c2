import { describe, expect, it } from "@effect/vitest"
import { type AccessToken, KeySet, ProtectedResource, TokenVerifier } from "effect-resource-server"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import { cacheLookups } from "../../src/metrics.ts"
import * as node from "../../src/issuer/signature.node.ts"
import * as web from "../../src/issuer/signature.web.ts"
import * as SignatureCache from "../../src/token/signatureCache.ts"
import { generateKey, issuer, type Key, keyFor, mint, type Overrides, resource } from "../support/issuer.ts"

/** Keys of one backend, which count the signatures they check, and can be taken away. */
const keysOf = (backend: { importKey: typeof node.importKey }, ...keys: ReadonlyArray<Key>) =>
  Effect.promise(async () => {
    const state = { checked: 0, published: [] as ReadonlyArray<KeySet.VerificationKey> }
    state.published = await Promise.all(
      keys.map(async ({ algorithm, jwk, keyId }) => {
        const verify = await backend.importKey(jwk, algorithm as KeySet.Algorithm)
        return { keyId, verify: (token: string) => (state.checked++, verify(token)) }
      })
    )
    const find = ({ keyId }: { readonly keyId: string | undefined }) =>
      Effect.sync(() => state.published.filter((key) => key.keyId === keyId))
    return { state, layer: Layer.succeed(KeySet.KeySet, { algorithms: new Set(["ES256"] as const), find }) }
  })

const verifierOf = (keys: Layer.Layer<KeySet.KeySet>, options?: Partial<TokenVerifier.JwtOptions>) =>
  TokenVerifier.layerJwt({ issuer, ...options }).pipe(
    Layer.provide(keys),
    Layer.provide(
      ProtectedResource.layer({ baseUrl: resource, authorizationServers: [issuer], requiredScopes: ["mcp:tools"] })
    )
  )

const verify = (token: Redacted.Redacted) =>
  Effect.flatMap(TokenVerifier.TokenVerifier, (verifier) => verifier.verify(Redacted.make(Redacted.value(token))))

const decision = (token: Redacted.Redacted) =>
  Effect.match(verify(token), { onFailure: (error): string => error._tag, onSuccess: () => "accepted" })

/** A token is kept from its second time on. */
const remember = (token: Redacted.Redacted) =>
  Effect.map(Effect.replicateEffect(decision(token), 2), (decisions) =>
    expect(decisions).toEqual(["accepted", "accepted"])
  )

const good = Effect.promise(() => keyFor("ES256"))

describe("the signature of a token that comes again", () => {
  it.effect("is checked twice and never again, or each time where the cache has no room", () =>
    Effect.gen(function* () {
      const token = yield* mint()
      const checked = (options?: Partial<TokenVerifier.JwtOptions>) =>
        Effect.gen(function* () {
          const { layer, state } = yield* keysOf(node, yield* good)
          const decisions = yield* Effect.provide(
            Effect.replicateEffect(decision(token), 5),
            verifierOf(layer, options)
          )
          expect(decisions).toEqual(Array(5).fill("accepted"))
          return state.checked
        })
      expect(yield* checked()).toBe(2)
      expect(yield* checked({ signatureCacheEntries: 0 })).toBe(5)
      expect(yield* checked({ signatureCacheBytes: 0 })).toBe(5)
    })
  )

  it.effect("is checked anew once its key is not the issuer's any more, and with a key put in its place", () =>
    Effect.gen(function* () {
      const { layer, state } = yield* keysOf(node, yield* good)
      const { state: other } = yield* keysOf(node, yield* Effect.promise(() => generateKey("ES256", "es256")))
      const [first] = state.published
      const token = yield* mint()
      yield* Effect.gen(function* () {
        yield* remember(token)
        state.published = []
        expect(yield* decision(token)).toBe("KeyNotFound")
        state.published = other.published
        expect(yield* decision(token)).toBe("SignatureInvalid")
        state.published = [first!]
        expect(yield* decision(token)).toBe("accepted")
        expect(state.checked).toBe(3)
      }).pipe(Effect.provide(verifierOf(layer)))
    })
  )

  it.effect("saves no token from its claims: it expires on time, and is then forgotten", () =>
    Effect.gen(function* () {
      const { layer, state } = yield* keysOf(node, yield* good)
      const token = yield* mint()
      yield* Effect.gen(function* () {
        yield* remember(token)
        yield* TestClock.adjust("329 seconds")
        expect(yield* decision(token)).toBe("accepted")
        yield* TestClock.adjust("1 second")
        expect([yield* decision(token), state.checked]).toEqual(["Expired", 2])
        expect([yield* decision(token), state.checked]).toEqual(["Expired", 3])
      }).pipe(Effect.provide(verifierOf(layer)))
    })
  )

  it.effect("is not remembered of a token that a check rejects", () =>
    Effect.gen(function* () {
      const { layer, state } = yield* keysOf(node, yield* good)
      const token = yield* mint({ claims: { scope: "other" } })
      const decisions = yield* Effect.provide(Effect.replicateEffect(decision(token), 3), verifierOf(layer))
      expect([decisions, state.checked]).toEqual([["ScopeMissing", "ScopeMissing", "ScopeMissing"], 3])
    })
  )

  it.effect.each([false, true])("counts for the time after waiting for the keys (remembered: %s)", (remembered) =>
    Effect.gen(function* () {
      const { layer } = yield* keysOf(node, yield* good)
      const slow = Layer.map(layer, (context) => {
        const { algorithms, find } = Context.get(context, KeySet.KeySet)
        let calls = 0
        return Context.make(KeySet.KeySet, {
          algorithms,
          find: (header) => (++calls > (remembered ? 2 : 0) ? Effect.delay(find(header), "10 minutes") : find(header))
        })
      })
      const token = yield* mint()
      yield* Effect.gen(function* () {
        if (remembered) yield* remember(token)
        const waiting = yield* Effect.fork(decision(token))
        yield* TestClock.adjust("10 minutes")
        expect(yield* Fiber.join(waiting)).toBe("Expired")
      }).pipe(Effect.provide(verifierOf(slow)))
    })
  )

  it.effect("is rejected without a stack, and other errors keep theirs", () =>
    Effect.gen(function* () {
      const { layer } = yield* keysOf(node, yield* good)
      const token = yield* mint({ header: { kid: 1 } })
      const error = yield* Effect.acquireUseRelease(
        Effect.sync(() => {
          const limit = Error.stackTraceLimit
          Error.stackTraceLimit = 7
          return limit
        }),
        () => Effect.tap(Effect.flip(verify(token)), () => expect(Error.stackTraceLimit).toBe(7)),
        (limit) => Effect.sync(() => (Error.stackTraceLimit = limit))
      ).pipe(Effect.provide(verifierOf(layer)))
      expect([error._tag, error.stack?.match(/\n +at /g)]).toEqual(["TokenMalformed", null])
    })
  )

  it.effect("is judged also where the limit of stacks cannot be changed, as where Error is frozen", () =>
    Effect.gen(function* () {
      const { layer } = yield* keysOf(node, yield* good)
      const tokens = [yield* mint(), yield* mint({ header: { kid: 1 } })]
      const decisions = yield* Effect.acquireUseRelease(
        Effect.sync(() => {
          const before = Object.getOwnPropertyDescriptor(Error, "stackTraceLimit")!
          Object.defineProperty(Error, "stackTraceLimit", { writable: false })
          return before
        }),
        () => Effect.forEach(tokens, decision),
        (before) => Effect.sync(() => Object.defineProperty(Error, "stackTraceLimit", before))
      ).pipe(Effect.provide(verifierOf(layer)))
      expect(decisions).toEqual(["accepted", "TokenMalformed"])
    })
  )

  it.effect("is counted as known or not, each time that it is asked for", () =>
    Effect.gen(function* () {
      const { layer } = yield* keysOf(node, yield* good)
      const token = yield* mint()
      const count = Effect.map(Metric.value(cacheLookups), ({ occurrences }) => ({
        hit: occurrences.get("hit") ?? 0,
        miss: occurrences.get("miss") ?? 0,
        all: [...occurrences.values()].reduce((sum, one) => sum + one, 0)
      }))
      const before = yield* count
      yield* Effect.provide(Effect.replicateEffect(decision(token), 5), verifierOf(layer))
      const { all, hit, miss } = yield* count
      expect([hit - before.hit, miss - before.miss, all - before.all]).toEqual([3, 2, 5])
    })
  )

  it.effect("asks a key set for what it has at hand, and for nothing more", () =>
    Effect.gen(function* () {
      const { layer, state } = yield* keysOf(node, yield* good)
      const atHand = Layer.map(layer, (context) =>
        Context.make(KeySet.KeySet, {
          algorithms: Context.get(context, KeySet.KeySet).algorithms,
          find: () => Effect.dieMessage("asked for a key"),
          findNow: () => state.published
        })
      )
      const decisions = yield* Effect.provide(Effect.replicateEffect(decision(yield* mint()), 4), verifierOf(atHand))
      expect(decisions).toEqual(Array(4).fill("accepted"))
    })
  )

  it.effect("is checked for nobody in vain where callers come together or are interrupted", () =>
    Effect.gen(function* () {
      const { layer } = yield* keysOf(web, yield* good)
      const token = yield* mint()
      yield* Effect.gen(function* () {
        const interrupted = yield* Effect.fork(decision(token))
        yield* Effect.yieldNow()
        const decisions = Effect.replicateEffect(decision(token), 20, { concurrency: "unbounded" })
        const running = yield* Effect.fork(decisions)
        yield* Fiber.interrupt(interrupted)
        expect(new Set(yield* Fiber.join(running))).toEqual(new Set(["accepted"]))
      }).pipe(Effect.provide(verifierOf(layer)))
    })
  )

  it.effect("leads to a token that no handler can change for the next", () =>
    Effect.gen(function* () {
      const { layer } = yield* keysOf(node, yield* good)
      const token = yield* mint({ claims: { nested: { list: [1] } } })
      yield* Effect.gen(function* () {
        for (let request = 0; request < 4; request++) {
          const received = (yield* verify(token)) as Writable<AccessToken.AccessToken["Type"]>
          const claims = received.claims as { sub: string; nested: { list: Array<number> } }
          expect([received.subject, claims.nested, [...received.scopes]]).toEqual([
            "user-1",
            { list: [1] },
            ["mcp:tools"]
          ])
          expect(() => (received.subject = "root")).toThrow(TypeError)
          expect(() => (claims.sub = "root")).toThrow(TypeError)
          expect(() => claims.nested.list.push(2)).toThrow(TypeError)
          for (const method of ["add", "delete", "clear"] as const) {
            expect(() => (received.scopes as Set<string>)[method]("admin")).toThrow("cannot be changed")
          }
          expect(() => Object.assign(received.scopes, { has: () => true })).toThrow(TypeError)
        }
      }).pipe(Effect.provide(verifierOf(layer)))
    })
  )
})

type Writable<A> = { -readonly [Name in keyof A]: A[Name] }

describe("every decision", () => {
  const cases: ReadonlyArray<readonly [string, Overrides | string]> = [
    ["accepted", {}],
    ["accepted", { claims: { aud: [resource, "other"] } }],
    ["TokenMalformed", "a.b"],
    ["TokenMalformed", { header: { kid: 1 } }],
    ["AlgorithmNotAllowed", { header: { alg: "RS256" } }],
    ["AlgorithmNotAllowed", { header: { alg: "none" } }],
    ["CriticalHeaderUnsupported", { header: { crit: [] } }],
    ["KeyNotFound", { header: { kid: "other" } }],
    ["TypeMismatch", { header: { typ: "JWT" } }],
    ["IssuerMismatch", { claims: { iss: `${issuer}/` } }],
    ["AudienceMismatch", { claims: { aud: `${resource}/` } }],
    ["Expired", { claims: { exp: -31 } }],
    ["NotYetValid", { claims: { nbf: 31 } }],
    ["NotYetValid", { claims: { iat: 31 } }],
    ["ClaimInvalid", { claims: { exp: undefined } }],
    ["ClaimInvalid", { claims: { sub: 1 } }],
    ["BindingMismatch", { claims: { cnf: { jkt: "x" } } }],
    ["ScopeMissing", { claims: { scope: "mcp:toolsy" } }]
  ]

  it.effect("is the same with a cold cache, a warm one and none, by either backend, in any order", () =>
    Effect.gen(function* () {
      const stranger = yield* Effect.promise(() => generateKey("ES256", "es256"))
      const tokens = yield* Effect.forEach(cases, ([tag, given]) =>
        Effect.map(typeof given === "string" ? Effect.succeed(Redacted.make(given)) : mint(given), (token) => ({
          tag,
          token
        }))
      )
      tokens.push({ tag: "SignatureInvalid", token: yield* mint({ key: stranger }) })
      const [first] = tokens
      const text = Redacted.value(first!.token)
      tokens.push({ tag: "SignatureInvalid", token: Redacted.make(`${text.slice(0, -4)}AAAA`) })
      const expected = tokens.map(({ tag }) => tag)
      for (const backend of [node, web]) {
        for (const options of [{}, { signatureCacheEntries: 0 }]) {
          const { layer } = yield* keysOf(backend, yield* good)
          yield* Effect.gen(function* () {
            for (const order of [tokens, tokens, tokens, [...tokens].reverse()]) {
              const decisions = yield* Effect.forEach(order, ({ token }) => decision(token))
              expect(decisions).toEqual(order === tokens ? expected : [...expected].reverse())
            }
          }).pipe(Effect.provide(verifierOf(layer, options)))
        }
      }
    })
  )
})

describe("SignatureCache.make", () => {
  const token = (name: string | number) => `token-${name}`.padStart(100, ".")

  const twice = (cache: SignatureCache.SignatureCache<number>, text: string, value: number) => {
    cache.add(text, () => value)
    cache.add(text, () => value)
  }

  it("keeps a token from its second time on, without making up what to keep before", () => {
    const cache = SignatureCache.make<number>({ entries: 10, bytes: 1e6 })
    cache.add(token("new"), () => {
      throw new Error("made too early")
    })
    expect(cache.get(token("new"))).toBeUndefined()
    cache.add(token("new"), () => 1)
    expect(cache.get(token("new"))).toBe(1)
    cache.add(token("new"), () => 2)
    expect(cache.get(token("new"))).toBe(1)
  })

  it("keeps what is used, lets go of what is not, and forgets what it is told to", () => {
    const cache = SignatureCache.make<number>({ entries: 10, bytes: 1e6 })
    twice(cache, token("used"), 1)
    twice(cache, token("forgotten"), 2)
    cache.remove(token("forgotten"))
    for (let i = 0; i < 100; i++) {
      twice(cache, token(i), i)
      expect(cache.get(token("used"))).toBe(1)
    }
    expect(cache.get(token("forgotten"))).toBeUndefined()
    expect(cache.get(token(0))).toBeUndefined()
    expect(cache.get(token(99))).toBe(99)
  })

  it("takes no token for another that ends like it", () => {
    const cache = SignatureCache.make<number>({ entries: 10, bytes: 1e6 })
    const [one, other] = ["one.signature", "other.signature"]
    twice(cache, one, 1)
    for (let i = 0; i < 7; i++) {
      expect(cache.get(other)).toBeUndefined()
      cache.remove(other)
      twice(cache, token(i), i)
    }
    // By now it is of the old generation.
    expect(cache.get(one)).toBe(1)
    twice(cache, other, 2)
    expect([cache.get(one), cache.get(other)]).toEqual([undefined, 2])
    twice(cache, other, 3)
    expect(cache.get(other)).toBe(2)
  })

  it("counts a token that takes another's place once", () => {
    const cache = SignatureCache.make<number>({ entries: 1e6, bytes: 4 * (4 * 100 + 512) })
    for (let i = 0; i < 9; i++) twice(cache, `${"x".repeat(90)}${i}.signature`, i)
    twice(cache, token("last"), 1)
    expect(cache.get(`${"x".repeat(90)}8.signature`)).toBe(8)
  })

  /** Which of these are kept, asked one after the other. */
  const held = (cache: SignatureCache.SignatureCache<number>, ...names: ReadonlyArray<string>) =>
    names.filter((name) => cache.get(token(name)) !== undefined)

  const entry = 4 * 100 + 512
  it.each<{ entries: number; bytes: number; kept: string }>([
    { entries: 4, bytes: 1e6, kept: "dca" },
    { entries: 3, bytes: 1e6, kept: "dc" },
    { entries: 2, bytes: 1e6, kept: "dc" },
    { entries: 1, bytes: 1e6, kept: "" },
    { entries: 1e6, bytes: 4 * entry, kept: "dca" },
    { entries: 1e6, bytes: 4 * entry - 1, kept: "dc" },
    { entries: 1e6, bytes: 2 * entry, kept: "dc" },
    { entries: 1e6, bytes: 2 * entry - 1, kept: "" },
    { entries: 0, bytes: 1e6, kept: "" },
    { entries: 1e6, bytes: 0, kept: "" }
  ])("keeps the last of four in $entries entries and $bytes bytes: $kept", ({ bytes, entries, kept }) => {
    const cache = SignatureCache.make<number>({ entries, bytes })
    for (const name of "abcd") twice(cache, token(name), 1)
    expect(held(cache, ..."dcab").join("")).toBe(kept)
  })

  it("notes the first time of each token apart", () => {
    const cache = SignatureCache.make<number>({ entries: 1000, bytes: 1e6 })
    const names = Array.from({ length: 40 }, (_, index) => `${index}`)
    for (const name of names) {
      cache.add(token(name), () => {
        throw new Error("made too early")
      })
    }
    for (const name of names) cache.add(token(name), () => 1)
    expect(held(cache, ...names)).toEqual(names)
  })

  it("lets go of nothing for tokens that came once, or are asked for and unknown", () => {
    const cache = SignatureCache.make<number>({ entries: 4, bytes: 1e6 })
    for (const name of "ab") twice(cache, token(name), 1)
    for (let i = 0; i < 100; i++) {
      cache.add(token(`once-${i}`), () => 1)
      expect(cache.get(token(`once-${i}`))).toBeUndefined()
      cache.remove(token(`once-${i}`))
    }
    expect(held(cache, "a", "b")).toEqual(["a", "b"])
  })

  it("knows what it holds after some was removed, and some was not there to be", () => {
    const cache = SignatureCache.make<number>({ entries: 1e6, bytes: 4 * entry })
    twice(cache, token("a"), 1)
    twice(cache, token("removed"), 1)
    cache.remove(token("removed"))
    twice(cache, token("b"), 1)
    for (let i = 0; i < 10; i++) cache.remove(token("unknown"))
    for (const name of "cd") twice(cache, token(name), 1)
    expect(held(cache, ..."dcab").join("")).toBe("dca")
  })

  it("forgets what moved to the old generation as well", () => {
    const cache = SignatureCache.make<number>({ entries: 4, bytes: 1e6 })
    for (const name of "abc") twice(cache, token(name), 1)
    cache.remove(token("a"))
    expect(held(cache, ..."cab")).toEqual(["c", "b"])
  })

  it("never holds more than its bounds, whatever is added, used and removed", () => {
    const step = FastCheck.record({
      what: FastCheck.constantFrom("add", "get", "remove"),
      name: FastCheck.nat(30),
      length: FastCheck.constantFrom(10, 200, 5000)
    })
    FastCheck.assert(
      FastCheck.property(
        FastCheck.nat(12),
        FastCheck.nat(40_000),
        FastCheck.array(step, { maxLength: 200 }),
        (entries, bytes, steps) => {
          const cache = SignatureCache.make<number>({ entries, bytes })
          const names = new Map<string, number>()
          for (const { length, name, what } of steps) {
            const text = `${name}-${length}`.padStart(length, ".")
            names.set(text, length)
            if (what === "add") twice(cache, text, length)
            else if (what === "get") cache.get(text)
            else cache.remove(text)
          }
          const held = [...names].filter(([text]) => cache.get(text) !== undefined)
          expect(held.length).toBeLessThanOrEqual(entries)
          expect(held.reduce((sum, [, length]) => sum + 4 * length + 512, 0)).toBeLessThanOrEqual(bytes)
        }
      )
    )
  })
})
