#pragma once

#include <gtest/gtest.h>

#include <string>

#include "spec/story.hpp"

namespace cowherd::spec {

/// A story that has to be judged line by line as it says: judge_test.cpp tells it, with and without snapshots. Its
/// cases stand with what they are about.
class JudgedStory : public testing::TestWithParam<StoryCase> {};

inline std::string name_of_story(const testing::TestParamInfo<StoryCase>& info) { return info.param.name; }

}  // namespace cowherd::spec
