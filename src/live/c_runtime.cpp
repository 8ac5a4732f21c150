#include "live/c_runtime.hpp"

namespace cowherd::live {

// Long file: one C text, which is best read as it is written.
const std::string_view kCRuntime = R"c(#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Not every test uses everything. */
#pragma GCC diagnostic ignored "-Wunused-function"

#define PAGE 4096UL
#define BASE 0x200000000000UL
#define BLOCKS 8
#define DEVICES 8
#define FILES 4
#define REGISTRATIONS 16
#define HUGE_PAGE (2UL << 20)
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define SEGV (-1011)
#define BUS (-1007)

/* What the processes of a test share beside its own memory, which is private. */
struct shared {
    char order[80];            /* the block of each step */
    volatile int turn;        /* steps that are done */
    volatile int lost;        /* no answer: why is in `why` */
    char why[100];
    int test;
    /* Of a page of the test: a quarter of a huge page, where it has to do with those. Words are those of its first 4 KiB. */
    unsigned long page;
    int file[FILES];
    volatile int pid[BLOCKS];
    volatile int leave[BLOCKS];    /* its process ends, as one that ran off its end */
    volatile long reg[BLOCKS][16];
    volatile int faults[BLOCKS];
    struct { int ring, pipe[2], copy[2]; } fd[DEVICES];    /* or gup_test's, or RDMA's, in place of the ring */
    struct { unsigned domain, key, handle[REGISTRATIONS]; int count; } registered[DEVICES];
    volatile struct { int pages, writes, way; unsigned long address; } held[DEVICES];
    /* One request at a time to the main process: a ring's transfer, or an exit that is to be seen. */
    volatile int ask, ask_device;
    volatile unsigned long ask_address;
    volatile long ask_value;
    /* Of a process, once all steps are done. */
    volatile int look_block;
    volatile unsigned long look_address;
    volatile long look_value;
};
enum { NOTHING, DMA_READ, DMA_WRITE, EXITS };
enum { BY_PIPE, BY_RING, BY_GUP_TEST, BY_RDMA };

/* Of the kernel's mm/gup_test.h: pins pages long-term, shows what is in them, lets them go. */
struct pin_request { unsigned long address, size; unsigned flags; };
#define GUP_TEST_PIN _IOW('g', 7, struct pin_request)
#define GUP_TEST_UNPIN _IO('g', 8)
#define GUP_TEST_READ _IOW('g', 9, unsigned long)

static struct shared *s;
static int shared_fd;
static int own_memory;        /* this image came out of a test's exec() */
static __thread sigjmp_buf *volatile resume;

static void run_block(int block, int at);
static int rdma_open(int device);
static void rdma_close(int device);
static long rdma_release(int device);
static long rdma_take(int device, unsigned long address, unsigned long bytes, int times, int writes);
static int rdma_transfer(int device, int what, unsigned long address, long *value);

static void on_fault(int signal)
{
    if (resume)
        siglongjmp(*resume, signal);
    _exit(128 + signal);
}

static void lose(const char *what)
{
    if (!s->lost)
        snprintf(s->why, sizeof s->why, "%s: %s", what, strerror(errno));
    s->lost = 1;
    _exit(1);
}

static void wait_a_little(void)
{
    if (s->lost)
        _exit(1);
    sched_yield();
}

static void begin(int block)
{
    while (s->order[s->turn] != '0' + block)
        wait_a_little();
}

static void done(void)
{
    __sync_synchronize();
    s->turn++;
}

static long access_word(unsigned long address, int writes, long value)
{
    sigjmp_buf here;
    int signal = sigsetjmp(here, 1);

    if (signal) {
        resume = NULL;
        return signal == SIGBUS ? BUS : SEGV;
    }
    resume = &here;
    if (writes)
        *(volatile long *)address = value;
    else
        value = *(volatile long *)address;
    resume = NULL;
    return writes ? 0 : value;
}

static long counted(int block, long result)
{
    if (result == SEGV || result == BUS)
        s->faults[block]++;
    return result;
}

static long result_of(long result)
{
    return result < 0 ? -errno : 0;
}

static long map_file(unsigned long address, unsigned long length, int protection, int flags, int file,
             unsigned long from)
{
    return mmap((void *)address, length, protection, flags, file, from) == MAP_FAILED ? -errno : 0;
}

static long map(unsigned long address, unsigned long length, int protection, int flags)
{
    return map_file(address, length, protection, flags, -1, 0);
}

static long read_file(int file, unsigned long offset)
{
    long word = 0;

    /* Behind the end there is nothing to read. */
    return pread(s->file[file], &word, sizeof word, offset) < 0 ? -errno : word;
}

static long write_file(int file, unsigned long offset, long value)
{
    return pwrite(s->file[file], &value, sizeof value, offset) == sizeof value ? 0 : -errno;
}

static long punch(int file, unsigned long from, unsigned long length)
{
    return result_of(fallocate(s->file[file], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, length));
}

static long move(unsigned long address, unsigned long length, unsigned long to, unsigned long to_length, int flags)
{
    return mremap((void *)address, length, to_length, flags, (void *)to) == MAP_FAILED ? -errno : 0;
}

static void start_process(int block, int at)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = on_fault;
    action.sa_flags = SA_NODEFER;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    alarm(30);
    run_block(block, at);
}

