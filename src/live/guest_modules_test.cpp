#include "live/guest_modules.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace cowherd::live {
namespace {

namespace fs = std::filesystem;

std::string module_with(const std::string& depends) {
  return std::string(
             "\x7f"
             "ELF\0license=GPL\0depends=",
             25) +
         depends + std::string("\0vermagic=6\0", 12);
}

TEST(GuestModules, WhatAModuleDependsOn) {
  EXPECT_EQ(dependencies_of(module_with("")), std::vector<std::string>{});
  EXPECT_EQ(dependencies_of(module_with("zsmalloc")), std::vector<std::string>{"zsmalloc"});
  EXPECT_EQ(dependencies_of(module_with("zsmalloc,lz4hc-compress")),
            (std::vector<std::string>{"zsmalloc", "lz4hc_compress"}));
  EXPECT_EQ(dependencies_of("no module"), std::vector<std::string>{});
}

TEST(GuestModules, ThoseOfTheReleaseEachAfterWhatItNeeds) {
  const fs::path root = fs::temp_directory_path() / ("cowherd-modules-" + std::to_string(::getpid()));
  const fs::path folder = root / "lib/modules/6.1.0-9/kernel";
  fs::create_directories(root / "boot");
  fs::create_directories(folder);
  fs::create_directories(root / "lib/modules/6.1.0-8/kernel");
  std::ofstream(root / "lib/modules/6.1.0-8/kernel/loop.ko") << module_with("");
  std::ofstream(folder / "zram.ko") << module_with("zs-malloc");
  std::ofstream(folder / "zs-malloc.ko") << module_with("");
  std::ofstream(folder / "other.ko") << module_with("");
  const auto modules = modules_of((root / "boot/vmlinuz-6.1.0-9").string());
  ASSERT_EQ(modules.size(), 2u);
  EXPECT_EQ(modules[0].name, "zs_malloc.ko");
  EXPECT_EQ(modules[1].name, "zram.ko");
  EXPECT_EQ(modules[1].bytes, module_with("zs-malloc"));
  // Of two releases none is the one of a kernel without a release in its name.
  EXPECT_TRUE(modules_of((root / "boot/bzImage").string()).empty());
  fs::remove_all(root);
  EXPECT_TRUE(modules_of((root / "boot/vmlinuz-6.1.0-9").string()).empty());
}

}  // namespace
}  // namespace cowherd::live
