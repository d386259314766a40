/**
 * A connection to the live channel that stays: it comes back after a loss, with growing pauses, and goes on where it was. It gives up
 * only when the gateway refuses it for good. It keeps no objects; `mirror.ts` does.
 */
import type { ChannelEvent, Snapshot, Topic } from './object.ts'

/** What a connection is doing. `refused`: the gateway does not want this key, token or page; `closed`: it was told to end. */
export type ConnectionState = 'connecting' | 'open' | 'waiting' | 'refused' | 'closed'

/** Something went wrong that the connection itself does not mend, or a frame that the gateway did not like. */
export interface ChannelProblem {
  /** The protocol's code, `refused`, `no_token` when `token` failed (it is asked again), or `bad_message` for what no gateway says. */
  readonly code: string
  readonly message: string
}

/** A WebSocket as far as it is used here. */
export interface SocketLike {
  send(text: string): void
  close(code?: number): void
  addEventListener(
    type: 'open' | 'message' | 'close' | 'error',
    listener: (event: any) => void,
  ): void
}

/** Options of {@link connectChannel}. */
export interface ChannelOptions {
  /** The gateway's address, `http://127.0.0.1:8080` or `https://…`. */
  readonly url: string
  readonly topics: readonly Topic[]
  /** Default: all apps. */
  readonly apps?: readonly string[]
  /** The number to go on after; default: begin with a snapshot. */
  readonly since?: number
  /** A key that may read. It is sent in a header to get a short-lived token, never in an address. */
  readonly key?: string
  /** Gives a token for each connection, when somebody else has the key. It is asked again when the gateway says that one is over. */
  readonly token?: () => string | Promise<string>
  readonly onSnapshot?: (snapshot: Snapshot) => void
  readonly onEvent?: (event: ChannelEvent) => void
  readonly onState?: (state: ConnectionState) => void
  readonly onProblem?: (problem: ChannelProblem) => void
  /** First pause after a loss, in ms; doubles with each failure. Default 250. */
  readonly firstDelayMs?: number
  /** Longest pause, in ms. Default 15 000. */
  readonly maxDelayMs?: number
  /** Ms of silence after which the gateway is asked whether it is there; as long again without an answer is a loss. Default 20 000. */
  readonly silenceMs?: number
  /** Opens a socket; default: the platform's WebSocket. */
  readonly socket?: (url: string) => SocketLike
  /** A number in [0, 1), for the jitter of the pauses. */
  readonly random?: () => number
}

/** A live connection. */
export interface ChannelConnection {
  readonly state: ConnectionState
  /** Number of the last event or snapshot seen; null before the first. Give it as `since` to go on later. */
  readonly seq: number | null
  /** Ends it for good. */
  close(): void
}

const FIRST_DELAY_MS = 250
const MAX_DELAY_MS = 15_000
const SILENCE_MS = 20_000
/** The gateway closes a connection when its token is over; the next one goes on where it was. */
const TOKEN_SECONDS = 600
/** The protocol's code for a key or token that will not do. */
const UNAUTHORIZED = 4401

/** Refused for good: trying again would be refused again. */
class Refusal extends Error {}

/**
 * Connects, and stays connected until `close`, which any of the functions given may call. Never throws: problems come by `onProblem`, and
 * what one of those functions throws goes to the platform, as from any listener of an event; the connection goes on.
 */
export function connectChannel(options: ChannelOptions): ChannelConnection {
  const connection = new Connection(options)
  connection.connect()
  return connection
}

class Connection implements ChannelConnection {
  state: ConnectionState = 'waiting'
  seq: number | null
  readonly #options: ChannelOptions
  #socket: SocketLike | null = null
  #failures = 0
  #timer: ReturnType<typeof setTimeout> | null = null
  #asked = false
  /** Whether the gateway said something on this socket. */
  #welcome = false

  constructor(options: ChannelOptions) {
    this.#options = options
    this.seq = options.since ?? null
  }

  connect(): void {
    this.#become('connecting')
    if (this.state !== 'connecting') return
    this.#address().then(
      (url) => {
        if (this.state === 'connecting') this.#open(url)
      },
      (error: unknown) => {
        if (this.state !== 'connecting') return
        if (error instanceof Refusal) return this.#refuse(error.message)
        this.#lost()
        // A gateway that is away is no problem; a function that was given and fails is its owner's.
        if (this.#options.token !== undefined)
          this.#complain('no_token', error instanceof Error ? error.message : String(error))
      },
    )
  }

  close(): void {
    this.#stop()
    if (this.state !== 'refused') this.#become('closed')
  }

