/**
 * Nobody can import a file of the package but by a subpath of its `exports`: no private file, no folder, no second name.
 */
import { deepStrictEqual } from "node:assert"
import { readdirSync, readFileSync } from "node:fs"

const name = "effect-resource-server"
const folder = `node_modules/${name}`
const { exports } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"))

/** Each way in which a source file could be named. */
const named = readdirSync(`${folder}/src`, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => path.replaceAll("\\", "/").replace(/\.ts$/, ""))
  .flatMap((path) => [path.replace(/.*\//, ""), path, `${path}.js`, `dist/${path}.js`, `src/${path}.ts`])
const subpaths = [...new Set(named)].filter((path) => !(`./${path}` in exports))

deepStrictEqual(subpaths.includes("index"), true)

for (const subpath of subpaths) {
  const code = await import(`${name}/${subpath}`).then(
    () => "it can be imported",
    (error) => error.code
  )
  deepStrictEqual([subpath, code], [subpath, "ERR_PACKAGE_PATH_NOT_EXPORTED"])
}
console.log(`private: ${subpaths.length} names lead nowhere`)
