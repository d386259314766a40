// The demo's faults as buttons: each sends one request, directly or through the queue, and says how it ended.
import { element, short } from './element.js'
import { ask } from './gateway.js'

const APP = 'demo/echo'
const KEEP = 6
const QUEUE_WAIT_MS = 120_000

const faults = [
  ['Well', { hello: 'world' }, 'answers its input'],
  ['Error', { fault: 'error' }, '500: the runner is checked by TCP'],
  ['Bad gateway', { fault: 'bad_gateway' }, '502: the runner is checked by TCP'],
  ['Unavailable', { fault: 'unavailable' }, '503: the runner is ended at once'],
  ['Gateway timeout', { fault: 'gateway_timeout' }, '504: checked, and retried by the queue'],
  ['Crash', { fault: 'crash' }, 'the process ends in the middle'],
  ['Hang', { fault: 'hang' }, 'no answer: ended after 10 s'],
  ['Unhealthy', { fault: 'unhealthy' }, 'its health check fails from now on'],
  ['Leak', { fault: 'leak' }, 'keeps 50 MB; unhealthy above 300 MB'],
  [
    'Ask for a check',
    { headers: { 'x-fal-runner-health-check': 'true' } },
    'the answer asks for a manual check',
  ],
  ['Stop me', { headers: { 'x-fal-stop-runner': 'true' } }, 'the answer asks to end the runner'],
]

async function direct(body) {
  const { status, headers, value } = await ask(`run/${APP}`, {
    method: 'POST',
    body,
    timeoutMs: 60_000,
  })
  const runner = headers.get('x-fal-served-from')
  const type = headers.get('x-fal-error-type') ?? value?.error_type
  return `${status}${type ? ` ${type}` : ''}${runner ? ` from ${short(runner)}` : ''}`
}

async function queued(body) {
  const submitted = await ask(`queue/${APP}`, { method: 'POST', body })
  if (submitted.status !== 200) return `${submitted.status} at submit`
  const id = submitted.value.request_id
  for (const end = Date.now() + QUEUE_WAIT_MS; Date.now() < end;) {
    await new Promise((resolve) => setTimeout(resolve, 500))
    const { value } = await ask(`v1/requests/${encodeURIComponent(id)}`)
    if (value?.final) {
      const attempts = value.attempts.map((attempt) => attempt.outcome).join(', ')
      return `${value.final.status}${value.final.error_type ? ` ${value.final.error_type}` : ''} after ${value.attempts.length} attempt${value.attempts.length === 1 ? '' : 's'}${attempts ? ` (${attempts})` : ''}`
    }
  }
  return 'still in the queue'
}

async function press(title, body) {
  const mode = document.querySelector('input[name=mode]:checked').value
  const line = element('li', {
    textContent: `${title}, ${mode === 'run' ? 'directly' : 'queued'}: …`,
  })
  const list = document.querySelector('#calls')
  list.prepend(line)
  while (list.children.length > KEEP) list.lastElementChild.remove()
  const begun = performance.now()
  const result = await (mode === 'run' ? direct(body) : queued(body)).catch(
    (error) => error.message,
  )
  line.textContent = `${title}, ${mode === 'run' ? 'directly' : 'queued'}: ${result}, ${Math.round(performance.now() - begun)} ms`
}

/** Shows the buttons when the demo is among the apps. */
export function drawFaults(apps) {
  const panel = document.querySelector('#faults')
  panel.hidden = !apps.some((app) => app.id === APP)
  const buttons = document.querySelector('#fault-buttons')
  if (panel.hidden || buttons.children.length > 0) return
  for (const [title, body, what] of faults) {
    buttons.append(
      element(
        'button',
        { type: 'button', onclick: () => press(title, body) },
        title,
        element('small', { textContent: what }),
      ),
    )
  }
}
