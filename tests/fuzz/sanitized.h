#pragma once

// Whether AddressSanitizer is built in: GCC and clang say it in different ways.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LOCKSTEP_FUZZ_SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define LOCKSTEP_FUZZ_SANITIZED 1
#endif
#ifndef LOCKSTEP_FUZZ_SANITIZED
#define LOCKSTEP_FUZZ_SANITIZED 0
#endif
