import * as Context from "effect/Context"

/** The resource that the current request's token was verified for, for routes that know which resource is theirs. */
export class BoundTo extends Context.Tag("effect-resource-server/internal/BoundTo")<BoundTo, string>() {}
