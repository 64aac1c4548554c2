/**
 * `npm run check:release [-- TAG]`: names everything that keeps the package in the current folder from being released, and fails
 * if there is anything. Most of it only the owner can fill in.
 */
import { existsSync, readFileSync } from "node:fs"

const read = (path) => (existsSync(path) ? readFileSync(path, "utf8") : "")

const manifest = JSON.parse(read("package.json"))
const tag = process.argv[2]

/** What a member of package.json says, whether it is a text or an object with such a member. */
const said = (value, member) => {
  const text = typeof value === "object" && value !== null ? value[member] : value
  return typeof text === "string" ? text.trim() : ""
}

// Names that RFC 2606 keeps for examples are nobody's address.
const isPlaceholder = (text) => /(^|[@./])(example\.(com|net|org)|[\w-]+\.(example|invalid|test))([/:>]|$)/i.test(text)

const isUrl = (text) => /^(git\+)?https:\/\/[^/\s]+\.[^/\s]+/.test(text) && !isPlaceholder(text)
const isMail = (text) => /^[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+$/.test(text) && !isPlaceholder(text)

/** The texts that SECURITY.md offers as a way to report, between two comments. */
const reporting = /<!-- report -->([^]*?)<!-- \/report -->/.exec(read("SECURITY.md"))?.[1] ?? ""
const addresses = reporting.split(/[\s<>()[\]]+/).map((word) => word.replace(/^mailto:/, "").replace(/[.,;]+$/, ""))

const escaped = manifest.version.replaceAll(".", "\\.")
const entry = new RegExp(`^## \\[${escaped}\\](.*)$`, "m").exec(read("CHANGELOG.md"))

const missing = [
  !isUrl(said(manifest.repository, "url")) && "package.json: repository has no https URL",
  !isUrl(said(manifest.bugs, "url")) && !isMail(said(manifest.bugs, "email")) && "package.json: bugs has no https URL",
  !isUrl(said(manifest.homepage)) && "package.json: homepage is no https URL",
  said(manifest.author, "name") === "" && "package.json: author is nobody",
  !addresses.some((text) => isUrl(text) || isMail(text)) && "SECURITY.md: there is no address for reports",
  entry === null && `CHANGELOG.md: version ${manifest.version} has no entry`,
  entry !== null && !/^ - \d{4}-\d{2}-\d{2}$/.test(entry[1]) && `CHANGELOG.md: version ${manifest.version} has no date`,
  tag !== undefined && tag !== `v${manifest.version}` && `the tag ${tag} is not v${manifest.version}`
].filter((line) => line !== false)

for (const line of missing) console.error(line)
if (missing.length > 0) process.exitCode = 1
else console.log(`${manifest.name} ${manifest.version} can be released`)
