import { describe, expect, it } from "vitest"
import { jwksUriProblem } from "../../src/issuer/jwksUriProblem.ts"

const issuer = "https://as.example/tenant"

const odd = "has white space, control characters or a backslash"
const notAbsolute = "is not an absolute https:// URL"
const notPublic = (host: string) => `is on a loopback, link-local or private host (host ${host})`

describe("jwksUriProblem", () => {
  it.each([
    [issuer, "https://as.example/jwks"],
    [issuer, "https://keys.other.example:8443/jwks?policy=one&at=a@b"],
    [issuer, "HTTPS://AS.example/jwks"],
    [issuer, "https://\u00e4s.example/schl\u00fcssel"],
    [issuer, "https://8.8.8.8/jwks"],
    ["http://localhost:8080", "http://localhost:8080/jwks"],
    ["http://localhost:8080", "http://127.0.0.1:9090/jwks"],
    ["http://127.0.0.1:8080", "http://[::1]:9090/jwks"],
    ["http://127.0.0.1:8080", "https://localhost:8443/jwks"],
    ["http://127.0.0.1:8080", "https://as.example/jwks"],
    ["https://localhost:8443", "https://127.0.0.1:9443/jwks"],
    ["https://10.0.0.7", "https://10.0.0.7:8443/jwks"],
    ["https://10.0.0.7", "https://0xa.7/jwks"],
    ["https://[fd00::7]", "https://[fd00:0::7]/jwks"],
    ["https://as.localhost", "https://as.localhost/jwks"]
  ])("finds none where %s has its keys at %s", (from, uri) => {
    expect(jwksUriProblem(uri, from)).toBeUndefined()
  })

  it.each([
    ["https://127.0.0.1:8443/", notPublic("127.0.0.1:8443")],
    ["https://169.254.169.254/", notPublic("169.254.169.254")],
    ["https://2130706433/", notPublic("127.0.0.1")],
    ["https://[::ffff:10.0.0.1]/", notPublic("[::ffff:a00:1]")],
    ["https://a.localhost./", notPublic("a.localhost.")],
    ["https://user:pw@internal/", "has user info (host internal)"],
    ["https://user@as.example/", "has user info (host as.example)"],
    ["https://:pw@as.example/", "has user info (host as.example)"],
    ["https://@as.example/", "has user info (host as.example)"],
    ["https://as.example@127.0.0.1/", "has user info (host 127.0.0.1)"],
    ["https://as.example/jwks#keys", "has a fragment (host as.example)"],
    ["https://as.example/jwks?a#", "has a fragment (host as.example)"],
    ["http://as.example/jwks", "is not https (host as.example)"],
    ["http://127.0.0.1/jwks", "is not https (host 127.0.0.1)"],
    [" https://as.example/jwks", odd],
    ["https://as.example/jwks ", odd],
    ["https://as.example/jw\tks", odd],
    ["https://as.example/jwks?a b", odd],
    ["https://as.example/jwks\r\nERROR", odd],
    ["https://as.example/\u0000", odd],
    ["https://as.example/\u0085", odd],
    ["https://as.example/\u00a0", odd],
    ["https://as.example/\u2028", odd],
    ["https://as.example/\u202e", odd],
    ["https://as\u200b.example/jwks", odd],
    ["\ufeffhttps://as.example/jwks", odd],
    ["https://as.example\\@127.0.0.1/", odd],
    ["", notAbsolute],
    ["/jwks", notAbsolute],
    ["//as.example/jwks", notAbsolute],
    ["https:as.example/jwks", notAbsolute],
    ["https:/as.example/jwks", notAbsolute],
    ["https:///as.example/jwks", notAbsolute],
    ["https://[::1", notAbsolute],
    ["https://as.example:99999/", notAbsolute],
    ["file:///etc/passwd", notAbsolute],
    ["ftp://as.example/jwks", notAbsolute],
    ["data:application/json,{}", notAbsolute],
    ["javascript:0", notAbsolute]
  ])("finds one where a public issuer has its keys at %j", (uri, problem) => {
    expect(jwksUriProblem(uri, issuer)).toBe(problem)
  })

  it.each([
    ["http://127.0.0.1:8080", "https://169.254.169.254/jwks", notPublic("169.254.169.254")],
    ["http://127.0.0.1:8080", "https://10.0.0.7/jwks", notPublic("10.0.0.7")],
    ["http://127.0.0.1:8080", "http://as.example/jwks", "is not https (host as.example)"],
    ["https://localhost:8443", "http://localhost:8080/jwks", "is not https (host localhost:8080)"],
    ["https://10.0.0.7", "https://10.0.0.8/jwks", notPublic("10.0.0.8")],
    ["https://10.0.0.7", "https://127.0.0.1/jwks", notPublic("127.0.0.1")],
    ["https://10.0.0.7", "http://10.0.0.7/jwks", "is not https (host 10.0.0.7)"]
  ])("finds one where %s has its keys at %s", (from, uri, problem) => {
    expect(jwksUriProblem(uri, from)).toBe(problem)
  })

  it("cuts a long host", () => {
    const labels = Array.from({ length: 200 }, () => "a".repeat(60)).join(".")
    expect(jwksUriProblem(`http://${labels}/`, issuer)?.length).toBeLessThan(300)
  })
})
