/**
 * A protected route beside the same route open, on a real server in a process of its own.
 */
import autocannon from "autocannon"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { fork } from "node:child_process"
import type { AddressInfo } from "node:net"
import { generateKey, mint } from "../support/issuer.ts"
import { ratio } from "./measure.ts"
import type { Figure } from "./report.ts"

const seconds = 3
const rounds = 5

export const overHttp = async (): Promise<ReadonlyArray<Figure>> => {
  const key = await generateKey("RS256")
  const claims = { exp: Math.floor(Date.now() / 1000) + 3600 }
  const token = Redacted.value(await Effect.runPromise(mint({ key, claims })))
  const child = fork(new URL("./httpServer.ts", import.meta.url), [JSON.stringify(key.jwk)], {
    execArgv: process.execArgv
  })
  const { port } = await new Promise<AddressInfo>((resolve) =>
    child.once("message", (message) => resolve(message as AddressInfo))
  )
  const throughput = async (path: string) => {
    const result = await autocannon({
      url: `http://127.0.0.1:${port}${path}`,
      connections: 32,
      duration: seconds,
      headers: { authorization: `Bearer ${token}` }
    })
    if (result.non2xx > 0 || result.errors > 0)
      throw new Error(`${path}: ${result.non2xx} refused, ${result.errors} errors`)
    return result.requests.average
  }
  try {
    await throughput("/open")
    await throughput("/protected")
    const taken = { open: [] as Array<number>, protected: [] as Array<number> }
    for (let round = 0; round < rounds; round++) {
      taken.open.push(await throughput("/open"))
      taken.protected.push(await throughput("/protected"))
    }
    return [
      {
        what: "protected route / open route, same token, throughput",
        ratio: ratio(taken.protected, taken.open),
        target: 0.9,
        atLeast: true,
        note: `${taken.protected[2]!.toFixed(0)} / ${taken.open[2]!.toFixed(0)} requests per second`
      }
    ]
  } finally {
    child.kill()
  }
}
