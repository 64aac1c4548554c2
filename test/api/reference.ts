/**
 * `npm run docs` writes pages about the public modules, with all of their docstrings, to docs/reference. It fails where a
 * docstring links to nothing, or anything else is odd enough for a warning.
 */
import { join } from "node:path"
import { Application, Comment } from "typedoc"
import { root } from "../support/compile.ts"
import { publicModules } from "./publicModules.ts"

const modules = publicModules(root)

const app = await Application.bootstrap({
  name: "effect-resource-server",
  entryPoints: modules.map(({ path }) => join(root, path)),
  tsconfig: join(root, "tsconfig.json"),
  readme: "none",
  disableSources: true,
  excludeExternals: true,
  // What a signature names and nobody can import has no page; docs/api shows it.
  validation: { notExported: false, notDocumented: false, invalidLink: true, rewrittenLink: true },
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true
})

const project = await app.convert()
if (project !== undefined) {
  for (const page of project.children ?? []) {
    page.name = page.name.replace(/^.*\//, "")
    // TypeDoc takes the first comment of a file for that of the first import.
    page.comment = new Comment([{ kind: "text", text: modules.find(({ name }) => name === page.name)?.about ?? "" }])
  }
  app.validate(project)
  await app.generateDocs(project, join(root, "docs/reference"))
}
process.exitCode = project === undefined || app.logger.hasErrors() || app.logger.hasWarnings() ? 1 : 0
