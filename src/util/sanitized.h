/* sanitized: SANITIZED is 1 in builds with AddressSanitizer, whose leak check must trace the
 * process and whose runtime makes system calls of its own. */
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif
