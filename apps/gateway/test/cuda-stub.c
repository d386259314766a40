/* A stand-in for libcuda.so.1: the calls that examples/gpu-check.py makes, memory and arithmetic on the host. CUDA_STUB says what is
 * wrong with it: nodevice, none, wrong (one cell, from the third product on), launch, ecc, compile, hang; nothing: it is well. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
enum { OK = 0, NO_DEVICE = 100, INVALID_DEVICE = 101, ECC = 214, INVALID_PTX = 218, LAUNCH_FAILED = 719 };
static int launches;

static int is(const char *what) {
  const char *mode = getenv("CUDA_STUB");
  return mode && strcmp(mode, what) == 0;
}

EXPORT int cuInit(unsigned flags) { return flags == 0 && is("nodevice") ? NO_DEVICE : OK; }
EXPORT int cuDeviceGetCount(int *out) {
  const char *visible = getenv("CUDA_VISIBLE_DEVICES");
  *out = is("none") ? 0 : visible ? 1 : 2;
  return OK;
}
EXPORT int cuDeviceGet(int *out, int index) { *out = index; return index < 2 ? OK : INVALID_DEVICE; }
EXPORT int cuDeviceGetName(char *out, int size, int device) {
  const char *visible = getenv("CUDA_VISIBLE_DEVICES");
  snprintf(out, size, "Stub %s", visible ? visible : device == 0 ? "A" : "B");
  return OK;
}
EXPORT int cuDevicePrimaryCtxRetain(void **out, int device) { *out = (void *)(uintptr_t)(0xc0 + device); return OK; }
EXPORT int cuDevicePrimaryCtxRelease_v2(int device) { return device < 2 ? OK : INVALID_DEVICE; }
EXPORT int cuCtxSetCurrent(void *context) { return context ? OK : 201; }
EXPORT int cuModuleLoadData(void **out, const char *image) {
  if (is("compile") || !strstr(image, ".visible .entry matmul(")) return INVALID_PTX;
  *out = (void *)0x77;
  return OK;
}
EXPORT int cuModuleGetFunction(void **out, void *module, const char *name) {
  *out = (void *)0x78;
  return module == (void *)0x77 && strcmp(name, "matmul") == 0 ? OK : 500;
}
EXPORT int cuMemAlloc_v2(uint64_t *out, size_t size) { *out = (uint64_t)(uintptr_t)malloc(size); return *out ? OK : 2; }
EXPORT int cuMemFree_v2(uint64_t at) { free((void *)(uintptr_t)at); return OK; }
EXPORT int cuMemsetD8_v2(uint64_t at, unsigned char value, size_t size) { memset((void *)(uintptr_t)at, value, size); return OK; }
EXPORT int cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t size) { memcpy((void *)(uintptr_t)to, from, size); return OK; }
EXPORT int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t size) { memcpy(to, (void *)(uintptr_t)from, size); return is("ecc") ? ECC : OK; }
EXPORT int cuLaunchKernel(void *kernel, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                          void *stream, void **parameters, void **extra) {
  const float *a = (const float *)*(uintptr_t *)parameters[0], *b = (const float *)*(uintptr_t *)parameters[1];
  float *c = (float *)*(uintptr_t *)parameters[2];
  uint32_t n = *(uint32_t *)parameters[3];
  if (kernel != (void *)0x78 || gz * bz != 1 || shared || stream || extra || gx * bx < n || gy * by < n) return 1;
  if (is("hang")) for (;;) sleep(1);
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t j = 0; j < n; j++) {
      float sum = 0;
      for (uint32_t k = 0; k < n; k++) sum += a[(size_t)i * n + k] * b[(size_t)k * n + j];
      c[(size_t)i * n + j] = sum;
    }
  launches++;
  if (is("wrong") && launches >= 3) c[5 * n + 7] += 1;
  return OK;
}
EXPORT int cuCtxSynchronize(void) { return is("launch") ? LAUNCH_FAILED : OK; }
EXPORT int cuGetErrorName(int code, const char **out) {
  *out = code == NO_DEVICE ? "CUDA_ERROR_NO_DEVICE" : code == ECC ? "CUDA_ERROR_ECC_UNCORRECTABLE"
       : code == INVALID_PTX ? "CUDA_ERROR_INVALID_PTX" : code == LAUNCH_FAILED ? "CUDA_ERROR_LAUNCH_FAILED" : NULL;
  return *out ? OK : 1;
}
