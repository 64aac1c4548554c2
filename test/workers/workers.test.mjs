/**
 * Key sets in workerd, where I/O belongs to the request that started it: `npm run test:workers`.
 */
import assert from "node:assert/strict"
import { request } from "node:http"
import { after, describe, test } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { build } from "esbuild"
import { Miniflare } from "miniflare"
import { newKey, startIssuer } from "./issuer.mjs"

/** Keys that get old quickly: they are refreshed ahead after 2.4 seconds, and past 3 seconds a token waits. */
const quick = { freshFor: "3 seconds", cooldown: "1 second", usableFor: "1 hour" }

const seen = new Set()

/** The worker as `wrangler` bundles it. */
const bundle = await build({
  entryPoints: [new URL("worker.ts", import.meta.url).pathname],
  bundle: true,
  write: false,
  metafile: true,
  format: "esm",
  target: "es2022",
  conditions: ["workerd", "worker", "browser"]
})

/** What a worker answers to a token of a key. Each request has a connection of its own, which ends with it. */
const startWorker = async (context, issuer, options = {}, compatibilityDate = "2026-01-01") => {
  const given = JSON.stringify({ issuer: issuer.url, ...options })
  const script = `globalThis.OPTIONS = ${given}\n${bundle.outputFiles[0].text}`
  const worker = new Miniflare({ modules: true, script, compatibilityDate, host: "127.0.0.1", port: 0 })
  context.after(() => Promise.all([worker.dispose(), issuer.close()]))
  const url = new URL("/notes", await worker.ready)
  const ask = (key, signal) =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${issuer.mint(key)}` }
      const answered = (response) => {
        seen.add(response.statusCode)
        response.resume().on("end", () => resolve({ status: response.statusCode, headers: response.headers }))
      }
      request(url, { agent: false, headers, signal }, answered).on("error", reject).end()
    })
  const status = async (key) => (await ask(key)).status
  return { ask, status, burst: (key, size = 8) => Promise.all(Array.from({ length: size }, () => status(key))) }
}

const all = (status, size = 8) => Array.from({ length: size }, () => status)
const fails = (response) => response.writeHead(503).end()
const hangs = () => {}

describe("key sets in workerd", { concurrency: 4 }, () => {
  after(() => assert.deepEqual(seen, new Set([200, 401, 503])))

  test("are those of the runtime, as bundlers choose by the package's conditions", () => {
    const chosen = Object.keys(bundle.metafile.inputs)
      .filter((name) => name.includes("effect-resource-server/dist/"))
      .flatMap((name) => /(loading|signature)\.\w+\.js$/.exec(name)?.[0] ?? [])
    assert.deepEqual(chosen.sort(), ["loading.workerd.js", "signature.web.js"])
  })

  for (const date of ["2024-09-01", "2026-01-01"]) {
    test(`cold requests at once are all answered (compatibility date ${date})`, async (context) => {
      const key = newKey("first")
      const issuer = await startIssuer(key)
      const { burst, status } = await startWorker(context, issuer, {}, date)
      assert.deepEqual(await burst(key), all(200))
      const asked = issuer.asked.length
      assert.deepEqual(await burst(key), all(200))
      assert.equal(await status(newKey("first")), 401)
      assert.equal(await status(newKey("unknown")), 401)
      assert.equal(issuer.asked.length, asked)
    })
  }

  test("a request that goes away leaves nothing behind for others to wait for", async (context) => {
    const key = newKey("first")
    const issuer = await startIssuer(key)
    const { ask, burst, status } = await startWorker(context, issuer, quick)
    const leave = async () => {
      issuer.answer = hangs
      const asked = issuer.asked.length
      const leaving = new AbortController()
      const left = ask(key, leaving.signal).catch(() => "left")
      while (issuer.asked.length === asked) await sleep(10)
      leaving.abort()
      assert.equal(await left, "left")
      issuer.answer = undefined
    }
    await leave()
    assert.deepEqual(await burst(key), all(200))
    // The same for a refresh ahead of time, and for one that is waited for.
    for (const age of [2600, 4000]) {
      await sleep(age)
      await leave()
      await sleep(1100)
      assert.deepEqual(await burst(key), all(200))
      issuer.keys = [key, newKey("other")]
      await sleep(1100)
      assert.equal(await status(issuer.keys[1]), 200)
    }
  })

  test("keys that get old are fetched again, with and without a pause, and removed ones are not used once more", async (context) => {
    const [first, second] = [newKey("first"), newKey("second")]
    const issuer = await startIssuer(first, second)
    const { burst, status } = await startWorker(context, issuer, quick)
    assert.equal(await status(first), 200)
    for (let turn = 0; turn < 40; turn++) {
      assert.equal(await status(first), 200)
      await sleep(100)
    }
    const asked = issuer.keysAsked()
    assert.ok(asked >= 2 && asked <= 4, `${asked} fetches in 4 seconds`)
    issuer.keys = [second]
    await sleep(3200)
    assert.deepEqual(await burst(first), all(401))
    assert.deepEqual(await burst(second), all(200))
  })

  test("new keys are found, under a new kid and under an old one, by all requests at once", async (context) => {
    const [first, second, replacement] = [newKey("first"), newKey("second"), newKey("first")]
    const issuer = await startIssuer(first)
    const { burst, status } = await startWorker(context, issuer, { ...quick, freshFor: "10 minutes" })
    assert.equal(await status(first), 200)
    for (const [keys, next] of [
      [[first, second], second],
      [[second, replacement], replacement]
    ]) {
      issuer.keys = keys
      await sleep(1100)
      const asked = issuer.keysAsked()
      assert.deepEqual(await burst(next), all(200))
      assert.equal(issuer.keysAsked(), asked + 1)
    }
    assert.equal(await status(first), 401)
  })

  test("an issuer that is down is an outage for the unknown alone, and is over when it is back", async (context) => {
    const [key, unknown] = [newKey("first"), newKey("unknown")]
    const issuer = await startIssuer(key)
    const { ask, burst, status } = await startWorker(context, issuer, quick)
    issuer.answer = fails
    assert.deepEqual(await burst(key), all(503))
    assert.equal((await ask(key)).headers["retry-after"], "1")
    issuer.answer = undefined
    await sleep(1100)
    assert.deepEqual(await burst(key), all(200))
    issuer.answer = fails
    await sleep(3200)
    assert.deepEqual(await burst(key), all(200))
    assert.equal(await status(unknown), 503)
    assert.equal(await status(newKey("first")), 401)
    issuer.answer = undefined
    issuer.keys = [key, unknown]
    await sleep(2100)
    assert.deepEqual(await burst(unknown), all(200))
  })

  test("an issuer that hangs holds requests for 5 seconds at most, once", async (context) => {
    const key = newKey("first")
    const issuer = await startIssuer(key)
    const { ask, burst } = await startWorker(context, issuer, { ...quick, cooldown: "2 seconds" })
    issuer.answer = hangs
    const cold = await Promise.all(Array.from({ length: 4 }, () => ask(key)))
    assert.deepEqual(
      cold.map(({ status }) => status),
      all(503, 4)
    )
    issuer.answer = undefined
    await sleep(1100)
    assert.deepEqual(await burst(key), all(200))
    issuer.answer = hangs
    await sleep(3200)
    assert.deepEqual(await burst(key), all(200))
    const asked = issuer.keysAsked()
    assert.deepEqual(await burst(key), all(200))
    assert.equal(issuer.keysAsked(), asked)
  })
})
