/**
 * What this library reads from inside a running fiber. Effect 3 gives it without a step of the fiber here, and nowhere else.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import { liveServices } from "effect/DefaultServices"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import type * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

/** A fiber of whatever type. */
type Running = Fiber.RuntimeFiber<unknown, unknown>

/** The services that a fiber runs with. */
export const contextOf = (fiber: Running): Context.Context<never> => fiber.currentContext

/** The services of the fiber that is running, for code that Effect calls as a plain function. Empty outside of a fiber. */
export const contextOfCurrentFiber = (): Context.Context<never> =>
  Option.match(Fiber.getCurrentFiber(), { onNone: () => Context.empty(), onSome: contextOf })

/** The clock of a fiber: that of a test under `TestClock`. */
export const clockOf = (fiber: Running): Clock.Clock => Context.get(fiber.currentDefaultServices, Clock.Clock)

/** Whether no tracer was given to a fiber. The spans of Effect's own tracer go nowhere. */
export const hasDefaultTracer = (fiber: Running): boolean => fiber.currentTracer === defaultTracer

const defaultTracer = Context.get(liveServices, Tracer.Tracer)

/** The lowest level that a fiber logs. */
export const minimumLogLevelOf = (fiber: Running): LogLevel.LogLevel =>
  fiber.getFiberRef(FiberRef.currentMinimumLogLevel)
