#pragma once

#include <cstdint>

namespace cowherd {

/// Single deliberate defects of the memory system, by which the tests are tested: name, what it breaks. In every build
/// but that of the preset `mutants` none of them exists; there the environment variable COWHERD_MUTANT turns one on.
/// tests/mutants/run shows which test catches each, docs/mutants.md keeps the list.
#define COWHERD_MUTANTS(X)                                                                                           \
  /* Translations that CPUs remember. */                                                                             \
  X(fork_without_flush, "fork write-protects an entry, and CPUs go on writing through it")                           \
  X(fork_flushes_after_unlock, "fork flushes after it has let go of the mmap lock")                                  \
  X(copy_without_flush, "a write fault replaces a page, and CPUs go on reading the old one")                         \
  X(zap_without_flush, "unmapped pages are freed while CPUs still remember them")                                    \
  X(zap_frees_before_flush, "unmapped pages are freed before the CPUs forget them")                                  \
  X(protect_without_flush, "mprotect takes permissions away, and CPUs keep them")                                    \
  X(clear_refs_without_flush, "clear_refs write-protects, and CPUs go on writing")                                   \
  X(try_share_without_flush, "the exclusive mark goes, and CPUs go on writing")                                      \
  X(flush_only_here, "a flush reaches only the CPU that asks for it")                                                \
  X(flush_last_range_only, "of several ranges to flush only the last one is")                                        \
  /* Locks and walkers. */                                                                                           \
  X(fork_unlocks_early, "fork copies the entries without the mmap lock")                                             \
  X(fault_drops_mmap_lock, "the fault of an access lets go of the mmap lock at once")                                \
  X(pin_drops_mmap_lock, "a slow pin lets go of the mmap lock at once")                                              \
  X(dontneed_without_mmap_lock, "MADV_DONTNEED runs without the mmap lock")                                          \
  X(protect_unlocks_early, "mprotect changes entries without the mmap lock")                                         \
  X(clear_refs_read_lock, "clear_refs holds the mmap lock for reading only")                                         \
  X(table_lock_ignored, "a page-table lock keeps nobody out")                                                        \
  X(pin_unlocks_early, "a slow pin lets go of the page-table lock before it takes its reference")                    \
  X(copy_allocates_under_lock, "the copy of a write fault is allocated under the page-table lock")                   \
  X(table_freed_under_walker, "a table is freed while a fast pin is inside it")                                      \
  /* Looking again. */                                                                                               \
  X(anonymous_recheck_dropped, "a first touch overwrites the entry that another one has set meanwhile")              \
  X(copy_recheck_dropped, "a write fault replaces an entry that has changed while it copied")                        \
  X(table_recheck_dropped, "a fault hangs its table over one that another fault has just hung in")                   \
  X(directed_copy_recheck_dropped, "directed COW replaces an entry that has changed while it copied")                \
  X(page_lock_recheck_dropped, "a write fault that slept for the page lock does not look at the entry again")        \
  X(fast_pin_recheck_dropped, "a fast pin does not read the entry again")                                            \
  X(fast_pin_mark_dropped, "a fast pin for reading does not ask for the exclusive mark")                             \
  X(fast_pin_takes_free_frame, "a fast pin takes its reference from nothing")                                        \
  X(fast_pin_leaks_last_reference, "a fast pin that lets go does not free what nobody else holds")                   \
  X(fast_pin_ignores_write_permission, "a fast pin for writing accepts a read-only entry")                           \
  X(fast_pin_ignores_protection, "a fast pin accepts an entry without user permission")                              \
  X(sequence_begin_dropped, "a fast pin begins while fork is at work")                                               \
  X(sequence_end_dropped, "a fast pin does not ask whether fork came by")                                            \
  X(fork_without_sequence, "fork does not change the sequence count")                                                \
  X(has_pinned_never, "nobody is told that the address space has been pinned")                                       \
  X(has_pinned_late, "the address space says that it has been pinned only after the pin is there")                   \
  X(mark_test_before_clear, "the exclusive mark's taker asks about pins before it clears the entry")                 \
  /* Files. */                                                                                                       \
  X(cache_recheck_dropped, "a page is put into a file's cache over one that another has just put there")             \
  X(truncate_leaves_late_mapping, "a page that was mapped late goes from its file and stays mapped")                 \
  X(truncated_page_mapped, "a fault maps a page that was cut off its file while it waited for its lock")             \
  X(written_page_stays_clean, "a page is made writable and not marked dirty")                                        \
  X(write_not_noticed, "a read fault maps a page of a disk's file writable")                                         \
  X(private_file_page_writable, "a private mapping gets a file's page writable")                                     \
  X(file_mapped_without_reference, "a file's page is mapped without a reference")                                    \
  X(file_fault_recheck_dropped, "a fault on a file overwrites an entry that has changed meanwhile")                  \
  X(cleaned_entry_stays_writable, "writeback cleans an entry and leaves it writable")                                \
  X(clean_without_flush, "writeback cleans entries, and CPUs go on writing through them")                            \
  X(truncate_without_flush, "truncated pages are freed while CPUs still remember them")                              \
  X(fork_shares_pinned_file_page, "fork shares a pinned page of a file where the rules copy it")                     \
  X(writeback_ignores_pins, "writeback takes a page for clean that a device may still write")                        \
  X(writeback_asks_first, "writeback asks for pins before it takes permission to write away")                        \
  X(writeback_keeps_dirt, "writeback clears the dirty mark of a page only after its bytes are on the disk")          \
  X(block_not_read, "a page that the disk holds comes into the cache as zeros")                                      \
  X(block_kept_by_truncate, "a block outlives the page that was cut off its file")                                   \
  X(longterm_file_by_fast_pin, "a fast pin does not ask whether the file may be held for long")                      \
  X(longterm_pin_stays_movable, "a long-term pin holds a page in memory that is to hold only what can be moved")     \
  X(longterm_fast_pin_stays_movable, "a fast long-term pin does not ask where the page lies")                        \
  X(pin_keeps_file_page, "a long-term pin for reading takes a file's page of a private mapping as it is")            \
  X(shared_pages_copied_at_fork, "fork copies the entries of shared mappings")                                       \
  /* Tables that address spaces share. */                                                                            \
  X(shared_table_stays_writable, "fork shares a table and leaves the parent's way to it writable")                   \
  X(shared_table_writable_in_child, "fork shares a table and gives the child a writable way to it")                  \
  X(shared_table_without_flush, "fork write-protects a table, and CPUs go on writing below it")                      \
  X(table_shared_without_reference, "fork shares a table and takes no reference")                                    \
  X(pins_below_ignored, "fork shares a table that has a pinned page below it")                                       \
  X(restore_without_flush, "restore leaves CPUs the translations of before")                                         \
  X(restore_keeps_vma_owners, "restore leaves reverse maps leading to where the pages were")                         \
  X(restore_keeps_old_pages, "restore never gives up what was mapped before")                                        \
  X(restore_waits_for_nobody, "restore frees tables under those who walk in them")                                   \
  X(pins_below_not_noted, "a pin does not tell the tables above its page")                                           \
  X(shared_table_reused, "the first write below a shared table makes it writable for who writes")                    \
  X(table_copy_without_reference, "the copy of an upper table takes no references to those below it")                \
  X(table_copy_keeps_writable, "the copy of a shared table leaves its entries writable")                             \
  X(copied_table_kept, "who has copied a shared table keeps its reference to it")                                    \
  X(table_put_under_walker, "a shared table is given up while a fast pin is inside it")                              \
  X(shared_table_dropped_without_flush, "a shared table is dropped while CPUs remember its pages")                   \
  /* References, mapcounts, pins, pages of an address space. */                                                      \
  X(fork_without_reference, "fork shares a page and takes no reference")                                             \
  X(fork_without_mapcount, "fork shares a page and does not count the mapping")                                      \
  X(fork_without_rss, "a page that fork shares is missing in the child's sum")                                       \
  X(early_copy_without_rss, "a page that fork copies is missing in the child's sum")                                 \
  X(first_write_without_rss, "a page that replaces the zero page is missing in the sum")                             \
  X(zap_without_rss, "an unmapped page stays in the sum")                                                            \
  X(zap_without_mapcount, "an unmapped page stays counted as mapped")                                                \
  X(zap_leaks_page, "an unmapped page is not given back")                                                            \
  X(zap_frees_twice, "an unmapped page is given back twice")                                                         \
  X(copy_keeps_reference, "a write fault that copied keeps its reference to the old page")                           \
  X(copy_drops_old_page_early, "a write fault drops the old page while it is still mapped")                          \
  X(page_freed_too_early, "a page with one reference left is freed")                                                 \
  X(unpin_keeps_reference, "unpin gives one reference too few back")                                                 \
  X(unpin_keeps_pins, "unpin gives the references back and not the pins")                                            \
  X(pin_overflow_unchecked, "a reference too many wraps the count")                                                  \
  X(zero_page_shared_as_ordinary, "fork counts the zero page as a page of the process")                              \
  X(zero_page_copied_as_ordinary, "a write fault on the zero page drops a reference to it")                          \
  X(zero_page_unmapped_as_ordinary, "unmapping the zero page drops a reference to it")                               \
  /* What a page is. */                                                                                              \
  X(fork_keeps_mark, "fork shares a page that stays marked exclusive")                                               \
  X(fork_keeps_parent_writable, "fork leaves the parent's entry writable")                                           \
  X(fork_keeps_child_writable, "fork makes the child's entry writable")                                              \
  X(reuse_without_mark, "a page that is reused stays unmarked")                                                      \
  X(reuse_ignores_mark, "a write fault copies a page that is marked exclusive")                                      \
  X(reuse_ignores_a_reference, "a write fault goes on with a page that somebody else holds")                         \
  X(new_page_without_mark, "a new page is not marked exclusive")                                                     \
  X(new_page_wrong_index, "a new page has its neighbour's index")                                                    \
  X(new_page_not_zeroed, "memory never touched shows what was in the page before")                                   \
  X(half_a_page_copied, "only the first half of a page is copied")                                                   \
  X(fork_ignores_one_pin, "fork shares a page that is pinned once")                                                  \
  X(pin_keeps_shared_page, "a pin for reading takes a shared page as it is")                                         \
  X(pin_keeps_zero_page, "a long-term pin for reading takes the zero page as it is")                                 \
  X(force_without_mark, "FOLL_FORCE writes into a page that others see")                                             \
  X(try_share_ignores_pins, "the exclusive mark is taken from a pinned page")                                        \
  X(try_share_keeps_writable, "a page without exclusive mark stays writable")                                        \
  X(try_share_loses_entry, "who may not take the mark leaves the entry cleared")                                     \
  X(dirty_lost_on_protect, "taking write permission away loses the dirty bit")                                       \
  X(unshared_page_not_dirty, "the copy of an unshare fault is dirty nowhere")                                        \
  X(protect_upgrades_shared_page, "mprotect makes an entry writable whose page is shared")                           \
  X(protect_leaves_writable, "mprotect leaves entries writable")                                                     \
  X(protect_leaves_accessible, "mprotect to PROT_NONE leaves entries accessible")                                    \
  /* VMAs, reverse maps, tables. */                                                                                  \
  X(split_keeps_index, "the upper half of a split VMA has the index of the lower")                                   \
  X(merge_ignores_flags, "neighbours with different protection are merged")                                          \
  X(merge_ignores_anon_vma, "neighbours with different anon_vmas are merged")                                        \
  X(merge_keeps_gap, "the tree keeps a gap that a VMA has grown into")                                               \
  X(anon_vma_freed_early, "an anon_vma goes with the first of its VMAs")                                             \
  X(unused_anon_vma_leaked, "the second of two faults leaks the anon_vma that it made")                              \
  X(dontfork_ignored, "the child gets what MADV_DONTFORK was to keep from it")                                       \
  X(wipeonfork_ignored, "the child gets the bytes that MADV_WIPEONFORK was to keep from it")                         \
  X(table_count_kept, "a cleared entry stays counted in its table")                                                  \
  X(table_freed_in_use, "a table is freed that still holds entries")                                                 \
  X(tables_never_freed, "empty tables stay behind")                                                                  \
  X(missing_tables_leaked, "tables that were made and not needed are leaked")                                        \
  /* Moves. */                                                                                                       \
  X(move_without_flush, "mremap lets CPUs go on using the old addresses")                                            \
  X(move_flushes_late, "mremap lets CPUs use the old addresses until all pages have moved")                          \
  X(move_forgets_pins_below, "fork does not know of the pins below a table that pages have moved to")                \
  X(move_loses_dirty, "mremap loses the dirty bit")                                                                  \
  X(move_without_rss, "mremap does not take moved pages off the old table's sum")                                    \
  X(move_changes_index, "mremap gives pages an index that reverse maps do not know")                                 \
  X(moved_entry_stays, "a moved page stays at its old address too")                                                  \
  X(move_leaks_reserve, "mremap leaks the tables that it did not need")                                              \
  /* Huge pages. */                                                                                                  \
  X(huge_recheck_dropped, "a first touch maps a huge page over what another one has mapped meanwhile")               \
  X(move_without_mapping_lock, "pages of a file move, and who goes by its mappings misses them")                     \
  X(ksm_zeros_stay_charged, "a page that KSM has replaced by the zero page is charged on")                           \
  X(huge_zero_page_put, "an exit gives the huge zero page back")                                                     \
  X(huge_zero_page_reused, "a write fault goes on with the huge zero page")                                          \
  X(huge_pin_not_noted, "a pin of a page of a huge one is not noted for fork")                                       \
  X(huge_pin_noted_too_late, "a fast pin notes a page of a huge one that is gone by then")                           \
  X(huge_fork_ignores_pins, "fork shares a huge page of which a page is pinned")                                     \
  X(huge_fork_keeps_writable, "fork shares a huge page and leaves the parent's entry writable")                      \
  X(huge_fork_without_flush, "fork write-protects a huge entry, and CPUs go on writing through it")                  \
  X(huge_shared_without_count, "one more huge entry is not counted")                                                 \
  X(huge_reuse_ignores_pieces, "a write fault goes on with a huge page of which others map a page")                  \
  X(huge_reuse_ignores_references, "a write fault goes on with a huge page of which others hold a page")             \
  X(huge_split_in_place, "a huge entry is split without having been cleared first")                                  \
  X(huge_split_ignores_others, "a split goes by the one who splits, whoever else maps the huge page")                \
  X(huge_split_counts_late, "a split gives up the huge entry before the small ones are counted")                     \
  X(protect_huge_without_flush, "mprotect makes a huge entry read-only, and CPUs go on writing through it")          \
  X(protect_upgrades_shared_huge, "mprotect makes the entry of a huge page writable that others map")                \
  X(huge_reuse_ignores_swap, "a write fault goes on with a huge page of which others have a page in swap")           \
  X(huge_vma_split_keeps_entry, "a VMA is split, and a huge entry lies in both")                                     \
  X(huge_fast_pin_recheck_dropped, "a fast pin does not read a huge entry again")                                    \
  /* Large folios. */                                                                                                \
  X(folio_recheck_dropped, "a first write maps a large folio over what another one has mapped meanwhile")            \
  X(folio_mark_outlives_page, "a frame is said to be part of a large folio long after that is gone")                 \
  X(run_goes_by_its_first_page, "pages go to swap together because nobody holds the first of them")                  \
  X(slot_run_overlaps, "slots side by side are given out that are in use")                                           \
  X(batch_restores_first, "what reclaim cleared together comes back with the first entry's write permission")        \
  X(batch_asks_first_only, "of pages under MADV_FREE that go together only the first one is asked")                  \
  X(folio_reuse_ignores_others, "a write fault takes a large folio for the writer's alone")                          \
  X(folio_pins_each, "a pin counts for its page of a large folio alone, where the rules count per folio")            \
  X(reserve_unchecked, "hugetlb pages are promised that are not there")                                              \
  X(reserve_kept_by_munmap, "munmap does not give back what a mapping was promised")                                 \
  X(child_inherits_reserves, "the child's mapping counts as promised what its parent's is")                          \
  X(given_up_reserve_lost, "a hugetlb page that is not needed after all goes back without its reservation")          \
  X(discard_loses_reserve, "MADV_DONTNEED gives a hugetlb page back without its reservation")                        \
  X(half_a_hugetlb_page_copied, "of a hugetlb page only the first half is copied")                                   \
  X(hugetlb_faults_at_once, "two faults on hugetlb memory run at once")                                              \
  X(hugetlb_file_keeps_promises, "shared hugetlb memory goes, and its pages stay promised")                          \
  X(hugetlb_punch_without_flush, "a hole is made in a hugetlb file, and CPUs go on using the page that was there")   \
  X(hugetlb_file_copy_takes_unpromised, "a copy of a hugetlb file's page leaves alone what was promised for it")     \
  X(hugetlb_lost_promise_forgotten, "a hugetlb file's page is mapped as if a copy of it were promised still")        \
  X(hugetlb_munmap_counts_unlocked, "munmap counts what is promised to a hugetlb file mapping while a hole is made") \
  X(hugetlb_tables_shared, "fork shares tables above hugetlb pages")                                                 \
  X(hugetlb_copy_without_flush, "a write fault replaces a hugetlb page, and CPUs go on reading the old")             \
  X(hugetlb_copy_takes_promised, "a copy of a hugetlb page is one that somebody else was promised")                  \
  X(hugetlb_owner_fails, "who was promised a hugetlb page and finds none for a copy fails")                          \
  X(failed_hugetlb_copy_keeps_reference, "a hugetlb copy that finds no page keeps a reference to the old one")       \
  X(taken_page_comes_back, "who lost a hugetlb page to its owner reads zeros at its place")                          \
  X(taken_without_flush, "a hugetlb page is taken from an address space whose CPUs go on using it")                  \
  X(protect_leaves_hugetlb_writable, "mprotect leaves hugetlb entries writable")                                     \
  X(fork_keeps_hugetlb_writable, "fork shares a hugetlb page and leaves the parent's entry writable")                \
  X(child_takes_promised_page, "the early copy of a hugetlb page is one that somebody was promised")                 \
  X(early_hugetlb_recheck_dropped, "the early copy of a hugetlb page is used whatever its entry has become")         \
  X(early_hugetlb_copy_leaked, "an early copy of a hugetlb page that is not needed after all is leaked")             \
  X(hugetlb_fast_pin_recheck_dropped, "a fast pin does not read the entry of a hugetlb page again")                  \
  X(hugetlb_fast_pin_mark_dropped, "a fast pin for reading does not ask for a hugetlb page's mark")                  \
  X(hugetlb_reuse_ignores_references, "a write fault goes on with a hugetlb page that others hold")                  \
  X(hugetlb_fork_ignores_pins, "fork shares a pinned hugetlb page")                                                  \
  X(collapse_ignores_references, "collapse replaces pages that somebody holds")                                      \
  X(collapse_counts_first, "collapse asks who holds the pages before it has taken the table out")                    \
  X(collapse_without_flush, "collapse copies pages that CPUs go on writing")                                         \
  X(collapse_frees_under_walker, "collapse frees a table that a fast pin is inside")                                 \
  /* Failure, and the ends of things. */                                                                             \
  X(prealloc_used_twice, "fork uses one preallocated page for two early copies")                                     \
  X(prealloc_kept, "fork keeps a preallocated page for the next entry")                                              \
  X(prealloc_leaked, "fork leaks a preallocated page that it did not need")                                          \
  X(failed_fork_leaves_child, "a fork that fails leaves the half-made child alive")                                  \
  X(failed_fork_leaks_mm, "a fork that gets no process leaks the address space")                                     \
  X(failed_fork_leaks_vma, "a fork that fails leaks the VMA at hand")                                                \
  X(failed_fork_leaks_chains, "a fork that fails leaks the links of the VMA at hand to reverse maps")                \
  X(failed_copy_keeps_reference, "a write fault without memory keeps its reference to the old page")                 \
  X(failed_mmap_leaks_vma, "an mmap that fails leaks its VMA")                                                       \
  X(given_up_page_leaked, "a first touch that came too late leaks its page")                                         \
  X(given_up_copy_leaked, "a write fault that came too late leaks its copy")                                         \
  X(vfork_leaks_user, "the child of a vfork is counted twice as a user of the memory")                               \
  X(move_is_not_soft_dirty, "moved pages do not count as written")                                                   \
  /* Written, hinted, locked, secret. */                                                                             \
  X(merge_loses_soft_dirty, "merged VMAs do not count as written")                                                   \
  X(unshare_loses_soft_dirty, "the copy of an unshare fault is not soft-dirty where the page was")                   \
  X(upgrade_ignores_soft_dirty, "mprotect makes an entry writable that is not soft-dirty")                           \
  X(force_is_not_soft_dirty, "a forced write goes into a page that is not soft-dirty")                               \
  X(clear_refs_keeps_bit, "clear_refs leaves entries soft-dirty")                                                    \
  X(clear_refs_keeps_writable, "clear_refs leaves entries writable")                                                 \
  X(numa_hint_ignores_holders, "NUMA hints protect pages that somebody holds")                                       \
  X(numa_hint_never_restored, "a fault on a NUMA hint does not open the entry")                                      \
  X(numa_hint_restores_shared, "a fault on a NUMA hint makes a shared page writable")                                \
  X(secret_pinned_slowly, "a reference with locks is taken to secret memory")                                        \
  X(secret_pinned_fast, "a fast pin takes secret memory")                                                            \
  X(mlock_forgotten, "mlock does not say that its pages stay")                                                       \
  X(advice_ignores_lock, "madvise takes from memory what mlock keeps there")                                         \
  X(fork_keeps_lock, "the child's memory is locked like its parent's")                                               \
  /* Merged pages. */                                                                                                \
  X(merged_page_reused, "whoever writes a merged page goes on using it")                                             \
  X(ksm_ignores_holders, "KSM merges pages that somebody holds")                                                     \
  X(ksm_ignores_contents, "KSM merges pages that differ")                                                            \
  X(ksm_without_flush, "CPUs write to a page that KSM has closed")                                                   \
  X(ksm_keeps_mark, "a merged page stays marked exclusive")                                                          \
  X(ksm_recheck_dropped, "KSM puts the merged page in place of one that has come meanwhile")                         \
  X(ksm_leaks_merged_page, "KSM keeps the page whose place another one has taken")                                   \
  X(ksm_without_mapcount, "KSM does not count the mappings of a merged page")                                        \
  X(ksm_loses_entry, "KSM leaves the entry of a page cleared that it may not merge")                                 \
  X(unmergeable_keeps_merged, "MADV_UNMERGEABLE leaves pages merged")                                                \
  /* Swap, reclaim and pages under MADV_FREE. */                                                                     \
  X(swap_in_ignores_mark, "a page that comes back from swap is shared although its entry says it is not")            \
  X(swap_in_ignores_a_reference, "a page that comes back from swap is its writer's although somebody holds it")      \
  X(swap_in_recheck_dropped, "a page from swap replaces an entry that has changed meanwhile")                        \
  X(swap_in_keeps_count, "an entry that comes back from swap stays counted in its slot")                             \
  X(swap_in_without_rss, "a page that comes back from swap is missing in the sum")                                   \
  X(fork_keeps_swap_mark, "fork shares an entry in swap that stays marked exclusive")                                \
  X(fork_swap_without_count, "fork shares an entry in swap and does not count it")                                   \
  X(table_copy_keeps_swap_mark, "the copy of a shared table leaves entries in swap marked exclusive")                \
  X(zap_keeps_slot, "an unmapped entry in swap stays counted in its slot")                                           \
  X(reclaim_takes_pinned, "reclaim does not ask whether a page may be pinned")                                       \
  X(swap_out_without_try_share, "swap-out takes the exclusive mark and asks nobody about pins")                      \
  X(swap_out_loses_entry, "swap-out that met a pin leaves the entry cleared")                                        \
  X(swap_out_without_flush, "a page goes to swap, and CPUs go on writing it")                                        \
  X(swap_out_loses_dirty, "swap-out loses the dirty bit of the entry")                                               \
  X(swap_out_without_rss, "a page that went to swap stays in the sum")                                               \
  X(swap_out_ignores_references, "a page is taken from the swap cache and freed while somebody holds it")            \
  X(swap_out_ignores_dirty, "a page that was written after it went to its slot is freed")                            \
  X(swap_cache_left_early, "a page leaves the swap cache although others name its slot")                             \
  X(swap_cache_left_clean, "a page that leaves the swap cache is dirty nowhere")                                     \
  X(discard_ignores_references, "a page under MADV_FREE is thrown away while somebody holds it")                     \
  X(discard_ignores_dirty, "a page under MADV_FREE that was written again is thrown away")                           \
  X(discard_without_flush, "a page under MADV_FREE is thrown away, and CPUs go on using it")                         \
  /* Migration. */                                                                                                   \
  X(migrate_without_try_share, "migration takes the exclusive mark and asks nobody about pins")                      \
  X(migrate_ignores_references, "a page moves while somebody holds it")                                              \
  X(migrate_without_flush, "a page moves, and CPUs go on writing where it was")                                      \
  X(migrate_without_copy, "what is in a page stays where it was")                                                    \
  X(migrate_loses_dirty, "a page that moves loses the dirty bit of its entry")                                       \
  X(migrate_loses_soft_dirty, "a page that has moved is not soft-dirty any more")                                    \
  X(migrate_forgets_mark, "a page that has moved is nobody's own")                                                   \
  X(migrate_forgets_writable, "a page that has moved may not be written any more")                                   \
  X(migrate_loses_entry, "a page that may not move stays on its way for ever")                                       \
  X(migrate_leaks_old_page, "the frame that a page has left is never freed")                                         \
  X(restore_passes_moving_pages, "restore exchanges memories while pages are on their way to them")                  \
  X(fork_keeps_migration_mark, "fork shares a page on its way that arrives as the parent's own")                     \
  X(rmap_children_first, "a fork's migration entries come after the mover has been at the child")                    \
  X(rmap_lets_fork_share, "fork shares tables in which a reverse map has led somebody to work")                      \
  X(clear_refs_keeps_migration_writable, "clear_refs lets a page on its way arrive writable")                        \
  /* Userfaultfd. */                                                                                                 \
  X(uffd_missing_ignored, "a fault on a page that is missing is not asked of userfaultfd's handler")                 \
  X(uffd_wp_ignored, "a write to a page that userfaultfd protects is not asked of its handler")                      \
  X(uffd_wp_without_flush, "CPUs go on writing to a page that userfaultfd has write-protected")                      \
  X(uffd_wp_keeps_writable, "an entry keeps its write permission though userfaultfd has marked it")                  \
  X(unregistered_keeps_uffd_wp, "pages stay write-protected by userfaultfd when nobody decides about them any more") \
  X(uffd_fill_recheck_dropped, "a page of the handler's takes the place of one that came before it")                 \
  X(uffd_fill_leaks_page, "the handler's page that was not needed is lost")                                          \
  X(uffd_continue_writable, "the handler lets a file's page be written through a private mapping")                   \
  X(uffd_continue_ignores_truncate, "the handler lets a page be mapped that the file has given up")                  \
  X(uffd_move_ignores_holders, "the handler moves a page that a device holds")                                       \
  X(uffd_move_tests_first, "the handler asks who holds a page before nobody can take it any more")                   \
  X(uffd_move_without_flush, "CPUs go on using the address that the handler has taken a page from")                  \
  X(uffd_move_keeps_rmap, "the reverse map of a page leads to where the handler took it from")                       \
  X(uffd_event_lost, "userfaultfd's handler is not told of what it wants to hear")                                   \
  X(uffd_remove_untold, "memory is taken without a word to the handler that wants to hear of it")                    \
  X(uffd_event_stays, "the handler reads the same event again, and who has caused it goes on waiting")               \
  X(uffd_marker_ignored, "what comes where userfaultfd has left a marker may be written")                            \
  X(uffd_marker_lost, "a page of a file that is unmapped forgets what userfaultfd protects")                         \
  X(uffd_async_asks, "a write waits for a handler that wants to be asked nothing")                                   \
  X(uffd_async_keeps_mark, "a mark that a write takes along without a word stays")                                   \
  X(truncate_leaves_zeros, "zeros that the handler has put before a file outlive the end of the file")               \
  X(fork_shares_forbidden, "a child that shares tables finds pages of a file forbidden that are not")                \
  X(free_keeps_poison, "MADV_FREE leaves alone what nobody can have")                                                \
  X(uffd_fill_stops_at_poison, "the handler cannot bring a page where it has said that there is none")               \
  X(uffd_fill_ignores_events, "the handler fills a page though it has not read what has changed")                    \
  X(fork_keeps_registration, "a child's memory stays registered though nobody is told of the fork")                  \
  X(fork_loses_uffd_wp, "a child that stays registered forgets what userfaultfd protects")                           \
  X(fork_shares_uffd_wp, "fork shares tables whose marks of userfaultfd the child must not have")                    \
  X(early_copy_loses_uffd_wp, "an early copy forgets what userfaultfd protects")                                     \
  X(unshare_loses_uffd_wp, "a page copied for a pin forgets what userfaultfd protects")                              \
  X(swap_out_loses_uffd_wp, "an entry in swap forgets what userfaultfd protects")                                    \
  X(swap_in_loses_uffd_wp, "a page from swap forgets what userfaultfd protects")                                     \
  X(migrate_loses_uffd_wp, "a page that has moved to another frame forgets what userfaultfd protects")               \
  X(ksm_loses_uffd_wp, "a merged page forgets what userfaultfd protects")                                            \
  X(move_keeps_uffd_wp, "mremap takes userfaultfd's marks where nobody is registered for them")                      \
  X(collapse_ignores_uffd, "a huge page takes the place of pages that userfaultfd's handler decides about")          \
  X(upgrade_ignores_uffd_wp, "mprotect gives write permission back that userfaultfd took")                           \
  X(force_ignores_uffd_wp, "a debugger writes to a page that userfaultfd protects")                                  \
  /* Pages whose memory has failed. */                                                                               \
  X(poison_without_flush, "CPUs go on using memory that has failed")                                                 \
  X(poison_forgotten, "a page that has failed is gone as if nobody had had it")                                      \
  X(poisoned_frame_reused, "memory that has failed is given out again")                                              \
  X(fork_forgets_poison, "the child does not hear of a page that has failed")                                        \
  X(offline_leaves_pages, "movable memory is taken for empty where something has stayed")                            \
  X(offline_stays_open, "frames of movable memory are given out while it is taken out")                              \
  X(secret_is_movable, "secret memory lies in memory that is to hold only what can be moved")                        \
  /* Pages that a device has for itself. */                                                                          \
  X(make_exclusive_without_flush, "CPUs go on writing to a page that a device has for itself")                       \
  X(fork_leaves_page_to_device, "fork shares a page that a device goes on having for itself")                        \
  X(poison_stays_in_swap_cache, "the good copy in a slot is not looked for where its page has failed")               \
  /* Shared memory in swap. */                                                                                       \
  X(shmem_swap_out_ignores_lock, "shared memory that mlock keeps for somebody goes to swap")                         \
  X(shmem_swap_out_leaves_mapped, "shared memory goes to swap and stays mapped")                                     \
  X(shmem_swap_out_unwritten, "shared memory goes to swap without being written there")                              \
  X(shmem_swap_in_keeps_slot, "shared memory that comes back stays counted in its slot")                             \
  X(shmem_swap_in_recheck_dropped, "shared memory comes back from a slot that stands for it no more")                \
  X(truncate_keeps_slot, "the slot of a page that is cut off its file stays counted")                                \
  X(page_found_before_it_is_read, "a page that is on its way from the disk is taken for what the file holds")        \
  X(punch_takes_new_block, "a hole takes the block of a page that was written since")                                \
  X(remove_ignores_lock, "MADV_REMOVE makes a hole in memory that mlock keeps")                                      \
  X(remove_through_private, "MADV_REMOVE makes a hole through a private mapping")                                    \
  X(collapse_leaves_swap, "MADV_COLLAPSE leaves pages in swap, and gives up")                                        \
  X(exec_keeps_old_memory, "exec leaks the old address space")

enum class Mutant : std::uint16_t {
  none,
#define COWHERD_MUTANT_NAME(name, ...) name,
  COWHERD_MUTANTS(COWHERD_MUTANT_NAME)
#undef COWHERD_MUTANT_NAME
};

#ifdef COWHERD_WITH_MUTANTS
/// The one that the environment names; a name that is none ends the program.
Mutant selected_mutant();
inline const Mutant kSelectedMutant = selected_mutant();

/// Not constexpr: what is computed by the compiler would have no mutants.
inline bool is_mutant(Mutant mutant) { return mutant == kSelectedMutant; }
#else
consteval bool is_mutant(Mutant) { return false; }
#endif

/// Whether the defect `name` is on: the constant false where there are none.
#define COWHERD_MUTANT(name) ::cowherd::is_mutant(::cowherd::Mutant::name)

}  // namespace cowherd
