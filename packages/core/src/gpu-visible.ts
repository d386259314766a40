/**
 * Which variables make a process see the devices that it was given, and no others: NVIDIA's runtime reads one, AMD's two that build on
 * each other. Whose a device is, its name says; it asks nobody.
 */

/** AMD's runtime calls a device `GPU-` and 16 hexadecimal digits; one without such a number is named by its place, `amd-0`. */
const AMD = /^(?:GPU-[0-9a-f]{16}|amd-\d+)$/i

/** Is this the name of an AMD device? NVIDIA's are UUIDs with hyphens. */
export function isAmdDevice(device: string): boolean {
  return AMD.test(device)
}

/**
 * The variables for a process that holds these devices; none without devices. `ROCR_VISIBLE_DEVICES` chooses among all devices of AMD;
 * `HIP_VISIBLE_DEVICES`, and `CUDA_VISIBLE_DEVICES` as portable programs read it, count what that left.
 *
 * ```ts
 * visibleDevices(['GPU-79ccd55167a2124a']) // => { ROCR_VISIBLE_DEVICES: 'GPU-79ccd55167a2124a', HIP_VISIBLE_DEVICES: '0', CUDA_VISIBLE_DEVICES: '0' }
 * ```
 */
export function visibleDevices(devices: readonly string[]): Readonly<Record<string, string>> {
  const amd = devices.filter(isAmdDevice)
  const others = devices.filter((device) => !isAmdDevice(device))
  const places = amd.map((_device, place) => place).join(',')
  return {
    ...(amd.length > 0 && {
      ROCR_VISIBLE_DEVICES: amd.map((device) => device.replace(/^amd-/i, '')).join(','),
      HIP_VISIBLE_DEVICES: places,
      CUDA_VISIBLE_DEVICES: places,
    }),
    ...(others.length > 0 && { CUDA_VISIBLE_DEVICES: others.join(',') }),
  }
}
