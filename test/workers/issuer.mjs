/**
 * An authorization server on 127.0.0.1, and tokens that its keys sign.
 */
import { generateKeyPairSync, randomUUID, sign } from "node:crypto"
import { createServer } from "node:http"

export const resource = "https://api.example/notes"

/** A new ES256 key. */
export const newKey = (kid) => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  return { kid, privateKey, jwk: { ...publicKey.export({ format: "jwk" }), kid, alg: "ES256", use: "sig" } }
}

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url")

/** An issuer that publishes `keys`, after `delay` milliseconds. `answer` replaces what it says for a while. */
export const startIssuer = async (...keys) => {
  const self = { keys, delay: 50, answer: undefined, asked: [] }
  const server = createServer((request, response) => {
    self.asked.push(request.url)
    if (self.answer !== undefined) return self.answer(response)
    const body = request.url === "/jwks" ? { keys: self.keys.map(({ jwk }) => jwk) } : metadata()
    setTimeout(
      () => response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body)),
      self.delay
    )
  })
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
  const url = `http://127.0.0.1:${server.address().port}`
  const metadata = () => ({ issuer: url, jwks_uri: `${url}/jwks` })
  self.url = url
  self.keysAsked = () => self.asked.filter((path) => path === "/jwks").length
  self.mint = (key) => {
    const now = Math.floor(Date.now() / 1000)
    const claims = { iss: url, aud: resource, sub: "user-1", client_id: "client-1", jti: randomUUID(), iat: now }
    const input = `${encode({ typ: "at+jwt", alg: "ES256", kid: key.kid })}.${encode({ ...claims, exp: now + 300 })}`
    const signature = sign("sha256", Buffer.from(input), { key: key.privateKey, dsaEncoding: "ieee-p1363" })
    return `${input}.${signature.toString("base64url")}`
  }
  self.close = () => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  }
  return self
}
