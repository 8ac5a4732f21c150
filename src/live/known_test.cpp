#include "live/known.hpp"

#include <gtest/gtest.h>

#include "litmus/spelling.hpp"

namespace cowherd::live {
namespace {

TEST(Known, EveryStatementIsToldOrRefusedWithAReason) {
  std::size_t told = 0;
  for (const litmus::StatementWord& word : litmus::statement_words()) {
    litmus::Operation op;
    op.code = word.code;
    const std::string refusal = refusal_of(op);
    told += refusal.empty() ? 1u : 0u;
    EXPECT_FALSE(!refusal.empty() && written_in_c(word.code)) << word.name;
  }
  EXPECT_GE(told, 20u);
}

TEST(Known, WhatLiveWasNotTaughtIsRefusedByName) {
  litmus::Operation op;
  op.code = litmus::OpCode::kMadvise;
  op.advice = static_cast<Advice>(200);
  EXPECT_NE(refusal_of(op).find("live has no way to "), std::string::npos);
  op.advice = Advice::kPageOut;
  EXPECT_EQ(refusal_of(op), "");
  op.advice = Advice::kDontFork;
  EXPECT_EQ(refusal_of(op), "");

  op.code = litmus::OpCode::kMmap;
  op.map_flags = static_cast<MapFlags>(0x80);
  EXPECT_EQ(refusal_of(op), "live has no way to mmap with these flags yet");
  op.map_flags = MapFlags::kPopulate;
  EXPECT_EQ(refusal_of(op), "");

  litmus::Variable variable;
  EXPECT_EQ(refusal_of(variable), "");
  variable.kind = static_cast<litmus::VariableKind>(200);
  EXPECT_EQ(refusal_of(variable), "live has no way to build such memory yet");

  litmus::Term term;
  EXPECT_EQ(refusal_of(term), "");
  term.kind = litmus::Term::Kind::kRefcount;
  EXPECT_EQ(refusal_of(term), "internal state: not visible from user space");
  term.kind = static_cast<litmus::Term::Kind>(200);
  EXPECT_EQ(refusal_of(term), "live has no way to look at that yet");
}

}  // namespace
}  // namespace cowherd::live
