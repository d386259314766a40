// Draws the apps and their runners.
import { element, follow, setText, short, span } from './element.js'

const KEEP_TERMINATED_MS = 60_000

export function drawApps(apps) {
  follow(
    document.querySelector('#apps'),
    apps,
    (app) => app.id,
    (app) => element('li', {}, element('strong', { textContent: app.id }), element('span')),
    (item, app) => {
      const counts = Object.entries(app.runners ?? {})
        .filter(([word, count]) => count > 0 && word !== 'gone')
        .map(([word, count]) => `${count} ${word}`)
      const words = [
        app.degraded ? 'degraded' : null,
        `target\u00a0${app.target}`,
        counts.join(', ') || 'no runners',
        `${app.inFlight} in flight`,
        `${app.waiting} waiting`,
        `${app.queued} queued`,
      ]
      // A number stays with its word.
      const whole = words
        .filter((word) => word !== null)
        .map((word) => word.replaceAll(/(?<=\d) /g, '\u00a0'))
      setText(item.lastChild, whole.join(' · '))
    },
  )
}

const columns = ['Runner', 'App', 'State', 'In flight', 'Last check', 'Failures', 'Up']

function makeRow(runner) {
  const row = element(
    'tr',
    {},
    ...columns.map((label) => element('td', { 'data-label': label }, element('span'))),
  )
  const name = element('a', {
    className: 'id',
    title: runner.id,
    href: `inspect#runner/${encodeURI(runner.id)}`,
    rel: 'noopener',
  })
  row.children[0].firstChild.replaceWith(name)
  row.children[2].firstChild.append(element('span', { className: 'state' }), ' ', element('small'))
  return row
}

function lastCheck(probe) {
  if (!probe) return 'none yet'
  const how = probe.ok
    ? 'passed'
    : `failed${probe.status ? ` (${probe.status})` : probe.error ? ` (${probe.error})` : ''}`
  return `${probe.kind} ${how}, ${Math.round(probe.latencyMs)} ms`
}

function updateRow(row, runner, threshold, now) {
  const [id, app, state, inFlight, check, failures, up] = row.children
  row.classList.toggle('over', runner.state === 'terminated')
  setText(id.firstChild, short(runner.id))
  setText(app.firstChild, runner.app)
  const [pill, detail] = state.firstChild.children
  pill.dataset.state = runner.state
  setText(pill, runner.state)
  setText(detail, runner.reason ?? runner.substate)
  setText(inFlight.firstChild, String(runner.inFlight))
  setText(check.firstChild, lastCheck(runner.lastProbe))
  setText(
    failures.firstChild,
    threshold === undefined ? String(runner.failures) : `${runner.failures} of ${threshold}`,
  )
  const until = runner.state === 'terminated' ? Date.parse(runner.since) : now
  setText(
    up.firstChild,
    runner.startedAt ? span(Math.max(0, (until - Date.parse(runner.startedAt)) / 1000)) : 'not yet',
  )
}

/** Sick ones are what one looks for, ended ones are over. */
const rank = { suspect: 0, starting: 1, ready: 1, terminated: 2 }

/** Ended runners stay for a minute, so that one can see what became of them. */
export function drawRunners(runners, apps, now) {
  const shown = runners
    .filter(
      (runner) =>
        runner.state !== 'terminated' || now - Date.parse(runner.since) < KEEP_TERMINATED_MS,
    )
    .sort(
      (a, b) =>
        rank[a.state] - rank[b.state] ||
        a.app.localeCompare(b.app) ||
        String(b.startedAt).localeCompare(String(a.startedAt)),
    )
  const thresholds = new Map(apps.map((app) => [app.id, app.healthCheck?.failureThreshold]))
  follow(
    document.querySelector('#runner-rows'),
    shown,
    (runner) => runner.id,
    makeRow,
    (row, runner) => updateRow(row, runner, thresholds.get(runner.app), now),
  )
  document.querySelector('#no-runners').hidden = shown.length > 0
}
