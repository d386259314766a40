/**
 * Lives as a picture that opens in any browser: one row per life, above what really happened, below the other policy. Plain SVG without
 * scripts or outside addresses; everything that came from elsewhere is escaped.
 */
import type { Life, Stretch, WhatIfResult } from '@health/core'
import { moment, span, whatThen } from './replay-text.ts'

/** Rows at most: those that went otherwise first. */
const ROWS = 400
const LEFT = 230
const WIDE = 960
const ROW = 24
const BAR = 8
const TOP = 76
/** Stretches narrower than this are not drawn, in px. */
const LEAST = 0.4

const escape = (text: string): string =>
  text
    .replace(/[<>&"']/g, (found) => `&#${found.charCodeAt(0)};`)
    // oxlint-disable-next-line no-control-regex -- control characters are no XML
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\ufffe\uffff]/g, '\ufffd')

const legend = [
  ['start', 'starting', '#9aa5b1'],
  ['ready', 'ready', '#3d9a5b'],
  ['suspect', 'suspect', '#e0a030'],
  ['held', 'held', '#d9682b'],
  ['unknown', 'unknown', 'url(#unknown)'],
] as const

const kindOf = (word: string): string => {
  if (/^(backoff|provisioning|setup)/.test(word)) return 'start'
  if (/^(ready|idle|busy)/.test(word)) return 'ready'
  return word.startsWith('held') ? 'held' : 'suspect'
}

const number = (value: number): string => String(Math.round(value * 10) / 10)

function bar(
  stretches: readonly Stretch[],
  end: number,
  y: number,
  x: (at: number) => number,
): readonly string[] {
  const out: string[] = []
  stretches.forEach(({ at, word }, i) => {
    if (/^(stopping|killing|gone)/.test(word)) return
    const from = x(at)
    const width = x(Math.min(stretches[i + 1]?.at ?? end, end)) - from
    if (width < LEAST && stretches.length > 1) return
    out.push(
      `<rect class="${kindOf(word)}" x="${number(from)}" y="${y}" width="${number(Math.max(width, LEAST))}" height="${BAR}"><title>${escape(word)}</title></rect>`,
    )
  })
  return out
}

function row(
  result: WhatIfResult,
  life: Life,
  y: number,
  x: (at: number) => number,
): readonly string[] {
  const reallyUntil = life.ended?.at ?? result.to
  const otherUntil = Math.min(life.other?.at ?? result.to, reallyUntil)
  const name = `${life.runner}${life.incarnation > 1 ? `.${life.incarnation}` : ''}`
  const about = [
    `${name} of ${life.app}: ${life.fate.replace('_', ' ')}`,
    life.ended === null
      ? 'it lives on'
      : `really ended ${moment(result, life.ended.at)} by ${life.ended.rule}`,
    whatThen(result, life),
  ].filter((line) => line !== '')
  const end = (at: number, top: number): string =>
    `<path class="end" d="M${number(x(at))} ${top - 1}v${BAR + 2}"/>`
  return [
    `<g><title>${escape(about.join('\n'))}</title>`,
    `<text class="${life.fate}" x="${LEFT - 10}" y="${y + 12}" text-anchor="end">${escape(name.slice(0, 32))}</text>`,
    ...bar(life.really, reallyUntil, y, x),
    ...(life.ended === null ? [] : [end(life.ended.at, y)]),
    ...bar(life.otherwise, otherUntil, y + BAR + 2, x),
    ...(life.other === null ? [] : [end(life.other.at, y + BAR + 2)]),
    ...(life.fate === 'spared'
      ? [
          `<rect class="unknown" x="${number(x(reallyUntil))}" y="${y + BAR + 2}" width="${number(LEFT + WIDE - x(reallyUntil))}" height="${BAR}"/>`,
        ]
      : []),
    '</g>',
  ]
}

/** The picture, as the text of an SVG file. */
export function timeline(result: WhatIfResult): string {
  const { from, to, counts } = result
  const length = Math.max(1, to - from)
  const x = (at: number): number =>
    LEFT + (WIDE * (Math.min(Math.max(at, from), to) - from)) / length
  const otherwise = result.lives.filter(({ fate }) => fate !== 'same')
  const same = result.lives.filter(({ fate }) => fate === 'same')
  const shown = [...otherwise, ...same].slice(0, ROWS)
  const hidden = result.lives.length - shown.length
  const height = TOP + shown.length * ROW + 40
  const ticks = Array.from({ length: 7 }, (_, i) => from + (length * i) / 6)
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${LEFT + WIDE + 30} ${height}" width="${LEFT + WIDE + 30}" height="${height}" font-family="system-ui, sans-serif" font-size="11">`,
    '<defs><pattern id="unknown" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" fill="#eef1f4"/><path d="M0 0v6" stroke="#7b8794" stroke-width="2"/></pattern></defs>',
    `<style>text{fill:#1f2933}${legend.map(([name, , fill]) => `.${name}{fill:${fill}}`).join('')}.end{stroke:#b3261e;stroke-width:2}.tick{stroke:#cbd2d9}text.earlier,tspan.earlier,text.unsure{fill:#b3261e}text.spared,tspan.spared{fill:#0b6bcb}text.same,tspan.same{fill:#7b8794}</style>`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    `<text x="10" y="20" font-size="14">${escape(`${counts.lives} lives: ${counts.same} the same, ${counts.earlier} earlier (certain), ${counts.spared} spared, then unknown, ${counts.other_rule} by another rule, ${counts.unsure} not sure`)}</text>`,
    `<text x="10" y="38">Each row: above what really happened, below the other policy. ${escape(moment(result, from))} to ${escape(moment(result, to))}.</text>`,
    ...legend.map(
      ([name, text], i) =>
        `<rect class="${name}" x="${LEFT + i * 110}" y="46" width="12" height="8"/><text x="${LEFT + i * 110 + 18}" y="54">${text}</text>`,
    ),
    `<path class="end" d="M${LEFT + legend.length * 110 + 4} 45v10"/><text x="${LEFT + legend.length * 110 + 18}" y="54">ended</text>`,
    `<text x="${LEFT + legend.length * 110 + 90}" y="54"><tspan class="earlier">earlier or not sure</tspan>, <tspan class="spared">spared</tspan>, <tspan class="same">the same</tspan></text>`,
    ...ticks.map(
      (at, i) =>
        `<path class="tick" d="M${number(x(at))} ${TOP - 4}V${height - 30}"/><text x="${number(x(at))}" y="${TOP - 8}" text-anchor="${i === 6 ? 'end' : 'middle'}">+${span(at - from)}</text>`,
    ),
    ...shown.flatMap((life, i) => row(result, life, TOP + i * ROW, x)),
    hidden > 0
      ? `<text x="10" y="${height - 12}">${hidden} more lives are not drawn; the JSON has them.</text>`
      : '',
    '</svg>',
  ]
    .filter((line) => line !== '')
    .join('\n')}\n`
}
