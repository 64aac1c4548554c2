import { describe, expect, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as HashMap from "effect/HashMap"
import * as Challenge from "../../src/doors/Challenge.ts"
import * as Check from "../../src/token/Check.ts"
import { type Jwt, scopes as scopesOf } from "../../src/token/Jwt.ts"
import * as ProtectedResource from "../../src/resource/ProtectedResource.ts"
import * as ScopeHierarchy from "../../src/resource/ScopeHierarchy.ts"
import { ScopeMissing } from "../../src/TokenError.ts"

const notes = ScopeHierarchy.make({ admin: ["write", "audit"], write: ["read"] })
const granted = (...scopes: ReadonlyArray<string>) => new Set(scopes)

describe("covers", () => {
  it.effect.each<[ReadonlyArray<string>, ReadonlyArray<string>, boolean]>([
    [["admin"], ["admin", "write", "read", "audit"], true],
    [["write"], ["read"], true],
    [["write"], ["admin"], false],
    [["read"], ["write"], false],
    [["write"], ["read", "audit"], false],
    [["write", "audit"], ["read", "audit"], true],
    [["ADMIN"], ["read"], false],
    [["toString"], ["__proto__"], false],
    [[], ["read"], false],
    [[], [], true]
  ])("of %j for %j is %s", ([scopes, required, expected]) =>
    Effect.map(notes, (hierarchy) =>
      expect(ScopeHierarchy.covers(granted(...scopes), required, hierarchy)).toBe(expected)
    )
  )

  it("lets no scope imply another without a hierarchy", () => {
    expect(ScopeHierarchy.covers(granted("admin"), ["read"])).toBe(false)
    expect(ScopeHierarchy.covers(granted("admin"), ["admin"])).toBe(true)
  })

  it.effect("treats scopes that imply each other as equal, and ignores a scope that implies itself", () =>
    Effect.gen(function* () {
      const circle = yield* ScopeHierarchy.make({ a: ["b"], b: ["c"], c: ["a"], d: ["d"] })
      for (const one of ["a", "b", "c"]) {
        for (const other of ["a", "b", "c"]) expect(ScopeHierarchy.covers(granted(one), [other], circle)).toBe(true)
      }
      expect(ScopeHierarchy.covers(granted("d"), ["a"], circle)).toBe(false)
      expect(ScopeHierarchy.narrowest(["b", "a", "c", "d"], circle)).toEqual(["b", "d"])
    })
  )
})

describe("make", () => {
  it.effect.each([
    [{ "two words": ["a"] }, "two words", "scopeHierarchy"],
    [{ a: ["b", 'quo"te'] }, 'quo"te', "scopeHierarchy.a"],
    [{ a: [""] }, "", "scopeHierarchy.a"]
  ])("refuses %j", ([implications, value, option]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(ScopeHierarchy.make(implications as ScopeHierarchy.Implications))
      expect([error.option, error.reason]).toEqual([
        option,
        "is not a scope (printable ASCII, no space, quote, backslash)"
      ])
      expect(error.message).toContain((value as string).replace('"', "\\u0022"))
    })
  )
})

describe("any hierarchy", () => {
  const scope = FastCheck.constantFrom("a", "b", "c", "d", "e")
  const implications = FastCheck.dictionary(scope, FastCheck.array(scope, { maxLength: 3 }))
  const some = FastCheck.array(scope, { minLength: 1, maxLength: 5 })

  it("asks for scopes that suffice, and for none that another one implies", () => {
    FastCheck.assert(
      FastCheck.property(implications, some, (given, required) => {
        const hierarchy = Effect.runSync(ScopeHierarchy.make(given))
        const asked = ScopeHierarchy.narrowest(required, hierarchy)
        expect(ScopeHierarchy.covers(new Set(asked), required, hierarchy)).toBe(true)
        for (const one of asked) {
          const rest = asked.filter((other) => other !== one)
          expect(ScopeHierarchy.covers(new Set(rest), [one], hierarchy)).toBe(false)
        }
      })
    )
  })
})

describe("a resource with a hierarchy", () => {
  const options = {
    baseUrl: "https://api.example",
    authorizationServers: ["https://as.example"],
    requiredScopes: ["read"]
  } as const

  it.effect("uses it for checks and challenges", () =>
    Effect.gen(function* () {
      const resource = yield* ProtectedResource.make({
        ...options,
        scopeHierarchy: { admin: ["write"], write: ["read"] }
      })
      const { headers } = Challenge.make(new ScopeMissing({ required: ["write"], granted: [] }), resource, ["write"])
      expect(headers["www-authenticate"]).toBe(
        'Bearer resource_metadata="https://api.example/.well-known/oauth-protected-resource", scope="write", ' +
          'error="insufficient_scope", error_description="The access token lacks a required scope"'
      )
      const jwt: Jwt = {
        algorithm: "ES256",
        keyId: "k",
        type: "at+jwt",
        claims: { scope: "admin" },
        scopes: scopesOf({ scope: "admin" })
      }
      expect(yield* Check.scopes(["read", "write"], resource)(jwt)).toBe(jwt)
      expect(yield* Check.scopes(["read"], { scopeHierarchy: yield* notes })(jwt)).toBe(jwt)
      expect(yield* Effect.flip(Check.scopes(["read"])(jwt))).toEqual(
        new ScopeMissing({ required: ["read"], granted: ["admin"] })
      )
    })
  )

  it.effect("reads it from Config", () =>
    Effect.gen(function* () {
      const layer = ProtectedResource.layerConfig({
        baseUrl: Config.succeed(options.baseUrl),
        authorizationServers: Config.succeed(options.authorizationServers),
        scopeHierarchy: Config.map(Config.hashMap(Config.array(Config.string()), "IMPLIES"), (implied) =>
          Object.fromEntries(HashMap.toEntries(implied))
        )
      })
      const read = (...env: ReadonlyArray<readonly [string, string]>) =>
        ProtectedResource.ProtectedResource.pipe(
          Effect.provide(layer),
          Effect.withConfigProvider(ConfigProvider.fromMap(new Map(env)))
        )
      const { scopeHierarchy } = yield* read(["IMPLIES.admin", "write,audit"], ["IMPLIES.write", "read"])
      expect(scopeHierarchy).toEqual(yield* notes)
      const error = yield* Effect.flip(read(["IMPLIES.admin", "two words"]))
      expect(String(error)).toContain('scopeHierarchy.admin "two words": is not a scope')
    })
  )
})
