#pragma once

#include <cstddef>
#include <cstdint>

namespace cowherd::live {

// Linux's own test of get_user_pages(), where it is built in (CONFIG_GUP_TEST): it pins pages of whoever asks,
// long-term, and keeps them, for one user at a time. Compare Linux mm/gup_test.c: pin_longterm_test_ioctl().

inline constexpr const char* kGupTestFile = "/sys/kernel/debug/gup_test";

/// How it is to pin.
inline constexpr std::uint32_t kGupTestWrite = 1;
inline constexpr std::uint32_t kGupTestFast = 2;

/// All of them: 0 and the pages are held, or an errno and none is.
int gup_test_pin(int file, std::uint64_t address, std::uint64_t length, std::uint32_t flags);
/// Copies what is held to `bytes`, which has room for it. 0 or an errno.
int gup_test_read(int file, std::byte* bytes);
/// 0 or an errno.
int gup_test_unpin(int file);

}  // namespace cowherd::live
