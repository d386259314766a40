/** The door of the package: a way to one server, and the words in which it answers. */
export { openRoute, type RouteOptions } from './pool.ts'
export {
  HEAD_BYTES,
  type Cut,
  type Flight,
  type Outgoing,
  type Receiver,
  type Route,
} from './route.ts'