static long do_fork(int block)
{
    pid_t child = fork();

    if (child == 0) {
        s->pid[block] = getpid();
        start_process(block, 0);
        _exit(0);
    }
    if (child < 0)
        return -errno;
    while (!s->pid[block])
        wait_a_little();
    return 0;
}

static int vfork_child(void *block)
{
    s->pid[(long)block] = getpid();
    done();        /* the parent goes on when this child has left its memory */
    run_block((int)(long)block, 0);
    _exit(0);
}

static long do_vfork(int block)
{
    char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (clone(vfork_child, stack + 65536, CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)(long)block) < 0)
        lose("vfork");
    return 0;
}

static void *thread_of(void *block)
{
    s->pid[(long)block] = getpid();
    run_block((int)(long)block, 0);
    return NULL;
}

static long do_thread(int block)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, thread_of, (void *)(long)block);

    while (!error && !s->pid[block])
        wait_a_little();
    return -error;
}

static void do_exec(int block, int at)
{
    char fd[16], name[16], where[16];
    char *words[] = { "block-of-a-test", fd, name, where, NULL };

    snprintf(fd, sizeof fd, "%d", shared_fd);
    snprintf(name, sizeof name, "%d", block);
    snprintf(where, sizeof where, "%d", at);
    execv("/proc/self/exe", words);
    lose("exec");
}

static void do_exit(int block)
{
    s->ask_value = s->pid[block];
    s->ask = EXITS;
    while (s->ask == EXITS)
        wait_a_little();
    _exit(0);
}

static long do_wait(int block)
{
    pid_t child = s->pid[block];

    if (!child)
        return -ECHILD;
    s->leave[block] = 1;
    return result_of(waitpid(child, NULL, 0));
}

static long take(int device, unsigned long address, unsigned long pages, int times, int writes, int way)
{
    int i;
    unsigned long page;

    if (s->held[device].pages)
        return -EBUSY;
    for (; pages; pages--) {
        struct iovec *buffers = calloc(times, sizeof *buffers);
        long taken = 0;

        struct iovec firsts[16];

        for (i = 0; i < times; i++) {
            buffers[i].iov_base = (void *)address;
            buffers[i].iov_len = pages * s->page;
        }
        /* A pipe has the first 4 KiB of each. */
        for (page = 0; page < pages; page++) {
            firsts[page].iov_base = (void *)(address + page * s->page);
            firsts[page].iov_len = PAGE;
        }
        if (way == BY_GUP_TEST) {
            struct pin_request request = { address, pages * s->page, 0 };

            taken = ioctl(s->fd[device].ring, GUP_TEST_PIN, &request);
        } else if (way == BY_RDMA) {
            taken = rdma_take(device, address, pages * s->page, times, writes);
        } else if (way == BY_RING) {
            taken = syscall(SYS_io_uring_register, s->fd[device].ring, IORING_REGISTER_BUFFERS, buffers, times);
        } else {
            for (i = 0; i < times && taken >= 0; i++) {
                long part = vmsplice(s->fd[device].pipe[1], firsts, pages, SPLICE_F_NONBLOCK);

                taken = i ? taken : part;
            }
            if (taken > 0)
                pages = taken / PAGE;
        }
        free(buffers);
        if (taken >= 0) {
            s->held[device].address = address;
            s->held[device].writes = writes;
            s->held[device].way = way;
            s->held[device].pages = pages;
            return pages;
        }
        if (errno != EFAULT)
            lose(way == BY_PIPE ? "vmsplice" : way == BY_RING ? "io_uring" : way == BY_RDMA ? "RDMA" : "gup_test");
    }
    return -EFAULT;
}

