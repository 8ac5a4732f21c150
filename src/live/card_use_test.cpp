#include "live/card_use.hpp"

#include <gtest/gtest.h>

#include "live/plan.hpp"
#include "live/program_test.hpp"

namespace cowherd::live {
namespace {

Offers everything() {
  Offers offers;
  for (Offer& offer : offers) offer.here = true;
  return offers;
}

std::string beyond(const std::string& blocks, const std::string& memory = "x = anon[2](1); d = device; e = device;") {
  return beyond_a_card(program(blocks, memory), 0);
}

const std::string kPinD = "pin(d, x[0], FOLL_WRITE | FOLL_LONGTERM); ";
const std::string kPinE = "pin(e, x[1], FOLL_WRITE | FOLL_LONGTERM); ";

TEST(CardUse, WhatLivesToTheEndOfTheTestIsHeld) {
  EXPECT_EQ(beyond("P0() { " + kPinD + "fork(P1); r0 = dma_read(d); }\nP1() { exec(); }"), "");
  EXPECT_EQ(beyond("P0() { fork(P1); }\nP1() { " + kPinD + "r0 = dma_read(d); }"), "");
  EXPECT_EQ(beyond("P0() { " + kPinD + "}\nP1() { " + kPinE + "}"), "") << "no process is the other's child";
  EXPECT_EQ(beyond("P0() { " + kPinD + "unpin(d); " + kPinD + "}"), "");
  EXPECT_EQ(beyond("P0() { " + kPinD + "get(e, x[0], 0); }"), "") << "what is held by get is held by no card";
}

TEST(CardUse, WhatACardLacksIsNamed) {
  const auto has = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  EXPECT_TRUE(has(beyond("P0() { " + kPinD + "exec(); }"), "ends"));
  EXPECT_TRUE(has(beyond("P0() { " + kPinD + "exit(); }"), "ends"));
  EXPECT_TRUE(has(beyond("P0() { fork(P1); wait(P1); }\nP1() { " + kPinD + "}"), "ends"));
  EXPECT_TRUE(has(beyond("P0() { vfork(P1); }\nP1() { " + kPinD + "}"), "borrowed"));
  EXPECT_TRUE(has(beyond("P0() { pin(d, x[0], FOLL_WRITE) times 2; }"), "once"));
  EXPECT_TRUE(has(beyond("P0() { " + kPinD + kPinE + "}"), "once"));
  EXPECT_TRUE(has(beyond("P0() { " + kPinD + "fork(P1); }\nP1() { " + kPinE + "}"), "its child"));
  EXPECT_TRUE(has(beyond("P0() { fork(P1); " + kPinE + "}\nP1() { fork(P2); }\nP2() { " + kPinD + "}"), "its child"));
  EXPECT_TRUE(has(beyond("P0() { pin(d, s, FOLL_WRITE); }", "s = secret(1); d = device;"), "does not say why"));
}

TEST(CardUse, TheCardIsUsedWhereItIsAskedFor) {
  const litmus::Program test =
      program("P0() { " + kPinD + "get(e, x[1], 0); r0 = dma_read(d); }", "x = anon[2](1); d = device; e = device;");
  Offers offers = everything();
  EXPECT_EQ(plan(test, offers).devices[0].way, Way::kRing);
  const Plan by_card = plan(test, offers, PinBy::kCard);
  EXPECT_EQ(by_card.skip, "");
  EXPECT_EQ(by_card.devices[0].way, Way::kCard);
  EXPECT_EQ(by_card.devices[1].way, Way::kPipe);
  ASSERT_EQ(by_card.notes.size(), 1u);
  EXPECT_NE(by_card.notes[0].find("the card's driver"), std::string::npos);
  offers[static_cast<std::size_t>(Need::kCuda)] = {false, "no libcuda.so.1"};
  EXPECT_NE(plan(test, offers, PinBy::kCard).skip.find("needs cuda: no libcuda.so.1 (pin(d, "), std::string::npos);
}

TEST(CardUse, AskedForARingOrACardNothingElseServes) {
  const auto planned = [](const char* flags, PinBy by) {
    return plan(program(std::string("P0() { pin(d, x[0], ") + flags + "); }", "x = anon[1](1); d = device;"),
                everything(), by);
  };
  EXPECT_EQ(planned("FOLL_WRITE", PinBy::kClosest).devices[0].way, Way::kDirectRead);
  EXPECT_EQ(planned("FOLL_WRITE", PinBy::kRing).devices[0].way, Way::kRing);
  EXPECT_EQ(planned("FOLL_WRITE", PinBy::kCard).devices[0].way, Way::kCard);
  EXPECT_EQ(planned("FOLL_LONGTERM", PinBy::kCard).devices[0].way, Way::kCard);
  EXPECT_NE(planned("FOLL_LONGTERM", PinBy::kRing).skip.find("for writing alone"), std::string::npos);
  EXPECT_NE(planned("0", PinBy::kCard).skip.find("for long"), std::string::npos);
}

}  // namespace
}  // namespace cowherd::live
