export { createProber, type ProberOptions } from './prober.ts'
export { createControl, type Control, type ControlOptions, type ControlResult } from './control.ts'
export { watchLoop, type LoopWatch } from './loop-watch.ts'
export type { Trust } from './line.ts'