  #open(url: string): void {
    let socket: SocketLike
    try {
      socket = (this.#options.socket ?? ((address) => new WebSocket(address)))(url)
    } catch (error) {
      // The platform will not have this address, now or later.
      return this.#refuse(error instanceof Error ? error.message : 'The address is not valid.')
    }
    this.#socket = socket
    this.#welcome = false
    // Who accepts and never answers is silent too.
    this.#wait(this.#options.silenceMs ?? SILENCE_MS, () => this.#giveUp())
    // A socket that was given up may still speak.
    const mine = (act: (event: any) => void) => (event: unknown) => {
      if (this.#socket === socket) act(event)
    }
    socket.addEventListener(
      'open',
      mine(() => {
        const { topics, apps } = this.#options
        socket.send(
          JSON.stringify({
            type: 'subscribe',
            topics,
            ...(apps !== undefined && { apps }),
            ...(this.seq !== null && { since: this.seq }),
          }),
        )
        // Who goes on where nothing happened is told nothing: the pong says that it is welcome, before its token is over.
        if (this.seq !== null) socket.send('{"type":"ping"}')
        this.#listen()
        this.#become('open')
      }),
    )
    socket.addEventListener(
      'message',
      mine(({ data }: { data: unknown }) => this.#receive(data)),
    )
    // Node 22 says no `close` of a connection that never opened; a `close` that follows elsewhere finds the socket given up.
    socket.addEventListener(
      'error',
      mine(() => {
        if (this.state === 'connecting') this.#giveUp()
      }),
    )
    socket.addEventListener(
      'close',
      mine(({ code, reason }: { code: number; reason: string }) => {
        this.#stop()
        // Who was told something was welcome: its token is over, and a fresh one may do.
        if (code === UNAUTHORIZED && !this.#welcome)
          this.#refuse(reason || 'The gateway refused the key.')
        else this.#lost()
      }),
    )
  }

  #receive(data: unknown): void {
    this.#welcome = true
    this.#listen()
    let message: { type?: unknown; seq?: unknown; code?: unknown; message?: unknown }
    try {
      message = JSON.parse(String(data)) as typeof message
      void message.type
    } catch {
      return this.#complain('bad_message', 'The gateway sent something that is no JSON object.')
    }
    switch (message.type) {
      case 'snapshot':
        this.#failures = 0
        this.seq = message.seq as number
        return tell(this.#options.onSnapshot, message as Snapshot)
      case 'event':
        this.#failures = 0
        this.seq = message.seq as number
        return tell(this.#options.onEvent, message as ChannelEvent)
      case 'error':
        return this.#complain(String(message.code), String(message.message))
      default:
        // A pong, or what a later gateway may say.
        this.#failures = 0
    }
  }

  /** Silence is asked about once; a second silence is a loss, as when a laptop slept. */
  #listen(): void {
    this.#asked = false
    this.#wait(this.#options.silenceMs ?? SILENCE_MS, () => this.#silent())
  }

  #silent(): void {
    if (this.#asked) return this.#giveUp()
    this.#asked = true
    this.#socket?.send('{"type":"ping"}')
    this.#wait(this.#options.silenceMs ?? SILENCE_MS, () => this.#silent())
  }

  #giveUp(): void {
    this.#stop()
    this.#lost()
  }

  #lost(): void {
    const first = this.#options.firstDelayMs ?? FIRST_DELAY_MS
    const most = this.#options.maxDelayMs ?? MAX_DELAY_MS
    const delay = Math.min(most, first * 2 ** Math.min(this.#failures++, 30))
    // Between half and all of it: many clients of one gateway must not come back in step.
    this.#wait(delay * (0.5 + (this.#options.random ?? Math.random)() / 2), () => this.connect())
    this.#become('waiting')
  }

  #refuse(message: string): void {
    this.#stop()
    this.#become('refused')
    this.#complain('refused', message)
  }

  /** The address with a fresh token, where there is a key. */
  async #address(): Promise<string> {
    const { url, token } = this.#options
    const base = url.endsWith('/') ? url : `${url}/`
    if (!URL.canParse('v1/realtime', base)) throw new Refusal(`url is no address: ${url}`)
    const address = new URL('v1/realtime', base)
    const secret = token === undefined ? await this.#askForToken() : await token()
    address.protocol = address.protocol.replace('http', 'ws')
    if (secret !== null) address.searchParams.set('token', secret)
    return address.href
  }

  async #askForToken(): Promise<string | null> {
    const { url, key } = this.#options
    if (key === undefined) return null
    const address = new URL('v1/tokens', url.endsWith('/') ? url : `${url}/`)
    address.protocol = address.protocol.replace('ws', 'http')
    const asked: RequestInit = {
      method: 'POST',
      headers: { authorization: `Key ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ scope: 'read', seconds: TOKEN_SECONDS }),
    }
    try {
      void new Request(address, asked)
    } catch {
      // The platform's words repeat the key.
      throw new Refusal(
        'No header takes this key (line breaks, letters beyond Latin-1), or url holds a password.',
      )
    }
    const response = await fetch(address, { ...asked, signal: AbortSignal.timeout(10_000) })
    // Who stands before the gateway and refuses says it in a page of its own.
    const answer = (await response.json().catch(() => ({}))) as {
      token?: unknown
      message?: unknown
    }
    if (response.status === 401 || response.status === 403)
      throw new Refusal(
        typeof answer.message === 'string' ? answer.message : 'The gateway refused the key.',
      )
    if (typeof answer.token !== 'string') throw new Error('no token')
    return answer.token
  }

  #stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    const socket = this.#socket
    this.#socket = null
    socket?.close()
  }

  #wait(ms: number, then: () => void): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = setTimeout(then, ms)
  }

  /** Comes last wherever it comes: who is told may close us, and nothing may be begun after that. */
  #become(state: ConnectionState): void {
    if (this.state === state) return
    this.state = state
    tell(this.#options.onState, state)
  }

  #complain(code: string, message: string): void {
    tell(this.#options.onProblem, { code, message })
  }
}

/** What a listener throws is the platform's to report; it must not end the work that told it. */
function tell<T>(listener: ((value: T) => void) | undefined, value: T): void {
  try {
    listener?.(value)
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
