#include "check/tracer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "check/hash.hpp"
#include "check/schedule.hpp"
#include "litmus/printer.hpp"
#include "mm/page.hpp"

namespace cowherd::check {

namespace {

class Recorder : public mm::EventSink {
 public:
  explicit Recorder(std::vector<mm::Event>& events) : events_(events) {}
  void on_event(const mm::Event& event) override { events_.push_back(event); }

 private:
  std::vector<mm::Event>& events_;
};

std::vector<std::byte> copy_of(std::span<const std::byte> bytes) { return {bytes.begin(), bytes.end()}; }

std::string words_of_choice(Point point, unsigned way) {
  if (point == Point::kAllocate) return way == 0 ? "the allocation succeeds" : "the allocation fails";
  if (point == Point::kAccess) return way == 0 ? "through a stale translation" : "by a walk of the tables";
  return fmt::format("way {} of two", way + 1);
}

}  // namespace

std::vector<std::int64_t> expected_of(const spec::Judgement& judgement) {
  if (judgement.ok()) return {};
  if (judgement.expected_error != Errno{0}) return {-static_cast<std::int64_t>(judgement.expected_error)};
  const std::size_t shown = std::min<std::size_t>(judgement.allowed_count, std::size(judgement.allowed));
  if (shown == 0) return {0};
  return {judgement.allowed, judgement.allowed + shown};
}

Tracer::Tracer(const Scene& scene, const CheckOptions& options)
    : scene_(&scene), rules_(options.rules), setting_(setting_of(options)) {
  trace_.rules = options.rules_name;
  trace_.grain = options.grain;
  trace_.reuse = options.reuse;
  trace_.fork = options.fork;
}

std::string Tracer::begin() {
  if (auto error = world_.begin(*scene_, rules_, setting_); !error.empty()) return error;
  (void)verify_step(world_);
  trace_.by_steps = world_.fibers();
  trace_.initial_pages = look_at_pages();
  write_schedule();
  return {};
}

bool Tracer::could_go_on(Move move) {
  if (!has_move(world_.moves(), move)) return false;
  const auto here = copy_of(world_.pack());
  const bool goes_on = !check::step(world_, move).blocked;
  world_.restore(here);
  return goes_on;
}

bool Tracer::deadlocked() {
  const BlockSet unfinished = world_.unfinished();
  for (std::uint8_t block = 0; block < scene_->blocks(); ++block) {
    if (contains(unfinished, block) && could_go_on(block)) return false;
  }
  return unfinished != 0 && world_.waiting() == 0;
}

std::string Tracer::state_hash() { return format_hash(world_.hash()); }

bool Tracer::step(Move move) {
  if (!could_go_on(move)) return false;
  const std::uint8_t block = block_of(move);
  if (!details_.empty() && details_.back().block != block && could_go_on(details_.back().block)) ++trace_.preemptions;

  const litmus::Operation& op = world_.operation(block);
  TraceStep shown;
  shown.begins = !world_.inside(block);
  const bool chooses = has_move(world_.moves(), move_of(block, 1));
  if (chooses) shown.choice = words_of_choice(world_.point(block), way_of(move));
  StepDetail detail;
  detail.block = block;
  detail.move = move;
  Recorder recorder(detail.events);
  world_.system().set_event_sink(&recorder);
  detail.report = check::step(world_, move);
  world_.system().set_event_sink(nullptr);
  if (world_.quiescent()) detail.recount = verify_step(world_);
  if (op.code == litmus::OpCode::kPin && detail.report.result > 0) {
    owners_[op.device] = {op.target.value_or(scene_->process_of(block)), scene_->page_of(op.place)};
  }
  detail.holdings = look_at_holdings();

  shown.ends = !world_.inside(block);
  if (!shown.ends) {
    const PointInfo& point = kPoints[static_cast<std::size_t>(world_.point(block))];
    shown.point = point.name;
    shown.next = point.next;
  }
  shown.block = block;
  shown.agent = scene_->agent_name(block);
  shown.operation = litmus::print_operation(scene_->program(), block, op);
  shown.result = detail.report.result;
  shown.expected = expected_of(detail.report.judgement);
  shown.expected_cut = detail.report.judgement.allowed_count > shown.expected.size();
  shown.pages = look_at_pages();
  shown.devices = look_at_devices();
  shown.stale = look_at_stale();
  for (const mm::Event& event : detail.events) {
    if (auto words = describe(event); !words.empty()) shown.events.push_back(std::move(words));
  }
  shown.hash = state_hash();
  trace_.steps.push_back(std::move(shown));
  details_.push_back(std::move(detail));
  write_schedule();
  return true;
}

void Tracer::write_schedule() {
  std::vector<ScheduleStep> steps;
  for (std::size_t i = 0; i < details_.size(); ++i) steps.push_back({details_[i].move, trace_.steps[i].hash});
  const std::vector<ScheduleRun> runs = runs_of(steps);
  trace_.schedule = print_schedule(runs, false);
  trace_.replay = print_schedule(runs, true);
}

std::vector<PageSight> Tracer::look_at_pages() {
  std::vector<PageSight> sights;
  for (std::uint8_t process = 0; process < scene_->blocks(); ++process) {
    if (!world_.alive(process)) continue;
    for (std::uint8_t page = 0; page < scene_->pages(); ++page) {
      const mm::PageView view =
          mm::inspect(world_.system(), world_.control.processes[process].id, scene_->address_of_page(page));
      PageSight sight;
      sight.name = fmt::format("{}:{}", process, scene_->page_name(page));
      sight.present = view.entry.present();
      if (sight.present) {
        sight.writable = view.entry.writable();
        sight.entry_dirty = view.entry.dirty();
        sight.zero_page = view.frame == Frames<G>::kZeroPage;
        sight.exclusive = view.exclusive;
        sight.frame = view.frame;
        sight.references = view.references;
        sight.mapcount = view.mapcount;
        sight.pins = view.pins;
      }
      sights.push_back(std::move(sight));
    }
  }
  return sights;
}

std::vector<DeviceSight> Tracer::look_at_devices() {
  std::vector<DeviceSight> sights;
  for (std::uint8_t d = 0; d < scene_->devices(); ++d) {
    const DeviceControl& device = world_.control.devices[d];
    if (device.pages == 0) continue;
    DeviceSight sight;
    sight.name = scene_->program().devices[d];
    sight.writes = has(device.flags, PinFlags::kWrite);
    sight.get = has(device.flags, PinFlags::kGet);
    for (std::uint8_t i = 0; i < device.pages; ++i) {
      sight.frames.push_back(mm::pinned_frame(world_.system(), device.pin, PageCount{i}));
    }
    sights.push_back(std::move(sight));
  }
  return sights;
}

std::vector<StaleSight> Tracer::look_at_stale() {
  std::vector<StaleSight> sights;
  if (!world_.fibers()) return sights;
  for (std::uint8_t block = 0; block < scene_->blocks(); ++block) {
    const std::uint8_t process = scene_->process_of(block);
    if (!contains(world_.unfinished(), block) || !world_.alive(process)) continue;
    mm::System<G>& system = world_.system();
    const std::uint32_t mm = system.ref(mm::mm_of(system, world_.control.processes[process].id)).unit;
    for (std::uint8_t page = 0; page < scene_->pages(); ++page) {
      const Vaddr address = scene_->address_of_page(page);
      const Entry entry{world_.steps().remembered(block, mm, Geometry<G>::page_of(address))};
      const Entry now = mm::inspect(system, world_.control.processes[process].id, address).entry;
      const bool current = now.present() && now.frame() == entry.frame() && (now.writable() || !entry.writable());
      if (!entry.present() || current) continue;
      sights.push_back({scene_->agent_name(block), fmt::format("{}:{}", process, scene_->page_name(page)),
                        entry.frame(), entry.writable()});
    }
  }
  return sights;
}

std::vector<Holding> Tracer::look_at_holdings() {
  std::vector<Holding> holdings;
  for (std::uint8_t d = 0; d < scene_->devices(); ++d) {
    const DeviceControl& device = world_.control.devices[d];
    for (std::uint8_t i = 0; i < device.pages; ++i) {
      Holding holding;
      holding.device = d;
      holding.index = i;
      holding.owner = owners_[d].process;
      holding.page = static_cast<std::uint8_t>(owners_[d].page + i);
      holding.frame = mm::pinned_frame(world_.system(), device.pin, PageCount{i});
      holding.attached = world_.reference.attached(d, i);
      holding.flags = device.flags;
      if (world_.alive(holding.owner)) {
        const mm::PageView view = mm::inspect(world_.system(), world_.control.processes[holding.owner].id,
                                              scene_->address_of_page(holding.page));
        if (view.entry.present()) holding.mapped = view.frame;
      }
      holdings.push_back(holding);
    }
  }
  return holdings;
}

std::string Tracer::describe(const mm::Event& event) const {
  using mm::EventKind;
  const std::uint8_t page = scene_->page_at(event.page);
  const std::string name = page == litmus::kMaxPages ? std::string("?") : scene_->page_name(page);
  const auto frame = [](FrameNumber number) {
    return number == Frames<G>::kZeroPage ? std::string("the zero page") : fmt::format("frame {}", number.value());
  };
  switch (event.kind) {
    case EventKind::kZeroPageMapped:
      return fmt::format("{}: the zero page mapped", name);
    case EventKind::kZeroFilled:
      return fmt::format("{}: {} filled with zeros", name, frame(event.frame));
    case EventKind::kReused:
      return fmt::format("{}: {} reused", name, frame(event.frame));
    case EventKind::kCopiedOnWrite:
      return fmt::format("{}: copy on write, {} to {}", name, frame(event.frame), frame(event.new_frame));
    case EventKind::kCopiedToOther:
      return fmt::format("{}: {} copied to {} for another process", name, frame(event.frame), frame(event.new_frame));
    case EventKind::kUnshared:
      return fmt::format("{}: unshared, {} to {}", name, frame(event.frame), frame(event.new_frame));
    case EventKind::kForkShared:
      return fmt::format("{}: {} shared write-protected", name, frame(event.frame));
    case EventKind::kTableShared:
      return "fork shares a whole table, write-protected where it hangs";
    case EventKind::kTableCopied:
      return "a shared table is copied";
    case EventKind::kForkCopied:
      return fmt::format("{}: {} copied to {} for the child", name, frame(event.frame), frame(event.new_frame));
    case EventKind::kForkRefused:
      return "fork refused: a page is pinned";
    case EventKind::kForkWaits:
      return "fork waits: a page is pinned";
    case EventKind::kPinned:
      return fmt::format("{}: {} referenced", name, frame(event.frame));
    case EventKind::kForced:
      return fmt::format("{}: {} referenced for writing through a read-only entry", name, frame(event.frame));
    case EventKind::kUnpinned:
      return fmt::format("{} let go", frame(event.frame));
    case EventKind::kUnmapped:
      return fmt::format("{}: {} unmapped", name, frame(event.frame));
    case EventKind::kFrameFreed:
      return fmt::format("{} freed", frame(event.frame));
    case EventKind::kMoved:
      return fmt::format("{}: {} moved here", name, frame(event.frame));
    case EventKind::kMerged:
      return fmt::format("{}: merged, {} in place of {}", name, frame(event.new_frame), frame(event.frame));
    case EventKind::kTableMoved:
      return "a whole table moved";
    case EventKind::kFileMapped:
      return fmt::format("{}: {}, the file's, mapped", name, frame(event.frame));
    case EventKind::kWrittenBack:
      return fmt::format("{} written to the disk", frame(event.frame));
    case EventKind::kFileWritable:
      return fmt::format("{}: {}, the file's, mapped for writing", name, frame(event.frame));
    case EventKind::kSwappedIn:
      return fmt::format("{}: {} comes from swap", name, frame(event.frame));
    case EventKind::kSwappedOut:
      return fmt::format("{}: {} unmapped, its slot named instead", name, frame(event.frame));
    case EventKind::kFileToSwap:
      return fmt::format("{}, the file's, goes to swap", frame(event.frame));
    case EventKind::kFileFromSwap:
      return fmt::format("{}, the file's, comes from swap", frame(event.frame));
    case EventKind::kReclaimKept:
      return fmt::format("reclaim keeps {}", frame(event.frame));
    case EventKind::kDiscarded:
      return fmt::format("{}: {} thrown away", name, frame(event.frame));
    case EventKind::kUserfault:
      return fmt::format("{}: userfaultfd's handler has to decide", name);
    case EventKind::kUffdFilled:
      return fmt::format("{}: the handler maps {}", name, frame(event.frame));
    case EventKind::kUffdProtected:
      return fmt::format("{}: write-protected by userfaultfd", name);
    case EventKind::kUffdUnprotected:
      return fmt::format("{}: write-protected by userfaultfd no more", name);
    case EventKind::kUffdMoved:
      return fmt::format("{}: {} moved here by the handler", name, frame(event.frame));
    case EventKind::kUffdForbidden:
      return fmt::format("{}: the handler lets nobody have a page", name);
    case EventKind::kUffdTold:
      return "userfaultfd's handler is told";
    case EventKind::kUffdRead:
      return "the handler has read what it was told";
    case EventKind::kPoisoned:
      return fmt::format("{}: the memory of {} has failed", name, frame(event.frame));
    case EventKind::kGivenToDevice:
      return fmt::format("{}: a device has {} for itself", name, frame(event.frame));
    case EventKind::kTakenBack:
      return fmt::format("{}: {} taken back from the device", name, frame(event.frame));
    case EventKind::kHugetlbTaken:
      return fmt::format("{}: hugetlb page of {} taken away for its owner", name, frame(event.frame));
    case EventKind::kMigrated:
      return fmt::format("{}: {} moved to {}", name, frame(event.frame), frame(event.new_frame));
    case EventKind::kHugeMapped:
      return fmt::format("{}: huge page mapped, from {} on", name, frame(event.frame));
    case EventKind::kHugeReused:
      return fmt::format("{}: huge page of {} reused", name, frame(event.frame));
    case EventKind::kHugeZeroMapped:
      return fmt::format("{}: huge zero page mapped", name);
    case EventKind::kHugeCopied:
      return fmt::format("{}: huge page copied, {} to {}", name, frame(event.frame), frame(event.new_frame));
    case EventKind::kHugeShared:
      return fmt::format("{}: huge page of {} shared write-protected", name, frame(event.frame));
    case EventKind::kHugeSplit:
      return fmt::format("{}: small entries in place of the huge one of {}", name, frame(event.frame));
    case EventKind::kHugeCollapsed:
      return fmt::format("{}: collapsed into a huge page, from {} on", name, frame(event.frame));
    case EventKind::kFolioMapped:
      return fmt::format("{}: large folio mapped, from {} on", name, frame(event.frame));
    case EventKind::kFolioReclaimed:
      return fmt::format("{}: nobody maps the pages of {} any more, which go together", name, frame(event.frame));
    case EventKind::kFolioSplit:
      return fmt::format("{}: large folio of {} split", name, frame(event.frame));
    case EventKind::kCollapseRefused:
      return fmt::format("{}: no huge page can take its place", name);
  }
  return {};
}

}  // namespace cowherd::check
