/* A stand-in for libnvidia-ml.so.1: the functions that a sample needs, driven by a script that may change while it runs.
 * NVML_STUB_SCRIPT names the script; a line is "<gpu> <key> <value>", "* devices 8" says how many there are. A key that is not
 * there is not supported. Keys: temp margin slowdown sm maxsm reasons power util used total ecc eccagg remap remapfail recovery
 * replays gen width name lost silent hang gone (not even a handle) xid (number:serial, told when the serial changes) field<ID>. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, TIMEOUT = 10, DRIVER = 9, LOST = 15, UNKNOWN = 999 };
#define MAX_LINES 4096

typedef struct { int gpu; char key[16]; char value[96]; } line_t;
static line_t lines[MAX_LINES];
static int count;
static struct timespec seen_at;
static off_t seen_size = -1;
static char told[64][96];

static void load(void) {
  const char *path = getenv("NVML_STUB_SCRIPT");
  struct stat st;
  if (!path || stat(path, &st) != 0) return;
  if (st.st_size == seen_size && st.st_mtim.tv_sec == seen_at.tv_sec && st.st_mtim.tv_nsec == seen_at.tv_nsec) return;
  FILE *file = fopen(path, "r");
  if (!file) return;
  seen_size = st.st_size;
  seen_at = st.st_mtim;
  count = 0;
  char text[256], gpu[8];
  while (count < MAX_LINES && fgets(text, sizeof text, file)) {
    line_t *line = &lines[count];
    if (sscanf(text, "%7s %15s %95[^\n]", gpu, line->key, line->value) != 3) continue;
    line->gpu = gpu[0] == '*' ? -1 : atoi(gpu);
    count++;
  }
  fclose(file);
}

static const char *get(int gpu, const char *key) {
  const char *found = NULL;
  for (int i = 0; i < count; i++)
    if ((lines[i].gpu == gpu || lines[i].gpu == -1) && strcmp(lines[i].key, key) == 0) {
      found = lines[i].value;
      if (lines[i].gpu == gpu) return found;
    }
  return found;
}

static int devices(void) { const char *n = get(-1, "devices"); return n ? atoi(n) : 0; }
static int index_of(void *device) { return (int)(uintptr_t)device - 1; }

/* What every call on a device does first: hang, be lost, say nothing. */
static int guard(int gpu) {
  if (get(gpu, "hang")) for (;;) sleep(1);
  if (get(gpu, "lost")) return LOST;
  if (get(gpu, "silent")) return UNKNOWN;
  return OK;
}

static int u32(void *device, const char *key, uint32_t *out) {
  int gpu = index_of(device), code = guard(gpu);
  if (code) return code;
  const char *value = get(gpu, key);
  if (!value) return NOT_SUPPORTED;
  *out = (uint32_t)strtoul(value, NULL, 0);
  return OK;
}

EXPORT int nvmlInit_v2(void) { load(); return get(-1, "nodriver") ? DRIVER : OK; }
EXPORT int nvmlShutdown(void) {
  const char *path = getenv("NVML_STUB_SHUTDOWN");
  FILE *file = path ? fopen(path, "w") : NULL;
  if (file) { fputs("shutdown\n", file); fclose(file); }
  return OK;
}
EXPORT int nvmlDeviceGetCount_v2(uint32_t *out) { load(); *out = devices(); return OK; }
EXPORT int nvmlDeviceGetHandleByIndex_v2(uint32_t i, void **out) {
  if ((int)i >= devices()) return INVALID;
  if (get(i, "gone")) return LOST;
  *out = (void *)(uintptr_t)(i + 1);
  return OK;
}
EXPORT int nvmlDeviceGetUUID(void *d, char *out, uint32_t size) {
  snprintf(out, size, "GPU-00000000-0000-0000-0000-%012d", index_of(d));
  return OK;
}
EXPORT int nvmlDeviceGetName(void *d, char *out, uint32_t size) {
  const char *name = get(index_of(d), "name");
  if (!name) return NOT_SUPPORTED;
  snprintf(out, size, "%s", name);
  return OK;
}
typedef struct { char legacy[16]; uint32_t domain, bus, device, id, subsystem; char bus_id[32]; } pci_t;
EXPORT int nvmlDeviceGetPciInfo_v3(void *d, pci_t *out) {
  memset(out, 0, sizeof *out);
  out->bus = 0x10 + index_of(d);
  return OK;
}
EXPORT int nvmlDeviceGetMaxClockInfo(void *d, uint32_t kind, uint32_t *out) { return kind == 1 ? u32(d, "maxsm", out) : NOT_SUPPORTED; }
EXPORT int nvmlDeviceGetTemperatureThreshold(void *d, uint32_t kind, uint32_t *out) {
  return kind == 1 ? u32(d, "slowdown", out) : NOT_SUPPORTED;
}
EXPORT int nvmlDeviceGetMaxPcieLinkGeneration(void *d, uint32_t *out) { return u32(d, "gen", out); }
EXPORT int nvmlDeviceGetMaxPcieLinkWidth(void *d, uint32_t *out) { return u32(d, "width", out); }
EXPORT int nvmlDeviceGetCurrPcieLinkGeneration(void *d, uint32_t *out) { return u32(d, "gen", out); }
EXPORT int nvmlDeviceGetCurrPcieLinkWidth(void *d, uint32_t *out) { return u32(d, "width", out); }
EXPORT int nvmlDeviceGetEnforcedPowerLimit(void *d, uint32_t *out) { return u32(d, "limit", out); }

