// A library for LD_PRELOAD that makes a file system fail, below one directory:
//   FAULTY_UNDER   paths with this in them are touched, no others
//   FAULTY_KIND    crash    SIGKILL instead of the FAULTY_AT-th call that changes something
//                  half     the same, but if that call writes, the first half of its bytes gets through
//                  enospc   writes and new files fail with ENOSPC from the FAULTY_AT-th call on, FAULTY_TIMES times
//                  eio_write, eio_fsync, eio_close    the FAULTY_AT-th of these fails with EIO (closing closes)
//                  short    every write takes one byte less than half
//                  eintr    every open, write and fsync is interrupted once before it works
//                  hang     the FAULTY_AT-th fsync never returns
//                  count    nothing fails; the calls are counted into the file FAULTY_COUNT
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

namespace {

enum class Call { kOpen, kWrite, kFsync, kClose, kName };  // kName: mkdir, rename, unlink, link

constexpr int kMostFiles = 4096;
std::atomic<bool> watched[kMostFiles];  // descriptors of files that are written below the directory
std::atomic<long> changes{0}, writes{0}, fsyncs{0}, closes{0};
thread_local bool interrupted = false;

const char* setting(const char* name) {
  const char* value = getenv(name);
  return value ? value : "";
}
bool is(const char* kind) { return strcmp(setting("FAULTY_KIND"), kind) == 0; }
long at() { return atol(setting("FAULTY_AT")); }

bool below(const char* path) {
  const char* under = setting("FAULTY_UNDER");
  return path && *under && strstr(path, under);
}

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

void count_at_end() {
  if (FILE* file = fopen(setting("FAULTY_COUNT"), "w")) {
    fprintf(file, "%ld %ld %ld %ld\n", changes.load(), writes.load(), fsyncs.load(), closes.load());
    fclose(file);
  }
}

bool fail(int code) {
  errno = code;
  return true;
}

/// True: the call fails, with errno. May not return at all.
bool faulty(Call call) {
  static const bool counting = is("count") && atexit(count_at_end) == 0;
  const long n = ++changes;
  const long of_kind = call == Call::kWrite   ? ++writes
                       : call == Call::kFsync ? ++fsyncs
                       : call == Call::kClose ? ++closes
                                              : 0;
  if (counting) return false;
  if (is("crash") && n == at()) raise(SIGKILL);
  if (is("half") && n == at() && call != Call::kWrite) raise(SIGKILL);
  if (is("hang") && call == Call::kFsync && of_kind == at())
    for (;;) pause();
  if (is("enospc") && n >= at() && n < at() + atol(setting("FAULTY_TIMES")) &&
      call != Call::kFsync && call != Call::kClose)
    return fail(ENOSPC);
  if (is("eio_write") && call == Call::kWrite && of_kind == at()) return fail(EIO);
  if (is("eio_fsync") && call == Call::kFsync && of_kind == at()) return fail(EIO);
  if (is("eio_close") && call == Call::kClose && of_kind == at()) return fail(EIO);
  if (is("eintr") && call != Call::kName && call != Call::kClose) {
    interrupted = !interrupted;
    if (interrupted) return fail(EINTR);
  }
  return false;
}

bool is_watched(int file) { return file >= 0 && file < kMostFiles && watched[file]; }

size_t taken(size_t bytes) {
  if (is("half") && changes == at()) return bytes / 2;
  return is("short") && bytes > 3 ? bytes / 2 - 1 : bytes;
}

void die_after_half() {
  if (is("half") && changes == at()) raise(SIGKILL);
}

int opened(int file, const char* path, int flags) {
  if (file >= 0 && file < kMostFiles)
    watched[file] = below(path) && (flags & (O_WRONLY | O_RDWR | O_DIRECTORY)) != 0;
  return file;
}

mode_t mode_of(int flags, va_list rest) {
  return (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;
}

}  // namespace

#define OPEN(name)                                                          \
  extern "C" int name(const char* path, int flags, ...) {                   \
    va_list rest;                                                           \
    va_start(rest, flags);                                                  \
    const mode_t mode = mode_of(flags, rest);                               \
    va_end(rest);                                                           \
    if (below(path) && (flags & O_CREAT) && faulty(Call::kOpen)) return -1; \
    static const auto real = next<int (*)(const char*, int, ...)>(#name);   \
    return opened(real(path, flags, mode), path, flags);                    \
  }
OPEN(open)
OPEN(open64)

#define WRITE(name, ...)                                              \
  static const auto real = next<decltype(&name)>(#name);              \
  if (!is_watched(file)) return real(file, bytes, size __VA_ARGS__);  \
  if (faulty(Call::kWrite)) return -1;                                \
  const ssize_t written = real(file, bytes, taken(size) __VA_ARGS__); \
  die_after_half();                                                   \
  return written;
#define OFFSET , offset

extern "C" {

ssize_t write(int file, const void* bytes, size_t size){WRITE(write)} ssize_t
    pwrite(int file, const void* bytes, size_t size, off_t offset){WRITE(pwrite, OFFSET)} ssize_t
    pwrite64(int file, const void* bytes, size_t size, off64_t offset) {
  WRITE(pwrite64, OFFSET)
}

int fsync(int file) {
  static const auto real = next<int (*)(int)>("fsync");
  struct stat info {};
  // Files are synced by descriptors that only read; their names tell.
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length > 0) path[length] = '\0';
  if (length > 0 && fstat(file, &info) == 0 && below(path) && faulty(Call::kFsync)) return -1;
  return real(file);
}

int close(int file) {
  static const auto real = next<int (*)(int)>("close");
  const bool fails = is_watched(file) && faulty(Call::kClose);
  const int code = errno;
  if (file >= 0 && file < kMostFiles) watched[file] = false;
  const int result = real(file);
  if (!fails) return result;
  errno = code;
  return -1;
}

int mkdir(const char* path, mode_t mode) {
  if (below(path) && faulty(Call::kName)) return -1;
  return next<int (*)(const char*, mode_t)>("mkdir")(path, mode);
}

int rename(const char* from, const char* to) {
  if (below(to) && faulty(Call::kName)) return -1;
  return next<int (*)(const char*, const char*)>("rename")(from, to);
}

int unlinkat(int directory, const char* path, int flags) {
  char link[64], parent[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
  const ssize_t length = readlink(link, parent, sizeof parent - 1);
  if (length > 0) parent[length] = '\0';
  if (((length > 0 && below(parent)) || below(path)) && faulty(Call::kName)) return -1;
  return next<int (*)(int, const char*, int)>("unlinkat")(directory, path, flags);
}

/// The program renames by this: glibc may have no renameat2.
long syscall(long number, ...) {
  va_list rest;
  va_start(rest, number);
  long a[6];
  for (long& argument : a) argument = va_arg(rest, long);
  va_end(rest);
  if (number == SYS_renameat2 && below(reinterpret_cast<const char*>(a[3])) && faulty(Call::kName))
    return -1;
  return next<long (*)(long, ...)>("syscall")(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

}  // extern "C"