static void drain(int fd)
{
    char bytes[PAGE];

    while (read(fd, bytes, sizeof bytes) > 0)
        ;
}

static long release(int device)
{
    if (!s->held[device].pages)
        return -ENXIO;
    s->held[device].pages = 0;
    if (s->held[device].way == BY_GUP_TEST)
        return result_of(ioctl(s->fd[device].ring, GUP_TEST_UNPIN));
    if (s->held[device].way == BY_RDMA)
        return rdma_release(device);
    if (s->held[device].way == BY_RING)
        return result_of(syscall(SYS_io_uring_register, s->fd[device].ring, IORING_UNREGISTER_BUFFERS, NULL, 0));
    drain(s->fd[device].pipe[0]);
    return 0;
}

static long ask_ring(int what, int device, unsigned long offset, long value)
{
    s->ask_device = device;
    s->ask_address = s->held[device].address + offset;
    s->ask_value = value;
    s->ask = what;
    while (s->ask)
        wait_a_little();
    return what == DMA_READ ? s->ask_value : 0;
}

static long dma_read(int device, unsigned long page, unsigned long word)
{
    long bytes[PAGE / sizeof(long)];
    unsigned long i;

    if (page >= (unsigned long)s->held[device].pages)
        return -ENXIO;
    if (s->held[device].way == BY_GUP_TEST) {
        static long all[16 * (HUGE_PAGE / 4) / sizeof(long)];
        unsigned long to = (unsigned long)all;

        if (ioctl(s->fd[device].ring, GUP_TEST_READ, &to))
            lose("gup_test");
        return all[page * (s->page / sizeof(long)) + word];
    }
    if (s->held[device].way == BY_RING || s->held[device].way == BY_RDMA)
        return ask_ring(DMA_READ, device, page * s->page + word * sizeof(long), 0);
    /* A second pipe gets the same pages; their bytes are looked at when they are read. */
    if (tee(s->fd[device].pipe[0], s->fd[device].copy[1], (page + 1) * PAGE, SPLICE_F_NONBLOCK) < 0)
        lose("tee");
    for (i = 0; i <= page; i++)
        if (read(s->fd[device].copy[0], bytes, PAGE) != (ssize_t)PAGE)
            lose("read");
    drain(s->fd[device].copy[0]);
    return bytes[word];
}

static long dma_write(int device, unsigned long page, unsigned long word, long value)
{
    if (page >= (unsigned long)s->held[device].pages)
        return -ENXIO;
    if (!s->held[device].writes)
        return -EPERM;
    return ask_ring(DMA_WRITE, device, page * s->page + word * sizeof(long), value);
}

static int open_of(int block, const char *name, int flags)
{
    char path[64];
    int fd;

    snprintf(path, sizeof path, "/proc/%d/%s", s->pid[block], name);
    fd = open(path, flags);
    if (fd < 0)
        lose(path);
    return fd;
}

static long debug(int block, unsigned long address, int writes, long value)
{
    int fd = open_of(block, "mem", O_RDWR);
    long moved = writes ? pwrite(fd, &value, sizeof value, address) : pread(fd, &value, sizeof value, address);

    close(fd);
    return moved == sizeof value ? (writes ? 0 : value) : -EFAULT;
}

static long clear_refs(int block)
{
    int fd = open_of(block, "clear_refs", O_WRONLY);

    if (write(fd, "4", 1) != 1)
        lose("clear_refs");
    close(fd);
    return 0;
}

/* Of this process: present, in swap, and the frame's number, which needs root. */
static unsigned long pagemap(unsigned long address)
{
    unsigned long entry = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY);

    if (fd < 0 || pread(fd, &entry, sizeof entry, address / PAGE * sizeof entry) != sizeof entry)
        lose("pagemap");
    close(fd);
    return entry;
}

