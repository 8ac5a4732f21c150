#pragma once

// C and C++: the programs in tests/weak-memory/ check the lockless protocols with the orders that the memory system
// uses, and so include this file as it is.

/// Every memory order on which a lockless protocol rests: name, order, what it is for.
///
/// Where two sides each write first and read then, and one of them has to see the other, all four accesses are
/// sequentially consistent. An atomic read-modify-write in between does not do instead: on ARM a later load may come
/// before the store half of it. On x86 the loads cost nothing.
#define COWHERD_MEMORY_ORDERS(X)                                                                                       \
  X(kEntryLoad, seq_cst, "read an entry; a walker has said before where it is, or has taken a reference")              \
  X(kEntryStore, release, "set an entry that nobody waits for: whoever sees it sees what was done to its page")        \
  X(kEntryChange, seq_cst, "exchange or compare-exchange an entry; walkers and references are looked at after")        \
  X(kCountsLoad, seq_cst, "read references and pins, after an entry was cleared or the sequence count made odd")       \
  X(kCountsChange, seq_cst, "take or drop references and pins; the entry and the sequence count are read again after") \
  X(kFlagsLoad, acquire, "read mapcount, exclusive mark and flags")                                                    \
  X(kFlagsChange, acq_rel, "change them")                                                                              \
  X(kFrameLockTake, acquire, "take a page lock or a page-table lock")                                                  \
  X(kFrameLockDrop, release, "let go of it")                                                                           \
  X(kLockTake, acquire, "take a lock word")                                                                            \
  X(kLockDrop, release, "let go of it")                                                                                \
  X(kSlotEnter, seq_cst, "a walker says where it is, before it reads an entry")                                        \
  X(kSlotLeave, release, "it is done with what it read")                                                               \
  X(kSlotLoad, seq_cst, "who has changed an entry asks who may have read it before")                                   \
  X(kBiasTake, seq_cst, "a writer takes a lock's bias towards readers away; the readers' slots are read after")        \
  X(kBiasLoad, seq_cst, "a reader asks whether the bias is there, after it has said that it is inside")                \
  X(kBiasReturn, release, "a reader that holds the lock gives the bias back")                                          \
  X(kGenerationChange, seq_cst, "who has changed an entry tells an accessor to forget; its state is read after")       \
  X(kGenerationLoad, seq_cst, "an accessor asks what it has to forget, after it has said that it is inside")           \
  X(kSequenceChange, seq_cst, "fork begins or ends to ask for pins and to write-protect")                              \
  X(kSequenceLoad, seq_cst, "a fast pin asks whether a fork came between")                                             \
  X(kHasPinnedStore, seq_cst, "before the first reference that counts as a pin")                                       \
  X(kHasPinnedLoad, seq_cst, "fork asks whether pages may be pinned at all")

#ifdef __cplusplus

#include <array>
#include <atomic>
#include <string_view>

namespace cowherd::order {

#define COWHERD_MEMORY_ORDER(name, order, ...) inline constexpr std::memory_order name = std::memory_order_##order;
COWHERD_MEMORY_ORDERS(COWHERD_MEMORY_ORDER)
#undef COWHERD_MEMORY_ORDER

struct Info {
  std::string_view name;
  std::string_view order;
  std::string_view purpose;
};
inline constexpr std::array kAll{
#define COWHERD_MEMORY_ORDER(name, order, purpose) Info{#name, #order, purpose},
    COWHERD_MEMORY_ORDERS(COWHERD_MEMORY_ORDER)
#undef COWHERD_MEMORY_ORDER
};

}  // namespace cowherd::order

#else

#include <stdatomic.h>

enum {
#define COWHERD_MEMORY_ORDER(name, order, purpose) name = memory_order_##order,
  COWHERD_MEMORY_ORDERS(COWHERD_MEMORY_ORDER)
#undef COWHERD_MEMORY_ORDER
};

#endif
