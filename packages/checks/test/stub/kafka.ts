/**
 * As much of Kafka's wire protocol as asking for brokers and topics needs: a server that answers Metadata (version 0) and an
 * admin client with the shape of the usual ones.
 */
import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import type { KafkaAdmin } from '../../src/check/kafka.ts'
import { listen, type Stub } from './server.ts'

const metadata = 3

const int16 = (value: number) => Buffer.from([(value >> 8) & 255, value & 255])
const int32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const text = (value: string) => Buffer.concat([int16(Buffer.byteLength(value)), Buffer.from(value)])
const framed = (...parts: Buffer[]) => {
  const body = Buffer.concat(parts)
  return Buffer.concat([int32(body.length), body])
}

export interface Cluster {
  readonly brokers: number
  readonly topics: readonly string[]
}

/** Answers Metadata, and nothing else, for a cluster without partitions. */
export function kafkaServer({ brokers, topics }: Cluster): Promise<Stub> {
  return listen((socket) => {
    socket.on('data', (bytes: Buffer) => {
      if (bytes.readInt16BE(4) !== metadata) return void socket.destroy()
      const nodes = Array.from({ length: brokers }, (_, id) =>
        Buffer.concat([int32(id), text('127.0.0.1'), int32(9092 + id)]),
      )
      const named = topics.map((topic) => Buffer.concat([int16(0), text(topic), int32(0)]))
      const correlation = bytes.subarray(8, 12)
      socket.write(framed(correlation, int32(brokers), ...nodes, int32(topics.length), ...named))
    })
  })
}

function decode(bytes: Buffer): { brokers: number[]; topics: string[] } {
  let at = 8
  const number = (size: 2 | 4) => {
    const value = size === 2 ? bytes.readInt16BE(at) : bytes.readInt32BE(at)
    at += size
    return value
  }
  const word = () => {
    const length = number(2)
    at += length
    return bytes.toString('utf8', at - length, at)
  }
  const brokers = Array.from({ length: number(4) }, () => {
    const id = number(4)
    word()
    number(4)
    return id
  })
  const topics = Array.from({ length: number(4) }, () => {
    number(2)
    const name = word()
    number(4)
    return name
  })
  return { brokers, topics }
}

/** An admin client of one connection per question. */
export function kafkaAdmin(port: number): KafkaAdmin & { close(): void } {
  const sockets = new Set<Socket>()
  const ask = async () => {
    const socket = connect({ port, host: '127.0.0.1' })
    sockets.add(socket)
    try {
      await once(socket, 'connect')
      socket.write(framed(int16(metadata), int16(0), int32(7), text('health'), int32(0)))
      const [bytes] = (await once(socket, 'data')) as [Buffer]
      return decode(bytes)
    } finally {
      socket.destroy()
    }
  }
  return {
    describeCluster: async () => ({ brokers: (await ask()).brokers }),
    listTopics: async () => (await ask()).topics,
    close() {
      for (const socket of sockets) socket.destroy()
    },
  }
}
