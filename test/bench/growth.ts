/**
 * Memory after many distinct tokens, which must not grow by more than the cache may hold.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { createPrivateKey, type KeyObject, sign } from "node:crypto"
import { exportJWK } from "jose"
import { generateKey, issuer, resource } from "../support/issuer.ts"
import { verifier } from "./contenders.ts"
import type { Figure } from "./report.ts"

const bound = 4 * 2 ** 20

/** Signs with `node:crypto`, which makes a million tokens in a minute or two. */
const minter = (privateKey: KeyObject, keyId: string) => {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
  const header = encode({ alg: "EdDSA", typ: "at+jwt", kid: keyId })
  const exp = Math.floor(Date.now() / 1000) + 3600
  return (index: number) => {
    const claims = {
      iss: issuer,
      aud: resource,
      sub: "user-1",
      client_id: "client-1",
      exp,
      jti: `token-${index}`,
      scope: "mcp:tools"
    }
    const input = `${header}.${encode(claims)}`
    return Redacted.make(`${input}.${sign(null, Buffer.from(input), privateKey).toString("base64url")}`)
  }
}

const heap = () => {
  if (globalThis.gc === undefined) throw new Error("run with --expose-gc")
  globalThis.gc()
  return process.memoryUsage().heapUsed
}

export const growth = async (): Promise<ReadonlyArray<Figure>> => {
  const key = await generateKey("EdDSA")
  const { verify } = await verifier({ keys: [key.jwk] }, "EdDSA", { signatureCacheBytes: bound })
  const privateKey = createPrivateKey({ key: { ...(await exportJWK(key.privateKey)) }, format: "jwk" })
  const mint = minter(privateKey, key.keyId)
  const start = heap()
  let index = 0
  const after: Array<number> = []
  for (const count of [10_000, 100_000, 1_000_000]) {
    await Effect.runPromise(
      Effect.whileLoop({ while: () => index < count, body: () => verify(mint(index++)), step: () => {} })
    )
    after.push(heap())
  }
  const mib = after.map((bytes) => `${((bytes - start) / 2 ** 20).toFixed(1)} MiB`)
  const [first = 0, , last = 0] = after
  const share = (last - first) / bound
  return [
    {
      what: "heap grown from 10,000 to 1,000,000 tokens / bound",
      ratio: { median: share, low: share, high: share },
      target: 1,
      note: `over the start: ${mib.join(", ")} after 10,000, 100,000, 1,000,000`
    }
  ]
}
