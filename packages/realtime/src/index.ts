export { type Channel, type ChannelOptions, createChannel } from './channel.ts'
export { type Topic, topics } from './topic.ts'
export { type Complaint, readMessage } from './message.ts'
export { PONG } from './session.ts'
export { Frame, type Transport } from './frame.ts'
export { type ReaderBounds, Subscriber, type Wire } from './subscriber.ts'
export {
  type Door,
  type DoorOptions,
  type Guest,
  isSameOrigin,
  openDoor,
  type Pass,
} from './websocket.ts'
export type { StreamQuery, StreamTerms } from './event-stream.ts'