typedef struct { uint32_t version, sensor; int32_t value; } temperature_t;
EXPORT int nvmlDeviceGetTemperatureV(void *d, temperature_t *out) {
  load();
  if (out->version != (sizeof *out | 1u << 24)) return 25;
  if (get(-1, "olddriver")) return 13;
  return u32(d, "temp", (uint32_t *)&out->value);
}
EXPORT int nvmlDeviceGetTemperature(void *d, uint32_t sensor, uint32_t *out) { return sensor == 0 ? u32(d, "temp", out) : INVALID; }
typedef struct { uint32_t version; int32_t value; } margin_t;
EXPORT int nvmlDeviceGetMarginTemperature(void *d, margin_t *out) {
  if (out->version != (sizeof *out | 1u << 24)) return 25;
  const char *value = get(index_of(d), "margin");
  if (!value) return NOT_SUPPORTED;
  out->value = atoi(value);
  return OK;
}
EXPORT int nvmlDeviceGetClockInfo(void *d, uint32_t kind, uint32_t *out) { return u32(d, kind == 1 ? "sm" : "mem", out); }
EXPORT int nvmlDeviceGetCurrentClocksEventReasons(void *d, uint64_t *out) {
  uint32_t low = 0;
  int code = u32(d, "reasons", &low);
  if (code == OK) *out = low;
  return code;
}
EXPORT int nvmlDeviceGetPowerUsage(void *d, uint32_t *out) { return u32(d, "power", out); }
EXPORT int nvmlDeviceGetUtilizationRates(void *d, uint32_t out[2]) { out[1] = 0; return u32(d, "util", out); }
typedef struct { uint32_t version; uint64_t total, reserved, free, used; } memory_t;
EXPORT int nvmlDeviceGetMemoryInfo_v2(void *d, memory_t *out) {
  if (out->version != (sizeof *out | 2u << 24)) return 25;
  uint32_t used = 0, total = 0;
  int code = u32(d, "total", &total);
  if (code == OK) code = u32(d, "used", &used);
  out->total = (uint64_t)total << 20;
  out->used = (uint64_t)used << 20;
  return code;
}

typedef struct { uint32_t field, scope; int64_t at, latency; uint32_t type; int32_t code; union { double d; uint32_t u; uint64_t l; int32_t i; } value; } field_t;
EXPORT int nvmlDeviceGetFieldValues(void *d, int n, field_t *fields) {
  int gpu = index_of(d), code = guard(gpu);
  if (code) return code;
  for (int i = 0; i < n; i++) {
    char key[16];
    snprintf(key, sizeof key, "field%u", fields[i].field);
    const char *value = get(gpu, key);
    fields[i].code = value ? OK : NOT_SUPPORTED;
    if (!value) continue;
    int isSigned = value[0] == '-';
    fields[i].type = isSigned ? 5 : 3;
    if (isSigned) fields[i].value.i = atoi(value);
    else fields[i].value.l = strtoull(value, NULL, 0);
  }
  return OK;
}

/* What no sample may ask: these take the driver's lock for milliseconds. */
EXPORT int nvmlDeviceGetFanSpeed(void *d, uint32_t *out) { (void)d; (void)out; abort(); }
EXPORT int nvmlDeviceGetFanSpeed_v2(void *d, uint32_t fan, uint32_t *out) { (void)d; (void)fan; (void)out; abort(); }
EXPORT int nvmlDeviceGetComputeRunningProcesses_v3(void *d, uint32_t *n, void *out) { (void)d; (void)n; (void)out; abort(); }
EXPORT int nvmlDeviceGetGraphicsRunningProcesses_v3(void *d, uint32_t *n, void *out) { (void)d; (void)n; (void)out; abort(); }
EXPORT int nvmlDeviceGetPcieThroughput(void *d, uint32_t which, uint32_t *out) { (void)d; (void)which; (void)out; abort(); }

EXPORT int nvmlEventSetCreate(void **out) { if (get(-1, "noevents")) return NOT_SUPPORTED; *out = (void *)0x77; return OK; }
EXPORT int nvmlEventSetFree(void *set) { (void)set; return OK; }
EXPORT int nvmlDeviceGetSupportedEventTypes(void *d, uint64_t *out) { (void)d; *out = 0x8 | 0x2; return OK; }
EXPORT int nvmlDeviceRegisterEvents(void *d, uint64_t mask, void *set) {
  (void)set;
  const char *now = get(index_of(d), "xid");
  snprintf(told[index_of(d)], sizeof told[0], "%s", now ? now : "");
  return (mask & ~(uint64_t)0xa) ? INVALID : OK;
}
typedef struct { void *device; uint64_t type, data; uint32_t gi, ci; } event_t;
EXPORT int nvmlEventSetWait_v2(void *set, event_t *out, uint32_t ms) {
  (void)set;
  for (uint32_t waited = 0;; waited += 2) {
    load();
    for (int gpu = 0; gpu < devices() && gpu < 64; gpu++) {
      const char *xid = get(gpu, "xid");
      if (!xid || strcmp(xid, told[gpu]) == 0) continue;
      snprintf(told[gpu], sizeof told[0], "%s", xid);
      out->device = (void *)(uintptr_t)(gpu + 1);
      out->type = 8;
      out->data = strtoull(xid, NULL, 10);
      out->gi = out->ci = 0xffffffffu;
      return OK;
    }
    if (waited >= ms) return TIMEOUT;
    usleep(2000);
  }
}