#define IS_PRESENT(entry) ((entry) >> 63 & 1)
#define IS_SWAPPED(entry) ((entry) >> 62 & 1)
#define FRAME(entry) ((entry) & ((1UL << 55) - 1))

static long is_huge(int process, unsigned long address);

/* Of a page that no other process maps: MADV_PAGEOUT leaves the others. Of a part of a huge page it would split it. */
static long swap_out(unsigned long address)
{
    char swaps[400];
    int fd = open("/proc/swaps", O_RDONLY);
    long bytes = read(fd, swaps, sizeof swaps - 1);

    close(fd);
    swaps[bytes > 0 ? bytes : 0] = 0;
    if (!strstr(swaps, "\n/")) {
        errno = ENODEV;
        lose("no swap area");
    }
    if (!IS_PRESENT(pagemap(address)))
        return -EFAULT;
    if (is_huge(getpid(), address) == 1)
        madvise((void *)(address / HUGE_PAGE * HUGE_PAGE), HUGE_PAGE, 21 /* MADV_PAGEOUT */);
    else
        madvise((void *)address, PAGE, 21 /* MADV_PAGEOUT */);
    return IS_PRESENT(pagemap(address)) ? -EBUSY : 0;
}

static long swap_in(unsigned long address)
{
    if (!IS_SWAPPED(pagemap(address)))
        return -EFAULT;
    access_word(address, 0, 0);
    return 0;
}

static void write_setting(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        lose(path);
    close(fd);
}

/* Leaves it switched off, as it is where nobody has asked for it. */
static long ksm_merge(unsigned long one, unsigned long other)
{
    unsigned long a = pagemap(one), b = pagemap(other);
    int tries, same = 0;

    if (!IS_PRESENT(a) || !IS_PRESENT(b))
        return -EFAULT;
    if (FRAME(a) == FRAME(b))
        return -EINVAL;
    write_setting("/sys/kernel/mm/ksm/run", "1");
    for (tries = 0; tries < 400 && !same; tries++) {
        usleep(1000);
        same = IS_PRESENT(pagemap(one)) && FRAME(pagemap(one)) == FRAME(pagemap(other));
    }
    write_setting("/sys/kernel/mm/ksm/run", "0");
    return same ? 0 : -EBUSY;
}

static long ksm_unmerge(unsigned long address, unsigned long length)
{
    if (madvise((void *)address, length, MADV_UNMERGEABLE))
        return -errno;
    return result_of(madvise((void *)address, length, MADV_MERGEABLE));
}

/* Whether a huge entry maps it, as PAGEMAP_SCAN says (Linux 6.7): 1, 0, and -1 where nothing does. */
static long is_huge(int process, unsigned long address)
{
    struct { unsigned long start, end, categories; } found;
    struct {
        unsigned long size, flags, start, end, walk_end, regions, region_count, max_pages;
        unsigned long inverted, mask, any_of, wanted;
    } scan;
    char path[64];
    int fd, regions;

    snprintf(path, sizeof path, "/proc/%d/pagemap", process);
    fd = open(path, O_RDONLY);
    memset(&scan, 0, sizeof scan);
    scan.size = sizeof scan;
    scan.start = address / PAGE * PAGE;
    scan.end = scan.start + PAGE;
    scan.regions = (unsigned long)&found;
    scan.region_count = 1;
    scan.wanted = 1 << 3 | 1 << 6;    /* PAGE_IS_PRESENT, PAGE_IS_HUGE */
    regions = ioctl(fd, _IOWR('f', 16, scan), &scan);
    close(fd);
    if (regions < 0 && !s->lost) {
        snprintf(s->why, sizeof s->why, "PAGEMAP_SCAN: %s", strerror(errno));
        s->lost = 1;
    }
    if (regions <= 0 || !(found.categories & 1 << 3))
        return -1;
    return found.categories >> 6 & 1;
}

/* What says where a huge page can lie takes the whole of it. */
static long collapse(unsigned long address)
{
    return result_of(madvise((void *)(address / HUGE_PAGE * HUGE_PAGE), HUGE_PAGE, MADV_COLLAPSE));
}

