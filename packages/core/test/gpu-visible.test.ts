/** Which variables name the devices of a process: NVIDIA's one, AMD's two that build on each other. */
import { describe, expect, test } from 'vitest'
import { isAmdDevice, visibleDevices } from '../src/gpu-visible.ts'

const nvidia = 'GPU-f809a5a2-4b5c-6d7e-8f90-a1b2c3d4e5f6'
const amd = 'GPU-79ccd55167a2124a'

describe('the variables of a process', () => {
  test.for<[devices: string[], variables: object]>([
    [[], {}],
    [[nvidia], { CUDA_VISIBLE_DEVICES: nvidia }],
    [['MIG-1', '0'], { CUDA_VISIBLE_DEVICES: 'MIG-1,0' }],
    [[amd], { ROCR_VISIBLE_DEVICES: amd, HIP_VISIBLE_DEVICES: '0', CUDA_VISIBLE_DEVICES: '0' }],
    [
      // The first variable leaves two devices; the others count those two.
      ['amd-3', amd],
      {
        ROCR_VISIBLE_DEVICES: `3,${amd}`,
        HIP_VISIBLE_DEVICES: '0,1',
        CUDA_VISIBLE_DEVICES: '0,1',
      },
    ],
    [
      [nvidia, amd],
      { ROCR_VISIBLE_DEVICES: amd, HIP_VISIBLE_DEVICES: '0', CUDA_VISIBLE_DEVICES: nvidia },
    ],
  ])('%j', ([devices, variables]) => {
    expect(visibleDevices(devices)).toEqual(variables)
  })

  test.for([
    [amd, true],
    ['GPU-79CCD55167A2124A', true],
    ['amd-12', true],
    [nvidia, false],
    ['GPU-1', false],
    ['pci:0000:1a:00', false],
  ] as const)('%s is AMD: %s', ([device, is]) => {
    expect(isAmdDevice(device)).toBe(is)
  })
})
