/**
 * What server and client agree on: procedures, their errors, and the scopes they need.
 */
import * as Rpc from "@effect/rpc/Rpc"
import * as RpcGroup from "@effect/rpc/RpcGroup"
import * as BearerAuthRpc from "effect-resource-server/BearerAuthRpc"
import * as Schema from "effect/Schema"

/** On procedures that need one scope more than the resource requires. */
export class Admins extends BearerAuthRpc.Tag<Admins>()("Admins", { scopes: ["notes:admin"] }) {}

/** Each procedure is protected: a client matches its rejections by tag. */
export const Notes = RpcGroup.make(
  Rpc.make("read", { success: Schema.String }).middleware(BearerAuthRpc.Protected),
  Rpc.make("erase", { success: Schema.String }).middleware(Admins)
)

/** Not protected by itself: it is served by a route that is. */
export const Status = RpcGroup.make(Rpc.make("status", { success: Schema.String }))
