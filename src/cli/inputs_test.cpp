#include "cli/inputs.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/output.hpp"

namespace cowherd::cli {
namespace {

namespace fs = std::filesystem;

/// A folder of its own for each test, taken away at the end.
class InFolder : public testing::Test {
 protected:
  InFolder() : root_(testing::TempDir() + "cowherd_cli_XXXXXX") { EXPECT_NE(::mkdtemp(root_.data()), nullptr); }
  ~InFolder() override {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }

  std::string put(const std::string& name, const std::string& text) {
    const fs::path path = fs::path(root_) / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path.string();
  }
  std::string at(const std::string& name) const { return root_ + "/" + name; }
  static std::string text_of(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string root_;
};

class InputFiles : public InFolder {};

TEST_F(InputFiles, AFolderIsEveryTestBelowItInOrder) {
  put("b/z.litmus", "");
  put("b/a.litmus", "");
  put("a.litmus", "");
  put("notes.txt", "");
  const Inputs inputs = find_inputs({root_});
  EXPECT_EQ(inputs.names, (std::vector{at("a.litmus"), at("b/a.litmus"), at("b/z.litmus")}));
  EXPECT_TRUE(inputs.batch);
  EXPECT_TRUE(inputs.errors.empty());
}

TEST_F(InputFiles, AnIndexNamesFilesFromItsOwnFolder) {
  put("more/@all", "deep.litmus # a comment\n\n");
  const std::string index = put("@all", "# only a comment\none.litmus\r\nmore/@all\n");
  const std::vector<std::string> names = {at("one.litmus"), at("more/deep.litmus")};
  EXPECT_EQ(find_inputs({index}).names, names);
  EXPECT_EQ(find_inputs({"@" + put("list", "one.litmus\nmore/deep.litmus")}).names, names);
}

TEST_F(InputFiles, AnIndexThatNamesItselfEnds) {
  const Inputs inputs = find_inputs({put("@all", "@all\n")});
  EXPECT_TRUE(inputs.names.empty());
  EXPECT_EQ(inputs.errors.size(), 1u);
}

TEST_F(InputFiles, WhatLeadsNowhereIsAnErrorAndHidesNothing) {
  put("empty/readme", "");
  const std::string good = put("good.litmus", "");
  const Inputs inputs = find_inputs({at("empty"), "@" + at("nosuch"), good});
  EXPECT_EQ(inputs.errors.size(), 2u);
  EXPECT_EQ(inputs.names, std::vector{good});
}

TEST_F(InputFiles, OneFileIsNoBatch) {
  EXPECT_FALSE(find_inputs({put("a.litmus", "")}).batch);
  EXPECT_FALSE(find_inputs({"-"}).batch);
}

TEST_F(InputFiles, LoadStopsBehindTheLimit) {
  const std::string name = put("a", std::string(100000, 'x'));
  EXPECT_EQ(load(name, 70000).text.size(), 70001u);
  EXPECT_EQ(load(name, 200000).text.size(), 100000u);
  const Loaded missing = load(at("nosuch"), 10);
  EXPECT_FALSE(missing.ok);
  EXPECT_EQ(missing.error, at("nosuch") + ": No such file or directory");
  EXPECT_FALSE(load(root_, 10).ok) << "a folder cannot be read";
}

class OutputFiles : public InFolder {};

TEST_F(OutputFiles, AFileAppearsWholeOrNotAtAll) {
  const std::string path = put("out", "old");
  {
    Output output(path);
    output.write("half");
    output.flush();
    EXPECT_EQ(text_of(path), "old");
  }
  EXPECT_EQ(text_of(path), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(root_), fs::directory_iterator()), 1) << "nothing is left behind";
  EXPECT_TRUE(write_file(path, "new"));
  EXPECT_EQ(text_of(path), "new");
}

TEST_F(OutputFiles, KeepsTheModeAndALink) {
  const std::string path = put("real", "old");
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink(path, at("link"));
  EXPECT_TRUE(write_file(at("link"), "new"));
  EXPECT_TRUE(fs::is_symlink(at("link")));
  EXPECT_EQ(text_of(path), "new");
  EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(OutputFiles, WhatCannotBeWrittenIsSaid) {
  EXPECT_FALSE(write_file(at("nosuch/out"), "text"));
  EXPECT_FALSE(write_file(root_, "text")) << "a folder";
  if (fs::exists("/dev/full")) {
    EXPECT_FALSE(write_file("/dev/full", std::string(100000, 'x')));
  }
}

}  // namespace
}  // namespace cowherd::cli
