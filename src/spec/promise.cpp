#include "spec/promise.hpp"

namespace cowherd::spec {

Judgement judge_result(Errno expected, const Observation& seen) {
  Judgement judgement;
  judgement.expected_error = expected;
  if (seen.error != expected) {
    judgement.broken = Clause::kAccess;
    judgement.harm = Harm::kWrongResult;
  }
  return judgement;
}

Judgement judge_event(std::int64_t expected, const Observation& seen) {
  Judgement judgement = judge_result(Errno{0}, seen);
  judgement.allowed[0] = expected;
  judgement.allowed_count = 1;
  if (judgement.ok() && seen.value != expected) {
    judgement.broken = Clause::kUserfault;
    judgement.harm = Harm::kWrongResult;
  }
  return judgement;
}

const char* name_of(Clause clause) {
  switch (clause) {
    case Clause::kNone:
      return "none";
    case Clause::kPrivate:
      return "private";
    case Clause::kWritePin:
      return "write-pin";
    case Clause::kReadPin:
      return "read-pin";
    case Clause::kReference:
      return "reference";
    case Clause::kForce:
      return "force";
    case Clause::kBookkeeping:
      return "bookkeeping";
    case Clause::kAccess:
      return "access";
    case Clause::kFile:
      return "file";
    case Clause::kUserfault:
      return "userfault";
  }
  return "?";
}

const char* name_of(Harm harm) {
  switch (harm) {
    case Harm::kNone:
      return "none";
    case Harm::kStaleDma:
      return "stale DMA";
    case Harm::kLostDma:
      return "lost DMA";
    case Harm::kLeak:
      return "leak";
    case Harm::kLostWrite:
      return "lost write";
    case Harm::kWrongResult:
      return "wrong result";
    case Harm::kGarbage:
      return "garbage";
    case Harm::kUnasked:
      return "unasked";
  }
  return "?";
}

const char* label_of(Harm harm) {
  switch (harm) {
    case Harm::kNone:
      return "none";
    case Harm::kStaleDma:
      return "stale-dma";
    case Harm::kLostDma:
      return "lost-dma";
    case Harm::kLeak:
      return "leak";
    case Harm::kLostWrite:
      return "lost-write";
    case Harm::kWrongResult:
      return "wrong-result";
    case Harm::kGarbage:
      return "garbage";
    case Harm::kUnasked:
      return "unasked";
  }
  return "?";
}

const char* describe(Clause clause) {
  switch (clause) {
    case Clause::kNone:
      return "Nothing is broken.";
    case Clause::kPrivate:
      return "What one address space writes after fork, no other address space sees, and it sees all of it itself.";
    case Clause::kWritePin:
      return "A device that holds a page for writing and the page's owner see each other's writes until the owner "
             "discards the page.";
    case Clause::kReadPin:
      return "A device that holds a page for reading long-term sees its owner's writes; a short-term holder sees a "
             "value that was current at some moment since it took hold.";
    case Clause::kReference:
      return "No reference of any kind lets one address space observe or alter what another one wrote after fork.";
    case Clause::kForce:
      return "A forced write lands in the target's own copy of the page and nowhere else.";
    case Clause::kBookkeeping:
      return "Every count equals what it counts, and exclusive means one owner.";
    case Clause::kAccess:
      return "An operation succeeds exactly where the mapping allows it, and one that fails changes nothing.";
    case Clause::kFile:
      return "What is written to a file, by whichever way, everybody sees who maps or reads it, and in the end its "
             "disk "
             "holds it.";
    case Clause::kUserfault:
      return "Where memory is registered with userfaultfd, no access gets by a page that its handler has not brought, "
             "or "
             "has write-protected.";
  }
  return "?";
}

const char* finding_of(Harm harm) {
  switch (harm) {
    case Harm::kNone:
      return "none";
    case Harm::kStaleDma:
    case Harm::kLostDma:
      return "wrong COW";
    case Harm::kLeak:
      return "missed COW";
    case Harm::kLostWrite:
    case Harm::kGarbage:
    case Harm::kUnasked:
      return "corruption";
    case Harm::kWrongResult:
      return "wrong result";
  }
  return "?";
}

}  // namespace cowherd::spec
