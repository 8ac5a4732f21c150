/*
 * A stand-in for NVIDIA's libcuda.so.1, for machines without a card: what cowherd calls of it, done by the processor in
 * the process's own memory. It holds no page and proves nothing about a card or its driver; it shows whether cowherd
 * asks for the right things, in the right process, and judges what comes back.
 *
 * STAND_IN_FAILS=CALL    that call fails.
 * STAND_IN_STALE=1       of the first word of registered memory the "card" sees a copy that was made when it was
 *                        registered: what becomes of a driver whose page is no longer the process's.
 * STAND_IN_LOG=FILE      one line to each registration and each access.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, INVALID_VALUE = 1, NOT_SUPPORTED = 801, ALREADY_REGISTERED = 712, NOT_REGISTERED = 713, UNKNOWN = 999 };
enum { RANGES = 16, COPY = 2 << 20 };

static struct range {
  char *at;
  size_t bytes;
  char copy[COPY];
} ranges[RANGES];
static pid_t owner;
static __thread int current;
static char load_word, store_word;

static int fails(const char *call) {
  const char *wanted = getenv("STAND_IN_FAILS");
  return wanted && !strcmp(wanted, call);
}

static void say(const char *what, const void *at) {
  const char *name = getenv("STAND_IN_LOG");
  FILE *file = name ? fopen(name, "a") : NULL;
  if (!file) return;
  fprintf(file, "%s %p in %d\n", what, at, (int)getpid());
  fclose(file);
}

/* As the driver: nothing works before cuInit(), in a child of fork, or in a thread without a context. */
static int usable(void) { return owner && owner == getpid() && current; }

int cuInit(unsigned flags) {
  if (flags || fails("cuInit")) return INVALID_VALUE;
  if (owner && owner != getpid()) return UNKNOWN;
  owner = getpid();
  return OK;
}

int cuDriverGetVersion(int *version) {
  *version = 12040;
  return OK;
}

int cuGetErrorName(int code, const char **name) {
  *name = code == INVALID_VALUE        ? "CUDA_ERROR_INVALID_VALUE"
          : code == NOT_SUPPORTED      ? "CUDA_ERROR_NOT_SUPPORTED"
          : code == ALREADY_REGISTERED ? "CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED"
          : code == NOT_REGISTERED     ? "CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED"
                                       : "CUDA_ERROR_UNKNOWN";
  return OK;
}

int cuDeviceGet(int *device, int number) {
  *device = 0;
  return number == 0 && owner == getpid() ? OK : INVALID_VALUE;
}

int cuDeviceGetName(char *name, int bytes, int device) {
  (void)device;
  snprintf(name, (size_t)bytes, "a stand-in, not a card");
  return OK;
}

int cuDeviceGetAttribute(int *value, int which, int device) {
  (void)device;
  *value = which == 75 ? 9 : 0;
  return OK;
}

int cuDevicePrimaryCtxRetain(void **context, int device) {
  *context = &current;
  return device == 0 ? OK : INVALID_VALUE;
}

int cuCtxSetCurrent(void *context) {
  current = context != NULL;
  return owner == getpid() ? OK : UNKNOWN;
}

int cuCtxSynchronize(void) { return usable() ? OK : UNKNOWN; }

int cuMemAlloc_v2(unsigned long long *at, size_t bytes) {
  *at = (unsigned long long)calloc(1, bytes);
  return usable() ? OK : UNKNOWN;
}

int cuMemcpyDtoH_v2(void *to, unsigned long long from, size_t bytes) {
  memcpy(to, (void *)from, bytes);
  return usable() ? OK : UNKNOWN;
}

int cuModuleLoadData(void **module, const void *image) {
  *module = &ranges;
  return strstr(image, ".entry load_word") && strstr(image, ".entry store_word") ? OK : INVALID_VALUE;
}

int cuModuleGetFunction(void **function, void *module, const char *name) {
  (void)module;
  *function = !strcmp(name, "load_word") ? &load_word : &store_word;
  return OK;
}

static struct range *range_of(char *at) {
  for (int i = 0; i < RANGES; i++)
    if (ranges[i].bytes && at >= ranges[i].at && at < ranges[i].at + ranges[i].bytes) return &ranges[i];
  return NULL;
}

/* Where the "card" finds a word: only in what is registered. */
static void *on_card(unsigned long long at) {
  struct range *range = range_of((char *)at);
  if (!range) return NULL;
  return getenv("STAND_IN_STALE") && (char *)at == range->at ? range->copy : (void *)at;
}

int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *stream, void **arguments, void **extra) {
  unsigned long long first = *(unsigned long long *)arguments[0], second = *(unsigned long long *)arguments[1];
  void *word = on_card(first);
  (void)shared, (void)stream, (void)extra;
  if (!usable() || gx * gy * gz * bx * by * bz != 1 || !word || fails("cuLaunchKernel")) return UNKNOWN;
  say(function == &load_word ? "load" : "store", (void *)first);
  if (function == &load_word)
    memcpy((void *)second, word, 8);
  else
    memcpy(word, &second, 8);
  return OK;
}

/* The kernel's answer about the pages: it writes a byte of each to a pipe, or reads it from there. */
static int can_be_held(char *at, size_t bytes, int writes) {
  int line[2], can = 1;
  if (pipe(line)) return 0;
  for (size_t i = 0; i < bytes && can; i += 4096) {
    can = write(line[1], at + i, 1) == 1;
    if (can) {
      char byte;
      can = writes ? read(line[0], at + i, 1) == 1 : read(line[0], &byte, 1) == 1;
    }
  }
  close(line[0]);
  close(line[1]);
  return can;
}

int cuMemHostRegister_v2(void *at, size_t bytes, unsigned flags) {
  if (!usable()) return UNKNOWN;
  if (fails("cuMemHostRegister")) return INVALID_VALUE;
  if (flags & 8 && fails("READ_ONLY")) return NOT_SUPPORTED;
  if (range_of(at)) return ALREADY_REGISTERED;
  if (bytes > COPY || !can_be_held(at, bytes, !(flags & 8))) return INVALID_VALUE;
  for (int i = 0; i < RANGES; i++) {
    if (ranges[i].bytes) continue;
    say("hold", at);
    ranges[i].at = at;
    ranges[i].bytes = bytes;
    memcpy(ranges[i].copy, at, bytes);
    return OK;
  }
  return INVALID_VALUE;
}

int cuMemHostUnregister(void *at) {
  struct range *range = range_of(at);
  if (!usable()) return UNKNOWN;
  if (!range || range->at != at) return NOT_REGISTERED;
  say("release", at);
  range->bytes = 0;
  return OK;
}

int cuMemHostGetDevicePointer_v2(unsigned long long *card, void *at, unsigned flags) {
  *card = (unsigned long long)at;
  return !flags && range_of(at) ? OK : INVALID_VALUE;
}
