#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/memory_orders.h"
#include "base/schedule.hpp"

// docs/concurrency.md repeats the tables of this folder between marks. With UPDATE_DOCS set in the environment the test
// writes them there; without, it compares.

namespace cowherd {
namespace {

std::string points_text() {
  std::ostringstream text;
  text << "| point | what comes next |\n|---|---|\n";
  for (const PointInfo& point : kPoints) text << "| `" << point.name << "` | " << point.next << " |\n";
  return text.str();
}

std::string orders_text() {
  std::ostringstream text;
  text << "| order | is | for |\n|---|---|---|\n";
  for (const order::Info& info : order::kAll) {
    text << "| `" << info.name << "` | " << info.order << " | " << info.purpose << " |\n";
  }
  return text.str();
}

TEST(ConcurrencyDocument, RepeatsTheTables) {
  const std::string path = std::string(COWHERD_SOURCE_DIR) + "/docs/concurrency.md";
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  std::stringstream found;
  found << file.rdbuf();
  std::string wanted = found.str();
  const std::vector<std::pair<std::string, std::string>> sections{{"points", points_text()}, {"orders", orders_text()}};
  for (const auto& [name, text] : sections) {
    const std::string begin = "<!-- " + name + ": begin -->\n";
    const std::size_t from = wanted.find(begin);
    const std::size_t to = wanted.find("<!-- " + name + ": end -->");
    ASSERT_TRUE(from != std::string::npos && to != std::string::npos && from < to) << "no section " << name;
    wanted.replace(from + begin.size(), to - from - begin.size(), "\n" + text + "\n");
  }
  if (std::getenv("UPDATE_DOCS") != nullptr) {  // NOLINT(concurrency-mt-unsafe)
    std::ofstream(path) << wanted;
    return;
  }
  EXPECT_EQ(found.str(), wanted) << "run this test with UPDATE_DOCS=1";
}

}  // namespace
}  // namespace cowherd
