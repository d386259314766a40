export {
  type ChannelConnection,
  type ChannelOptions,
  type ChannelProblem,
  type ConnectionState,
  connectChannel,
  type SocketLike,
} from './connection.ts'
export { Mirror } from './mirror.ts'
export type {
  ChannelEvent,
  Decision,
  Device,
  FleetNode,
  FleetRequest,
  Objects,
  Runner,
  Snapshot,
  Topic,
} from './object.ts'
