/** The topics of the channel and the number of each. A topic is a word on the wire and a bit inside. */

/** Every topic, in the order of a snapshot. */
export const topics = ['runners', 'nodes', 'requests', 'decisions', 'gpu'] as const

/** Name of a topic. */
export type Topic = (typeof topics)[number]

/** Number of a topic; -1 for a word that is none. */
export const topicNumber = (word: string): number => (topics as readonly string[]).indexOf(word)
