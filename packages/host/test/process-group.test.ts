// Whom a signal may reach: the group that we know, and never a stranger who got its number.
import { expect, onTestFinished, test, vi } from 'vitest'
import { ProcessGroup } from '../src/process-group.ts'

const info = (startTime: string, group = 4242) => ({ pid: 4242, group, state: 'S', startTime })

test.for([
  ['its leader lives', info('ours'), true, true],
  ['its leader ended and members are left', null, false, true],
  ['a stranger has its number', info('later'), false, false],
  ['its leader leads another group', info('ours', 1), false, true],
] as const)('%s', ([, found, leads, reached]) => {
  const kill = vi.spyOn(process, 'kill').mockReturnValue(true)
  onTestFinished(() => kill.mockRestore())
  const group = new ProcessGroup(4242, 'ours', { find: () => found, all: async () => [] })
  expect(group.leads).toBe(leads)
  expect(group.signal('SIGTERM')).toBe(reached)
  expect(kill.mock.calls).toEqual(
    reached
      ? [
          [-4242, 'SIGTERM'],
          [-4242, 'SIGCONT'],
        ]
      : [],
  )
})
