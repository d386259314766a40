/**
 * Tells TypeScript what the plugin adds to Fastify: `app.health`, `reply.requestHealthCheck()` and the route option `health`.
 */
import type { Checkup, HealthCheckOptions } from '@health/checks'
import type {
  ContextConfigDefault,
  FastifyBaseLogger,
  FastifySchema,
  FastifyTypeProvider,
  FastifyTypeProviderDefault,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerBase,
  RawServerDefault,
  RouteGenericInterface,
} from 'fastify'

declare module 'fastify' {
  interface FastifyInstance {
    /** The checks of this app. */
    health: Checkup
  }
  interface FastifyReply {
    /** Asks the gateway to check this runner once this response has been sent. One failure ends the runner. */
    requestHealthCheck(): this
  }
  // The type parameters must be repeated as Fastify has them.
  interface RouteShorthandOptions<
    RawServer extends RawServerBase = RawServerDefault,
    RawRequest extends RawRequestDefaultExpression<RawServer> =
      RawRequestDefaultExpression<RawServer>,
    RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
    RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
    ContextConfig = ContextConfigDefault,
    SchemaCompiler extends FastifySchema = FastifySchema,
    TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
    Logger extends FastifyBaseLogger = FastifyBaseLogger,
  > {
    /** Makes this route the health check of the runner. One route of an app may have it. */
    health?: HealthCheckOptions
  }
}
