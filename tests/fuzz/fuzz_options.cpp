// What the sanitizers of fuzz_formats and fuzz_guided do: all that they find ends the process.
// Memory that is asked for in vain is the program's to handle, as without them.
#include "tests/fuzz/sanitized.h"

#if LOCKSTEP_FUZZ_SANITIZED
extern "C" const char* __asan_default_options();
extern "C" const char* __ubsan_default_options();
extern "C" const char* __asan_default_options() {
  return "quarantine_size_mb=8:allocator_may_return_null=1:detect_leaks=0:handle_segv=1";
}
extern "C" const char* __ubsan_default_options() { return "halt_on_error=1:print_stacktrace=1"; }
#endif
