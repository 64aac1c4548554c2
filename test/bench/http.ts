/**
 * A protected route, compared with the same route open, on a real server in separate processes.
 */
import autocannon from "autocannon"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { fork } from "node:child_process"
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { generateKey, mint } from "../support/issuer.ts"
import { median, ratio, shuffled } from "./measure.ts"
import type { Figure } from "./report.ts"

const processes = 5
const rounds = 6

export const overHttp = async (): Promise<ReadonlyArray<Figure>> => {
  const key = await generateKey("RS256")
  const claims = { exp: Math.floor(Date.now() / 1000) + 3600 }
  const token = Redacted.value(await Effect.runPromise(mint({ key, claims })))
  const taken = { open: [] as Array<number>, protected: [] as Array<number> }
  // The ratio differs more between processes than between rounds, because of compilation and memory layout.
  for (let index = 0; index < processes; index++) {
    await withServer(JSON.stringify(key.jwk), async (origin) => {
      const throughput = (path: string, seconds: number) => drive(`${origin}/${path}`, token, seconds)
      await throughput("open", 2)
      await throughput("protected", 2)
      for (let round = 0; round < rounds; round++) {
        for (const path of shuffled(["open", "protected"] as const)) taken[path].push(await throughput(path, 1))
      }
    })
  }
  return [
    {
      what: "protected route / open route, same token, throughput",
      ratio: ratio(taken.protected, taken.open),
      target: 0.9,
      atLeast: true,
      note: `${median(taken.protected).toFixed(0)} / ${median(taken.open).toFixed(0)} requests per second`
    }
  ]
}

const withServer = async (jwk: string, use: (origin: string) => Promise<void>): Promise<void> => {
  const child = fork(new URL("./httpServer.ts", import.meta.url), [jwk], {
    execArgv: process.execArgv,
    stdio: ["ignore", "ignore", "inherit", "ipc"]
  })
  try {
    const [{ port }] = (await once(child, "message")) as [AddressInfo]
    await use(`http://127.0.0.1:${port}`)
  } finally {
    child.kill()
  }
}

/** The number of requests that are answered per second. */
const drive = async (url: string, token: string, seconds: number): Promise<number> => {
  const headers = { authorization: `Bearer ${token}` }
  const { duration, errors, non2xx, requests } = await autocannon({ url, connections: 16, duration: seconds, headers })
  if (non2xx > 0 || errors > 0) throw new Error(`${url}: ${non2xx} refused, ${errors} errors`)
  return requests.total / duration
}
