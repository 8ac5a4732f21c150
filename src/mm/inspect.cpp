#include "mm/operations.hpp"
#include "mm/page.hpp"

namespace cowherd::mm {

template <class G>
PageView inspect(System<G>& system, ProcessId process, Vaddr address) {
  PageView view;
  const Vpn page = Geometry<G>::page_of(address);
  if (exited(system, process) || page.value() >= Geometry<G>::kUserPages) {
    return view;
  }
  view.entry = system.tables(mm_of(system, process)).get(page);
  if (view.entry.present()) {
    view.frame = view.entry.frame();
    const FrameDescriptor& descriptor = system.descriptor(view.frame);
    view.references = descriptor.references();
    view.mapcount = descriptor.mapcount();
    view.pins = descriptor.pins();
    view.exclusive = descriptor.exclusive();
    view.dirty = descriptor.dirty();
  }
  return view;
}

template <class G>
PageCount rss(System<G>& system, ProcessId process) {
  return exited(system, process) ? PageCount{0} : PageCount{mm_of(system, process).anon_rss};
}

template <class G>
Result<FrameNumber> lock_page(System<G>& system, ProcessId process, Vaddr address) {
  const PageView view = inspect(system, process, address);
  if (!view.entry.present() || view.frame == Frames<G>::kZeroPage) {
    return Errno::kFault;
  }
  FrameDescriptor& descriptor = system.descriptor(view.frame);
  const bool free = wait_until<G, FrameDescriptor>(system, Point::kPageLock, descriptor,
                                                   [](const FrameDescriptor& page) { return !page.locked(); });
  if (!free || !descriptor.try_lock()) {
    return Errno::kWouldBlock;
  }
  return view.frame;
}

template <class G>
void unlock_page(System<G>& system, FrameNumber frame) {
  // A page that was freed meanwhile took its lock with it.
  system.descriptor(frame).unlock();
}

#define COWHERD_INSTANTIATE(G)                                             \
  template PageView inspect<G>(System<G>&, ProcessId, Vaddr);              \
  template PageCount rss<G>(System<G>&, ProcessId);                        \
  template Result<FrameNumber> lock_page<G>(System<G>&, ProcessId, Vaddr); \
  template void unlock_page<G>(System<G>&, FrameNumber);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
