/**
 * What server and client agree on: operations, their errors, and the scopes they need.
 */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import { BearerAuthHttpApi } from "effect-resource-server"
import * as Schema from "effect/Schema"

/** On operations that need one scope more than the resource requires. */
export class Admins extends BearerAuthHttpApi.Tag<Admins>()("Admins", { scopes: ["notes:admin"] }) {}

const Notes = HttpApiGroup.make("notes")
  .add(HttpApiEndpoint.get("read", "/notes").addSuccess(Schema.String))
  .add(HttpApiEndpoint.post("publish", "/notes/publish").addSuccess(Schema.String))
  .middleware(BearerAuthHttpApi.Protected)

const Administration = HttpApiGroup.make("administration")
  .add(HttpApiEndpoint.del("erase", "/notes").addSuccess(Schema.String))
  .middleware(Admins)

/** Paths are below the resource's: the server mounts them at `/api`. */
export const Api = HttpApi.make("notes").add(Notes).add(Administration)
