/**
 * `npm run api` writes what the public modules export to docs/api. `npm run api:check` fails where that is out of date.
 */
import { join } from "node:path"
import { root } from "../support/compile.ts"
import { problems, write } from "./files.ts"
import { reports } from "./report.ts"

const folder = join(root, "docs/api")
const written = await reports(root)

if (process.argv.includes("--check")) {
  const found = problems(folder, written)
  for (const problem of found) console.error(`docs/api/${problem}`)
  if (found.length > 0) console.error("Read what changed for those who use it, then run `npm run api`.")
  process.exitCode = found.length > 0 ? 1 : 0
} else {
  write(folder, written)
}