/* Advice for a part of what a huge entry maps makes a mapping of it, which no huge entry can be of. */
static long split(unsigned long address)
{
    if (is_huge(getpid(), address) != 1)
        return -EFAULT;
    if (madvise((void *)(address + PAGE), PAGE, MADV_RANDOM) || madvise((void *)(address + PAGE), PAGE, MADV_NORMAL))
        return -errno;
    return is_huge(getpid(), address) == 1 ? -EBUSY : 0;
}

static void map_secret(unsigned long address, unsigned long length)
{
    int fd = syscall(447 /* memfd_secret */, O_CLOEXEC);

    if (fd < 0 || ftruncate(fd, length) ||
        mmap((void *)address, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0) == MAP_FAILED)
        lose("memfd_secret");
    close(fd);
}

/* At the end of a block: its process waits to be ended, and says what it reads. */
static void rest(int block)
{
    while (!s->leave[block]) {
        if (s->look_block == block) {
            s->look_value = access_word(s->look_address, 0, 0);
            s->look_block = -1;
        }
        wait_a_little();
    }
    _exit(0);
}

/* In the main process from here on. */

static struct ring {
    unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
} rings[DEVICES];

static int open_ring(int device)
{
    struct io_uring_params p;
    struct ring *r = &rings[device];
    char *sq, *cq;
    int fd;

    memset(&p, 0, sizeof p);
    fd = syscall(SYS_io_uring_setup, 4, &p);
    if (fd < 0)
        return -1;
    fcntl(fd, F_SETFD, 0);
    sq = mmap(NULL, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
    cq = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE, MAP_SHARED,
          fd, IORING_OFF_CQ_RING);
    r->sqes = mmap(NULL, p.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
               IORING_OFF_SQES);
    r->sq_tail = (unsigned *)(sq + p.sq_off.tail);
    r->sq_mask = (unsigned *)(sq + p.sq_off.ring_mask);
    r->sq_array = (unsigned *)(sq + p.sq_off.array);
    r->cq_head = (unsigned *)(cq + p.cq_off.head);
    r->cq_tail = (unsigned *)(cq + p.cq_off.tail);
    r->cq_mask = (unsigned *)(cq + p.cq_off.ring_mask);
    r->cqes = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
    return fd;
}

