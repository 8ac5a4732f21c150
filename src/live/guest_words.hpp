#pragma once

#include <string_view>

namespace cowherd::live {

// What a guest and whoever started it say to each other, over the guest's console.

/// The folder to be in, and the words of the command line, each ended by a zero byte.
inline constexpr const char* kGuestWords = "/cowherd-words";
/// The folder of modules that are loaded first, in the order of their names.
inline constexpr const char* kGuestModules = "/cowherd-modules";
/// Before what the command wrote to its standard output, to its standard error, and its exit status.
inline constexpr std::string_view kGuestOut = "\n<<<cowherd:out>>>\n";
inline constexpr std::string_view kGuestErr = "\n<<<cowherd:err>>>\n";
inline constexpr std::string_view kGuestEnd = "\n<<<cowherd:end>>>\n";
inline constexpr std::string_view kGuestLast = "\n<<<cowherd:off>>>\n";

}  // namespace cowherd::live
