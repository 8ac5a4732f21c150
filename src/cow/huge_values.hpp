#pragma once

#include "cow/decision_table.hpp"

namespace cowherd {

// What the values of the decisions about huge pages are called, and mean.

inline constexpr DecisionValue kHugeReuseValues[] = {
    {"mapcount", "one huge entry and no small one: references do not matter, and somebody else's reference reads on"},
    {"count", "nobody else holds any of its pages: a reference to one makes the owner part from it"},
    {"exclusive", "a huge page whose pages all are the owner's is reused without looking at counts; others need that"},
};

inline constexpr DecisionValue kHugeCopyValues[] = {
    {"whole", "the writer gets a copy of all its pages, and every reference to any of them is left behind"},
    {"split", "its pages are mapped one by one, and the page that is written is copied"},
};

inline constexpr DecisionValue kHugePinsValues[] = {
    {"whole", "one pinned page makes fork copy all of them"},
    {"each", "fork copies the pinned pages and shares the others"},
};

inline constexpr DecisionValue kHugetlbReuseValues[] = {
    {"count", "nobody else has a reference: a pin makes the owner part from its page"},
    {"mapcount",
     "one entry maps it: somebody else's reference reads on, and a private write may land in a file's page"},
    {"mapcount-anon", "one entry maps it, and it is anonymous: somebody else's reference still reads on"},
    {"exclusive", "a page that is the owner's is reused without looking at counts; others need that nobody holds them"},
};

inline constexpr DecisionValue kHugetlbForkValues[] = {
    {"share", "a pinned hugetlb page is shared like any other, and the next write decides who keeps it"},
    {"as-small", "what is decided about small pages goes for hugetlb pages too, each with its pins as one"},
};

inline constexpr DecisionValue kHugetlbForceValues[] = {
    {"write", "the write makes the entry writable, and the process may go on writing what it may not"},
    {"refuse", "nothing is forced: EFAULT"},
};

inline constexpr DecisionValue kHugetlbSequenceValues[] = {
    {"ignored", "a fast pin can come between fork's question and its write protection"},
    {"as-small", "a fast pin that fork has met is taken back"},
};

}  // namespace cowherd