static int transfer(int device, int into_memory, unsigned long address)
{
    struct ring *r = &rings[device];
    unsigned tail = *r->sq_tail, at = tail & *r->sq_mask;
    struct io_uring_sqe *sqe = &r->sqes[at];
    int result;

    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = into_memory ? IORING_OP_READ_FIXED : IORING_OP_WRITE_FIXED;
    sqe->fd = s->fd[device].pipe[into_memory ? 0 : 1];
    sqe->addr = address;
    sqe->len = sizeof(long);
    r->sq_array[at] = at;
    __atomic_store_n(r->sq_tail, tail + 1, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, s->fd[device].ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
        return -1;
    result = r->cqes[*r->cq_head & *r->cq_mask].res;
    __atomic_store_n(r->cq_head, *r->cq_head + 1, __ATOMIC_RELEASE);
    return result == sizeof(long) ? 0 : -1;
}

static void serve(void)
{
    int d = s->ask_device, ok = 1;
    long value = s->ask_value;

    if (s->ask != EXITS && s->held[d].way == BY_RDMA) {
        ok = !rdma_transfer(d, s->ask, s->ask_address, &value);
        s->ask_value = value;
    } else if (s->ask == DMA_READ) {
        ok = !transfer(d, 0, s->ask_address) && read(s->fd[d].pipe[0], &value, sizeof value) == sizeof value;
        s->ask_value = value;
    } else if (s->ask == DMA_WRITE) {
        ok = write(s->fd[d].pipe[1], &value, sizeof value) == sizeof value && !transfer(d, 1, s->ask_address);
    } else {
        struct pollfd process = { syscall(SYS_pidfd_open, (int)value, 0), POLLIN, 0 };

        s->ask = NOTHING;
        poll(&process, 1, 10000);
        close(process.fd);
        done();
        return;
    }
    if (!ok && !s->lost) {
        snprintf(s->why, sizeof s->why, "the device cannot be used");
        s->lost = 1;
    }
    s->ask = NOTHING;
}

static void open_device(int device, int way)
{
    if (way == BY_RDMA) {
        s->fd[device].ring = rdma_open(device);
        if (s->fd[device].ring < 0) {
            snprintf(s->why, sizeof s->why, "no soft-RoCE device: %s", strerror(errno));
            s->lost = 1;
        }
        return;
    }
    if (way == BY_GUP_TEST) {
        s->fd[device].ring = open("/sys/kernel/debug/gup_test", O_RDWR);
        if (s->fd[device].ring < 0) {
            snprintf(s->why, sizeof s->why, "gup_test: %s", strerror(errno));
            s->lost = 1;
        }
        return;
    }
    if (pipe2(s->fd[device].pipe, O_NONBLOCK) || pipe2(s->fd[device].copy, O_NONBLOCK) ||
        (way == BY_RING && (s->fd[device].ring = open_ring(device)) < 0)) {
        snprintf(s->why, sizeof s->why, "%s: %s", way == BY_RING ? "io_uring" : "pipe", strerror(errno));
        s->lost = 1;
    }
    if (way == BY_PIPE)
        fcntl(s->fd[device].pipe[1], F_SETPIPE_SZ, 1 << 20);
}

/* A file of no name, with `value` in the first word of each page. */
static void open_file(int file, int on_disk, unsigned long pages, long value)
{
    char name[] = "cowherd-test-XXXXXX";
    long page[PAGE / sizeof(long)] = { value };
    unsigned long i;
    int fd = on_disk ? mkstemp(name) : (int)syscall(SYS_memfd_create, "file", 0), ok = fd >= 0;

    if (on_disk && ok)
        unlink(name);
    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    for (i = 0; i < pages && ok; i++)
        ok = pwrite(fd, page, PAGE, i * PAGE) == (ssize_t)PAGE;
    if (!ok) {
        snprintf(s->why, sizeof s->why, "no file: %s", strerror(errno));
        s->lost = 1;
    }
    s->file[file] = fd;
}

/* Before its processes start. */
static void want_huge_pages(void)
{
    char choice[100] = "";
    int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY);
    long bytes = read(fd, choice, sizeof choice - 1);

    close(fd);
    s->page = HUGE_PAGE / 4;
    /* Huge pages where they are advised, and nowhere else. */
    if (bytes <= 0 || !strstr(choice, "[madvise]")) {
        snprintf(s->why, sizeof s->why, "wanted: echo madvise >/sys/kernel/mm/transparent_hugepage/enabled");
        s->lost = 1;
    }
}

static void start_at_time_zero(int block, void (*build)(void))
{
    pid_t child = fork();

    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        prctl(PR_SET_THP_DISABLE, s->page == PAGE, 0, 0, 0);
        build();
        s->pid[block] = getpid();
        start_process(block, 0);
        _exit(0);
    }
    while (child > 0 && !s->pid[block] && !s->lost)
        sched_yield();
}

static void play(void)
{
    int waits = 0;
    int last = -1;

    while (s->order[s->turn] && !s->lost) {
        if (s->ask)
            serve();
        sched_yield();
        if (s->turn != last) {
            last = s->turn;
            waits = 0;
        } else if (++waits > 10000) {
            usleep(1000);
            if (waits > 20000) {
                snprintf(s->why, sizeof s->why, "step %d did not end in time", s->turn + 1);
                s->lost = 1;
            }
        }
    }
}

static long look(int block, unsigned long address)
{
    int waits = 0;

    if (!s->pid[block] || s->leave[block] || kill(s->pid[block], 0))
        return SEGV;
    s->look_address = address;
    s->look_block = block;
    while (s->look_block == block && waits++ < 100000)
        sched_yield();
    return s->look_block == block ? SEGV : s->look_value;
}

static void end_all(void)
{
    int device;

    s->lost = 1;
    /* Each process looks at `lost` wherever it waits. */
    while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
        ;
    for (device = 0; device < DEVICES; device++) {
        int *fds = &s->fd[device].ring, i;

        rdma_close(device);
        for (i = 0; i < 5; i++)
            if (fds[i] > 0)
                close(fds[i]);
    }
    for (device = 0; device < FILES; device++)
        if (s->file[device] > 0)
            close(s->file[device]);
}
)c";

}  // namespace cowherd::live
