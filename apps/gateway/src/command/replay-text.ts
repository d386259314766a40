/** The answer of a what-if in words: a few lines that say what it means, and one row per life that went otherwise. */
import type { Life, WhatIfResult } from '@health/core'

const many = (n: number, one: string, more = `${one}s`): string => `${n} ${n === 1 ? one : more}`

/** `1:02:03` or `0.5 s`. */
export function span(ms: number): string {
  if (ms < 60_000) return `${Math.round(ms / 100) / 10} s`
  const seconds = Math.round(ms / 1000)
  const two = (number: number): string => String(number).padStart(2, '0')
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
}

/** An observed moment as a date, or as time since the beginning where the journal does not say which day it was. */
export function moment(result: WhatIfResult, at: number): string {
  const dated = (result.wall[0]?.at ?? Number.POSITIVE_INFINITY) <= result.from
  const known = dated ? result.wall.findLast((each) => each.at <= at) : undefined
  const date = new Date(at + (known?.offset ?? Number.NaN))
  // A journal may hold any number; not each of them is a day.
  return Number.isNaN(date.getTime()) ? `+${span(at - result.from)}` : date.toISOString()
}

/** A moment without its day, where the day is that of the beginning, which the first line names. */
function brief(result: WhatIfResult, at: number): string {
  const full = moment(result, at)
  const day = moment(result, result.from).slice(0, 11)
  return day.endsWith('T') && full.startsWith(day) ? full.slice(11).replace(/Z$/, '') : full
}

const ending = (result: WhatIfResult, end: Life['ended']): string =>
  end === null
    ? 'lives on'
    : `${brief(result, end.at)} ${end.rule}${end.reason === null ? '' : ` (${end.reason})`}`

/** What can be said about what came after, and what cannot. */
export function whatThen(result: WhatIfResult, life: Life): string {
  const { fate, afterwards, bounds, because } = life
  switch (fate) {
    case 'same':
      return ''
    case 'other_rule':
      return 'the same moment'
    case 'earlier':
    case 'unsure': {
      if (afterwards === null) return ''
      const { passes, failures, served, ms } = afterwards
      const did = `in the ${span(ms)} after it really passed ${many(passes, 'check')}, failed ${failures}, answered ${many(served, 'request')}`
      return fate === 'earlier'
        ? `certain; ${did}`
        : `not sure: ${life.doubt === 'guards' ? 'a guard may have made it wait for others' : 'that policy asks more often than the journal shows'}; ${did}`
    }
    case 'spared': {
      const by = because === null ? '' : `kept by ${because}; `
      const earliest =
        bounds?.ifFailing === null || bounds === null
          ? 'never by this rule'
          : `${brief(result, bounds.ifFailing)} had it gone on failing`
      return `${by}then unknown: ${earliest}, not at all had it recovered`
    }
    default:
      return fate satisfies never
  }
}

/** One row per life: those that went otherwise, or, without a change, those that ended. */
export function lifeRows(result: WhatIfResult, changed: boolean): readonly (readonly string[])[] {
  return result.lives
    .filter((life) => (changed ? life.fate !== 'same' : life.ended !== null))
    .map((life) => [
      life.runner,
      String(life.incarnation),
      life.app,
      brief(result, life.begunAt),
      ending(result, life.ended),
      ...(changed
        ? [life.fate === 'spared' ? 'spared' : ending(result, life.other), whatThen(result, life)]
        : []),
    ])
}

/** Lines of name and text. */
export function summary(
  result: WhatIfResult,
  changed: boolean,
): readonly (readonly [name: string, text: string])[] {
  const { counts, differs, from, to } = result
  const lines: (readonly [string, string])[] = [
    [
      'recorded',
      `${moment(result, from)} to ${moment(result, to)} (${span(to - from)}): ${many(result.events, 'event')}, ${many(counts.lives, 'life', 'lives')}`,
    ],
  ]
  if (changed) {
    // Apps of which the same differs stand together.
    const apps = new Map<string, string[]>()
    for (const [app, options] of Object.entries(differs)) {
      const names = options.join(', ')
      if (names !== '') apps.set(names, [...(apps.get(names) ?? []), app])
    }
    lines.push([
      'differs',
      apps.size === 0
        ? 'nothing: every option has the value that was recorded'
        : [...apps].map(([names, of]) => `${names} of ${of.join(', ')}`).join('; '),
    ])
    /** What a number means is only said where there is one. */
    const fate = (name: string, n: number, means = ''): void =>
      void lines.push([name, n === 0 ? '0' : `${n}${means}`])
    fate('the same', counts.same)
    fate(
      'earlier',
      counts.earlier,
      `, certain; ${counts.earlierAndWell} of them later passed more checks than they failed`,
    )
    fate(
      'spared',
      counts.spared,
      ', then unknown: between "as if it went on failing" and "as if it recovered"',
    )
    fate('other rule', counts.other_rule)
    fate(
      'not sure',
      counts.unsure,
      ': that policy would have asked more often, or a guard may have made them wait for each other',
    )
    lines.push(['', 'These are about single lives. They are never added up.'])
  } else {
    const byRule = new Map<string, number>()
    for (const { ended } of result.lives)
      if (ended !== null) byRule.set(ended.rule, (byRule.get(ended.rule) ?? 0) + 1)
    for (const [rule, n] of [...byRule].toSorted((a, b) => b[1] - a[1]))
      lines.push(['ended', `${n} by ${rule}`])
  }
  if (counts.withheld > 0)
    lines.push([
      'kept',
      `${many(counts.withheld, 'condemned life was', 'condemned lives were')} really kept by a guard or a dry run; ${counts.withheldAndWell} later passed more checks than they failed. Only these say without bias how often the rule is wrong`,
    ])
  return lines
}
